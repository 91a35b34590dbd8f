"""Image files that are not trusted: where they lie in folders and archives, each read as it is stored."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from genbench.errors import SampleError
from genbench.files.limits import Limits
from genbench.files.parsing import parsing
from genbench.files.zips import check_member, check_name, open_zip, read_member

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})

ENCODED = 4
"""Bytes that an image file may take for each of the pixels that are allowed: more than any of the formats needs."""


class ImageSource(Protocol):
    """Encoded images in the order of their names; can be pickled for worker processes, and holds no file open."""

    path: Path

    def __len__(self) -> int: ...

    def name(self, row: int) -> str:
        """Return the path of an image, for messages."""
        ...

    def read(self, row: int) -> bytes:
        """Read an image as it is stored."""
        ...


class FolderImages:
    """Every image in a folder and its subfolders (one for each class, say).

    Hidden files and folders, and files with other suffixes, are passed over, and so are links to folders inside: what
    they lead to is there already.

    Parameters
    ----------
    path : Path
        An existing folder.
    limits : Limits
        Of which ``members`` and ``pixels`` hold here.

    Attributes
    ----------
    names : list of str
        Of the images, relative to the folder, with slashes; in the order of the rows.

    Raises
    ------
    SampleError
        If there are no images, too many, a link that leads out of the folder, or one that is no plain file.
    """

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        names: list[str] = []
        root = os.path.realpath(path)
        for folder, subfolders, files in os.walk(path, onerror=_raise):
            for entry in (*subfolders, *files):
                _check_link(os.path.join(folder, entry), root, who=str(path))
            inside = Path(folder).relative_to(path).as_posix()
            names += [name if inside == "." else f"{inside}/{name}" for name in files if is_image(name)]
            limits.check("members", len(names), who=str(path))
            subfolders[:] = [entry for entry in subfolders if not entry.startswith(".")]
        self.names = sorted(names)
        check_not_empty(self.names, who=str(path))

    def __len__(self) -> int:
        return len(self.names)

    def name(self, row: int) -> str:
        """Return the path of an image."""
        return str(self.path / self.names[row])

    def read(self, row: int) -> bytes:
        """Read an image as it is stored."""
        # Not through a link that has appeared since, and never waiting for a pipe.
        with open(os.open(self.path / self.names[row], os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SampleError(f"{self.name(row)}: a plain file expected, got a pipe or a device; remove it.")
            check_encoded(status.st_size, self._limits, who=self.name(row))
            return file.read(status.st_size)


class ZipImages:
    """Every image in a zip archive, read in place: nothing is unpacked to disk.

    Parameters
    ----------
    path : Path
        An existing file.
    limits : Limits
        All but ``array_bytes`` hold here.

    Raises
    ------
    SampleError
        If there are no images, a limit is passed, or a member is a link, encrypted, twice there, or leads out of the
        archive.
    """

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.path = path
        found: dict[str, zipfile.ZipInfo] = {}
        size = path.stat().st_size
        with parsing(path), open_zip(path, limits=limits) as archive:
            for member in archive.infolist():
                check_member(member, who=str(path))
                name = check_name(member.filename, who=str(path))
                if member.is_dir() or not is_image(name):
                    continue
                if name in found:
                    raise SampleError(f"{path}: holds {name!r} twice; pack each image once.")
                if member.compress_size > size:
                    raise SampleError(f"{path}: member {name!r} is longer than the archive; it is cut off.")
                encoded = max(member.file_size, member.compress_size)
                check_encoded(encoded, limits, who=f"{path}/{name}")
                found[name] = member
        limits.check("expanded_bytes", sum(member.file_size for member in found.values()), who=str(path))
        self._names = sorted(found)
        self._members = [found[name] for name in self._names]
        check_not_empty(self._names, who=str(path))

    def __len__(self) -> int:
        return len(self._names)

    def name(self, row: int) -> str:
        """Return the archive's path and the image's path in it."""
        return f"{self.path}/{self._names[row]}"

    def read(self, row: int) -> bytes:
        """Read an image as it is stored."""
        return read_member(self.path, self._members[row])


def is_image(name: str) -> bool:
    """Whether a relative path has the suffix of an image, and no part of it is hidden."""
    hidden = name.startswith(".") or "/." in name
    return os.path.splitext(name)[1].lower() in SUFFIXES and not hidden


def check_not_empty(names: Sequence[str], *, who: str) -> None:
    """Refuse a folder or an archive without images.

    Raises
    ------
    SampleError
        If there is none.
    """
    if not names:
        raise SampleError(f"{who}: holds no images ({', '.join(sorted(SUFFIXES))}); generate some.")


def _check_link(path: str, root: str, *, who: str) -> None:
    if os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(root):
        raise SampleError(
            f"{who}: {os.path.basename(path)} is a link that leads out of the folder; put the file there."
        )


def check_encoded(size: int, limits: Limits, *, who: str) -> None:
    """Refuse an image file of more bytes than any image within the limit on pixels needs.

    Raises
    ------
    SampleError
        Naming both figures.
    """
    most = ENCODED * limits.pixels
    if size > most:
        raise SampleError(
            f"{who}: at most {most:,} bytes are read for one image ({ENCODED} for each pixel of the limit 'pixels'), "
            f"got {size:,}; remove it, or raise that limit if you trust it."
        )


def _raise(error: OSError) -> None:
    raise SampleError(f"{error.filename}: cannot be read ({error.strerror}); make it readable.") from error
