"""One error for whatever a parser makes of hostile bytes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genbench.errors import GenbenchError, SampleError


@contextmanager
def parsing(path: Path | str, kind: str = "") -> Iterator[None]:
    """Do as `refusing`, and keep a parser's warnings off the screen; for one thread, since warnings belong to all.

    Raises
    ------
    SampleError
        In place of any exception that is not genbench's own.
    """
    with warnings.catch_warnings(), refusing(path, kind):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def refusing(path: Path | str, kind: str = "") -> Iterator[None]:
    """Turn whatever a parser makes of hostile bytes into one error.

    Raises
    ------
    SampleError
        In place of any exception that is not genbench's own.
    """
    try:
        yield
    except GenbenchError:
        raise
    except Exception as error:  # numpy, zipfile, zlib, ast, torch, pandas and PIL raise some twenty types on damage
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise SampleError(
            f"{path}: not readable as {kind or Path(path).suffix or 'an image'} ({reason}); write it anew."
        ) from error
