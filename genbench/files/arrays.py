"""Reading .npy and .npz files that are not trusted: no pickle, no memory before the sizes are proved."""

from __future__ import annotations

import io
import math
import mmap
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genbench.errors import SampleError, UsageError
from genbench.files.limits import Limits
from genbench.files.parsing import parsing
from genbench.files.zips import data_offset, open_zip

KEYS = ("arr_0", "images", "samples")
"""The arrays of a file that are taken to be the samples where it holds several."""

SCALAR_BYTES = 1024
"""The most that a single number may take, header and all."""

LABELS = "labels"
"""The array that is taken to be the labels of the others."""

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
        return _member(path, archive, samples_key(_keys(archive), who=str(path)), limits)


def read_labelled(path: Path, *, label: str | None = None, limits: Limits) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read the samples of an .npz file and the labels beside them, each array as `read_npz` does.

    Parameters
    ----------
    path : Path
        An existing file.
    label : str or None
        The array that holds the labels. None takes one of the name ``labels``, where there are others beside it.
    limits : Limits
        As for `read_npz`.

    Returns
    -------
    samples : array of bool, int or float
        Of the other arrays, the only one, or the one named ``arr_0``, ``images`` or ``samples``. Not empty.
    labels : (n,) array, or None if there are none

    Raises
    ------
    UsageError
        If there is no array of the name that was given for labels.
    SampleError
        As `read_npz`; or if there is not one label for each sample.
    """
    with parsing(path), open_zip(path, limits=limits) as archive:
        keys = _keys(archive)
        if label is not None and label not in keys:
            raise UsageError(f"{path}: labels in an array {label!r} expected, got {_listed(keys)}; name one of those.")
        tag = label or (LABELS if LABELS in keys and len(keys) > 1 else None)
        samples = _member(path, archive, samples_key([key for key in keys if key != tag], who=str(path)), limits)
        labels = None if tag is None else _member(path, archive, tag, limits)
    if labels is not None and labels.shape != samples.shape[:1]:
        raise SampleError(
            f"{path} ({tag}): a label for each sample, of shape {samples.shape[:1]}, expected, got {labels.shape}; "
            "save as many labels as samples."
        )
    return samples, labels


def read_named(
    path: Path, names: Sequence[str], *, counts: Sequence[str] = (), limits: Limits
) -> tuple[list[NDArray[Any]], int | None] | None:
    """Read arrays of an .npz file by name, each as `read_npz` does, and a whole number that may stand beside them.

    Parameters
    ----------
    path : Path
        An existing file.
    names : sequence of str
    counts : sequence of str
        Names that the number may have.
    limits : Limits
        As for `read_npz`.

    Returns
    -------
    arrays and number, or None
        None where one of the arrays is not there; no number where there is none of these names.

    Raises
    ------
    SampleError
        As `read_npz`; or if the number is not one.
    """
    with parsing(path), open_zip(path, limits=limits) as archive:
        keys = _keys(archive)
        if not set(names) <= set(keys):
            return None
        arrays = [_member(path, archive, name, limits) for name in names]
        count = None
        for key in (key for key in counts if key in keys):
            member = archive.getinfo(f"{key}.npy")
            if member.file_size > SCALAR_BYTES:
                raise SampleError(f"{path} ({key}): one number expected, got {member.file_size:,} bytes.")
            count = int(npy.read_array(io.BytesIO(archive.read(member)), allow_pickle=False).item())
            break
    return arrays, count


def _keys(archive: zipfile.ZipFile) -> list[str]:
    return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def _listed(keys: list[str]) -> str:
    return ", ".join(sorted(keys)[:20]) or "no array"


def _member(path: Path, archive: zipfile.ZipFile, key: str, limits: Limits) -> NDArray[Any]:
    """Map or unpack one array of an .npz file."""
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
    raise SampleError(
        f"{who}: one array expected, or exactly one named {', '.join(KEYS)}; got {_listed(keys)}; save the samples as "
        "arr_0."
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
