"""What two results folders of one benchmark must share, wherever their trainings were made."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd

from genbench.records import Run
from genbench.store import Store

SAME = ("*.md", "*.tex", "losses/*.csv", "grids/*.png")
"""Files that hold no times."""


def files(folder: Path) -> set[str]:
    """Every file, but for those of a launcher's own."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith("slurm/")}


def without_times(path: Path) -> str:
    """A table as it is, but for the columns that hold times."""
    frame = pd.read_csv(io.StringIO(path.read_text()), dtype=str, keep_default_na=False)
    return frame[[name for name in frame if "seconds" not in name and not name.endswith("_per_second")]].to_csv()


def facts(folder: Path) -> list[Run]:
    """Everything in records but times, and where they were made."""
    return [
        replace(run, seconds=0.0, cost={k: v for k, v in run.cost.items() if k == "parameters"}, provenance={})
        for run in Store(folder.parent, folder.name).runs()
    ]


def assert_alike(one: Path, other: Path) -> None:
    """Compare the records, and byte by byte the tables, the losses and the pictures."""
    assert files(one) == files(other)
    assert facts(one) == facts(other)
    same = [path for pattern in SAME for path in one.glob(pattern)]
    assert len(same) > 4
    for path in same:
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes(), path.name
    for path in one.glob("*.csv"):
        assert without_times(path) == without_times(other / path.name), path.name
