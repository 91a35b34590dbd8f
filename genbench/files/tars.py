"""Tar archives of images that are not trusted, read in place.

The headers are read here and not by `tarfile`, which takes whatever memory an extended header asks for, unpacks sparse
members to any size, and in some releases of Python walks in circles on a damaged size. Every step here goes forward,
and reads no more than its limit.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.errors import SampleError
from genbench.files.arrays import CHUNK
from genbench.files.images import check_encoded, check_not_empty, is_image
from genbench.files.limits import Limits
from genbench.files.parsing import parsing
from genbench.files.pixels import decode_image
from genbench.files.zips import check_name

BLOCK = 512

LONG_HEADER = 2**16
"""The most that an extended header may take: it holds names and times."""

FILES, FOLDERS = (b"0", b"\0", b"7"), (b"5",)
EXTENDED, GLOBAL, LONG_NAME, LONG_LINK = b"x", b"g", b"L", b"K"
"""Kinds of entries: POSIX headers for the next one or for all, and GNU's long names."""

GZIP = b"\x1f\x8b"


class Member(NamedTuple):
    """A plain file of an archive, and where its content lies."""

    name: str
    start: int
    size: int


class TarImages:
    """Every image in a tar archive that is not compressed.

    Parameters
    ----------
    path : Path
        An existing file.
    limits : Limits
        All but ``array_bytes`` hold here.

    Raises
    ------
    SampleError
        If there are no images, a limit is passed, or a member is a link, a device, twice there, or leads out of the
        archive.
    """

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.path = path
        with parsing(path, "a tar archive"), path.open("rb") as file:
            size = path.stat().st_size
            members = sorted(images_of(file, limits, who=str(path)))
            if any(member.start + member.size > size for member in members):
                raise SampleError(f"{path}: is cut off; write it anew.")
        self._members = members
        check_not_empty([member.name for member in members], who=str(path))

    def __len__(self) -> int:
        return len(self._members)

    def name(self, row: int) -> str:
        """Return the archive's path and the image's path in it."""
        return f"{self.path}/{self._members[row].name}"

    def read(self, row: int) -> bytes:
        """Read an image as it is stored."""
        member = self._members[row]
        with self.path.open("rb") as file:
            file.seek(member.start)
            return file.read(member.size)


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does."""
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def read_tar_gz(path: Path, event_shape: tuple[int, ...], limits: Limits) -> NDArray[np.uint8]:
    """Decode every image of a compressed tar in one pass, since such a file cannot be read from its middle.

    Parameters
    ----------
    path : Path
        An existing file.
    event_shape : tuple of int
        (C, H, W).
    limits : Limits
        All of them: the decoded images are held in memory, and ``array_bytes`` bounds them.

    Returns
    -------
    (n, C, H, W) array, uint8
        In the order of the names.

    Raises
    ------
    SampleError
        As `TarImages`, or as `decode_image`.
    """
    decoded: dict[str, NDArray[np.uint8]] = {}
    held = 0
    with parsing(path, "a compressed tar archive"), gzip.open(path) as file:
        for member in images_of(file, limits, who=str(path)):
            content = _read_exactly(file, member.size)
            who = f"{path}/{member.name}"
            decoded[member.name] = decode_image(content, event_shape, limits, who=who)
            held += decoded[member.name].nbytes
            limits.check("array_bytes", held, who=f"{path} (unpack it with gunzip: a plain tar is read in place)")
    check_not_empty(list(decoded), who=str(path))
    images = np.empty((len(decoded), *event_shape), dtype=np.uint8)
    for row, name in enumerate(sorted(decoded)):
        images[row] = decoded.pop(name)  # so that each is held once
    return images


def images_of(file: IO[bytes] | gzip.GzipFile, limits: Limits, *, who: str) -> Iterator[Member]:
    """Walk an archive forward and give out its images; the content of each may be read before the next is asked for.

    Raises
    ------
    SampleError
        If a member is neither a plain file nor a folder, leads out of the archive, or is there twice; or a limit is
        passed.
    """
    names: set[str] = set()
    long_name, count, expanded = "", 0, 0
    while len(head := file.read(BLOCK)) == BLOCK and head.strip(b"\0"):
        count += 1
        limits.check("members", count, who=who)
        kind, size, start = head[156:157], _size(head, who=who), file.tell()
        if kind in (EXTENDED, GLOBAL, LONG_NAME, LONG_LINK):
            long_name = _long_name(kind, file, size, who=who) or long_name
            _skip_to(file, start + _padded(size))
            continue
        name = check_name(long_name or _short_name(head), who=who)
        long_name = ""
        if kind not in FILES + FOLDERS:
            raise SampleError(f"{who}: member {name!r} is a link or a device; pack plain files only.")
        size = 0 if kind in FOLDERS else size
        expanded += size
        limits.check("expanded_bytes", expanded, who=who)
        if kind in FILES and is_image(name):
            check_encoded(size, limits, who=f"{who}/{name}")
            if name in names:
                raise SampleError(f"{who}: holds {name!r} twice; pack each image once.")
            names.add(name)
            yield Member(name, start, size)
        _skip_to(file, start + _padded(size))
    if len(head) < BLOCK:  # an archive ends with zeros; without them, members may be missing
        raise SampleError(f"{who}: is cut off; write it anew.")


def _size(head: bytes, *, who: str) -> int:
    """Read the size of a member after its header's checksum, in octal or in base 256."""
    declared = int(head[148:156].strip(b" \0") or b"0", 8)
    if declared != sum(head[:148]) + 8 * ord(" ") + sum(head[156:]):
        raise SampleError(f"{who}: the header before byte {BLOCK} of a member is damaged; write the archive anew.")
    field = head[124:136]
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")  # a negative one is too large for any limit
    size = int(field.strip(b" \0") or b"0", 8)
    if size < 0:
        raise SampleError(f"{who}: a member has {size} bytes; write the archive anew.")
    return size


def _short_name(head: bytes) -> str:
    name, prefix = head[:100].split(b"\0")[0], head[345:500].split(b"\0")[0]
    return _text(prefix + b"/" + name if prefix and head[257:263] == b"ustar\0" else name)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _long_name(kind: bytes, file: IO[bytes] | gzip.GzipFile, size: int, *, who: str) -> str:
    """Read the name that an extended header gives to the next member, if it does."""
    if size > LONG_HEADER:
        raise SampleError(
            f"{who}: at most {LONG_HEADER:,} bytes of a long header are read, got {size:,}; pack it anew."
        )
    text = _read_exactly(file, size)
    if kind == LONG_NAME:
        return _text(text.rstrip(b"\0"))
    if kind != EXTENDED:
        return ""
    records = _records(text)
    if b"size" in records or any(key.startswith(b"GNU.sparse") for key in records):
        raise SampleError(f"{who}: holds a sparse or very large member; pack plain images.")
    return _text(records.get(b"path", b""))


def _records(text: bytes) -> dict[bytes, bytes]:
    """Read a POSIX extended header: lines of ``length key=value``, the length counting all of the line."""
    records: dict[bytes, bytes] = {}
    while text:
        length = int(text.split(b" ", 1)[0])
        if not 3 <= length <= len(text):
            raise ValueError("a record of an extended header is damaged")
        key, _, value = text[:length].split(b" ", 1)[1].rstrip(b"\n").partition(b"=")
        records[key] = value
        text = text[length:]
    return records


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _read_exactly(file: IO[bytes] | gzip.GzipFile, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise EOFError("the archive is cut off")
    return content


def _skip_to(file: IO[bytes] | gzip.GzipFile, position: int) -> None:
    """Go forward in steps, so that a compressed file is unpacked a little at a time."""
    if not isinstance(file, gzip.GzipFile):
        file.seek(position)
        return
    while file.tell() < position and file.read(min(CHUNK, position - file.tell())):
        pass
