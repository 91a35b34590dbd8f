"""Benchmarks on data that lie on disk: published sets in their own formats, and a user's arrays and folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import genbench
from genbench.cli import main
from tests.data.published import write_mnist

BENCHMARK = """
name = "mine"
version = 1
dataset = "array"
n = 150
primary = "fd@identity.pool"
[data]
path = "table.csv"
held_out = 0.4
standardize = true
[metrics]
"fd@identity.pool" = {}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table whose columns have units of their own, and a benchmark on it."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).standard_normal((400, 3)) * [1, 100, 0.01] + [5, 0, -3]
    np.savetxt("table.csv", rows, delimiter=",", header="a,b,c", comments="")
    Path("mine.toml").write_text(BENCHMARK)
    return tmp_path


@pytest.mark.slow
def test_mnist_as_it_lies_on_disk_is_trained_on_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mnist(tmp_path / "data", train=1100, test=1000)
    command = ["run", "mnist", "--quick", "--baseline", "vae", "--data-root", str(tmp_path / "data")]
    assert main([*command, "--out", str(tmp_path / "results"), "--quiet"]) == 0
    assert "fd@pca.pool" in capsys.readouterr().out
    assert (tmp_path / "results" / "mnist@1-quick" / "leaderboard.csv").exists()


def test_missing_files_name_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["run", "mnist", "--data-root", str(tmp_path), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(command) == 4
    said = capsys.readouterr().err
    for part in ("mnist", str(tmp_path), "train-images-idx3-ubyte", "--download", "digits"):
        assert part in said
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    assert main([*command, "--download"]) == 4
    assert "GENBENCH_OFFLINE" in capsys.readouterr().err


def test_data_options_that_mean_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path), "--quiet"]
    assert main(["run", "digits", "--data-root", str(tmp_path), *out]) == 2
    assert "has no published files to look for in a root" in capsys.readouterr().err
    assert main(["run", "digits", "--download", *out]) == 2
    assert "--download: neither data nor extractors of digits@1 are fetched" in capsys.readouterr().err


def test_samples_in_the_units_of_the_source_meet_standardized_data(own: Path) -> None:
    """The table itself against its own held-out share: a distance of rounding size only if both are standardized."""
    dataset = genbench.load_dataset("array", path="table.csv", held_out=0.4, standardize=True)
    assert dataset.standardization is not None
    np.save("raw.npy", dataset.standardization.undo(dataset.test)[:150])
    np.save("moved.npy", dataset.test[:150])
    found = {}
    for name in ("raw", "moved"):
        run = genbench.score(f"{name}.npy", genbench.load_benchmark("mine.toml"))
        (score,) = (s for s in run.scores if s.split == "test")
        assert score.estimate is not None
        found[name] = score.estimate.value
    assert found["raw"] < 0.1
    assert found["moved"] > 10


def test_an_edited_value_changes_the_protocol_and_a_renamed_file_does_not(own: Path) -> None:
    def protocol() -> str:
        return genbench.Evaluator(genbench.load_benchmark("mine.toml"), device="cpu").protocol

    before = protocol()
    Path("table.csv").rename("other.csv")
    Path("mine.toml").write_text(BENCHMARK.replace("table.csv", "other.csv"))
    assert protocol() == before
    text = Path("other.csv").read_text()
    Path("other.csv").write_text(text.replace("e+00,", "e+01,", 1))
    assert protocol() != before


def test_a_benchmark_without_baselines_is_scored_on(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("mine.npy", np.random.default_rng(1).standard_normal((150, 3)) * [1, 100, 0.01] + [5, 0, -3])
    assert main(["score", "mine.npy", "--benchmark", "mine.toml", "--out", "results", "--quiet"]) == 0
    assert "mine@1" in capsys.readouterr().out
    assert main(["run", "mine.toml", "--out", "results", "--quiet"]) == 0
    assert "| mine" in capsys.readouterr().out
    assert main(["score", "mine.npy", "--benchmark", "mine.toml", "--set", "data.held_out=0.5", "--quiet"]) == 0
    assert main(["score", "mine.npy", "--benchmark", "mine.toml", "--set", "data.heldout=0.5", "--quiet"]) == 2
    assert "Did you mean 'held_out'" in capsys.readouterr().err
