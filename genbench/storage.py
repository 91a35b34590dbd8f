"""Places for results and caches: folders of this machine, and stores elsewhere that fsspec reaches by a URL.

A `Place` is a ``pathlib.Path`` or a `Remote`, which has those of its methods that results and caches need; nothing
else writes, lists or reads them. A path never imports fsspec.

What a reader may see of a file that is being written:

- on this machine (``file://`` is that too) and on network disks that are mounted: all of the file or nothing, because
  it is written beside its place, flushed and renamed (`genbench.atomic.write_atomic`);
- in a store of `ATOMIC`: all of it or nothing, because one upload is one object, which appears when it is whole;
- in any other (``sftp``, ``ftp``, ``smb``, ``hdfs``, ...): it is written beside its place and moved there, and what may
  be seen of a move is up to the server; `genbench.atomic.check_writable` says so once.

Nothing is ever locked, here or there: every record is a file of its own, and two runs that write the same one write the
same scores, of which the last stays.
"""

from __future__ import annotations

import importlib
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeAlias

from genbench.errors import SetupError, UsageError

ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"})
"""Protocols of stores in which a file appears whole or not at all."""

_URL = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


class Status(NamedTuple):
    """Bytes of a file, and when it was written, in seconds since 1970."""

    st_size: int
    st_mtime: float


@dataclass(frozen=True, order=True, slots=True)
class Remote:
    """A file or folder of a store that fsspec reaches; methods mean what those of ``pathlib.Path`` mean.

    All that ask the store raise SetupError where it does not answer or refuses, and FileNotFoundError where there is no
    such file; each costs one request, or one for every thousand names that are listed. Objects pickle, and hold no
    connection: fsspec keeps those, with the credentials and addresses that it finds in the environment.

    Parameters
    ----------
    url : str
        Without a slash at its end; `parse_place` makes it so.
    """

    url: str

    def __str__(self) -> str:
        return _PASSWORD.sub(r"\1:***@", self.url)

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.url}{'' if self.url.endswith('://') else '/'}{name}")

    @property
    def protocol(self) -> str:
        """What stands before ``://``."""
        return self.url.partition("://")[0]

    @property
    def name(self) -> str:
        """Its last part."""
        return self.url.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """Its last part, without the ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The ending, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Remote:
        """The folder that it lies in."""
        start, _, rest = self.url.partition("://")
        return Remote(f"{start}://{rest.rpartition('/')[0]}")

    def resolve(self) -> Remote:
        """Return itself: URLs are whole."""
        return self

    def exists(self) -> bool:
        """Whether there is a file or folder."""
        return self._kind() is not None

    def is_file(self) -> bool:
        """Whether there is a file."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Whether there is a folder; in a store of objects, whether anything lies in it."""
        return self._kind() == "directory"

    def iterdir(self) -> Iterator[Remote]:
        """Yield what lies in the folder."""
        yield from self.glob("*")

    def glob(self, pattern: str) -> Iterator[Remote]:
        """Yield what lies in the folder under names like a pattern; with slashes in it, files alone.

        Nothing is there to yield where there is no folder. ``**`` is not known.
        """
        wanted = pattern.split("/")
        with self._asked("listed") as (files, root):
            try:
                found = files.find(root) if len(wanted) > 1 else files.ls(root, detail=False)
            except FileNotFoundError:
                found = []
        start = root.rstrip("/") + "/"
        for path in found:
            parts = path.removeprefix(start).strip("/").split("/")
            if path.startswith(start) and len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted)):
                yield self / "/".join(parts)

    def read_bytes(self) -> bytes:
        """Return the content of the file."""
        with self._asked("read") as (files, path):
            content: bytes = files.cat_file(path)
        return content

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content of the file, as text."""
        return self.read_bytes().decode(encoding, errors)

    def stat(self) -> Status:
        """Return the size and time of the file."""
        with self._asked("looked at") as (files, path):
            return Status(files.info(path)["size"] or 0, files.modified(path).timestamp())

    def upload(self, content: bytes) -> None:
        """Write the file: at once in a store of `ATOMIC`, else beside its place and then moved there."""
        with self._asked("written") as (files, path):
            try:
                if self.protocol in ATOMIC:
                    files.pipe_file(path, content)
                else:
                    _write_and_move(files, path, content)
            except FileNotFoundError as error:
                raise OSError(f"no such bucket or folder: {error}") from error

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        try:
            with self._asked("removed") as (files, path):
                files.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target: Remote) -> None:
        """Give the file another name in the same store."""
        with self._asked("renamed") as (files, path):
            files.mv(path, files._strip_protocol(target.url))

    def _kind(self) -> str | None:
        try:
            with self._asked("looked at") as (files, path):
                return str(files.info(path)["type"])
        except FileNotFoundError:
            return None

    @contextmanager
    def _asked(self, done: str) -> Iterator[tuple[Any, str]]:
        """Give the store and the path in it, and turn what a driver raises into one error: there are dozens of types.

        Listings that drivers remember are forgotten, because other machines write there too.
        """
        try:
            files, path = _fsspec(self).core.url_to_fs(self.url)
            files.invalidate_cache()
            yield files, path
        except (FileNotFoundError, SetupError):
            raise
        except Exception as error:
            said = " ".join(str(error).split()).rstrip(".") or "no reason given"
            raise SetupError(
                f"{self}: cannot be {done} ({type(error).__name__}: {said}); check the name, the credentials and the "
                "connection, or choose another place."
            ) from error


Place: TypeAlias = Path | Remote
"""Where a file or folder is."""


def parse_place(text: str | Place) -> Place:
    """Read a path or a URL, such as ``results``, ``s3://bucket/results`` or ``file:///mnt/results``.

    Raises
    ------
    UsageError
        If it is no URL that fsspec knows.
    SetupError
        If fsspec or the package of a protocol is not installed.
    """
    if isinstance(text, (Path, Remote)):
        return text
    if "://" not in text:
        return Path(text)
    url = _URL.fullmatch(text)
    if url is None:
        raise UsageError(f"{text}: a path, or a URL of one protocol in small letters, expected.")
    if url["protocol"] in ("file", "local"):
        if not url["rest"].startswith("/"):
            raise UsageError(
                f"{text}: a whole path after file://, as in file:///mnt/results, expected; or pass a path."
            )
        return Path(url["rest"])
    place = Remote(text.rstrip("/"))
    if not url["rest"].strip("/"):
        raise UsageError(f"{text}: a place after ://, as in s3://bucket/results, expected, got none; name one.")
    try:
        _fsspec(place).get_filesystem_class(place.protocol)
    except ValueError as error:
        raise UsageError(
            f"{place}: a path, or a URL of a protocol that fsspec knows (s3, gs, abfs, sftp, ...), expected; got "
            f"{place.protocol!r}, which it does not know."
        ) from error
    except ImportError as error:
        raise SetupError(f"{place}: a package of its own is needed for this protocol ({error}); install it.") from error
    return place


def read_together(places: Sequence[Remote]) -> dict[Place, bytes]:
    """Ask a store for several files at a time, which takes little longer than one where it answers many at once.

    What does not come is left out: `Remote.read_bytes` asks for it again, and says what is wrong.

    Raises
    ------
    SetupError
        If the store does not answer.
    """
    if len(places) < 2:
        return {}
    with places[0]._asked("read") as (files, _):
        paths = {place: files._strip_protocol(place.url) for place in places}
        try:
            found = files.cat(list(paths.values()), on_error="return")
        except FileNotFoundError:  # of all: some drivers take brackets in a name for a pattern
            found = {}
    return {place: found[path] for place, path in paths.items() if isinstance(found.get(path), bytes)}


def contains(folder: Place, place: Place) -> bool:
    """Whether a place is a folder or lies in it."""
    if isinstance(folder, Remote) or isinstance(place, Remote):
        return f"{_whole(place)}/".startswith(f"{_whole(folder)}/")
    return place.resolve().is_relative_to(folder.resolve())


def rename(place: Place, name: str) -> None:
    """Give a file another name in its folder, in place of what has that name.

    Raises
    ------
    OSError, SetupError
        If that cannot be done.
    """
    if isinstance(place, Remote):
        place.replace(place.parent / name)
    else:
        place.replace(place.with_name(name))


def _whole(place: Place) -> str:
    return place.url if isinstance(place, Remote) else str(place.resolve())


def _write_and_move(files: Any, path: str, content: bytes) -> None:
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{secrets.token_hex(4)}.tmp"
    files.makedirs(folder, exist_ok=True)
    try:
        files.pipe_file(temporary, content)
        files.mv(temporary, path)
    finally:
        if files.exists(temporary):
            files.rm_file(temporary)


def _fsspec(place: Remote) -> Any:
    try:
        return importlib.import_module("fsspec")
    except ImportError as error:
        raise SetupError(
            f'{place}: a URL needs fsspec, which is not installed; pip install "genbench[storage]".'
        ) from error
