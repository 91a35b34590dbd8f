"""Retries, time limits and errors, with a launcher that only says what it is told to say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genbench.errors import SetupError, TrainingError
from genbench.launchers.cells import Cell, Event, Kind
from genbench.launchers.supervise import supervise
from genbench.progress import Progress
from genbench.store import Store
from tests.makers import make_benchmark

CELLS = [Cell("gan", 0, "gan"), Cell("wgan-gp", 0, "wgan-gp")]
CONTROLS = Cell(None, 0, "controls")
Told = tuple[Kind, Any]


class Scripted:
    """Tells of each try what a list says; of a try that has no list, that it is done."""

    def __init__(self, script: dict[tuple[Cell, int], list[Told]], *, slots: int = 1) -> None:
        self.script, self.slots = script, slots
        self.submitted: list[tuple[Cell, str | None]] = []
        self.cancelled: list[Cell] = []
        self.told: list[Event] = []
        self.closed = 0

    def submit(self, cell: Cell, failure: str | None) -> None:
        self.submitted.append((cell, failure))
        tries = sum(its == cell for its, _ in self.submitted)
        told: list[Told] = self.script.get((cell, tries), [("started", None), ("done", None)])
        self.told += [Event(cell, *event) for event in told]

    def events(self, seconds: float) -> Iterator[Event]:
        told, self.told = self.told, []
        yield from told

    def cancel(self, cell: Cell) -> None:
        self.cancelled.append(cell)

    def close(self) -> None:
        self.closed += 1


class LateEnd(Scripted):
    """Says that the second try is done, but only at the third time that it is asked."""

    def __init__(self, launcher: Scripted) -> None:
        self.__dict__ = launcher.__dict__
        self.asked = 0

    def events(self, seconds: float) -> Iterator[Event]:
        self.asked += 1
        if self.asked == 3:
            self.told.append(Event(CELLS[0], "done", None))
        yield from super().events(seconds)


class Heard(Progress):
    """Progress that remembers its lines."""

    def __init__(self) -> None:
        super().__init__(enabled=False)
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def run(launcher: Scripted, folder: Path, cells: list[Cell] = CELLS, **how: Any) -> tuple[list[Cell], list[str]]:
    """Supervise, and return which cells were done, and what was said."""
    benchmark, heard = make_benchmark(), Heard()
    store = Store(folder, benchmark.id)
    return list(supervise(cells, launcher, heard, benchmark=benchmark, store=store, **how)), heard.lines


def test_no_more_cells_are_under_way_than_there_are_slots(tmp_path: Path) -> None:
    one, two = Scripted({}, slots=1), Scripted({(CELLS[0], 1): [("started", None), ("step", 3)]}, slots=2)
    assert run(one, tmp_path)[0] == CELLS
    watched = supervise(
        CELLS, two, Heard(), benchmark=make_benchmark(), store=Store(tmp_path, "tiny@1")
    )  # the first is still at work when the second is done
    assert next(watched) == CELLS[1]
    watched.close()
    assert two.closed == 1


def test_a_try_that_dies_is_made_again_before_other_cells(tmp_path: Path) -> None:
    launcher = Scripted({(CELLS[0], 1): [("started", None), ("died", "its process ended")]})
    done, lines = run(launcher, tmp_path)
    assert done == CELLS
    assert launcher.submitted == [(CELLS[0], None), (CELLS[0], None), (CELLS[1], None)]
    assert lines == ["gan: its process ended, try 1 of 2"]


def test_after_so_many_tries_the_failure_is_recorded(tmp_path: Path) -> None:
    died: list[Told] = [("died", "its process ended")]
    launcher = Scripted({(CELLS[0], 1): died, (CELLS[0], 2): died, (CELLS[0], 3): died})
    done, _ = run(launcher, tmp_path, attempts=3)
    assert done == CELLS
    assert launcher.submitted[3] == (CELLS[0], "its process ended, 3 times")


def test_a_try_that_takes_too_long_is_cancelled(tmp_path: Path) -> None:
    """A limit of no time is over as soon as a cell has begun; one that has not begun waits for a machine."""
    launcher = Scripted({(CELLS[0], 1): [("started", None)], (CELLS[1], 1): [("step", 1), ("done", None)]}, slots=2)
    done, lines = run(launcher, tmp_path, timeout=0.0, attempts=1)
    assert launcher.cancelled == [CELLS[0]]
    assert launcher.submitted[-1] == (CELLS[0], "it took more than 0 s")
    assert set(done) == set(CELLS)
    assert lines == ["gan: it took more than 0 s, try 1 of 1"]


def test_to_record_a_failure_may_take_longer(tmp_path: Path) -> None:
    """Else a limit that is too short for anything would end the run, not the training."""
    recording: list[Told] = [("started", None)]
    launcher = Scripted({(CELLS[0], 1): [("started", None)], (CELLS[0], 2): recording}, slots=2)
    benchmark, store = make_benchmark(), Store(tmp_path, "tiny@1")
    how = {"benchmark": benchmark, "store": store, "timeout": 0.0, "attempts": 1}
    watched = supervise([CELLS[0]], LateEnd(launcher), Heard(), **how)
    assert list(watched) == [CELLS[0]]
    assert launcher.cancelled == [CELLS[0]]


@pytest.mark.parametrize("cell", [CONTROLS, CELLS[0]])
def test_what_dies_even_without_training_ends_the_run(cell: Cell, tmp_path: Path) -> None:
    launcher = Scripted({(cell, tries): [("died", "its process ended")] for tries in (1, 2, 3)})
    with pytest.raises(SetupError, match=r"its process ended [23] times, even without training"):
        run(launcher, tmp_path, [cell])
    assert launcher.closed == 1


def test_an_error_is_raised_and_everything_ended(tmp_path: Path) -> None:
    launcher = Scripted({(CELLS[0], 1): [("started", None), ("error", TrainingError("no"))]}, slots=2)
    with pytest.raises(TrainingError, match="no"):
        run(launcher, tmp_path)
    assert launcher.closed == 1


def test_files_are_written_where_they_belong(tmp_path: Path) -> None:
    launcher = Scripted({(CELLS[0], 1): [("file", ("losses/gan-seed0.csv", b"step\n")), ("done", None)]})
    run(launcher, tmp_path)
    assert (tmp_path / "tiny@1" / "losses" / "gan-seed0.csv").read_bytes() == b"step\n"
