"""Decoding images that are not trusted: sizes are checked from headers, before anything is unpacked."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import SampleError, UsageError
from genbench.files.images import ImageSource
from genbench.files.limits import Limits
from genbench.files.parsing import refusing

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""What PIL may recognise, whatever the suffix says; some of its other formats start programs."""

MODES = {1: "L", 3: "RGB"}
"""PIL's mode for each number of channels."""

PIECE = 64
"""Images that a thread decodes at a time."""


def check_image_shape(event_shape: tuple[int, ...], *, who: str) -> None:
    """Refuse events that no image file can hold.

    Raises
    ------
    UsageError
        If they are not images of 1 or 3 channels.
    """
    if len(event_shape) != 3 or event_shape[0] not in MODES:
        raise UsageError(
            f"{who}: image files give events of 1 or 3 channels, but the benchmark's are "
            f"{event_shape}; save an .npy file instead."
        )


def decode(
    source: ImageSource, rows: Sequence[int], event_shape: tuple[int, ...], limits: Limits, *, threads: int = 1
) -> NDArray[np.uint8]:
    """Decode some images of a source. Nothing is converted: converting and resizing change scores.

    Parameters
    ----------
    source : ImageSource
    rows : sequence of int
        Which, in this order.
    event_shape : tuple of int
        (C, H, W) with C = 1 (mode L) or 3 (mode RGB).
    limits : Limits
        Of which ``pixels`` holds here.
    threads : int
        That decode at once, since PIL decodes without Python's lock. Images and errors are the same for any number.

    Returns
    -------
    (len(rows), C, H, W) array, uint8
        O(len(rows) C H W).

    Raises
    ------
    SampleError
        If an image is damaged, too large, or of another size or mode.
    """
    images = np.empty((len(rows), *event_shape), dtype=np.uint8)

    def fill(start: int) -> None:
        for place in range(start, min(start + PIECE, len(rows))):
            who = source.name(rows[place])
            with refusing(who, "an image"):
                images[place] = _pixels(source.read(rows[place]), event_shape, limits, who=who)

    pieces = range(0, len(rows), PIECE)
    with _own_limit():  # around all threads: PIL's limit and Python's warnings belong to the whole process
        if threads == 1:
            for start in pieces:
                fill(start)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(fill, pieces):  # in order, so that the first damaged image is the one named
                    pass
    return images


def decode_image(content: bytes, event_shape: tuple[int, ...], limits: Limits, *, who: str) -> NDArray[Any]:
    """Decode one image as (C, H, W); errors are those of `decode`."""
    with _own_limit(), refusing(who, "an image"):
        return _pixels(content, event_shape, limits, who=who)


def _pixels(content: bytes, event_shape: tuple[int, ...], limits: Limits, *, who: str) -> NDArray[Any]:
    """Decode an image, its size checked from the header before anything is unpacked."""
    channels, height, width = event_shape
    image = _opened(content, who=who)
    limits.check("pixels", image.width * image.height, who=who)
    if image.size != (width, height):
        raise SampleError(
            f"{who}: {height} x {width} pixels (H x W) expected, got {image.height} x {image.width}; "
            "generate that size, since resizing changes scores."
        )
    if image.mode != MODES[channels]:
        raise SampleError(
            f"{who}: mode {MODES[channels]} expected for {channels} channel(s), got {image.mode}; "
            f"convert it with PIL's image.convert({MODES[channels]!r})."
        )
    return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)


def shape_of_image(content: bytes, *, who: str) -> tuple[int, int, int]:
    """Return (C, H, W) of one image, from its header.

    Raises
    ------
    SampleError
        If it is damaged, or neither greyscale nor RGB.
    """
    with _own_limit(), refusing(who, "an image"):
        image = _opened(content, who=who)
    for channels, mode in MODES.items():
        if image.mode == mode:
            return channels, image.height, image.width
    raise SampleError(
        f"{who}: an image of mode {' or '.join(MODES.values())} expected, got {image.mode}; convert it with PIL's "
        "image.convert('RGB')."
    )


def _opened(content: bytes, *, who: str) -> Image.Image:
    """Read the header of an image."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:  # it would name an address in memory
        raise SampleError(f"{who}: not readable as an image of {', '.join(FORMATS)}; write it anew.") from error


@contextmanager
def _own_limit() -> Iterator[None]:
    """Let `Limits.pixels` decide instead of PIL's global figure, which would hide ours or undercut it.

    Not for several threads at once: each would restore what another had set.
    """
    from PIL import Image

    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL's remarks on odd files
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
