"""MNIST and the two sets in its format, read from the files that torchvision keeps."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.roots import present, reading
from genbench.definitions import Dataset
from genbench.errors import SetupError

SIZE = 28
CLASSES = 10

MAX_BYTES = 2**30
"""The most that an idx file may declare; MNIST's largest has 47 million."""

_CHUNK = 2**20
_UINT8 = 8  # idx's code of the type


def mnist(*, root: str | Path | None = None, download: bool = False) -> Dataset:
    """Load MNIST: 70,000 handwritten digits.

    Parameters
    ----------
    root : str or Path, optional
        The folder that holds ``MNIST/raw``, as for torchvision; files may be compressed (``.gz``) or not. By default
        ``$GENBENCH_DATA``, else ``data`` in genbench's cache folder.
    download : bool
        Let torchvision fetch files that are missing.

    Returns
    -------
    Dataset
        ``train`` (60000, 1, 28, 28) and ``test`` (10000, 1, 28, 28), uint8, with labels 0 to 9.

    Raises
    ------
    SetupError
        If files are missing or damaged.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition, 1998.
    """
    return _load("mnist", "MNIST", root, download=download)


def fashion_mnist(*, root: str | Path | None = None, download: bool = False) -> Dataset:
    """Load Fashion-MNIST: 70,000 photographs of clothes, in ``FashionMNIST/raw``; all else is as for `mnist`.

    References
    ----------
    H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747.
    """
    return _load("fashion-mnist", "FashionMNIST", root, download=download)


def kmnist(*, root: str | Path | None = None, download: bool = False) -> Dataset:
    """Load KMNIST: 70,000 cursive Japanese characters, in ``KMNIST/raw``; all else is as for `mnist`.

    References
    ----------
    T. Clanuwat et al., Deep Learning for Classical Japanese Literature, arXiv:1812.01718.
    """
    return _load("kmnist", "KMNIST", root, download=download)


def _load(name: str, folder: str, root: str | Path | None, *, download: bool) -> Dataset:
    def fetch(place: Path) -> object:
        from torchvision import datasets  # seconds to import

        return getattr(datasets, folder)(place, download=True)

    parts = [f"{side}-{part}-ubyte" for side in ("train", "t10k") for part in ("images-idx3", "labels-idx1")]
    stems = [f"{folder}/raw/{part}" for part in parts]
    place = present(name, root, [(stem, f"{stem}.gz") for stem in stems], download=download, fetch=fetch)
    with reading(name, place):
        train, train_labels, test, test_labels = (read_idx(place / stem) for stem in stems)
        return Dataset(
            name=name,
            train=_images(name, place, train),
            test=_images(name, place, test),
            train_labels=_labels(name, place, train_labels, n=len(train)),
            test_labels=_labels(name, place, test_labels, n=len(test)),
        )


def _images(name: str, place: Path, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if images.ndim != 3 or images.shape[1:] != (SIZE, SIZE) or not len(images):
        raise SetupError(f"{name}: images of shape (n, {SIZE}, {SIZE}) expected in {place}, got {images.shape}.")
    return images[:, None]


def _labels(name: str, place: Path, labels: NDArray[np.uint8], *, n: int) -> NDArray[np.int64]:
    if labels.shape != (n,) or labels.max() >= CLASSES:
        raise SetupError(
            f"{name}: {n} labels from 0 to {CLASSES - 1} expected in {place}, got shape {labels.shape}, up to "
            f"{labels.max(initial=0)}."
        )
    return labels.astype(np.int64)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx file of bytes, or its ``.gz`` where the file itself is absent.

    Parameters
    ----------
    path : Path
        Without ``.gz``.

    Returns
    -------
    uint8 array
        Of the shape in the header.

    Raises
    ------
    SetupError
        If the header is not idx's, declares more than `MAX_BYTES`, or another size than the file has.
    """
    plain = path.exists()
    with path.open("rb") if plain else gzip.open(f"{path}.gz", "rb") as file:
        return _read(file, who=str(path))


def _read(file: Any, *, who: str) -> NDArray[np.uint8]:
    zeros, kind, dims = struct.unpack(">HBB", file.read(4))
    if zeros or kind != _UINT8 or not dims:
        raise SetupError(f"{who}: an idx file of bytes expected, got one that starts otherwise; place it anew.")
    shape = struct.unpack(f">{dims}I", file.read(4 * dims))
    size = math.prod(shape)
    if size > MAX_BYTES:
        raise SetupError(f"{who}: at most {MAX_BYTES:,} bytes are read, but its header declares {size:,}.")
    array = np.empty(size, dtype=np.uint8)  # its pages cost nothing until they are written to
    filled = 0
    while count := file.readinto(array.data[filled : filled + _CHUNK]):
        filled += count
    if filled < size or file.read(1):
        raise SetupError(f"{who}: {size:,} bytes declared, and {'fewer' if filled < size else 'more'} follow.")
    return array.reshape(shape)
