"""What GitHub Actions is told: escaped, within its limits, and nothing anywhere else."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from genbench.gate.github import ANNOTATIONS, SUMMARY_BYTES, tell_github
from tests.gate.shown import HOSTILE, make_result, make_row, three_verdicts


@pytest.fixture
def actions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set what GitHub sets; return the folder of its two files, of which GitHub makes none."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    return tmp_path


def test_nothing_happens_outside_of_actions(
    actions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    tell_github(three_verdicts())
    assert not list(actions.iterdir())
    assert capsys.readouterr() == ("", "")


def test_summary_outputs_and_annotations_worst_first(actions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_github(three_verdicts())
    assert (actions / "summary").read_text().startswith("## REGRESSION: wgan-gp")
    assert (actions / "output").read_text() == "verdict=regression\nexit-code=1\n"
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in lines] == [
        "::error title=genbench%3A regression::fd@digits-cnn.pool",
        "::error title=genbench%3A inconclusive::recall@digits-cnn.pool",
    ]


def test_what_other_steps_wrote_stays(actions: Path) -> None:
    (actions / "summary").write_text("before\n")
    tell_github(make_result())
    assert (actions / "summary").read_text().startswith("before\n## PASS")


def test_a_pass_has_no_annotation(actions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_github(make_result())
    assert capsys.readouterr().out == ""
    assert (actions / "output").read_text() == "verdict=pass\nexit-code=0\n"


def test_an_allowed_inconclusive_metric_is_a_warning(actions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_github(make_result(make_row(verdict="inconclusive")), allow_inconclusive=True, exit_code=0)
    assert capsys.readouterr().out.startswith("::warning title=")
    assert (actions / "output").read_text() == "verdict=inconclusive\nexit-code=0\n"


def test_no_more_annotations_than_github_shows_and_the_last_counts_the_rest(
    actions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [make_row(f"fd@space{i}.pool", verdict="regression") for i in range(ANNOTATIONS + 3)]
    tell_github(make_result(*rows))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == ANNOTATIONS
    assert lines[-1].endswith("and 3 more metrics")
    assert not any("more metrics" in line for line in lines[:-1])


def test_no_text_can_start_a_command_of_its_own(actions: Path) -> None:
    out = io.StringIO()
    tell_github("50%\r\n::error::fake, of nobody" + HOSTILE, stream=out)
    (line,) = out.getvalue().splitlines()[:1]
    assert line.startswith("::error title=genbench%3A not evaluable::50%25%0D%0A::error::fake, of nobody")
    assert not any(other.startswith("::") for other in out.getvalue().splitlines()[1:])
    summary = (actions / "summary").read_text()
    assert "<img" not in summary
    assert (actions / "output").read_text() == "verdict=error\nexit-code=3\n"


def test_no_name_can_write_an_output(actions: Path) -> None:
    tell_github(make_result(name_new="x\nverdict=pass", name_baseline="y\r\nverdict=pass"))
    assert (actions / "output").read_text() == "verdict=pass\nexit-code=0\n"


@pytest.mark.parametrize("before", [0, SUMMARY_BYTES // 2, SUMMARY_BYTES - 10])
def test_a_summary_is_cut_to_what_github_takes(actions: Path, before: int) -> None:
    (actions / "summary").write_bytes(b"x" * before)
    rows = [make_row(f"fd@{'é' * 400}{i}.pool") for i in range(1000)]
    tell_github(make_result(*rows))
    content = (actions / "summary").read_bytes()
    assert len(content) <= SUMMARY_BYTES
    text = content.decode()  # no character is cut in two
    assert text.endswith("The command's output has all of it.*\n") or before == SUMMARY_BYTES - 10


@pytest.mark.parametrize("variable", ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"])
def test_a_file_that_cannot_be_written_is_a_warning(
    actions: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str
) -> None:
    monkeypatch.setenv(variable, str(actions))
    with caplog.at_level(logging.WARNING):
        tell_github(make_result())
    assert f"cannot write ${variable}" in caplog.text
    assert len(list(actions.iterdir())) == 1
