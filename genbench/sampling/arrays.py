"""Reading .npy and .npz files that are not trusted: no pickle, no memory before the sizes are proved."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genbench.errors import GenbenchError, SampleError

KEYS = ("arr_0", "images", "samples")
"""The arrays of an .npz that are taken to be the samples where it holds several."""

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""How each version of the format is read; version 3 is for structured arrays, which hold no samples."""

CHUNK = 2**20
"""Bytes read at a time."""


def read_npy(path: Path, *, max_bytes: int) -> NDArray[Any]:
    """Read the array of an .npy file.

    Parameters
    ----------
    path : Path
        An existing file.
    max_bytes : int
        The most that the array may take.

    Returns
    -------
    array of bool, int or float
        Not empty.

    Raises
    ------
    SampleError
        If the file is no .npy, holds pickled objects, declares another size than it has, or is too large.
    """
    with parsing(path), path.open("rb") as file:
        return _read_array(file, path.stat().st_size, who=str(path), max_bytes=max_bytes)


def read_npz(path: Path, *, max_bytes: int) -> NDArray[Any]:
    """Read the samples of an .npz file: its only array, or the one named ``arr_0``, ``images`` or ``samples``.

    Only that array is unpacked, and not beyond the size that the archive declares for it. Parameters and return
    value are those of `read_npy`.

    Raises
    ------
    SampleError
        As `read_npy`; or if the file is no zip, or it is not clear which array is meant.
    """
    with parsing(path), zipfile.ZipFile(path) as archive:
        key = _samples_key([name[:-4] for name in archive.namelist() if name.endswith(".npy")], who=str(path))
        member = archive.getinfo(f"{key}.npy")
        with archive.open(member) as file:
            return _read_array(file, member.file_size, who=f"{path} ({key})", max_bytes=max_bytes)


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turn whatever a parser makes of hostile bytes into one error, and keep its warnings off the screen.

    Raises
    ------
    SampleError
        In place of any exception that is not genbench's own.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except GenbenchError:
        raise
    except Exception as error:  # numpy, zipfile, zlib, ast and PIL raise some twenty types on damaged files
        reason = str(error) or type(error).__name__
        raise SampleError(f"{path}: not readable as {path.suffix or 'an image'} ({reason}); write it anew.") from error


def _samples_key(keys: list[str], *, who: str) -> str:
    if len(keys) == 1:
        return keys[0]
    known = [key for key in KEYS if key in keys]
    if len(known) == 1:
        return known[0]
    raise SampleError(
        f"{who}: one array expected, or exactly one named {', '.join(KEYS)}; got "
        f"{', '.join(sorted(keys)) or 'no array'}; save the samples as arr_0."
    )


def _read_array(file: IO[bytes], size: int, *, who: str, max_bytes: int) -> NDArray[Any]:
    """Read one array from a stream of ``size`` bytes, believing nothing that its header says."""
    version = npy.read_magic(file)
    if version not in HEADERS:
        raise SampleError(f"{who}: format version 1 or 2 expected, got {version[0]}; save a plain array.")
    shape, fortran_order, dtype = HEADERS[version](file)
    if dtype.hasobject:
        raise SampleError(f"{who}: holds pickled Python objects, which are never loaded; save an array of numbers.")
    if dtype.kind not in "buif":
        raise SampleError(f"{who}: numbers expected, got {dtype}; save integers or floating-point values.")
    if not shape or min(shape) < 1:
        raise SampleError(f"{who}: holds no samples (shape {shape}); generate some.")
    declared, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if declared != held:
        raise SampleError(
            f"{who}: its header declares {declared:,} bytes of {dtype} {shape}, but {held:,} bytes follow; "
            "the file is cut off or damaged, write it anew."
        )
    if declared > max_bytes:
        raise SampleError(f"{who}: at most {max_bytes:,} bytes are read, got {declared:,}; save fewer samples.")
    # Pages of an empty array cost nothing until they are written: a lie about a compressed size takes no memory.
    buffer = np.empty(declared, dtype=np.uint8)
    view, filled = buffer.data, 0
    while count := file.readinto(view[filled : filled + CHUNK]):  # type: ignore[attr-defined]
        filled += count
    if filled < declared:
        raise SampleError(f"{who}: {declared:,} bytes expected, got {filled:,}; the file is cut off, write it anew.")
    array: NDArray[Any] = buffer.view(dtype).reshape(shape, order="F" if fortran_order else "C")
    return array
