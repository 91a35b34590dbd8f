"""Zip archives that are not trusted: counted before they are listed, read in place, never extracted."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from genbench.errors import SampleError
from genbench.files.limits import Limits

END = struct.Struct("<4s4H2LH")
"""End of central directory: signature, disk numbers, two counts, size and offset of the directory, comment length."""

END64 = struct.Struct("<4sQ2H2L4Q")
"""The same where 32 bits are too few."""

LOCATOR64 = 20
"""Bytes of the zip64 locator, which lies between the two."""

ENTRY = struct.Struct("<4s24x3H12x")
"""An entry of the directory: signature, lengths of name, extra field and comment."""

LOCAL = struct.Struct("<4s22x2H")
"""What stands before a member's data: signature, lengths of name and extra field."""

METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


def open_zip(path: Path, *, limits: Limits) -> zipfile.ZipFile:
    """Open a zip after its entries have been counted: `zipfile` itself takes memory for all that there are.

    Raises
    ------
    SampleError
        If there are more than ``limits.members``.
    zipfile.BadZipFile, OSError, struct.error
        If the file is no zip.
    """
    with path.open("rb") as file:
        limits.check("members", _count_entries(file, limits.members), who=str(path))
    return zipfile.ZipFile(path)


def _count_entries(file: IO[bytes], most: int) -> int:
    """Walk the central directory, where `zipfile` would look for it, and count up to ``most`` + 1 entries."""
    size = file.seek(0, io.SEEK_END)
    tail_start = max(0, size - 2**16 - END.size)
    file.seek(tail_start)
    tail = file.read()
    plain = tail[-END.size :]
    at = len(tail) - END.size if plain[:4] == b"PK\5\6" and plain[-2:] == b"\0\0" else tail.rfind(b"PK\5\6")
    if at < 0:
        raise zipfile.BadZipFile("no end of central directory")
    length, end = END.unpack_from(tail, at)[5], tail_start + at
    before = LOCATOR64 + END64.size
    if end >= before:
        file.seek(end - before)
        record = file.read(before)
        if record[:4] == b"PK\6\6" and record[END64.size :][:4] == b"PK\6\7":
            length, end = END64.unpack_from(record)[8], end - before
    file.seek(max(0, end - length))
    directory, count = 0, 0
    while directory < length and count <= most:
        entry = file.read(ENTRY.size)
        if len(entry) < ENTRY.size or entry[:4] != b"PK\1\2":
            break  # damaged; zipfile says how
        skipped = sum(ENTRY.unpack(entry)[1:])
        file.seek(skipped, io.SEEK_CUR)
        directory += ENTRY.size + skipped
        count += 1
    return count


def data_offset(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Return the byte at which a member's data begin, from the header that stands before them."""
    file.seek(member.header_offset)
    signature, name, extra = LOCAL.unpack(file.read(LOCAL.size))
    if signature != b"PK\3\4":
        raise zipfile.BadZipFile(f"no header before {member.filename!r}")
    return file.tell() + int(name) + int(extra)


def check_name(name: str, *, who: str) -> str:
    """Refuse a member that would lead out of a folder, if anybody unpacked it there; return its plain form.

    Raises
    ------
    SampleError
        If the name is absolute or goes up.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or (path.parts and path.parts[0].endswith(":")):
        raise SampleError(f"{who}: member {name!r} leads out of the archive; make the archive anew from a folder.")
    return path.as_posix()


def check_member(member: zipfile.ZipInfo, *, who: str) -> None:
    """Refuse what is neither a plain file nor a folder.

    Raises
    ------
    SampleError
        If the member is a link or another special file, or is encrypted.
    """
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise SampleError(f"{who}: member {member.filename!r} is a link or a device; pack plain files only.")
    if member.flag_bits & 1:
        raise SampleError(f"{who}: member {member.filename!r} is encrypted; pack it without a password.")


def read_member(path: Path, member: zipfile.ZipInfo) -> bytes:
    """Read one member, not beyond its declared size.

    Raises
    ------
    SampleError
        If its data are not what the archive declares.
    zlib.error, zipfile.BadZipFile, OSError, struct.error
        If they are damaged.
    """
    if member.compress_type not in METHODS:
        raise SampleError(f"{path}: member {member.filename!r} is packed in an unusual way; use 'deflate'.")
    with path.open("rb") as file:
        file.seek(data_offset(file, member))
        content = file.read(member.compress_size)
    if member.compress_type == zipfile.ZIP_DEFLATED:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.file_size + 1)
    if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
        raise SampleError(f"{path}: member {member.filename!r} is not what the archive declares; pack it anew.")
    return content
