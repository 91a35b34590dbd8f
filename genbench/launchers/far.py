"""Cells on machines that share no files with the driver: what a cell needs goes there, what it writes comes back.

A cell is done in a temporary folder, by the same code as anywhere. Every file that it writes there is sent while it
goes on: records, losses, pictures, and training states, so that a try that dies leaves the next one a state to continue
from, and an interrupted driver has complete records.
"""

from __future__ import annotations

import os
import pickle
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from genbench._version import __version__
from genbench.atomic import feature_cache_folder, write_atomic
from genbench.errors import GenbenchError, SetupError
from genbench.jobs import Job
from genbench.launchers.cells import Cell, Plan, Reporter, Send, do_cell
from genbench.progress import Progress
from genbench.recipes import cell_name
from genbench.storage import Remote
from genbench.store import Store, place_of
from genbench.tables import CONTROLS

_PAUSE = 2.0
"""Seconds between two looks at what a cell has written."""


class Parcels:
    """Packs cells, for one run.

    Parameters
    ----------
    plan : Plan
        Its option ``checkpoints`` says whether training states are sent: without them less travels, but a try that
        died begins anew, and none can be scored later.
    threads : int or None
        Of each worker; None is one for each core that it may use.
    """

    def __init__(self, plan: Plan, *, threads: int | None) -> None:
        self.store: Store = plan.job["store"]
        self.checkpoints = plan.options.flag("checkpoints", True)
        arguments = {name: value for name, value in plan.job.items() if name not in ("store", "cache_folder")}
        cache = plan.job["cache_folder"]
        shared = cache if isinstance(cache, Remote) else None  # a folder of this machine means nothing there
        cached = cache is not None
        self.job = pickle.dumps({"arguments": arguments, "cached": cached, "shared": shared, "threads": threads})

    def pack(self, cell: Cell, failure: str | None) -> bytes:
        """Pack a cell with the files that are there of it: a training goes on from its last state."""
        parcel = {"cell": cell, "failure": failure, "files": self._files(cell), "checkpoints": self.checkpoints}
        return pickle.dumps({"job": self.job, "benchmark": self.store.benchmark_id, **parcel})

    def _files(self, cell: Cell) -> dict[str, bytes]:
        folder = self.store.folder
        if cell.baseline is None:
            found = [f"records/{place_of(name, None, None)}" for name in CONTROLS]
        else:
            name = cell_name(cell.baseline)
            records = (folder / "records" / name).glob(f"seed{cell.seed}-step*.json")
            found = [f"records/{name}/{path.name}" for path in records]
            found += [f"checkpoints/{name}/seed{cell.seed}.pt"] if self.checkpoints else []
        return {name: (folder / name).read_bytes() for name in sorted(found) if (folder / name).exists()}


def do_parcel(version: str, parcel: bytes, send: Send) -> None:
    """Do a cell that was sent here, telling what comes of it; the last that is told is done, error or died.

    Parameters
    ----------
    version : str
        The driver's genbench; another one's scores are not comparable, and its objects may not be readable.
    parcel : bytes
        Of `Parcels.pack`.
    send : callable
    """
    send("started", None)
    try:
        if version != __version__:
            raise SetupError(
                f"a worker has genbench {__version__}, {version} as on the driver expected; "
                f"pip install genbench=={version} on every machine."
            )
        _do(pickle.loads(parcel), send)
    except GenbenchError as error:
        send("error", error)
    except SystemExit as error:  # of a thread or a job, it would end nothing, or not be told
        send("died", f"its process ended by exit code {error.code}")
    except Exception:
        send("error", RuntimeError(f"a worker failed:\n{traceback.format_exc()}"))
    else:
        send("done", None)


_JOBS: dict[bytes, Job] = {}
"""The job that this process made last, if any: the next cell of a run finds data and extractors loaded."""


def _do(parcel: Mapping[str, Any], send: Send) -> None:
    with TemporaryDirectory(prefix="genbench-") as folder:
        store = Store(Path(folder), parcel["benchmark"])
        desk = _Desk(Path(folder) / parcel["benchmark"], send, checkpoints=parcel["checkpoints"])
        for name, content in parcel["files"].items():
            write_atomic(store.folder / name, content)
        desk.note_known(parcel["files"])
        job = _job_for(parcel["job"], store, Reporter(send, desk.ship_sometimes))
        do_cell(job, parcel["cell"], parcel["failure"])
        desk.ship()


def _job_for(packed: bytes, store: Store, progress: Progress) -> Job:
    """Return a job of this run that writes to a store: the last one, if it was of the same run."""
    job = _JOBS.get(packed)
    if job is not None:
        job.store, job.progress, job.pictures = store, progress, store.folder / "grids"
        return job
    import torch

    run = pickle.loads(packed)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(run["threads"] or cores)
    cache_folder = (run["shared"] or feature_cache_folder()) if run["cached"] else None
    job = Job(**run["arguments"], store=store, cache_folder=cache_folder, progress=progress)
    _JOBS.clear()
    _JOBS[packed] = job
    return job


class _Desk:
    """Sends what a cell writes into its folder, each file when it is new or has changed.

    Files are written whole or not at all, and nothing is written while this looks: both are done by one thread.
    """

    def __init__(self, folder: Path, send: Send, *, checkpoints: bool) -> None:
        self.folder, self._send, self._checkpoints = folder, send, checkpoints
        self._states: dict[str, tuple[int, int]] = {}
        self._looked = 0.0

    def _changed(self) -> Iterator[str]:
        # By name, so that records come last: a training whose last record is there counts as done.
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            name, status = path.relative_to(self.folder).as_posix(), path.stat()
            state = (status.st_mtime_ns, status.st_size)
            if self._states.get(name) != state and (self._checkpoints or not name.startswith("checkpoints/")):
                self._states[name] = state
                yield name

    def note_known(self, names: Collection[str]) -> None:
        """Take files for known, as the driver sent them."""
        for name in names:
            status = (self.folder / name).stat()
            self._states[name] = (status.st_mtime_ns, status.st_size)

    def ship(self) -> None:
        """Send what has changed."""
        self._looked = time.monotonic()
        for name in self._changed():
            self._send("file", (name, (self.folder / name).read_bytes()))

    def ship_sometimes(self) -> None:
        """Send what has changed, unless that was looked for a moment ago."""
        if time.monotonic() - self._looked >= _PAUSE:
            self.ship()
