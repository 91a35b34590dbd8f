"""Reading folders of images that are not trusted."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import SampleError, UsageError
from genbench.sampling.arrays import parsing
from genbench.sampling.limits import MAX_PIXELS

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""What PIL may recognise, whatever the suffix says; some of its other formats start programs."""

MODES = {1: "L", 3: "RGB"}
"""PIL's mode for each number of channels."""


def read_folder(folder: Path, *, event_shape: tuple[int, ...], max_bytes: int) -> NDArray[np.uint8]:
    """Read every image in a folder and its subfolders (one for each class, say), sorted by name.

    Hidden files and files with other suffixes are passed over. Nothing is converted: a mode or size that differs
    is an error, since converting and resizing change scores.

    Parameters
    ----------
    folder : Path
        An existing folder.
    event_shape : tuple of int
        (C, H, W) with C = 1 (mode L) or 3 (mode RGB).
    max_bytes : int
        The most that all images together may take.

    Returns
    -------
    (n, C, H, W) array, uint8
        O(n C H W).

    Raises
    ------
    UsageError
        If the events are not images that PIL has a mode for.
    SampleError
        If there are no images, or one is damaged, too large, or of another size or mode.
    """
    if len(event_shape) != 3 or event_shape[0] not in MODES:
        raise UsageError(
            f"{folder}: a folder of images gives events of 1 or 3 channels, but the benchmark's are "
            f"{event_shape}; save an .npy file instead."
        )
    paths = sorted(
        (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    if not paths:
        raise SampleError(f"{folder}: holds no images ({', '.join(sorted(SUFFIXES))}); generate some.")
    total = len(paths) * math.prod(event_shape)
    if total > max_bytes:
        raise SampleError(f"{folder}: at most {max_bytes:,} bytes are read, got {total:,}; keep fewer images.")
    images = np.empty((len(paths), *event_shape), dtype=np.uint8)
    for row, path in enumerate(paths):
        images[row] = _read_image(path, event_shape)
    return images


def _read_image(path: Path, event_shape: tuple[int, ...]) -> NDArray[Any]:
    """Read one image as (C, H, W); its size is checked from the header, before anything is unpacked."""
    from PIL import Image

    channels, height, width = event_shape
    with parsing(path):
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise SampleError(
                    f"{path}: at most {MAX_PIXELS:,} pixels are read, got {image.width * image.height:,}; remove it."
                )
            if image.size != (width, height):
                raise SampleError(
                    f"{path}: {height} x {width} pixels (H x W) expected, got {image.height} x {image.width}; "
                    "generate that size, since resizing changes scores."
                )
            if image.mode != MODES[channels]:
                raise SampleError(
                    f"{path}: mode {MODES[channels]} expected for {channels} channel(s), got {image.mode}; "
                    f"convert it with PIL's image.convert({MODES[channels]!r})."
                )
            pixels = np.asarray(image)
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)
