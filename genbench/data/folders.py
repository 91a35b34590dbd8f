"""A folder of images as a dataset, with classes where there are subfolders."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.splits import class_numbers, declared, hold_out, row_digests, warn_of_overlap
from genbench.definitions import Dataset
from genbench.errors import SampleError, UsageError
from genbench.files.images import FolderImages
from genbench.files.limits import LIMITS
from genbench.files.peek import shape_of_images
from genbench.files.pixels import decode


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
        If there are no images, or one is damaged, too large, or of another size or mode than the first; or if a link
        leads out of a folder.
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
    if not place.is_dir():
        raise UsageError(f"folder: a folder of images expected, got {str(place)!r}; use the dataset 'array' for files.")
    source = FolderImages(place, limits=LIMITS)
    classes = _classes(place, source.names)
    event_shape = shape_of_images(source)
    LIMITS.check("array_bytes", len(source) * math.prod(event_shape), who=str(place))
    pixels = decode(source, range(len(source)), event_shape, LIMITS, threads=os.cpu_count() or 1)
    return Images(pixels, classes)


def _classes(place: Path, names: Iterable[str]) -> NDArray[np.str_] | None:
    """Return the subfolder of each image, or None where all lie at the top."""
    tops = [top if rest else "" for top, _, rest in (name.partition("/") for name in names)]
    found = set(tops)
    if found == {""}:
        return None
    if "" in found:
        raise SampleError(f"{place}: images either all in class subfolders or all at the top expected, got both.")
    if "train" in found and found & {"test", "val", "valid", "validation"}:
        other = sorted(found - {"train"})[0]
        raise UsageError(
            f"folder: the subfolders of {place} look like splits, not classes; declare them with "
            f"train = '{place / 'train'}' and test = '{place / other}'."
        )
    return np.array(tops)
