"""Looking at a model in training so that the training goes on as if nobody had looked."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genbench.errors import UsageError
from genbench.sampling.calls import evaluating


@contextmanager
def undisturbed(modules: Iterable[nn.Module] = ()) -> Iterator[None]:
    """Put modules in eval mode and record no gradients; on leaving, restore every module's mode and all generators.

    Generators: Python's, numpy's and torch's global ones, those of every CUDA device in use and of MPS.
    """
    python, cpu = random.getstate(), torch.get_rng_state()
    legacy = np.random.get_state()  # noqa: NPY002 (what the user's code may draw from)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        with ExitStack() as modes, torch.no_grad():
            for module in modules:
                modes.enter_context(evaluating(module))
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)


@contextmanager
def weighted(modules: list[nn.Module], weights: Mapping[str, Tensor] | nn.Module | None) -> Iterator[None]:
    """Give a module other weights, such as an average along training, and on leaving its own ones, bit for bit.

    Parameters
    ----------
    modules : list of Module
        The one whose weights they are.
    weights : mapping, Module or None
        A state dict or a part of one, or a copy of the module, also in `torch.optim.swa_utils.AveragedModel`; None
        changes nothing.

    Raises
    ------
    UsageError
        If there is not one module, or the weights are another module's.
    """
    if weights is None:
        yield
        return
    if len(modules) != 1:
        raise UsageError(
            f"callback: averaged weights are those of one module, got {len(modules)} modules; name it with modules."
        )
    if isinstance(weights, nn.Module):
        copied = weights.module if isinstance(weights, torch.optim.swa_utils.AveragedModel) else weights
        weights = copied.state_dict()
    module = modules[0]
    own = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        try:
            module.load_state_dict({**own, **weights})
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise UsageError(f"callback: averaged weights of {type(module).__name__} expected ({reason}).") from error
        yield
    finally:
        module.load_state_dict(own)


def modules_of(generator: Any) -> list[nn.Module]:
    """Find the networks that a generator uses: itself, or what its function or object refers to by a name.

    A function's are those in its closure, its globals and its bound arguments; an object's are its attributes.
    """
    found: dict[int, nn.Module] = {}
    for value in _held(generator):
        if isinstance(value, nn.Module):
            found.setdefault(id(value), value)
    inner = {id(part) for module in found.values() for part in module.modules() if part is not module}
    return [module for key, module in found.items() if key not in inner]


def _held(generator: Any) -> Iterator[Any]:
    if isinstance(generator, nn.Module):
        yield generator
    elif isinstance(generator, functools.partial):
        yield from (*generator.args, *generator.keywords.values(), *_held(generator.func))
    elif inspect.ismethod(generator):
        yield from (*_held(generator.__self__), *_held(generator.__func__))
    elif inspect.isfunction(generator):
        with suppress(ValueError):  # a name of the closure has no value yet
            names = inspect.getclosurevars(generator)
            yield from (*names.nonlocals.values(), *names.globals.values())
        yield from generator.__defaults__ or ()
        yield from (generator.__kwdefaults__ or {}).values()
    elif hasattr(generator, "__dict__") and not inspect.isclass(generator):
        yield from vars(generator).values()
