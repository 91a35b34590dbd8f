"""What several test processes need and one of them makes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PATIENCE = 600.0
"""Seconds that the others wait for the one that makes it."""


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first process to ask has filled by ``make``, for every process of this run of tests."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"once-{name}"
    try:
        folder.mkdir()
    except FileExistsError:
        return _made_by_another(folder)
    try:
        make(folder)
    except BaseException:
        (folder / ".failed").touch()
        raise
    (folder / ".made").touch()
    return folder


def _made_by_another(folder: Path) -> Path:
    end = time.monotonic() + PATIENCE
    while not (folder / ".made").exists():
        if (folder / ".failed").exists() or time.monotonic() > end:
            pytest.fail(f"{folder.name} was not made by the process that began it")
        time.sleep(0.1)
    return folder
