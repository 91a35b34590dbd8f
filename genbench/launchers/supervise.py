"""What is done about cells wherever they are done: they are submitted, watched, tried again, and their files kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence

from genbench.atomic import write_atomic
from genbench.definitions import Benchmark
from genbench.errors import SetupError
from genbench.launchers.cells import Cell, Event, Launcher
from genbench.progress import Progress, Step
from genbench.records import Run
from genbench.store import Store

ATTEMPTS = 2
"""How often a cell is tried whose process died, before it is recorded as failed."""

_WAIT = 1.0
"""Seconds after which time limits are looked at, if nothing is heard."""


def supervise(
    cells: Sequence[Cell],
    launcher: Launcher,
    progress: Progress,
    *,
    benchmark: Benchmark,
    store: Store,
    attempts: int = ATTEMPTS,
    timeout: float | None = None,
) -> Iterator[Cell]:
    """Have cells trained and scored by a launcher, yielding each when its records are written.

    Parameters
    ----------
    cells : sequence of Cell
        Submitted in this order.
    launcher : Launcher
        Closed at the end, whatever the end is.
    progress : Progress
        Gets one bar for the updates of all cells together.
    benchmark : Benchmark
    store : Store
        Where files go that launchers bring.
    attempts : int
        How often a cell is tried whose process dies or takes too long; then it is recorded as failed.
    timeout : float or None
        Seconds from a try's beginning, without the time that it waits for a machine.

    Raises
    ------
    GenbenchError
        The first that a cell ended in; the others are ended.
    """
    watch = _Watch(cells, launcher, progress, benchmark, store, attempts, timeout)
    try:
        with progress.bar(benchmark.id, watch.total) as bar:
            yield from watch.finished(bar)
    finally:
        launcher.close()


class _Watch:
    """The state of a run: what waits, what is under way, how often each was tried."""

    def __init__(
        self,
        cells: Sequence[Cell],
        launcher: Launcher,
        progress: Progress,
        benchmark: Benchmark,
        store: Store,
        attempts: int,
        timeout: float | None,
    ) -> None:
        self.waiting, self.launcher, self.progress = deque(cells), launcher, progress
        self.store, self.attempts, self.timeout = store, attempts, timeout
        self.steps = {cell: benchmark.baselines[cell.baseline].steps if cell.baseline else 0 for cell in cells}
        self.total = sum(self.steps.values())
        self.made = dict.fromkeys(cells, 0)
        self.done = 0
        self.tries: dict[Cell, int] = {}
        self.failures: dict[Cell, str] = {}
        self.under_way: dict[Cell, float | None] = {}  # by when it must be done, once it has begun
        self.protocol = next((run.protocol for run in store.runs()), None)

    def finished(self, bar: Step) -> Iterator[Cell]:
        """Yield the cells as they are done."""
        while True:
            while self.waiting and len(self.under_way) < self.launcher.slots:
                self._submit(self.waiting.popleft())
            if not self.under_way:
                return
            for event in self.launcher.events(_WAIT):
                if self._heard(event):
                    yield event.cell
                bar(sum(self.made.values()), {"done": self.done, "of": len(self.steps)})
            self._end_those_that_take_too_long()

    def _submit(self, cell: Cell) -> None:
        self.tries[cell] = self.tries.get(cell, 0) + 1
        self.under_way[cell] = None
        self.launcher.submit(cell, self.failures[cell] if self.tries[cell] > self.attempts else None)

    def _heard(self, event: Event) -> bool:
        """Act on an event; return whether it says that its cell is done."""
        cell, kind, content = event
        if kind == "started":
            limit = self.timeout if self.tries[cell] <= self.attempts else None  # to record a failure is no try
            self.under_way[cell] = None if limit is None else time.monotonic() + limit
        elif kind == "say":
            self.progress.say(content)
        elif kind == "step":
            self.made[cell] = content
        elif kind == "file":
            self._keep(*content)
        elif kind == "error":
            raise content
        elif kind == "died":
            self._try_again(cell, content)
        elif kind == "done":
            del self.under_way[cell]
            self.made[cell] = self.steps[cell]
            self.done += 1
            return True
        return False

    def _keep(self, name: str, content: bytes) -> None:
        """Write a file that a cell has written elsewhere; a record only beside those of its own protocol."""
        if name.startswith("records/"):
            protocol = Run.from_json(content.decode()).protocol
            if protocol != (self.protocol or protocol):
                self.store.check_protocol(protocol)
            self.protocol = protocol
        write_atomic(self.store.folder / name, content)

    def _try_again(self, cell: Cell, how: str) -> None:
        """Put a cell whose try came to nothing at the head of the queue.

        Raises
        ------
        SetupError
            If nothing was trained in that try: then there is nothing that a failed record could say.
        """
        tries = self.tries[cell]
        del self.under_way[cell]
        self.progress.say(f"{cell.label}: {how}, try {tries} of {self.attempts}")
        if tries > self.attempts or (tries == self.attempts and cell.baseline is None):
            raise SetupError(
                f"{cell.label}: {how} {tries} times, even without training; give each worker more memory or time, or "
                "run with --launcher local --workers 1, whose error will be seen here."
            )
        self.failures[cell] = f"{how}, {tries} times" if tries > 1 else how
        self.waiting.appendleft(cell)

    def _end_those_that_take_too_long(self) -> None:
        late = [cell for cell, due in self.under_way.items() if due is not None and time.monotonic() > due]
        for cell in late:
            self.launcher.cancel(cell)
            self._try_again(cell, f"it took more than {self.timeout:g} s")
