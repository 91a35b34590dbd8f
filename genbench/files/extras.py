"""Packages that only some forms of files and networks need."""

from __future__ import annotations

import importlib
from typing import Any

from genbench.errors import SetupError


def import_extra(module: str, *, extra: str, who: str) -> Any:
    """Import a package that an extra of genbench brings.

    Raises
    ------
    SetupError
        If it is missing, or cannot be imported; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, OSError) as error:  # the latter two, if what it was built for is not there
        raise SetupError(f'{who}: needs the "{extra}" extra: pip install "genbench[{extra}]" ({error}).') from error
