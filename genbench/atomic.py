"""Files that are complete or absent: written beside their place, flushed, then renamed over it; and where they go."""

import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from genbench.errors import SetupError
from genbench.storage import ATOMIC, Place, Remote, parse_place

_log = logging.getLogger(__name__)
_said: set[str] = set()


def write_atomic(path: Place, content: bytes) -> None:
    """Write a file so that no reader, and no crash, ever sees half of it.

    In stores elsewhere that is so as far as `genbench.storage` says.

    Parameters
    ----------
    path : Path or Remote
        Where to write; folders on the way are made.
    content : bytes
        The whole content.

    Raises
    ------
    SetupError
        If the place cannot be written to.
    """
    if isinstance(path, Remote):
        path.upload(content)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise SetupError(
            f"cannot write {path}: {error.strerror or error}; choose another folder with --out."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it private; results are to be shared
        os.replace(temporary, path)
    except OSError as error:
        raise SetupError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder."
        ) from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def check_writable(folder: Place) -> None:
    """Prove, before any work is done, that results can be written to a folder.

    Of a store in which files may be seen half written, that is said in the log, once in a process.

    Raises
    ------
    SetupError
        If the folder cannot be made or written to.
    """
    if isinstance(folder, Remote):
        _check_store(folder)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SetupError(
            f"cannot write to {folder}: {error.strerror or error}; choose another folder with --out."
        ) from error


def _check_store(folder: Remote) -> None:
    probe = folder / ".writable"
    probe.upload(b"")
    with suppress(SetupError):  # a store that only grows takes results all the same
        probe.unlink(missing_ok=True)
    if folder.protocol not in ATOMIC | _said:
        _said.add(folder.protocol)
        _log.warning(
            "%s: files are written beside their places and moved there; whether a reader can see half of one is up to "
            "that server, which is no object store.",
            folder,
        )


def feature_cache_folder() -> Place:
    """Where features are kept: ``$GENBENCH_CACHE``, a path or a URL, else `default_cache_folder`.

    Raises
    ------
    UsageError, SetupError
        As `genbench.storage.parse_place`.
    """
    explicit = os.environ.get("GENBENCH_CACHE")
    return parse_place(explicit) if explicit else default_cache_folder()


def default_cache_folder() -> Path:
    """``$GENBENCH_CACHE``, else ``genbench`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; always on this machine.

    Where ``$GENBENCH_CACHE`` is a URL, what must be files here, such as published sets, goes to the latter.
    """
    explicit = os.environ.get("GENBENCH_CACHE")
    place = parse_place(explicit) if explicit else None
    if isinstance(place, Path):
        return place
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genbench"
