"""Where published sets lie: a root folder, which files are expected in it, and fetching them when asked to."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genbench.atomic import default_cache_folder
from genbench.errors import GenbenchError, SetupError

Fetch = Callable[[Path], object]


def data_root(root: str | Path | None) -> Path:
    """Return the folder that published sets are looked for in: the given one, else ``$GENBENCH_DATA``, else a cache.

    The cache is ``data`` in `genbench.atomic.default_cache_folder`.
    """
    named = root or os.environ.get("GENBENCH_DATA")
    return Path(named).expanduser() if named else default_cache_folder() / "data"


def present(
    name: str, root: str | Path | None, files: Sequence[Sequence[str]], *, download: bool, fetch: Fetch
) -> Path:
    """Return the root folder once it holds a set's files.

    Parameters
    ----------
    name : str
        Of the dataset, for messages.
    root : str, Path or None
        As for `data_root`.
    files : sequence of sequences of str
        Paths below the root; of each inner sequence one is enough (a file, or its compressed form).
    download : bool
        Fetch what is missing. What is there is never fetched again.
    fetch : callable
        Puts the files below the folder that it is given.

    Raises
    ------
    SetupError
        If files are missing and may not or cannot be downloaded.
    """
    folder = data_root(root)
    if _missing(folder, files) and download:
        _download(name, folder, fetch)
    missing = _missing(folder, files)
    if missing:
        raise SetupError(
            f"{name}: expected in {folder.absolute()}, which lacks {', '.join(missing)}; pass --download, or place "
            "the files there or name their folder with --data-root (the dataset 'digits' needs no files)."
        )
    return folder


def _missing(folder: Path, files: Sequence[Sequence[str]]) -> list[str]:
    return [" or ".join(forms) for forms in files if not any((folder / form).exists() for form in forms)]


def _download(name: str, folder: Path, fetch: Fetch) -> None:
    if os.environ.get("GENBENCH_OFFLINE", "0") not in ("", "0"):
        raise SetupError(
            f"{name}: GENBENCH_OFFLINE forbids the download; place the files in {folder.absolute()}, or unset it."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetch(folder)
    except Exception as error:  # sockets, servers, archives, disks and a missing gdown fail in a dozen types
        raise SetupError(
            f"{name}: could not be downloaded to {folder.absolute()} ({_reason(error)}); "
            "try again, or place the files there by hand."
        ) from error


@contextmanager
def reading(name: str, folder: Path) -> Iterator[None]:
    """Turn whatever a reader makes of damaged files into one error, and keep its warnings off the screen.

    Raises
    ------
    SetupError
        In place of any exception that is not genbench's own.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of the age of CIFAR's pickles, for one
            yield
    except GenbenchError:
        raise
    except Exception as error:  # struct, gzip, pickle, scipy.io, PIL and torchvision raise some twenty types
        raise SetupError(
            f"{name}: files in {folder.absolute()} are not the published ones, or damaged "
            f"({_reason(error)}); remove them and pass --download, or place them anew."
        ) from error


def _reason(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
