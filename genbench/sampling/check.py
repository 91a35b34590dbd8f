"""The door that samples pass before anything is computed from them."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.errors import SampleError


def check_samples(samples: Tensor, *, event_shape: tuple[int, ...], n: int, who: str) -> Tensor:
    """Verify that samples are what the protocol asks for.

    Parameters
    ----------
    samples : (n, *event_shape) tensor
        Images uint8 in [0, 255], or vectors of any floating dtype, on any device.
    event_shape : tuple of int
        (C, H, W) for images, (d,) for vectors.
    n : int
        How many samples were asked for.
    who : str
        The sampler's name, for messages.

    Returns
    -------
    Tensor
        The samples without gradient history: images unchanged, vectors as float32. O(n d).

    Raises
    ------
    SampleError
        If the count, shape or dtype differs, or a value is not finite in float32.
    """
    if not isinstance(samples, Tensor):
        raise SampleError(
            f"{who}: a torch tensor expected, got {type(samples).__name__}; wrap it with torch.as_tensor."
        )
    _check_shape(tuple(samples.shape), event_shape=tuple(event_shape), n=n, who=who)
    if len(event_shape) == 3:
        if samples.dtype != torch.uint8:
            raise SampleError(
                f"{who}: images must be uint8 in [0, 255], got {samples.dtype}; map [0, 1] there with "
                "(x.clamp(0, 1) * 255).round().to(torch.uint8)."
            )
        return samples.detach()
    if not samples.dtype.is_floating_point:
        raise SampleError(f"{who}: vectors must be floating point, got {samples.dtype}; convert with .float().")
    vectors = samples.detach().to(torch.float32)
    bad = int((~torch.isfinite(vectors)).any(dim=1).sum())
    if bad:
        raise SampleError(f"{who}: {bad} of {n} samples are not finite; a score over them would be meaningless.")
    return vectors


def _check_shape(shape: tuple[int, ...], *, event_shape: tuple[int, ...], n: int, who: str) -> None:
    expected = (n, *event_shape)
    if shape == expected:
        return
    if shape[1:] == event_shape:
        raise SampleError(f"{who}: {n} samples expected, got {shape[0]}; return as many as are asked for.")
    if len(event_shape) == 3 and len(shape) == 4:
        channels, *size = event_shape
        if shape[1] != channels and shape[2:] == (*size,):
            raise SampleError(
                f"{who}: images of {channels} channels expected, got {shape[1]} (shape {shape}); convert them."
            )
        if shape[1:] == (*size, channels):
            raise SampleError(
                f"{who}: channels first, {expected}, expected, got channels last, {shape}; use .permute(0, 3, 1, 2)."
            )
        if shape[1] == channels:
            raise SampleError(
                f"{who}: images of {size[0]} x {size[1]} pixels (H x W) expected, got {shape[2]} x {shape[3]}; "
                "generate that size, since resizing changes scores."
            )
    raise SampleError(f"{who}: samples of shape {expected} expected, got {shape}; generate events of that shape.")
