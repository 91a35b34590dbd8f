"""Cells that are done where the driver's files are not: what is sent, what comes back, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genbench.definitions import Budget
from genbench.errors import ProtocolError, SetupError, UnknownNameError, UsageError
from genbench.launchers import far
from genbench.launchers.cells import Cell, Kind, Options, Plan, Reporter
from genbench.launchers.far import Parcels, do_parcel
from genbench.run import run_benchmark
from genbench.store import Store
from tests.launchers.likeness import assert_alike
from tests.makers import make_benchmark

AT_ONCE = "tests.launchers.at_once:AtOnce"
CELL = Cell("gan", 0, "gan seed 0")


def plan_for(out: Path, **options: str) -> Plan:
    """A plan for one cell of the tiny benchmark."""
    benchmark = make_benchmark(seeds=(0,), baselines={"gan": Budget(steps=40, batch=32)})
    job = {"benchmark": benchmark, "store": Store(out, benchmark.id), "device": "cpu", "cache_folder": None}
    job |= {"batch_size": None, "speed": None, "profile": False}
    return Plan(job=job, cells=[CELL], workers=1, options=Options("any", options))


def told_by(parcels: Parcels) -> list[tuple[Kind, Any]]:
    """Do the cell here, and return what was told."""
    told: list[tuple[Kind, Any]] = []
    do_parcel(far.__version__, parcels.pack(CELL, None), lambda kind, content: told.append((kind, content)))
    return told


def test_a_launcher_of_a_users_own_leaves_the_results_of_a_local_run(tmp_path: Path) -> None:
    benchmark = make_benchmark()
    run_benchmark(benchmark, out=tmp_path / "here", device="cpu")
    run_benchmark(benchmark, out=tmp_path / "far", device="cpu", launcher=AT_ONCE)
    assert_alike(tmp_path / "here" / benchmark.id, tmp_path / "far" / benchmark.id)


def test_the_last_record_comes_back_after_all_else(tmp_path: Path) -> None:
    """A training whose last record is there counts as done: what came later would be missing for ever."""
    told = told_by(Parcels(plan_for(tmp_path), threads=1))
    names = [content[0] for kind, content in told if kind == "file"]
    assert names[-1] == "records/gan/seed0-step0000040.json"
    assert {"losses/gan-seed0.csv", "checkpoints/gan/seed0.pt", "grids/gan-seed0.png"} < set(names)
    assert told[0] == ("started", None)
    assert told[-1] == ("done", None)


def test_a_training_goes_on_far_away_from_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path / "whole", device="cpu")
    run_benchmark(benchmark, out=tmp_path / "part", device="cpu")
    removed = tmp_path / "part" / benchmark.id / "records" / "gan" / "seed0-step0000040.json"
    removed.unlink()
    steps: list[int] = []
    monkeypatch.setattr(Reporter, "bar", counting(Reporter.bar, steps))
    run_benchmark(benchmark, out=tmp_path / "part", device="cpu", launcher=AT_ONCE)
    assert removed.exists()
    assert steps == []  # the state after the last update was there: only the scoring was to be done
    assert_alike(tmp_path / "whole" / benchmark.id, tmp_path / "part" / benchmark.id)


def counting(bar: Any, steps: list[int]) -> Any:
    """Note the updates that a bar is told of."""
    from contextlib import contextmanager

    @contextmanager
    def noted(self: Reporter, label: str, total: int, *, place: int = 0) -> Any:
        with bar(self, label, total, place=place) as update:
            yield lambda step, losses: (steps.append(step), update(step, losses))

    return noted


def test_what_the_driver_has_is_not_made_again(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path, device="cpu")
    store = Store(tmp_path, benchmark.id)
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*.json")}
    run_benchmark(replace(benchmark, seeds=(0, 1)), out=tmp_path, device="cpu", launcher=AT_ONCE)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(store.folder.rglob("seed1-*.json"))) == 4


def test_another_version_of_genbench_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"0\.0\.0 as on the driver expected; pip install genbench==0\.0\.0"):
        run_benchmark(
            make_benchmark(), out=tmp_path, device="cpu", launcher=AT_ONCE, launcher_options={"version": "0.0.0"}
        )


def test_records_of_another_protocol_are_refused_and_not_written(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path, device="cpu", controls=False)
    before = sorted(tmp_path.rglob("*.json"))
    other = replace(benchmark, seeds=(0, 1), n=100)
    with pytest.raises(ProtocolError, match="protocol"):
        run_benchmark(other, out=tmp_path, device="cpu", launcher=AT_ONCE, controls=False)
    assert sorted(tmp_path.rglob("*.json")) == before


def test_an_error_far_away_is_told_with_its_trace(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    broken = Parcels(replace(plan, job={**plan.job, "batch_size": "many"}), threads=1)
    kind, error = told_by(broken)[-1]
    assert kind == "error"
    assert "Traceback" in str(error)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"timeout": "soon"}, UsageError, "a number from 0 expected for timeout, got 'soon'"),
        ({"attempts": "0"}, UsageError, "a number from 1 expected for attempts, got '0'"),
        ({"atempts": "3"}, UnknownNameError, "Did you mean 'attempts'"),
        ({"checkpoints": "maybe"}, UsageError, "yes or no expected for checkpoints"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    options: dict[str, str], error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        run_benchmark(make_benchmark(), out=tmp_path, device="cpu", launcher=AT_ONCE, launcher_options=options)


def test_an_unknown_launcher_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'slurm'"):
        run_benchmark(make_benchmark(), out=tmp_path, device="cpu", launcher="slum")


def test_a_baseline_that_exits_is_told_of_as_one_that_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise SystemExit(7)

    monkeypatch.setattr(far, "do_cell", leave)
    assert told_by(Parcels(plan_for(tmp_path), threads=1))[-1] == ("died", "its process ended by exit code 7")
