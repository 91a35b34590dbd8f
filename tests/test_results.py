"""The committed results are what the committed records and the committed code give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from genbench.benchmarks import load_benchmark
from genbench.evaluate import Evaluator
from genbench.run import write_tables
from genbench.store import Store

RESULTS = Path(__file__).resolve().parent.parent / "results"
FOLDERS = sorted(path.name for path in RESULTS.iterdir() if (path / "records").is_dir())


def test_the_reference_runs_are_there() -> None:
    assert FOLDERS == ["digits@1", "grid25@1", "ring8@1"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_tables_are_those_of_the_records(folder: str, tmp_path: Path) -> None:
    shutil.copytree(RESULTS / folder / "records", tmp_path / folder / "records")
    store = Store(tmp_path, folder)
    write_tables(store, load_benchmark(folder), store.runs())
    tables = {path.name for path in (tmp_path / folder).iterdir() if path.is_file()}
    assert {"leaderboard.csv", "leaderboard.tex", "stability.md", "memorization.csv", "curves.csv"} <= tables
    assert tables == {path.name for path in (RESULTS / folder).iterdir() if path.is_file()} - {"report.html"}
    for name in sorted(tables):
        assert (tmp_path / folder / name).read_bytes() == (RESULTS / folder / name).read_bytes(), name


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_records_belong_to_the_benchmark_as_it_is_now(folder: str) -> None:
    benchmark = load_benchmark(folder)
    store = Store(RESULTS, folder)
    store.check_protocol(Evaluator(benchmark, device="cpu").protocol)
    for name, budget in benchmark.baselines.items():
        for seed in range(5):  # more than the benchmark's three, so that spreads mean something
            run = store.find(name, seed, budget.steps)
            assert run is not None
            assert run.failure is None
            assert run.recipe["overrides"] == dict(budget.options)
            assert not str(run.provenance["revision"]).endswith("+dirty"), "made from uncommitted code"
