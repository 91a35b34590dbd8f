"""Workers: the same results as one process, and a crash that takes nothing else down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from genbench.definitions import Benchmark, Budget
from genbench.errors import ProtocolError, SetupError
from genbench.launchers.local import default_workers
from genbench.launchers.supervise import ATTEMPTS
from genbench.progress import Progress
from genbench.records import Run
from genbench.run import run_benchmark
from genbench.store import Store
from genbench.tables import is_control
from tests.makers import make_benchmark


def facts(runs: list[Run]) -> list[Run]:
    """Everything but the times, which no two runs share."""
    kept = [
        replace(run, seconds=0.0, cost={k: v for k, v in run.cost.items() if k == "parameters"}, provenance={})
        for run in runs
    ]
    return sorted(kept, key=lambda run: (run.sampler, run.train_seed or 0, run.step or 0))


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are given the path that modules are looked up on; these tests are not on it in every way to run them."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent))


def dying(folder: Path, deaths: int) -> Benchmark:
    """One healthy model, and one that is killed so many times."""
    folder.mkdir()
    options = {"folder": str(folder), "deaths": deaths}
    sick = Budget(steps=10, batch=8, options=options, baseline="tests.dying_baseline:Dying")
    return make_benchmark(seeds=(0,), baselines={"gan": Budget(steps=10, batch=8), "sick": sick})


def test_two_workers_leave_the_records_and_tables_of_one_process(tmp_path: Path) -> None:
    benchmark = make_benchmark()
    alone = run_benchmark(benchmark, out=tmp_path / "alone", device="cpu")
    together = run_benchmark(benchmark, out=tmp_path / "together", device="cpu", workers=2)
    assert facts(together) == facts(alone)
    names = {p.relative_to(tmp_path / "alone") for p in (tmp_path / "alone").rglob("*") if p.is_file()}
    assert names == {p.relative_to(tmp_path / "together") for p in (tmp_path / "together").rglob("*") if p.is_file()}
    for table in ("stability.md", "generalization.csv", "losses/gan-seed1.csv", "grids/wgan-gp-seed0.png"):
        first, second = (tmp_path / side / "tiny@1" / table for side in ("alone", "together"))
        assert first.read_bytes() == second.read_bytes()


def test_a_worker_that_is_killed_is_replaced_and_its_cell_made_again(tmp_path: Path) -> None:
    benchmark = dying(tmp_path / "marks", deaths=ATTEMPTS - 1)
    runs = run_benchmark(benchmark, out=tmp_path, device="cpu", workers=2, controls=False)
    assert {run.sampler: run.failure for run in runs if run.final} == {"gan": None, "sick": None}


def test_a_cell_that_always_kills_its_process_is_a_failed_record_and_the_others_live(tmp_path: Path) -> None:
    benchmark = dying(tmp_path / "marks", deaths=10)
    runs = {r.sampler: r for r in run_benchmark(benchmark, out=tmp_path, device="cpu", workers=2) if r.final}
    assert runs["sick"].failure == f"its process ended by signal 9 (SIGKILL), {ATTEMPTS} times"
    assert runs["sick"].scores == ()
    assert runs["gan"].failure is None
    assert sum(map(is_control, runs.values())) == 5
    assert "sick" in (tmp_path / "tiny@1" / "leaderboard.csv").read_text()


def test_an_error_of_a_worker_is_the_error_of_the_run(tmp_path: Path) -> None:
    """Records of another protocol are found by the workers, who alone know the data's fingerprint."""
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path, device="cpu", controls=False)
    other = replace(benchmark, seeds=(0, 1), n=100)
    with pytest.raises(ProtocolError, match="protocol"):
        run_benchmark(other, out=tmp_path, device="cpu", workers=2, controls=False)


def test_controls_whose_process_dies_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif '--multiprocessing-fork' in sys.orig_argv:\n    os.kill(os.getpid(), 9)\n"
    )
    with pytest.raises(SetupError, match="controls: its process ended by signal 9"):
        run_benchmark(make_benchmark(seeds=(0,)), out=tmp_path, device="cpu", workers=2)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, sent: int) -> None:
    # Whoever runs the tests in the background may have told them to ignore interruptions, which children inherit.
    call = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from genbench.cli import main; "
    )
    command = [sys.executable, "-c", call + "sys.exit(main(sys.argv[1:]))", "run", "ring8", "--workers", "2", "--quiet"]
    parent = subprocess.Popen(
        [*command, "--no-controls", "--out", str(tmp_path)], start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while len(children := children_of(parent.pid)) < 2 or not list(tmp_path.rglob("real.png")):
            assert time.monotonic() < deadline
            assert parent.poll() is None
            time.sleep(0.1)
        os.kill(parent.pid, sent)
        assert parent.wait(timeout=60) == (130 if sent == signal.SIGINT else -9)
        while any(map(alive, children)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        parent.kill()
        parent.wait()


def children_of(pid: int) -> list[int]:
    """Processes whose parent this is, by what Linux says of them; Python's own helper of processes is one."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def alive(pid: int) -> bool:
    """Whether a process runs: one that ended and was not asked for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_are_as_many_as_there_is_work_and_one_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert default_workers("cpu", 1) == 1
    assert 1 <= default_workers("cpu", 3) <= 3
    monkeypatch.setattr("genbench.devices.torch.cuda.is_available", lambda: True)
    assert default_workers("auto", 30) == 1


def test_records_that_exist_are_not_made_again_by_workers(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path, device="cpu", controls=False)
    store = Store(tmp_path, benchmark.id)
    before = {p: p.stat().st_mtime_ns for p in store.folder.rglob("*.json")}
    run_benchmark(
        replace(benchmark, seeds=(0, 1)),
        out=tmp_path,
        device="cpu",
        controls=False,
        workers=2,
        progress=Progress(enabled=False),
    )
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert len(list(store.folder.rglob("*.json"))) == 2 * len(before)
