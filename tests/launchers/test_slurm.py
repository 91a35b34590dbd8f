"""SLURM by submitit, with stand-ins for SLURM's commands: the records of a local run, jobs that die or hang."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genbench.definitions import Budget
from genbench.errors import SetupError, UsageError
from genbench.run import run_benchmark
from tests.launchers.likeness import assert_alike
from tests.launchers.stand_in_slurm import install
from tests.makers import make_benchmark

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs start where this process stands, and look these tests up from there."""
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Until they are seen to end, however busy the machine is: Python warns of processes that nobody waited for.
    monkeypatch.setattr("genbench.launchers.slurm._LEAVING", 120.0)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands that take SLURM's place; the folder of what they were asked for."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(install(tmp_path / "slurm")), os.environ["PATH"]]))
    return tmp_path / "slurm" / "jobs"


@pytest.mark.slow
def test_jobs_leave_the_records_and_tables_of_a_local_run(tmp_path: Path, slurm: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path / "here", device="cpu")
    options = {"folder": str(tmp_path / "logs"), "partition": "any", "time": "10", "gres": "gpu:1"}
    how = {"device": "cpu", "launcher": "slurm", "workers": 2, "launcher_options": options}
    run_benchmark(benchmark, out=tmp_path / "jobs", **how)
    assert_alike(tmp_path / "here" / benchmark.id, tmp_path / "jobs" / benchmark.id)
    asked = [(job / "script").read_text() for job in slurm.iterdir()]
    assert len(asked) == 3
    for line in ("#SBATCH --partition=any", "#SBATCH --time=10", "#SBATCH --gres=gpu:1"):
        assert all(line in script for script in asked)
    assert len(list((tmp_path / "logs").glob("*_log.out"))) == 3
    assert list((tmp_path / "logs").glob("messages-*")) == []
    assert list((tmp_path / "logs").glob("*_submitted.pkl")) == []


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["slurm", "local"])
def test_a_job_that_dies_is_made_again(
    cluster: str, tmp_path: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genbench.launchers.slurm._ASK", 1.0)
    monkeypatch.setattr("genbench.launchers.slurm._SETTLE", 2.0)
    (tmp_path / "marks").mkdir()
    once = {"folder": str(tmp_path / "marks"), "deaths": 1}
    dying = Budget(steps=10, batch=8, options=once, baseline="tests.dying_baseline:Dying")
    assert run_alone(dying, tmp_path, cluster=cluster) is None
    assert len(list(slurm.iterdir()) if slurm.exists() else []) == (2 if cluster == "slurm" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["slurm", "local"])
def test_a_job_that_hangs_is_cancelled_and_a_failed_record(cluster: str, tmp_path: Path, slurm: Path) -> None:
    hanging = Budget(steps=10, batch=8, baseline="tests.launchers.hanging_baseline:Hanging")
    failure = run_alone(hanging, tmp_path, cluster=cluster, timeout="1", attempts="1")
    assert failure == "it took more than 1 s"
    if cluster == "slurm":
        assert (slurm / "1" / "state").read_text() == "CANCELLED\n"


def run_alone(budget: Budget, folder: Path, **options: str) -> str | None:
    """Train one model, and say how that failed, if it did."""
    benchmark = make_benchmark(seeds=(0,), baselines={"alone": budget})
    how = {"device": "cpu", "controls": False, "launcher": "slurm", "launcher_options": options}
    return next(run.failure for run in run_benchmark(benchmark, out=folder / "out", **how) if run.final)


def test_options_that_sbatch_does_not_have_are_refused(tmp_path: Path) -> None:
    options = {"cluster": "local", "partitoin": "any"}
    with pytest.raises(UsageError, match="partitoin"):
        run_benchmark(make_benchmark(), out=tmp_path, device="cpu", launcher="slurm", launcher_options=options)


def test_where_there_is_no_slurm_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="sbatch"):
        run_benchmark(make_benchmark(), out=tmp_path, device="cpu", launcher="slurm")
