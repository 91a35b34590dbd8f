"""Cells in processes of this machine: a crash ends one of them, and takes no other down.

Each worker is a process with a `genbench.jobs.Job` of its own; it takes one cell after the other. Records are written
by whoever made them, atomically, so that nothing has to come back but progress. Scores are those of a run in one
process, bit for bit: a cell depends on its benchmark, its baseline and its seed alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from genbench.errors import GenbenchError
from genbench.jobs import Job
from genbench.launchers.cells import Cell, Event, Plan, Reporter, do_cell

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

MEMORY = 2 * 2**30
"""Bytes that a worker is allowed for when their number is chosen."""


def default_workers(device: str, cells: int) -> int:
    """Choose how many processes to use: one a core of a CPU, as far as memory and work reach; else one a GPU."""
    from genbench.devices import resolve_device

    if resolve_device(device).type != "cpu":
        return max(1, min(len(gpus_for(device)), cells))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not told on this system
        memory = cores * MEMORY
    return max(1, min(cores, cells, memory // MEMORY))


def gpus_for(device: str) -> list[str]:
    """Name the GPUs that workers are spread over, as ``CUDA_VISIBLE_DEVICES`` does; none where a device is chosen."""
    import torch

    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in named.split(",")][:count] if named else [str(i) for i in range(count)]


def environment_of(place: int, gpus: Sequence[str]) -> dict[str, str]:
    """Return what a worker's environment has besides this one's: of several GPUs, it sees one.

    Examples
    --------
    >>> [environment_of(place, ["2", "5"]) for place in range(3)]
    [{'CUDA_VISIBLE_DEVICES': '2'}, {'CUDA_VISIBLE_DEVICES': '5'}, {'CUDA_VISIBLE_DEVICES': '2'}]
    """
    return {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if len(gpus) > 1 else {}


@dataclass
class _Worker:
    """A process, the line to it, and what it is at."""

    process: SpawnProcess
    line: Connection
    cell: Cell | None = None


class LocalLauncher:
    """Worker processes, one for each place, replaced when they die.

    Whoever uses it from a script needs the guard ``if __name__ == "__main__"``, as for any process that Python spawns.
    """

    def __init__(self, plan: Plan) -> None:
        plan.options.check_all_taken()
        device = plan.job["device"]
        self.slots = workers_of(plan)
        self._job = plan.job
        self._threads = max(1, (os.cpu_count() or 1) // self.slots)
        self._gpus = gpus_for(device)
        self._places: list[_Worker | None] = [None] * self.slots

    def submit(self, cell: Cell, failure: str | None) -> None:
        """Give a cell to an idle worker, or to a new one."""
        idle = [place for place, worker in enumerate(self._places) if worker is None or worker.cell is None]
        # One that runs has its data loaded.
        place = next((place for place in idle if self._places[place] is not None), idle[0])
        worker = self._places[place] or self._start(place)
        worker.cell = cell
        with suppress(OSError):  # if it died between two cells, its end is heard of on the line
            worker.line.send((cell, failure))

    def _start(self, place: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        extra = environment_of(place, self._gpus)
        process = context.Process(target=_work, args=(there, dict(self._job), self._threads, extra), daemon=True)
        process.start()
        there.close()
        worker = _Worker(process, here)
        self._places[place] = worker
        return worker

    def events(self, seconds: float) -> Iterator[Event]:
        """Return one message of each worker that has sent any."""
        workers = {worker.line: worker for worker in self._places if worker is not None}
        for line in wait(list(workers), timeout=seconds):
            worker = workers[line]  # type: ignore[index]
            cell = worker.cell
            try:
                kind, content = worker.line.recv()
            except (EOFError, OSError):
                kind, content = "died", self._ended(worker)
            if cell is None:
                continue
            if kind == "done":
                worker.cell = None
            yield Event(cell, kind, content)

    def _ended(self, worker: _Worker) -> str:
        """Make room for another worker, and say how this one ended."""
        worker.process.join()
        worker.line.close()
        self._places[self._places.index(worker)] = None
        code = worker.process.exitcode or 0
        how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        return f"its process ended by {how}"

    def cancel(self, cell: Cell) -> None:
        """Kill the worker that is at a cell."""
        worker = next(worker for worker in self._places if worker is not None and worker.cell == cell)
        worker.process.kill()
        self._ended(worker)

    def close(self) -> None:
        """End every worker, at once: what is not recorded is made again by the next run."""
        workers = [worker for worker in self._places if worker is not None]
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
            worker.line.close()


def workers_of(plan: Plan) -> int:
    """Return how many processes a plan asks for."""
    if plan.workers is not None:
        return min(plan.workers, len(plan.cells))
    return default_workers(plan.job["device"], sum(cell.baseline is not None for cell in plan.cells))


def _work(line: Connection, arguments: dict[str, Any], threads: int, environment: Mapping[str, str]) -> None:
    """Be a worker: make a job, and do the cells that come until the line ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(environment)  # before CUDA is first asked for
    import torch

    torch.set_num_threads(threads)
    job = None
    try:
        while True:
            cell, failure = line.recv()
            line.send(("started", None))
            job = job or Job(**arguments, progress=Reporter(lambda kind, content: line.send((kind, content))))
            do_cell(job, cell, failure)
            line.send(("done", None))
    except GenbenchError as error:
        line.send(("error", error))
    except Exception:
        line.send(("error", RuntimeError(f"a worker failed:\n{traceback.format_exc()}")))


def _end_with_parent() -> None:
    """Leave when the parent is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
