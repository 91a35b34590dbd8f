"""What image networks ask of samples: the one contract that several extractors share."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.errors import DeclarationError, SampleError

GREY = "one channel is repeated to three"
"""Part of the preprocessing that a fingerprint covers."""


def check_images(name: str, event_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of events that a network of three channels can read: (1, H, W) or (3, H, W).

    Raises
    ------
    DeclarationError
        For other events.
    """
    shape = tuple(event_shape)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise DeclarationError(
            f"{name}: images of shape (1, H, W) or (3, H, W) expected, got events of shape {shape}; "
            "use 'identity' or 'pca' for other data."
        )
    return shape


def check_samples(name: str, samples: Tensor, event_shape: tuple[int, ...]) -> None:
    """Refuse samples that are not what the extractor was made for: uint8 images, or floating-point vectors.

    Raises
    ------
    SampleError
    """
    images = len(event_shape) == 3
    fits = samples.dtype == torch.uint8 if images else samples.dtype.is_floating_point
    if tuple(samples.shape[1:]) != event_shape or not fits or not len(samples):
        kind = "uint8" if images else "floating-point"
        raise SampleError(
            f"{name}: {kind} samples of shape (n, {', '.join(map(str, event_shape))}) expected, got {samples.dtype} of "
            f"shape {tuple(samples.shape)}; generate events of that kind."
        )


def as_rgb(images: Tensor) -> Tensor:
    """Repeat the channel of (n, 1, H, W) images to three; (n, 3, H, W) are as they are."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
