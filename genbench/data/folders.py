"""A folder of images as a dataset. Files are data: sizes are checked from headers, before anything is unpacked."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.splits import class_numbers, declared, hold_out, row_digests, warn_of_overlap
from genbench.definitions import Dataset
from genbench.errors import SampleError, UsageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""What PIL may recognise, whatever the suffix says; some of its other formats start programs."""

CHANNELS = {"L": 1, "RGB": 3}
"""Of PIL's modes."""

MAX_PIXELS = 2**26
"""Of one image: 8192 x 8192."""

MAX_BYTES = 8 * 2**30
"""Of all images of one place, unpacked."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one place, with the names of their classes where they lie in subfolders."""

    pixels: NDArray[np.uint8]
    classes: NDArray[np.str_] | None


def folder(
    *,
    path: str | Path | None = None,
    train: str | Path | None = None,
    test: str | Path | None = None,
    held_out: float | None = None,
    seed: int = 0,
) -> Dataset:
    """Load folders of images: two, or one of which a share is held out.

    Subfolders are classes, numbered in sorted order of their names; what lies deeper belongs to the class above it.
    Hidden files and files that are no images by their suffix are passed over. Nothing is converted or resized, since
    that changes scores: all images must have one size, and be greyscale or RGB. Rows come in an order that only their
    content decides, so that renaming files and folders changes nothing.

    Parameters
    ----------
    path, held_out : str or Path, and float
        One folder, and the share of it to be held out as test split: stratified by class, chosen by content, and
        never the same image on both sides.
    train, test : str or Path
        Two folders instead. Images in both of them are warned of.
    seed : int
        Of the choice.

    Returns
    -------
    Dataset
        uint8 images (n, C, H, W), C = 1 or 3; with labels where there are subfolders. O(n C H W).

    Raises
    ------
    UsageError
        If the splits are not declared in one of the two ways, or a folder does not exist.
    SampleError
        If there are no images, or one is damaged, too large, or of another size or mode than the first.
    """
    places = declared("folder", path=path, train=train, test=test, held_out=held_out)
    if held_out is None:
        return _two(_read(places[0]), _read(places[1]), places)
    whole = _read(places[0])
    labels = None if whole.classes is None else np.unique(whole.classes, return_inverse=True)[1].astype(np.int64)
    digests = row_digests(whole.pixels)
    held = hold_out("folder", digests, labels, held_out, seed=seed)
    first, second = (np.flatnonzero(side)[_order(digests[side])] for side in (~held, held))
    return Dataset(
        name="folder",
        train=whole.pixels[first],
        test=whole.pixels[second],
        train_labels=None if labels is None else labels[first],
        test_labels=None if labels is None else labels[second],
    )


def _two(train: Images, test: Images, places: Sequence[Path]) -> Dataset:
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise SampleError(
            f"folder: images of one shape expected, got {train.pixels.shape[1:]} in {places[0]} and "
            f"{test.pixels.shape[1:]} in {places[1]}."
        )
    if (train.classes is None) != (test.classes is None):
        raise SampleError(f"folder: class subfolders in both of {places[0]} and {places[1]} expected, or in neither.")
    digests = [row_digests(part.pixels) for part in (train, test)]
    warn_of_overlap("folder", *digests)
    orders = [_order(keys) for keys in digests]
    labels: tuple[Any, Any] = (None, None)
    if train.classes is not None and test.classes is not None:
        labels = class_numbers("folder", train.classes[orders[0]], test.classes[orders[1]])
    return Dataset(
        name="folder",
        train=train.pixels[orders[0]],
        test=test.pixels[orders[1]],
        train_labels=labels[0],
        test_labels=labels[1],
    )


def _order(digests: NDArray[np.bytes_]) -> NDArray[np.intp]:
    return np.argsort(digests, kind="stable")


def _read(place: Path) -> Images:
    paths = _paths(place)
    classes = _classes(place, paths)
    mode, size = _header(paths[0])
    event = (CHANNELS[mode], size[1], size[0])
    total = len(paths) * math.prod(event)
    if total > MAX_BYTES:
        raise SampleError(f"{place}: at most {MAX_BYTES:,} bytes of images are read, got {total:,}; keep fewer.")
    pixels = np.empty((len(paths), *event), dtype=np.uint8)

    def fill(row: int) -> None:
        pixels[row] = _image(paths[row], mode, size, first=paths[0])

    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():  # PIL decodes without Python's lock
        from PIL import Image

        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for _ in pool.map(fill, range(len(paths))):
            pass
    return Images(pixels, classes)


def _paths(place: Path) -> list[Path]:
    if not place.is_dir():
        raise UsageError(f"folder: a folder of images expected, got {str(place)!r}; use the dataset 'array' for files.")
    found = [path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    paths = [path for path in found if not any(part.startswith(".") for part in path.relative_to(place).parts)]
    if not paths:
        raise SampleError(f"{place}: holds no images ({', '.join(sorted(SUFFIXES))}); check the path.")
    return sorted(paths, key=lambda path: path.relative_to(place).as_posix())


def _classes(place: Path, paths: Iterable[Path]) -> NDArray[np.str_] | None:
    """Return the subfolder of each image, or None where all lie at the top."""
    tops = [parts[0] if len(parts) > 1 else "" for parts in (path.relative_to(place).parts for path in paths)]
    names = set(tops)
    if names == {""}:
        return None
    if "" in names:
        raise SampleError(f"{place}: images either all in class subfolders or all at the top expected, got both.")
    if "train" in names and names & {"test", "val", "valid", "validation"}:
        other = sorted(names - {"train"})[0]
        raise UsageError(
            f"folder: the subfolders of {place} look like splits, not classes; declare them with "
            f"train = '{place / 'train'}' and test = '{place / other}'."
        )
    return np.array(tops)


def _header(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and (width, height) of the first image, which all others must have."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                mode, size = image.mode, image.size
    except Exception as error:  # PIL raises a dozen types on damaged files
        raise _damaged(path, error) from error
    if mode not in CHANNELS:
        raise SampleError(f"{path}: mode L or RGB expected, got {mode}; convert the images with image.convert('RGB').")
    if size[0] * size[1] > MAX_PIXELS:
        raise SampleError(f"{path}: at most {MAX_PIXELS:,} pixels are read, got {size[0] * size[1]:,}; remove it.")
    return mode, size


def _image(path: Path, mode: str, size: tuple[int, int], *, first: Path) -> NDArray[np.uint8]:
    """Read one image as (C, H, W)."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            if (image.mode, image.size) != (mode, size):
                raise SampleError(
                    f"{path}: {mode}, {size[0]} x {size[1]} pixels, as in {first.name}, expected, got {image.mode}, "
                    f"{image.size[0]} x {image.size[1]}; convert or resize all images alike, before."
                )
            pixels = np.asarray(image)
    except SampleError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    return pixels.reshape(size[1], size[0], CHANNELS[mode]).transpose(2, 0, 1)


def _damaged(path: Path, error: Exception) -> SampleError:
    return SampleError(f"{path}: not readable as an image ({str(error) or type(error).__name__}); write it anew.")
