"""Weights from a file into a network: as data, and all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from genbench.errors import SampleError, UsageError
from genbench.files.limits import Limits
from genbench.files.tensors import read_state


def load_weights(module: nn.Module, path: Path, *, limits: Limits) -> None:
    """Load the weights of a network from a file of `torch.save` or a .safetensors file.

    Parameters
    ----------
    module : nn.Module
        Gets exactly the tensors that its state dict names.
    path : Path
        A state dict, or a dict with one under ``state_dict`` or ``model``.
    limits : Limits
        For the archive.

    Raises
    ------
    UsageError
        If the file does not exist or is a program.
    SampleError
        If it is damaged, holds code, or its tensors are not those of the network.
    """
    if not path.is_file():
        raise UsageError(f"weights: a file expected, got {str(path)!r}, which does not exist; check the path.")
    state = read_state(path, limits=limits)
    own = module.state_dict()
    missing, unexpected = [key for key in own if key not in state], [key for key in state if key not in own]
    shapes = [key for key in own if key in state and own[key].shape != state[key].shape]
    problems = [
        f"{len(keys)} {kind} ({_some(keys)})"
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if keys
    ]
    if problems:
        raise SampleError(
            f"{path}: the weights of {type(module).__name__} expected, got tensors {', '.join(problems)}; "
            "name the class and the arguments that they were trained with."
        )
    module.load_state_dict(state)


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
