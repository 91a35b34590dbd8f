"""A store that fsspec reaches as ``shelf://``: a folder of this machine, ``$SHELF``, and no store of objects.

`install` makes it known to processes that are started later, as the package of a real store is.
"""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem


class Shelf(LocalFileSystem):
    """Another name for a folder."""

    protocol = "shelf"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = super()._strip_protocol(path.replace("shelf://", os.environ["SHELF"] + "/", 1))
        return stripped


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the store known to this process and to those that it starts; return the folder that it is."""
    shelf, package = folder / "shelf", folder / "package"
    about = package / "shelf-1.0.dist-info"
    for made in (shelf, about):
        made.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[fsspec.specs]\nshelf = tests.shelf:Shelf\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), str(Path(__file__).parents[1])]))
    monkeypatch.setenv("SHELF", str(shelf))
    fsspec.register_implementation("shelf", Shelf, clobber=True)
    return shelf
