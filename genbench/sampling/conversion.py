"""From arrays as people store them to samplers, and from what their code returns to samples."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError
from genbench.files.conversion import ValueRange, as_events, check_values, converted
from genbench.files.limits import Limits
from genbench.files.tensors import tensor_array
from genbench.sampling.files import ArraySampler


def array_sampler(
    name: str,
    array: NDArray[Any],
    *,
    event_shape: tuple[int, ...],
    value_range: ValueRange | None = None,
    layout: str | None = None,
    who: str,
) -> ArraySampler:
    """Make a sampler of an array, after one pass over it that proves its shape, its range and that it is finite.

    Parameters
    ----------
    name : str
        Of the sampler.
    array : (n, ...) array
        In memory or mapped. Images (n, C, H, W), (n, H, W, C), or (n, H, W) where C = 1; vectors (n, d).
    event_shape, value_range, layout
        As `genbench.load.load_sampler`.
    who : str
        For messages.

    Returns
    -------
    ArraySampler
        Whose rows are converted when they are asked for. O(n d) in time, a few million values in memory.

    Raises
    ------
    UsageError
        If a range is needed and not declared.
    SampleError
        If the contents cannot be scored: not finite, of another shape, or out of range.
    """
    events = as_events(array, event_shape, layout, who=who)
    check_values(events, value_range, who=who)
    return ArraySampler(name, events, partial(to_samples, value_range=value_range))


def to_samples(events: NDArray[Any], value_range: ValueRange | None = None) -> Tensor:
    """Make a tensor of `converted` events: uint8 (k, C, H, W) or float32 (k, d), with no reference to their file."""
    return torch.from_numpy(converted(events, value_range))


def as_array(found: Any, limits: Limits, *, who: str) -> NDArray[Any]:
    """See what a user's code returned as an array: a tensor, a numpy array, or anything that numpy can read as one.

    Raises
    ------
    SampleError
        If it is no array of real numbers.
    """
    if isinstance(found, Tensor):
        return tensor_array(found.contiguous(), limits, who=who)
    if not hasattr(found, "__array__"):
        raise SampleError(f"{who}: a torch tensor or a numpy array expected, got {type(found).__name__}; return one.")
    array: NDArray[Any] = np.asarray(found)
    if array.dtype.kind not in "buif" or array.ndim < 1:
        raise SampleError(f"{who}: an array of numbers expected, got {array.dtype} {array.shape}; return numbers.")
    return array
