"""A launcher of a user's own: each cell is done where and when it is submitted, as on a machine far away."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from genbench._version import __version__
from genbench.launchers.cells import Cell, Event, Plan
from genbench.launchers.far import Parcels, do_parcel


class AtOnce:
    """Keeps the `genbench.launchers.cells.Launcher` protocol in twenty lines."""

    def __init__(self, plan: Plan) -> None:
        self.version = plan.options.text("version", __version__)
        self.parcels = Parcels(plan, threads=1)
        plan.options.check_all_taken()
        self.slots = plan.workers or 1
        self.told: deque[Event] = deque()

    def submit(self, cell: Cell, failure: str | None) -> None:
        """Do it."""
        parcel = self.parcels.pack(cell, failure)
        do_parcel(self.version, parcel, lambda kind, content: self.told.append(Event(cell, kind, content)))

    def events(self, seconds: float) -> Iterator[Event]:
        """Return what was told."""
        while self.told:
            yield self.told.popleft()

    def cancel(self, cell: Cell) -> None:
        """There is never a process to end."""

    def close(self) -> None:
        """There is nothing to end."""
