"""Reading .npy and .npz files that are not trusted: no pickle, no memory before the sizes are proved."""

from __future__ import annotations

import io
import math
import mmap
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genbench.errors import GenbenchError, SampleError
from genbench.sampling.limits import Limits
from genbench.sampling.zips import data_offset, open_zip

KEYS = ("arr_0", "images", "samples")
"""The arrays of a file that are taken to be the samples where it holds several."""

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""How each version of the format is read; version 3 is for structured arrays, which hold no samples."""

HEADER_BYTES = 2**14
"""The most that a header may take; numpy itself refuses more than 10,000."""

CHUNK = 2**20
"""Bytes read at a time."""


class Header(NamedTuple):
    """What an .npy file says of its array, held against its size."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    start: int  # of the values, in bytes
    length: int  # of the values, in bytes


def read_npy(path: Path) -> NDArray[Any]:
    """Map the array of an .npy file into memory; nothing is read before it is used.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    array of bool, int or float
        Not empty, not writable.

    Raises
    ------
    SampleError
        If the file is no .npy, holds pickled objects, or declares another size than it has.
    """
    with parsing(path), path.open("rb") as file:
        header = _read_header(file.read(HEADER_BYTES), path.stat().st_size, who=str(path))
        return _mapped(file, header, at=0)


def read_npz(path: Path, *, limits: Limits) -> NDArray[Any]:
    """Read the samples of an .npz file: its only array, or the one named ``arr_0``, ``images`` or ``samples``.

    Only that array is read. One that is not compressed (as `numpy.savez` writes it) is mapped, after its checksum has
    been compared; a compressed one is unpacked, not beyond the size that the archive declares for it.

    Parameters
    ----------
    path : Path
        An existing file.
    limits : Limits
        ``array_bytes`` holds for compressed arrays, ``members`` for the archive.

    Returns
    -------
    array of bool, int or float
        Not empty.

    Raises
    ------
    SampleError
        As `read_npy`; or if the file is no zip, it is not clear which array is meant, or a limit is passed.
    """
    with parsing(path), open_zip(path, limits=limits) as archive:
        names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
        key = samples_key(names, who=str(path))
        member, who = archive.getinfo(f"{key}.npy"), f"{path} ({key})"
        with archive.open(member) as packed:
            head = packed.read(HEADER_BYTES)
            header = _read_header(head, member.file_size, who=who)
            if member.compress_type != zipfile.ZIP_STORED:
                limits.check("array_bytes", header.length, who=who)
                return _unpacked(packed, head, header, who=who)
            while packed.read(CHUNK):  # to the end, where zipfile compares the checksum
                pass
        with path.open("rb") as file:
            return _mapped(file, header, at=data_offset(file, member))


@contextmanager
def parsing(path: Path | str, kind: str = "") -> Iterator[None]:
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
    except Exception as error:  # numpy, zipfile, zlib, ast, torch and PIL raise some twenty types on damaged files
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise SampleError(
            f"{path}: not readable as {kind or Path(path).suffix or 'an image'} ({reason}); write it anew."
        ) from error


def samples_key(keys: list[str], *, who: str) -> str:
    """Choose the array that holds the samples: the only one, or the only one with a known name.

    Raises
    ------
    SampleError
        If there is no such array, or more than one.
    """
    if len(keys) == 1:
        return keys[0]
    known = [key for key in KEYS if key in keys]
    if len(known) == 1:
        return known[0]
    found = ", ".join(sorted(keys)[:20]) or "no array"
    raise SampleError(
        f"{who}: one array expected, or exactly one named {', '.join(KEYS)}; got {found}; save the samples as arr_0."
    )


def _read_header(head: bytes, size: int, *, who: str) -> Header:
    """Read the header of a file of ``size`` bytes, believing nothing that it says."""
    file = io.BytesIO(head)
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
    return Header(shape, fortran_order, dtype, start=file.tell(), length=declared)


def _mapped(file: IO[bytes], header: Header, *, at: int) -> NDArray[Any]:
    """Map the values of an array whose header begins at a byte of a file."""
    start = at + header.start
    size = file.seek(0, io.SEEK_END)
    if start + header.length > size:  # an archive may lie about where its members are
        raise SampleError(f"{file.name}: {start + header.length:,} bytes expected, got {size:,}; write it anew.")
    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    flat = np.frombuffer(pages, dtype=np.uint8, count=header.length, offset=start)
    return _shaped(flat, header)


def _unpacked(packed: IO[bytes], head: bytes, header: Header, *, who: str) -> NDArray[Any]:
    """Unpack the values of an array of which the first bytes have been read."""
    # Pages of an empty array cost nothing until they are written: a lie about a compressed size takes no memory.
    flat = np.empty(header.length, dtype=np.uint8)
    view, begun = flat.data, head[header.start :]
    view[: len(begun)] = begun
    filled = len(begun)
    while count := packed.readinto(view[filled : filled + CHUNK]):  # type: ignore[attr-defined]
        filled += count
    if filled < header.length:
        raise SampleError(
            f"{who}: {header.length:,} bytes expected, got {filled:,}; the file is cut off, write it anew."
        )
    return _shaped(flat, header)


def _shaped(flat: NDArray[np.uint8], header: Header) -> NDArray[Any]:
    array: NDArray[Any] = flat.view(header.dtype).reshape(header.shape, order="F" if header.fortran_order else "C")
    return array
