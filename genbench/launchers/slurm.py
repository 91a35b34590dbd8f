"""Cells as jobs of a SLURM cluster, by submitit.

submitit hands jobs over in a folder that the machines share; messages come back through it too, one file each. Nothing
else is shared: data and caches are each machine's own, and the results are written by the driver alone.
"""

from __future__ import annotations

import pickle
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from genbench._version import __version__
from genbench.atomic import write_atomic
from genbench.errors import SetupError, UsageError
from genbench.files.extras import import_extra
from genbench.launchers.cells import LAST, Cell, Event, Kind, Plan
from genbench.launchers.far import Parcels, do_parcel

_PAUSE = 0.2
"""Seconds between two looks for messages."""

_ASK = 30.0
"""Seconds between two questions to SLURM of what became of the jobs; submitit alone asks ever more rarely."""

_SETTLE = 10.0
"""Seconds that the last messages of a job which is over get to be seen through a shared file system."""

_LEAVING = 10.0
"""Seconds that jobs which have told all, or were cancelled, get to end before they are no longer looked after."""


def slurm_cell(version: str, parcel: bytes, folder: str) -> int:
    """Do a cell in a job, writing what is told of it into a folder; return how many messages there are."""
    count = 0

    def send(kind: Kind, content: Any) -> None:
        nonlocal count
        write_atomic(Path(folder) / f"{count:08d}", pickle.dumps((kind, content)))
        count += 1

    do_parcel(version, parcel, send)
    return count


@dataclass
class _Try:
    """A job, where its messages lie, how many were read, and since when it is known to be over."""

    job: Any
    folder: Path
    read: int = 0
    over: float | None = None


class SlurmLauncher:
    """One SLURM job for each try at a cell.

    Its options: ``folder`` (shared by the machines, for jobs and their logs; by default ``slurm`` beside the
    records, or here where these are at a URL),
    ``cluster`` (``slurm``; ``local`` and ``debug`` are submitit's substitutes for trying things out), ``checkpoints``
    (yes or no), and those of sbatch by submitit's names: ``partition``, ``gres``, ``time`` (minutes), ``mem``,
    ``cpus_per_task``, ``account``, ``qos``, ...
    """

    def __init__(self, plan: Plan) -> None:
        options = plan.options
        beside = plan.job["store"].folder / "slurm"
        self._folder = Path(options.text("folder", str(beside if isinstance(beside, Path) else "slurm"))).resolve()
        cluster = options.text("cluster", "slurm")
        self._parcels = Parcels(plan, threads=None)
        parameters = {f"slurm_{name}": int(v) if v.isdigit() else v for name, v in options.rest().items()}
        submitit = import_extra("submitit", extra="slurm", who="launcher slurm")
        self._job_error = submitit.core.utils.FailedSubmissionError
        try:
            self._executor = submitit.AutoExecutor(folder=self._folder, cluster=cluster)
            self._executor.update_parameters(name="genbench", **parameters)
        except (NameError, TypeError, ValueError) as error:
            raise UsageError(f"launcher slurm: options of sbatch by submitit's names expected, got {error}.") from error
        except RuntimeError as error:
            raise SetupError(f"launcher slurm: {error}; run where sbatch is, or use --launcher local.") from error
        self.slots = plan.workers or len(plan.cells)
        self._tries: dict[Cell, _Try] = {}
        self._leaving: list[Any] = []
        self._asked = time.monotonic()

    def submit(self, cell: Cell, failure: str | None) -> None:
        """Submit a job.

        Raises
        ------
        SetupError
            If SLURM refuses it.
        """
        folder = self._folder / f"messages-{uuid.uuid4().hex}"
        try:
            folder.mkdir(parents=True)
            job = self._executor.submit(slurm_cell, __version__, self._parcels.pack(cell, failure), str(folder))
        except (self._job_error, OSError) as error:
            raise SetupError(f"launcher slurm: a job was refused ({error}); check --launcher-option.") from error
        self._tries[cell] = _Try(job, folder)

    def events(self, seconds: float) -> Iterator[Event]:
        """Return what jobs have told; where none has, look again for so long."""
        until = time.monotonic() + seconds
        found: list[Event] = []
        while not found and time.monotonic() < until:
            found = [event for cell in list(self._tries) for event in self._look(cell)]
            if not found:
                time.sleep(_PAUSE)
        yield from found

    def _look(self, cell: Cell) -> list[Event]:
        """Read the messages of a job; the last of one that ended without a last word is how it ended."""
        attempt = self._tries[cell]
        self._note_end(attempt)
        with suppress(OSError):  # file systems that are shared look again at a folder that was changed from here
            attempt.folder.chmod(attempt.folder.stat().st_mode)
        found: list[Event] = []
        while (path := attempt.folder / f"{attempt.read:08d}").exists():
            found.append(Event(cell, *pickle.loads(path.read_bytes())))
            path.unlink()
            attempt.read += 1
        if not found and attempt.over is not None and time.monotonic() - attempt.over > _SETTLE:
            found.append(Event(cell, "say", f"{cell.label}: see {attempt.job.paths.stderr}"))
            found.append(Event(cell, "died", f"its job ended as {attempt.job.state}"))
        if found and found[-1].kind in LAST:
            self._forget(cell)
        return found

    def _note_end(self, attempt: _Try) -> None:
        ask = time.monotonic() - self._asked > _ASK
        if ask:  # about all jobs at once
            self._asked = time.monotonic()
        if attempt.over is None and attempt.job.done(force_check=ask):
            attempt.over = time.monotonic()

    def _forget(self, cell: Cell) -> None:
        """Remove what was sent and told; the logs stay."""
        attempt = self._tries.pop(cell)
        self._leaving.append(attempt.job)
        rmtree(attempt.folder, ignore_errors=True)
        attempt.job.paths.submitted_pickle.unlink(missing_ok=True)

    def cancel(self, cell: Cell) -> None:
        """Cancel the job of a cell."""
        self._tries[cell].job.cancel()
        self._forget(cell)

    def close(self) -> None:
        """Cancel every job that is under way."""
        for cell in list(self._tries):
            self.cancel(cell)
        until = time.monotonic() + _LEAVING
        while self._leaving and time.monotonic() < until:
            time.sleep(_PAUSE)
            self._leaving = [job for job in self._leaving if not job.done()]
