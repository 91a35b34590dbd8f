"""CelebA's aligned faces, cropped and resized to 64x64."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genbench.data.roots import present, reading
from genbench.definitions import Dataset
from genbench.errors import SetupError, UsageError

SIZE = 64
WIDTH, HEIGHT = 178, 218
"""Of the aligned images."""

_FOLDER = "celeba/img_align_celeba"
_PARTITION = "celeba/list_eval_partition.txt"
_SPLITS = {"0": "train", "1": "validation", "2": "test"}


def celeba(*, root: str | Path | None = None, download: bool = False, crop: int = 140) -> Dataset:
    """Load CelebA: 202,599 aligned photographs of faces, without labels.

    Preprocessing is part of the arrays and hence of the fingerprint: the central ``crop`` x ``crop`` pixels, resized to
    64x64 by PIL's bilinear filter, which smooths before it samples. Papers differ in the crop: 140 is that of the
    score-based models (arXiv:1907.05600), 148 that of VAE libraries, 178 that of the DCGAN tutorial. Another JPEG
    decoder can differ by a grey level here and there, and then gives another fingerprint.

    Parameters
    ----------
    root : str or Path, optional
        The folder that holds ``celeba/img_align_celeba`` and ``celeba/list_eval_partition.txt``, as for torchvision. By
        default ``$GENBENCH_DATA``, else ``data`` in genbench's cache folder.
    download : bool
        Let torchvision fetch files that are missing; it needs the package gdown for this set.
    crop : int
        Side of the central square, 64 to 178.

    Returns
    -------
    Dataset
        ``train`` (162770, 3, 64, 64) and ``test`` (19962, 3, 64, 64), uint8, in the published partition, whose
        validation part is not used. 2.2 GB; decoding takes minutes on few cores.

    Raises
    ------
    SetupError
        If files are missing or damaged.
    UsageError
        If ``crop`` is out of range.

    References
    ----------
    Z. Liu, P. Luo, X. Wang and X. Tang, Deep Learning Face Attributes in the Wild, arXiv:1411.7766.
    """
    if not SIZE <= crop <= WIDTH:
        raise UsageError(f"celeba: crop from {SIZE} to {WIDTH} expected, got {crop}.")

    def fetch(place: Path) -> object:
        from torchvision import datasets  # seconds to import

        return datasets.CelebA(place, target_type=[], download=True)

    place = present("celeba", root, [(_FOLDER,), (_PARTITION,)], download=download, fetch=fetch)
    with reading("celeba", place):
        parts = _partition(place / _PARTITION)
        train, test = (_read(place / _FOLDER, parts[side], crop) for side in ("train", "test"))
        return Dataset(name="celeba", train=train, test=test)


def _partition(path: Path) -> dict[str, list[str]]:
    """Return the names of the files of each split."""
    parts: dict[str, list[str]] = {split: [] for split in _SPLITS.values()}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, _, code = line.partition(" ")
        # A plain name: the list must not lead out of the folder.
        if not name or "/" in name or "\\" in name or code.strip() not in _SPLITS:
            raise SetupError(f"{path}: line {number}: a file's name and 0, 1 or 2 expected, got {line[:60]!r}.")
        parts[_SPLITS[code.strip()]].append(name)
    if not (parts["train"] and parts["test"]):
        raise SetupError(f"{path}: training and test images expected, got none of one kind; place it anew.")
    return parts


def _read(folder: Path, names: Sequence[str], crop: int) -> NDArray[np.uint8]:
    images = np.empty((len(names), 3, SIZE, SIZE), dtype=np.uint8)

    def fill(row: int) -> None:
        images[row] = _face(folder / names[row], crop)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # PIL decodes without holding Python's lock
        for _ in pool.map(fill, range(len(names))):
            pass
    return images


def _face(path: Path, crop: int) -> NDArray[np.uint8]:
    """Read one face as (3, 64, 64); its size is checked from the header, before anything is unpacked."""
    from PIL import Image

    left, top = round((WIDTH - crop) / 2), round((HEIGHT - crop) / 2)
    try:
        with Image.open(path, formats=("JPEG",)) as image:
            if image.size != (WIDTH, HEIGHT) or image.mode != "RGB":
                raise SetupError(
                    f"{path}: an RGB image of {WIDTH} x {HEIGHT} expected, got {image.mode}, {image.size}."
                )
            box = (left, top, left + crop, top + crop)
            face = image.crop(box).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    except OSError as error:
        raise SetupError(f"{path}: missing or not readable as JPEG ({error}); place it anew.") from error
    return np.asarray(face).transpose(2, 0, 1)
