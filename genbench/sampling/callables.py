"""From a Python object to a sampler: what it is, is decided by its type and its signature, never by trying it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genbench.errors import UsageError
from genbench.files.limits import LIMITS, Limits
from genbench.sampling.calls import (
    CalledSampler,
    ConditionalSampler,
    Finish,
    LatentCall,
    RowsSampler,
    evaluating,
    user_code,
)
from genbench.sampling.latents import parse_latent
from genbench.sampling.weights import load_weights

FORMS = (
    "a function f(n, *, seed) that returns samples, an object with sample(n, *, seed), an nn.Module with latents "
    "declared, or a function or class that returns one of them"
)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user declared beside the object itself; see `genbench.load.load_sampler`.

    Attributes
    ----------
    finish : callable
        Makes samples of what the object returns.
    """

    name: str
    own_name: bool  # whether an object's own name goes before
    args: Mapping[str, Any]
    weights: Path | None
    latent: str | None
    device: torch.device
    finish: Finish
    limits: Limits = LIMITS


def sampler_of(found: Any, wishes: Wishes) -> CalledSampler | RowsSampler:
    """Make a sampler of a Python object.

    Parameters
    ----------
    found : object
        One of `FORMS`.
    wishes : Wishes

    Raises
    ------
    UsageError
        If the object is none of them, or something was declared that it has no use for.
    SampleError
        If its own code fails.
    """
    who, made = wishes.name, False
    if _is_factory(found, wishes.args):
        with user_code(who):
            found = found(**wishes.args)
        made = True
    args = {} if made else dict(wishes.args)
    if isinstance(found, nn.Module):
        sampler: CalledSampler | RowsSampler = _of_module(found, wishes, move=made)
    elif not inspect.isclass(found) and (hasattr(found, "sample") or hasattr(found, "rows")):
        sampler = _of_object(found, wishes)
    elif _is_function(found, args):
        sampler = _of_call(partial(found, **args), wishes, owner=found)
        args = {}
    else:
        raise UsageError(f"{who}: {FORMS} expected, got {_described(found, made)}.")
    if args:
        raise UsageError(f"{who}: takes no arguments, got {', '.join(args)}; it is an object, not a function or class.")
    if not isinstance(found, nn.Module) and (wishes.weights is not None or wishes.latent is not None):
        raise UsageError(
            f"{who}: weights and latents are for an nn.Module, got {_described(found, made)}; leave them out."
        )
    return sampler


def _is_factory(found: Any, args: Mapping[str, Any]) -> bool:
    """Whether something is called with the arguments alone to give what is asked for samples."""
    if inspect.isclass(found):
        if not _binds(found, **args):
            raise UsageError(
                f"{found.__name__}: arguments {_signature(found)} expected, got {', '.join(args) or 'none'}; pass them."
            )
        return True
    if isinstance(found, nn.Module) or hasattr(found, "sample") or hasattr(found, "rows") or not callable(found):
        return False
    if _is_function(found, args):
        return False
    return _binds(found, **args)


def _is_function(found: Any, args: Mapping[str, Any]) -> bool:
    """Whether something is called as f(n, seed=seed): it names a seed, and needs n or has it as its first name."""
    if not callable(found) or inspect.isclass(found):
        return False
    parameters = _parameters(found)
    if "seed" not in parameters or "seed" in args or not _binds(found, 1, seed=0, **_labels(parameters), **args):
        return False
    return next(iter(parameters)) == "n" or not _binds(found, **args)


def _labels(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    return {"labels": None} if "labels" in parameters else {}


def _of_module(module: nn.Module, wishes: Wishes, *, move: bool) -> CalledSampler | RowsSampler:
    """Make a sampler of a network; one that the user handed in as an object stays on its device."""
    if wishes.weights is not None:
        load_weights(module, wishes.weights, limits=wishes.limits)
    device = wishes.device
    if move:
        module.to(device)
    else:
        device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), device)
    if wishes.latent is None and hasattr(module, "sample"):
        return _of_object(module, wishes)

    def forward(latents: Tensor) -> Any:
        with evaluating(module):
            return module(latents)

    call = LatentCall(forward, parse_latent(wishes.latent, who=wishes.name), device=device)
    return CalledSampler(wishes.name, call, finish=wishes.finish, device=device)


def _of_object(found: Any, wishes: Wishes) -> CalledSampler | RowsSampler:
    own = getattr(found, "name", None)
    name = own if wishes.own_name and isinstance(own, str) and own else wishes.name
    if callable(getattr(found, "rows", None)) and hasattr(found, "__len__"):
        return RowsSampler(name, found, finish=wishes.finish)
    sample = getattr(found, "sample", None)
    if not callable(sample) or not _is_function(sample, {}):
        raise UsageError(
            f"{name}: sample(n, *, seed) expected, got {_described(sample, False)}; give it that signature."
        )
    call = sample
    if isinstance(found, nn.Module):

        def call(n: int, **rest: Any) -> Any:
            with evaluating(found):
                return sample(n, **rest)

    return _of_call(call, wishes, owner=found, signature=sample, name=name)


def _of_call(
    call: Callable[..., Any], wishes: Wishes, *, owner: Any, signature: Any = None, name: str | None = None
) -> CalledSampler:
    """Make a sampler of a function; a conditional one says how many classes there are."""
    name = name or wishes.name
    classes = getattr(owner, "classes", None)
    labels = _parameters(signature or call).get("labels")
    if labels is None or (classes is None and labels.default is not inspect.Parameter.empty):
        return CalledSampler(name, call, finish=wishes.finish, device=wishes.device)
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
        raise UsageError(
            f"{name}: takes labels, so an attribute classes, their number, is expected, got {classes!r}; set it."
        )
    return ConditionalSampler(name, call, classes=classes, finish=wishes.finish, device=wishes.device)


def _parameters(found: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(found).parameters
    except (TypeError, ValueError):  # some functions written in C have none
        return {}


def _binds(found: Any, *args: Any, **options: Any) -> bool:
    try:
        inspect.signature(found).bind(*args, **options)
    except (TypeError, ValueError):
        return False
    return True


def _signature(found: Any) -> str:
    try:
        return str(inspect.signature(found))
    except (TypeError, ValueError):
        return ""


def _described(found: Any, made: bool) -> str:
    kind = found.__name__ if inspect.isclass(found) or inspect.isroutine(found) else type(found).__name__
    return f"{kind}{_signature(found)}" + (", which it returned" if made else "")
