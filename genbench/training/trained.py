"""Samplers of models that `genbench run` trained, rebuilt from the training state that it left behind.

The state names its recipe, and the recipe is code. It is looked up among the registered baselines: a file cannot make
genbench import anything else.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genbench.errors import GenbenchError, SampleError, UsageError
from genbench.files.limits import LIMITS, Limits
from genbench.files.parsing import parsing
from genbench.files.tensors import check_torch_archive
from genbench.isolation import isolated
from genbench.protocols import Trainer
from genbench.registry import BASELINES
from genbench.training.checkpoint import MAGIC, parse_document, read_payload
from genbench.training.harness import build_trainer
from genbench.training.health import leaves
from genbench.training.scaling import ScaledSampler, Scaling, scaled_sampler


def is_checkpoint(path: Path) -> bool:
    """Whether a file begins as a training state does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def load_trained(
    path: Path,
    *,
    event_shape: tuple[int, ...],
    name: str | None = None,
    trust_code: bool = False,
    device: torch.device,
    limits: Limits = LIMITS,
) -> ScaledSampler:
    """Rebuild the model of a training state and return its sampler, in the units of the data.

    Its samples are those that the training's own sampler gave at that step, bit for bit on the same kind of device.

    Parameters
    ----------
    path : Path
        ``results/<benchmark>/checkpoints/<baseline>/seed<k>.pt``.
    event_shape : tuple of int
        That the benchmark expects.
    name : str, optional
        Of the sampler; ``gan-seed0`` by default.
    trust_code : bool
        Whether a recipe that is not registered may be imported from where the state says.
    device : torch.device
        Where to compute.
    limits : Limits
        ``array_bytes`` bounds the file, which is held in memory.

    Raises
    ------
    UsageError
        If the recipe is not registered here, or cannot be built.
    SampleError
        If the file is damaged or from an older genbench, or the model makes other events.
    """
    limits.check("array_bytes", path.stat().st_size, who=str(path))
    payload = read_payload(path)
    if payload is None:
        raise SampleError(f"{path}: is damaged (its digest differs); train it anew with genbench run.")
    with parsing(path, "a training state"):
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            check_torch_archive(archive, who=str(path))
        document = parse_document(path, payload, device)
        model = document["state"].get("model")
        if model is None:
            raise SampleError(f"{path}: does not name its recipe, as those of genbench 0.1 did not; train it anew.")
        found, image, scale = tuple(model["event_shape"]), bool(model["image"]), float(model["scale"])
        seed, steps = int(document["identity"]["seed"]), int(document["identity"]["steps"])
        classes = None if model.get("classes") is None else int(model["classes"])
    if found != event_shape:
        raise SampleError(
            f"{path}: events of shape {event_shape} expected, got a model of {found}; choose its benchmark."
        )
    factory = _recipe(path, str(model["recipe"]), trust_code=trust_code)
    # What the scaling was fitted to is not in the file; all that it keeps of that is one number.
    scaling = Scaling(np.zeros(1, dtype=np.uint8 if image else np.float32))
    scaling.scale = scale
    try:
        with isolated(device):
            recipe = factory(**model["options"])
            build = partial(build_trainer, recipe, event_shape, steps=steps, classes=classes)
            _check_size(path, build, document["state"]["trainer"])
            trainer = build(device=device)
            trainer.load_state_dict(document["state"]["trainer"])
            sampler = scaled_sampler(trainer.sampler(), scaling, device)
    except GenbenchError:
        raise
    except Exception as error:  # the recipe has changed since, in any way
        reason = " ".join(str(error).split())[:300]
        raise SampleError(f"{path}: its recipe {model['recipe']} does not take it any more ({reason}).") from error
    sampler.name = name or f"{sampler.name}-seed{seed}"
    return sampler


def _check_size(path: Path, build: Callable[..., Trainer], saved: Any) -> None:
    """Refuse options that ask for more memory than the state has bytes, by building the model without memory first.

    A recipe that cannot be built so is not checked: whoever installed it answers for it.

    Raises
    ------
    SampleError
        If the model is larger than its state.
    """
    nowhere = torch.device("meta")
    try:
        with nowhere:
            built = _tensor_bytes(build(device=nowhere).state_dict())
    except GenbenchError:
        raise
    except Exception:  # any code of others
        return
    held = _tensor_bytes(saved)
    if built > held:
        raise SampleError(f"{path}: its recipe makes a model of {built:,} bytes, but it holds {held:,}; train it anew.")


def _tensor_bytes(state: Any) -> int:
    return sum(value.numel() * value.element_size() for _, value in leaves(state) if isinstance(value, torch.Tensor))


def _recipe(path: Path, target: str, *, trust_code: bool) -> Any:
    """Return the class of a recipe, ``module:name``, from the registry."""
    package = target.partition(":")[0].partition(".")[0]
    for entry in BASELINES.entries().values():
        if entry.target.partition(":")[0].partition(".")[0] == package:  # those of other packages stay unloaded
            factory = BASELINES.load(entry.name)
            if f"{factory.__module__}:{factory.__qualname__}" == target:
                return factory
    if not trust_code:
        raise UsageError(
            f"{path}: was trained by {target}, which is not a registered baseline; install it, or pass --trust-code to "
            "import it from there."
        )
    return BASELINES.load(target)
