"""Which file is of which format, by its suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from genbench.files import arrays, tensors
from genbench.files.limits import Limits

ARRAYS: Mapping[str, Callable[[Path, Limits], NDArray[Any]]] = {
    ".npy": lambda path, limits: arrays.read_npy(path),
    ".npz": lambda path, limits: arrays.read_npz(path, limits=limits),
    ".pt": lambda path, limits: tensors.read_pt(path, limits=limits),
    ".pth": lambda path, limits: tensors.read_pt(path, limits=limits),
    ".safetensors": lambda path, limits: tensors.read_safetensors(path, limits=limits),
}
"""How each file of arrays is read."""

TARS = (".tar", ".tar.gz", ".tgz")


def split_suffix(path: Path) -> tuple[str, str]:
    """Split a file's name into its suffix in lower case, of which ``.tar.gz`` is one, and the rest."""
    name = path.name.lower()
    suffix = ".tar.gz" if name.endswith(".tar.gz") else path.suffix.lower()
    return suffix, path.name[: len(path.name) - len(suffix)]
