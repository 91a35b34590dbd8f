"""The examples run, offline and as their own documentation says, and print what they promise."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, and import from beside the script, as ``python examples/script.py`` does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)


def run(name: str, *arguments: str) -> int:
    """Run a script in this process, which has torch loaded; return its exit code."""
    before, sys.argv = sys.argv, [name, *arguments]
    try:
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def test_a_training_is_scored_and_its_records_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("score_during_training.py", "--steps", "400", "--every", "150", "--out", "results") == 0
    printed = capsys.readouterr().out
    runs = re.findall(r"^<Run my-gan on reference@1 at step (\d+): 6 scores; fd@digits-cnn.pool", printed, re.MULTILINE)
    assert runs == ["150", "300", "400"]
    assert re.search(r"^<History of fd@digits-cnn.pool: 3 records; best at step (300|400): ", printed, re.MULTILINE)
    assert printed.count("| best |") == 1
    assert len(list((tmp_path / "results" / "reference@1" / "records" / "my-gan").iterdir())) == 3


def test_of_two_checkpoints_the_later_one_is_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The distance falls from some 34 to some 14, with standard errors of about 1: noise does not turn that round."""
    assert run("compare_checkpoints.py", "--folder", "here") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# reference@1: A = step300, B = step1200\n")
    assert re.search(r"^fd: \d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\], b better$", printed, re.MULTILINE)
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"step300.pt", "step1200.pt"}


def test_the_gate_passes_what_did_not_change_and_stops_what_became_worse(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gate_in_ci.py", "--update") == 0
    assert run("gate_in_ci.py") == 0
    assert "PASS: noisy-digits against gate.json" in capsys.readouterr().out
    assert run("gate_in_ci.py", "--noise", "60") == 1
    assert "REGRESSION: noisy-digits against gate.json" in capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_an_example_is_short_and_says_how_it_is_run(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 90
    assert f"python examples/{script.name}" in (ast.get_docstring(ast.parse(text)) or "")


def test_the_page_names_every_script() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+\.py)\)", page)) == {script.name for script in SCRIPTS}
    for command in re.findall(r"^python examples/(\w+\.py)", page, re.MULTILINE):
        assert (FOLDER / command).exists()
