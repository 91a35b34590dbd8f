"""CIFAR, SVHN and STL-10 through torchvision, which checks the published md5 of every file before it reads it.

That check matters: CIFAR's files are pickles, and a pickle is a program. Files that differ are refused unread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.roots import present, reading
from genbench.definitions import Dataset, Split
from genbench.errors import SetupError

Labelled = tuple[NDArray[np.uint8], NDArray[np.int64]]
Read = Callable[[Path, Split, bool], Labelled]


def cifar10(*, root: str | Path | None = None, download: bool = False) -> Dataset:
    """Load CIFAR-10: 60,000 photographs of ten kinds of things.

    Parameters
    ----------
    root : str or Path, optional
        The folder that holds ``cifar-10-batches-py``, as for torchvision. By default ``$GENBENCH_DATA``, else ``data``
        in genbench's cache folder.
    download : bool
        Let torchvision fetch files that are missing.

    Returns
    -------
    Dataset
        ``train`` (50000, 3, 32, 32) and ``test`` (10000, 3, 32, 32), uint8, with labels 0 to 9.

    Raises
    ------
    SetupError
        If files are missing, or not the published ones.

    References
    ----------
    A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    parts = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]
    files = [f"cifar-10-batches-py/{part}" for part in parts]
    return _load("cifar10", files, _cifar("CIFAR10"), root, (3, 32, 32), download=download)


def cifar100(*, root: str | Path | None = None, download: bool = False) -> Dataset:
    """Load CIFAR-100: 60,000 photographs, 100 fine labels, in ``cifar-100-python``; all else is as for `cifar10`."""
    files = [f"cifar-100-python/{part}" for part in ("train", "test", "meta")]
    return _load("cifar100", files, _cifar("CIFAR100"), root, (3, 32, 32), download=download)


def svhn(*, root: str | Path | None = None, download: bool = False) -> Dataset:
    """Load SVHN, cropped: photographs of house numbers, in ``train_32x32.mat`` and ``test_32x32.mat``.

    Parameters and errors are those of `cifar10`.

    Returns
    -------
    Dataset
        ``train`` (73257, 3, 32, 32) and ``test`` (26032, 3, 32, 32), uint8, with labels 0 to 9 for these digits. The
        "extra" images are not used.

    References
    ----------
    Y. Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011.
    """
    return _load("svhn", ["train_32x32.mat", "test_32x32.mat"], _svhn, root, (3, 32, 32), download=download)


def stl10(*, root: str | Path | None = None, download: bool = False) -> Dataset:
    """Load STL-10: 13,000 labelled photographs, in ``stl10_binary``.

    Parameters and errors are those of `cifar10`.

    Returns
    -------
    Dataset
        ``train`` (5000, 3, 96, 96) and ``test`` (8000, 3, 96, 96), uint8, with labels 0 to 9. The 100,000 unlabelled
        images are neither used nor asked for.

    References
    ----------
    A. Coates, H. Lee and A. Ng, An Analysis of Single Layer Networks in Unsupervised Feature Learning, 2011.
    """
    files = [f"stl10_binary/{side}_{part}.bin" for side in ("train", "test") for part in ("X", "y")]
    return _load("stl10", files, _stl10, root, (3, 96, 96), download=download)


def _load(
    name: str, files: Sequence[str], read: Read, root: str | Path | None, event: tuple[int, ...], *, download: bool
) -> Dataset:
    def fetch(place: Path) -> object:
        return [read(place, "train", True)[1].size, read(place, "test", True)[1].size]

    place = present(name, root, [(file,) for file in files], download=download, fetch=fetch)
    with reading(name, place):
        train, train_labels = _checked(name, place, read(place, "train", False), event)
        test, test_labels = _checked(name, place, read(place, "test", False), event)
        return Dataset(name=name, train=train, test=test, train_labels=train_labels, test_labels=test_labels)


def _checked(name: str, place: Path, found: Labelled, event: tuple[int, ...]) -> Labelled:
    images, labels = found
    if images.dtype != np.uint8 or images.shape != (len(labels), *event) or not len(images):
        raise SetupError(
            f"{name}: uint8 images of shape {('n', *event)} with as many labels expected in {place}, got "
            f"{images.dtype} {images.shape} with {len(labels)} labels."
        )
    # Contiguous: torchvision hands out transposed views, and every later reader would make a copy of its own.
    return np.ascontiguousarray(images), np.ascontiguousarray(labels, dtype=np.int64)


def _cifar(kind: str) -> Read:
    def read(root: Path, split: Split, download: bool) -> Labelled:
        from torchvision import datasets  # seconds to import

        found: Any = getattr(datasets, kind)(root, train=split == "train", download=download)
        return found.data.transpose(0, 3, 1, 2), np.asarray(found.targets)

    return read


def _svhn(root: Path, split: Split, download: bool) -> Labelled:
    from torchvision import datasets

    found = datasets.SVHN(root, split=split, download=download)
    return found.data, np.atleast_1d(found.labels)


def _stl10(root: Path, split: Split, download: bool) -> Labelled:
    from torchvision import datasets

    class Labelled10(datasets.STL10):  # type: ignore[misc]
        """STL10, without a look at the 2.6 GB of images that are not used."""

        train_list = datasets.STL10.train_list[:2]

    found: Any = Labelled10(root, split=split, download=download)
    return found.data, found.labels
