"""The wheel holds what the package needs; a build backend leaves data files out without a word."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel from a copy of the tracked kinds of files and list it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("genbench", "baselines"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    # Without isolation: nothing is fetched, as setuptools is there with torch.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_the_packages_is_in_the_wheel(names: set[str]) -> None:
    for package in ("genbench", "baselines"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(ROOT).as_posix() in names


@pytest.mark.parametrize(
    "name",
    [
        "genbench/py.typed",
        "genbench/benchmarks/digits.toml",
        "genbench/benchmarks/ring8.toml",
        "genbench/schema/run-1.json",
        "genbench/templates/leaderboard.md.jinja",
        "genbench/extractors/weights/digits-cnn.npz",
        "baselines/gan.py",
    ],
)
def test_the_files_that_are_read_at_run_time_are_there(names: set[str], name: str) -> None:
    assert name in names


def test_tests_and_results_are_not(names: set[str]) -> None:
    assert not [n for n in names if n.startswith(("tests/", "results/"))]
