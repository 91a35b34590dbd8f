"""Cells of a benchmark in several processes of this machine: a crash ends one of them, and takes no other down.

Each worker is a process with a `genbench.jobs.Job` of its own; it takes one cell after the other. Records are written
by whoever made them, atomically, so that nothing has to come back but progress. Scores are those of a run in one
process, bit for bit: a cell depends on its benchmark, its baseline and its seed alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, NamedTuple

from genbench.errors import GenbenchError, SetupError
from genbench.jobs import Job
from genbench.progress import Progress, Step

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

ATTEMPTS = 2
"""How often a cell is tried whose process died, before it is recorded as failed."""

MEMORY = 2 * 2**30
"""Bytes that a worker is allowed for when their number is chosen."""

_PAUSE = 0.2
"""Seconds between two messages of a worker's progress."""


class Cell(NamedTuple):
    """One training to make and score; without a baseline, the controls."""

    baseline: str | None
    seed: int
    label: str


def default_workers(device: str, cells: int) -> int:
    """Choose how many processes to use: on the CPU one a core, as far as memory and work reach; else one."""
    from genbench.devices import resolve_device

    if resolve_device(device).type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not told on this system
        memory = cores * MEMORY
    return max(1, min(cores, cells, memory // MEMORY))


def run_cells(cells: Sequence[Cell], workers: int, progress: Progress, job: Mapping[str, Any]) -> Iterator[Cell]:
    """Train and score cells in worker processes, yielding each when its records are written.

    Parameters
    ----------
    cells : sequence of Cell
        Taken in this order.
    workers : int
        Processes, each with one thread for every core that falls to it.
    progress : Progress
        Of all of them together.
    job : mapping
        Arguments of `genbench.jobs.Job`, but for ``progress``.

    Raises
    ------
    GenbenchError
        The first that a cell ended in; the other workers are ended.

    Notes
    -----
    A cell whose process dies is tried `ATTEMPTS` times, each in a new process; then it is recorded as failed. Whoever
    calls this from a script needs the guard ``if __name__ == "__main__"``, as for any process that Python spawns.
    """
    pool = _Pool(cells, workers, progress, job)
    try:
        yield from pool.finished()
    finally:
        pool.close()


@dataclass
class _Worker:
    """A process, the line to it, and what it is at."""

    process: SpawnProcess
    line: Connection
    cell: Cell | None = None
    bar: Step | None = None
    bars: ExitStack = field(default_factory=ExitStack)


class _Pool:
    """Workers that are kept busy until all cells are done."""

    def __init__(self, cells: Sequence[Cell], workers: int, progress: Progress, job: Mapping[str, Any]) -> None:
        self.waiting, self.progress, self.job = deque(cells), progress, job
        self.deaths: dict[Cell, str] = {}
        self.tries: dict[Cell, int] = {}
        self.threads = max(1, (os.cpu_count() or 1) // workers)
        self.places: list[_Worker | None] = [None] * workers

    def finished(self) -> Iterator[Cell]:
        """Yield the cells as they are done."""
        while True:
            for place, worker in enumerate(self.places):
                if worker is None and self.waiting:
                    self.places[place] = self._start()
            busy = [worker for worker in self.places if worker is not None]
            if not busy:
                return
            for line in wait([worker.line for worker in busy]):
                worker = next(worker for worker in busy if worker.line is line)
                done = self._heard(worker)
                if done is not None:
                    yield done

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, dict(self.job), self.threads), daemon=True)
        process.start()
        there.close()
        worker = _Worker(process, here)
        self._give(worker)
        return worker

    def _give(self, worker: _Worker) -> None:
        """Hand out the next cell, or the end."""
        worker.cell = self.waiting.popleft() if self.waiting else None
        failure = None
        if worker.cell is not None:
            self.tries[worker.cell] = self.tries.get(worker.cell, 0) + 1
            failure = self.deaths[worker.cell] if self.tries[worker.cell] > ATTEMPTS else None
        with suppress(OSError):  # if it died between two cells, its end is heard of on the line
            worker.line.send(None if worker.cell is None else (worker.cell, failure))

    def _heard(self, worker: _Worker) -> Cell | None:
        """Take a message; return the cell that it says is done."""
        try:
            kind, said = worker.line.recv()
        except (EOFError, OSError):
            self._ended(worker)
            return None
        if kind == "say":
            self.progress.say(said)
        elif kind == "bar":
            worker.bar = worker.bars.enter_context(self.progress.bar(*said, place=self.places.index(worker)))
        elif kind == "step" and worker.bar is not None:
            worker.bar(*said)
        elif kind == "unbar":
            worker.bars.close()
        elif kind == "error":
            raise said
        elif kind == "done":
            cell = worker.cell
            self._give(worker)
            return cell
        return None

    def _ended(self, worker: _Worker) -> None:
        """Make room for another worker; the cell of one that died goes to the head of the queue."""
        worker.process.join()
        worker.bars.close()
        worker.line.close()
        self.places[self.places.index(worker)] = None
        if worker.cell is None:
            return
        cell, code, tries = worker.cell, worker.process.exitcode or 0, self.tries[worker.cell]
        how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        self.progress.say(f"{cell.label}: its process ended by {how}, try {tries} of {ATTEMPTS}")
        if tries > ATTEMPTS or (tries == ATTEMPTS and cell.baseline is None):
            raise SetupError(
                f"{cell.label}: its process ended by {how} {tries} times, even without training; give each worker more "
                "memory by fewer of them, --workers 1, whose error will be seen here."
            )
        self.deaths[cell] = f"its process ended by {how}, {tries} times"
        self.waiting.appendleft(cell)

    def close(self) -> None:
        """End every worker, at once: what is not recorded is made again by the next run."""
        for worker in self.places:
            if worker is not None:
                worker.process.terminate()
                worker.bars.close()
        for worker in self.places:
            if worker is not None:
                worker.process.join()
                worker.line.close()


class _Remote(Progress):
    """Progress that is shown by the process that started this one."""

    def __init__(self, line: Connection) -> None:
        super().__init__(enabled=True)
        self._line, self._sent = line, 0.0

    def say(self, message: str) -> None:
        """Send a line."""
        self._line.send(("say", message))

    @contextmanager
    def bar(self, label: str, total: int, *, place: int = 0) -> Iterator[Step]:
        """Send what a bar would show, a few times a second."""

        def update(step: int, losses: Mapping[str, float]) -> None:
            if time.monotonic() - self._sent >= _PAUSE:
                self._sent = time.monotonic()
                self._line.send(("step", (step, dict(losses))))

        self._line.send(("bar", (label, total)))
        yield update
        self._line.send(("unbar", None))


def _work(line: Connection, arguments: dict[str, Any], threads: int) -> None:
    """Be a worker: make a job, and do the cells that come until None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    try:
        job = None
        while (given := line.recv()) is not None:
            cell, failure = given
            job = job or Job(**arguments, progress=_Remote(line))
            do_cell(job, cell, failure)
            line.send(("done", None))
    except GenbenchError as error:
        line.send(("error", error))
    except Exception:
        line.send(("error", RuntimeError(f"a worker failed:\n{traceback.format_exc()}")))


def do_cell(job: Job, cell: Cell, failure: str | None = None) -> None:
    """Train and score a cell, or record why it cannot be."""
    if cell.baseline is None:
        job.score_controls()
    elif failure is not None:
        job.record_failure(cell.baseline, cell.seed, failure, label=cell.label)
    else:
        job.train_and_score(cell.baseline, cell.seed, label=cell.label)


def _end_with_parent() -> None:
    """Leave when the parent is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
