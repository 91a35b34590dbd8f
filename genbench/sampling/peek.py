"""The shape of samples in a file, where no benchmark says it."""

from __future__ import annotations

import io
from typing import Any

from genbench.errors import SampleError
from genbench.sampling.arrays import parsing
from genbench.sampling.images import FORMATS, MODES, ImageSource

CHANNELS = frozenset(MODES)


def shape_of_images(source: ImageSource) -> tuple[int, ...]:
    """Return (C, H, W) of the first image of a folder or archive, from its header.

    Raises
    ------
    SampleError
        If it cannot be read, or is neither greyscale nor RGB.
    """
    from PIL import Image

    with parsing(source.name(0)), Image.open(io.BytesIO(source.read(0)), formats=FORMATS) as image:
        for channels, mode in MODES.items():
            if image.mode == mode:
                return channels, image.height, image.width
        raise SampleError(
            f"{source.name(0)}: an image of mode {' or '.join(MODES.values())} expected, got {image.mode}; convert it "
            "with PIL's image.convert('RGB')."
        )


def shape_of_array(array: Any, layout: str | None, *, who: str) -> tuple[int, ...]:
    """Return (C, H, W) or (d,) of samples in an array: images where it has three or four axes, else vectors.

    Parameters
    ----------
    array : anything with a shape
    layout : {"NCHW", "NHWC", "NHW"} or None
        Of images. None: an axis of 1 or 3 is the channels', if exactly one of the two that may be is so long.
    who : str
        For messages.

    Raises
    ------
    SampleError
        If there are other numbers of axes, or two readings.
    """
    shape = tuple(array.shape)
    if len(shape) == 2:
        return shape[1:]
    if len(shape) == 3:
        return 1, *shape[1:]
    if len(shape) == 4:
        _, second, third, last = shape
        first = layout == "NCHW" or (layout is None and second in CHANNELS and last not in CHANNELS)
        if first:
            return second, third, last
        if layout == "NHWC" or (layout is None and last in CHANNELS and second not in CHANNELS):
            return last, second, third
        raise SampleError(f"{who}: shape {shape} can be read as (n, C, H, W) or (n, H, W, C); pass --layout.")
    raise SampleError(f"{who}: images (n, C, H, W) or vectors (n, d) expected, got shape {shape}.")
