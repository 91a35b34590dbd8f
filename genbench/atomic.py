"""Files that are complete or absent: written beside their place, flushed, then renamed over it; and where they go."""

import os
import tempfile
from pathlib import Path

from genbench.errors import SetupError


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that no reader, and no crash, ever sees half of it.

    Parameters
    ----------
    path : Path
        Where to write; folders on the way are made.
    content : bytes
        The whole content.

    Raises
    ------
    SetupError
        If the place cannot be written to.
    """
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


def check_writable(folder: Path) -> None:
    """Prove, before any work is done, that results can be written to a folder.

    Raises
    ------
    SetupError
        If the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SetupError(
            f"cannot write to {folder}: {error.strerror or error}; choose another folder with --out."
        ) from error


def default_cache_folder() -> Path:
    """``$GENBENCH_CACHE``, else ``genbench`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    explicit = os.environ.get("GENBENCH_CACHE")
    if explicit:
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genbench"
