"""What a network of the user's expects of its input: declared, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from genbench.errors import DeclarationError
from genbench.extractors.images import GREY, as_rgb

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputContract:
    """How samples become the input of a network.

    Attributes
    ----------
    event_shape : tuple of int
        Of the samples: (C, H, W) uint8 images in [0, 255], or (d,) vectors, which go in as they are, as float32.
    low, high : float
        What 0 and 255 become.
    size : int or None
        Images are resized to size x size, bilinear with antialiasing; None leaves them.
    channels : int or None
        3 repeats the channel of grey images; None leaves them.
    mean, std : tuple of float
        Subtracted and divided by afterwards, one a channel; empty for none.
    """

    event_shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0
    size: int | None = None
    channels: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def text(self) -> str:
        """The contract in words, for a fingerprint; the shape of the samples is not part of it."""
        if len(self.event_shape) != 3:
            return "vectors as float32"
        resize = f"resized to {self.size}x{self.size}, bilinear, antialiased" if self.size else "not resized"
        normalize = f", minus {self.mean}, over {self.std}" if self.mean else ""
        grey = GREY if self.channels == 3 else "channels as they are"
        return f"uint8 to [{self.low}, {self.high}]; {grey}; {resize}{normalize}"

    @property
    def dtype(self) -> torch.dtype:
        """Of the samples."""
        return torch.uint8 if len(self.event_shape) == 3 else torch.float32

    def prepare(self, samples: Tensor) -> Tensor:
        """Make the network's input, float32, of samples (n, *event_shape)."""
        if len(self.event_shape) != 3:
            return samples.to(torch.float32)
        x = samples.to(torch.float32) / 255 * (self.high - self.low) + self.low
        if self.channels == 3:
            x = as_rgb(x)
        if self.size is not None and x.shape[2:] != (self.size, self.size):
            x = functional.interpolate(x, size=(self.size, self.size), mode="bilinear", antialias=True)
        if self.mean:
            shape = (1, -1, 1, 1)
            x = (x - x.new_tensor(self.mean).view(shape)) / x.new_tensor(self.std).view(shape)
        return x


def declare_input(
    name: str,
    event_shape: tuple[int, ...],
    *,
    value_range: Any = None,
    size: int | None = None,
    channels: int | None = None,
) -> InputContract:
    """Check a declared input.

    Parameters
    ----------
    name : str
        Of the extractor, for messages.
    event_shape : tuple of int
    value_range : (float, float), ``"0,1"`` or ``"imagenet"``
        Needed for images, pointless for vectors. ``"imagenet"``: [0, 1], then ImageNet's mean and deviation.
    size : int or None
    channels : {None, 1, 3}
        What the network reads.

    Raises
    ------
    DeclarationError
        If images come without a range, or the input cannot be made of such events.
    """
    shape = tuple(event_shape)
    if len(shape) != 3:
        if (value_range, size, channels) != (None, None, None):
            raise DeclarationError(f"{name}: value_range, size and channels are for images, got events of {shape}.")
        return InputContract(event_shape=shape)
    if channels not in (None, shape[0]) and (shape[0], channels) != (1, 3):
        raise DeclarationError(
            f"{name}: the network reads {channels} channels and the images have {shape[0]}; only grey images can be "
            "repeated to three."
        )
    if size is not None and (not isinstance(size, int) or size < 1):
        raise DeclarationError(f"{name}: size, in pixels, should be a whole number from 1, got {size!r}.")
    reads = channels or shape[0]
    if value_range == "imagenet":
        if reads != 3:
            raise DeclarationError(f"{name}: value_range 'imagenet' is of three channels; declare channels=3.")
        return InputContract(event_shape=shape, size=size, channels=reads, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    low, high = _range(name, value_range)
    return InputContract(event_shape=shape, low=low, high=high, size=size, channels=reads)


def _range(name: str, value: Any) -> tuple[float, float]:
    parts = value.split(",") if isinstance(value, str) else value
    try:
        if not isinstance(parts, Sequence) or len(parts) != 2:
            raise ValueError
        low, high = float(parts[0]), float(parts[1])
        if not low < high:
            raise ValueError
    except (TypeError, ValueError):
        raise DeclarationError(
            f"{name}: declare the values that the network was trained on: value_range = [0, 1], [-1, 1], [0, 255] or "
            f"'imagenet'; got {value!r}."
        ) from None
    return low, high
