"""Ray: the records and tables of a local run; tasks that die, hang or cannot be placed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genbench.errors import SetupError
from genbench.records import Run
from genbench.run import run_benchmark
from genbench.store import Store
from tests.launchers.likeness import assert_alike
from tests.makers import make_benchmark

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Ran:
    """What `tests.launchers.on_ray` left."""

    folder: Path
    found: dict[str, Any]

    def finals(self, out: str, benchmark: str = "tiny@1") -> dict[str, Run]:
        """The last record of each sampler."""
        return {run.sampler: run for run in Store(self.folder / out, benchmark).runs() if run.final}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Ray started twice in a process of its own; sockets are blocked in this one."""
    pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("ray")
    environment = {**os.environ, "GENBENCH_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-W", "error", "-m", "tests.launchers.on_ray", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return Ran(folder, json.loads((folder / "found.json").read_text()))


@pytest.mark.slow
def test_ray_leaves_the_records_and_tables_of_a_local_run(ran: Ran, tmp_path: Path) -> None:
    benchmark = make_benchmark()
    run_benchmark(benchmark, out=tmp_path, device="cpu")
    assert_alike(tmp_path / benchmark.id, ran.folder / "own" / benchmark.id)


@pytest.mark.slow
def test_a_cluster_that_was_started_for_a_run_ends_with_it_and_says_nothing_on_stdout(ran: Ran) -> None:
    assert ran.found["left running"] is False
    assert ran.found["stdout"] == ""


@pytest.mark.slow
def test_a_task_that_kills_its_process_once_is_made_again(ran: Ran) -> None:
    assert len(list((ran.folder / "marks-once").iterdir())) == 1
    assert {name: run.failure for name, run in ran.finals("once").items()} == {"gan": None, "sick": None}


@pytest.mark.slow
def test_a_task_that_takes_too_long_is_a_failed_record(ran: Ran) -> None:
    assert ran.finals("late")["sick"].failure == "it took more than 1 s"


@pytest.mark.slow
def test_without_checkpoints_no_training_state_comes_back(ran: Ran) -> None:
    assert len(list((ran.folder / "light").rglob("*.csv"))) > 4
    assert list((ran.folder / "light").rglob("*.pt")) == []
    assert len(list((ran.folder / "once").rglob("*.pt"))) == 2


@pytest.mark.slow
def test_a_task_that_always_dies_is_a_failed_record_and_the_exit_code_says_so(ran: Ran) -> None:
    finals = ran.finals("always", "dying@1")
    assert finals["sick"].failure == "its process died (WorkerCrashedError), 2 times"
    assert finals["gan"].failure is None
    assert ran.found["command"]["code"] == 3
    assert ran.found["command"]["stdout"].startswith("# dying@1: quality")


@pytest.mark.parametrize(("launcher", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_launcher_whose_extra_is_missing_says_how_to_install_it(
    launcher: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SetupError, match=rf'pip install "genbench\[{launcher}\]"'):
        run_benchmark(make_benchmark(), out=tmp_path, device="cpu", launcher=launcher)
