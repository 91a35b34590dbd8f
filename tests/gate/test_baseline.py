"""The baseline's file: small, complete, and believed only as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genbench.errors import ProtocolError, SampleError
from genbench.gate.baseline import Baseline, read_baseline, score_of, trimmed, write_baseline
from tests.makers import make_estimate, make_run, make_score

KEY = "fd@digits-cnn.pool"


def baseline() -> Baseline:
    runs = tuple(trimmed(make_run("gan", seed, 1.0 + seed / 3), [KEY], "it") for seed in (0, 1))
    return Baseline(
        runs=runs, primary=(KEY,), margins={KEY: "5%"}, noise={KEY: 0.1}, seed=3, settings={"benchmark": "digits"}
    )


def test_a_baseline_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b.json", baseline())
    assert read_baseline(tmp_path / "b.json") == baseline()


def test_a_baseline_is_small_and_holds_the_gated_scores_alone(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b.json", baseline())
    text = (tmp_path / "b.json").read_text()
    assert len(text) < 4000
    assert len(text.splitlines()) < 80
    assert '"train"' not in text


def test_another_layout_of_the_same_content_is_the_same_baseline(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b.json", baseline())
    document = json.loads((tmp_path / "b.json").read_text())
    (tmp_path / "c.json").write_bytes(json.dumps(document, indent=8).replace("\n", "\r\n").encode())
    assert read_baseline(tmp_path / "c.json") == baseline()


@pytest.mark.parametrize("name", ["primary", "margins", "noise", "seed", "settings", "runs"])
def test_an_edited_field_is_found_out(tmp_path: Path, name: str) -> None:
    write_baseline(tmp_path / "b.json", baseline())
    document = json.loads((tmp_path / "b.json").read_text())
    document[name] = {"runs": document["runs"][:1], "seed": 4}.get(name, {})
    (tmp_path / "b.json").write_text(json.dumps(document))
    with pytest.raises(ProtocolError, match="edited by hand or damaged"):
        read_baseline(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe{", "no JSON"),
        (b"[1, 2]", "other JSON"),
        (b'{"kind": "something"}', "other JSON"),
        (b'{"kind": "genbench baseline", "schema_version": 99}', "schema 1 expected, got 99"),
        (b'{"kind": "genbench baseline", "schema_version": 1, "sha256": "00"}', "damaged"),
    ],
)
def test_what_is_no_baseline_is_refused_in_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "b.json").write_bytes(content)
    with pytest.raises(ProtocolError, match=message):
        read_baseline(tmp_path / "b.json")


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b.json", baseline())
    text = (tmp_path / "b.json").read_bytes()
    (tmp_path / "b.json").write_bytes(text[: len(text) // 2])
    with pytest.raises(ProtocolError, match="no JSON"):
        read_baseline(tmp_path / "b.json")


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="--update"):
        read_baseline(tmp_path / "none.json")


def test_a_score_that_is_no_number_is_never_taken() -> None:
    failed = make_run(scores=(), failure="diverged: g_loss is not finite")
    broken = make_run(scores=(make_score(estimate=None),))
    infinite = make_run(scores=(make_score(estimate=make_estimate(float("nan"))),))
    for run, message in (
        (failed, "diverged"),
        (broken, "gave up"),
        (infinite, "not finite"),
        (make_run(), "has no kd"),
    ):
        with pytest.raises(SampleError, match=message):
            score_of(run, "kd@digits-cnn.pool" if "kd" in message else KEY, "the new one")
