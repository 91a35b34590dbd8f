"""What every launcher has in common: cells, what is heard of them, and the few things that a launcher can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from genbench.errors import UsageError
from genbench.progress import Progress, Step
from genbench.registry import unknown_name

if TYPE_CHECKING:
    from genbench.jobs import Job

Kind = Literal["started", "say", "step", "file", "done", "error", "died"]
"""What an event is: the cell began; a line for people; updates made so far; (path, content) of a file that the cell
wrote where the driver cannot see it; its records are complete; an exception that ends the run; how its process died."""

LAST: tuple[Kind, ...] = ("done", "error", "died")
"""Kinds of events after which nothing more is heard of a try."""

Send = Callable[[Kind, Any], None]
"""Tells the driver something of the cell that is being done; whoever does it decides by what way."""

_PAUSE = 0.2
"""Seconds between two messages of a worker's progress."""


class Cell(NamedTuple):
    """One training to make and score; without a baseline, the controls."""

    baseline: str | None
    seed: int
    label: str


class Event(NamedTuple):
    """Something that was heard of a cell."""

    cell: Cell
    kind: Kind
    content: Any


class Launcher(Protocol):
    """A place where cells are done: processes of this machine, a cluster.

    It knows nothing of retries, time limits or records: `genbench.launchers.supervise` does. It is made with a `Plan`.

    Attributes
    ----------
    slots : int
        Cells that may be under way at once, waiting for a machine included.
    """

    slots: int

    def submit(self, cell: Cell, failure: str | None) -> None:
        """Begin a try at a cell; with a failure, only record that."""
        ...

    def events(self, seconds: float) -> Iterable[Event]:
        """Wait so long at most, and return what was heard, in its order; the last of a try is done, error or died."""
        ...

    def cancel(self, cell: Cell) -> None:
        """End the process of a cell that is under way, at once; nothing more is heard of that try."""
        ...

    def close(self) -> None:
        """End everything."""
        ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a launcher is made with.

    Attributes
    ----------
    job : mapping
        Arguments of `genbench.jobs.Job`, but for ``progress``.
    cells : sequence of Cell
        All that will be submitted.
    workers : int or None
        Cells under way at once; None lets the launcher choose.
    options : Options
        The user's.
    """

    job: Mapping[str, Any]
    cells: Sequence[Cell]
    workers: int | None
    options: Options


@dataclass
class Options:
    """A launcher's options as texts; each is taken by the one who knows what it means.

    Examples
    --------
    >>> options = Options("ray", {"cpus": "2", "cpu": "3"})
    >>> options.number("cpus", 1.0)
    2.0
    >>> options.check_all_taken()
    Traceback (most recent call last):
    genbench.errors.UnknownNameError: unknown option of the launcher ray: 'cpu'. Did you mean 'cpus'? Known: cpus.
    """

    launcher: str
    given: Mapping[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def text(self, name: str, default: str) -> str:
        """Take an option as it is."""
        self.known.add(name)
        return self.given.get(name, default)

    def number(self, name: str, default: float | None, *, least: float = 0.0) -> float | None:
        """Take a number.

        Raises
        ------
        UsageError
            If it is none, or less than the least.
        """
        text = self.text(name, "")
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value < float("inf"):
            raise UsageError(
                f"launcher {self.launcher}: a number from {least:g} expected for {name}, got {text!r}; "
                f"pass --launcher-option {name}=NUMBER."
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Take a yes or no.

        Raises
        ------
        UsageError
            If it is neither.
        """
        text = self.text(name, "yes" if default else "no")
        if text not in ("yes", "no"):
            raise UsageError(f"launcher {self.launcher}: yes or no expected for {name}, got {text!r}.")
        return text == "yes"

    def rest(self) -> dict[str, str]:
        """Take all that nobody took before."""
        found = {name: text for name, text in self.given.items() if name not in self.known}
        self.known |= set(found)
        return found

    def check_all_taken(self) -> None:
        """Refuse what nobody took.

        Raises
        ------
        UnknownNameError
            Naming the nearest that exists.
        """
        unknown = next((name for name in self.given if name not in self.known), None)
        if unknown is not None:
            raise unknown_name(f"option of the launcher {self.launcher}:", unknown, dict.fromkeys(self.known))


class Reporter(Progress):
    """Progress that is shown by another process.

    Parameters
    ----------
    send : callable
    meanwhile : callable
        Called before each message, a few times a second.
    """

    def __init__(self, send: Send, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__(enabled=True)
        self._send, self._meanwhile, self._sent = send, meanwhile, 0.0

    def say(self, message: str) -> None:
        """Send a line."""
        self._meanwhile()
        self._send("say", message)

    @contextmanager
    def bar(self, label: str, total: int, *, place: int = 0) -> Iterator[Step]:
        """Send the number of updates, a few times a second; the losses stay here."""

        def update(step: int, losses: Mapping[str, float]) -> None:
            if time.monotonic() - self._sent >= _PAUSE:
                self._sent = time.monotonic()
                self._meanwhile()
                self._send("step", step)

        yield update


def do_cell(job: Job, cell: Cell, failure: str | None = None) -> None:
    """Train and score a cell, or record why it cannot be."""
    if cell.baseline is None:
        job.score_controls()
    elif failure is not None:
        job.record_failure(cell.baseline, cell.seed, failure, label=cell.label)
    else:
        job.train_and_score(cell.baseline, cell.seed, label=cell.label)
