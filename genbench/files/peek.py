"""The shape of samples in a file, where no benchmark says it."""

from __future__ import annotations

from typing import Any

from genbench.errors import SampleError
from genbench.files.conversion import FLAGS, Wording, ambiguous
from genbench.files.images import ImageSource
from genbench.files.pixels import MODES, shape_of_image

CHANNELS = frozenset(MODES)


def shape_of_images(source: ImageSource) -> tuple[int, ...]:
    """Return (C, H, W) of the first image of a folder or archive, from its header.

    Raises
    ------
    SampleError
        If it cannot be read, or is neither greyscale nor RGB.
    """
    return shape_of_image(source.read(0), who=source.name(0))


def shape_of_array(array: Any, layout: str | None, *, who: str, wording: Wording = FLAGS) -> tuple[int, ...]:
    """Return (C, H, W) or (d,) of samples in an array: images where it has three or four axes, else vectors.

    Parameters
    ----------
    array : anything with a shape
    layout : {"NCHW", "NHWC", "NHW"} or None
        Of images. None: an axis of 1 or 3 is the channels', if exactly one of the two that may be is so long.
    who : str
        For messages.
    wording : Wording
        Likewise.

    Raises
    ------
    SampleError
        If there are other numbers of axes than the layout has, or two readings.
    """
    shape = tuple(array.shape)
    if layout is not None and len(shape) in (3, 4) and len(layout) != len(shape):
        raise SampleError(f"{who}: layout {layout} does not fit an array of shape {shape}; declare another.")
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
        raise ambiguous(shape, ["NCHW", "NHWC"], who=who, wording=wording)
    raise SampleError(f"{who}: images (n, C, H, W) or vectors (n, d) expected, got shape {shape}.")
