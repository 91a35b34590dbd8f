"""Cells as tasks of a Ray cluster: one that runs already, or one of this machine that is started for the run."""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from typing import Any

from genbench._version import __version__
from genbench.errors import SetupError
from genbench.files.extras import import_extra
from genbench.launchers.cells import LAST, Cell, Event, Kind, Plan
from genbench.launchers.far import Parcels, do_parcel

_KNOCK = 10.0
"""Seconds in which a cluster must answer."""


def ray_cell(version: str, parcel: bytes) -> Iterator[tuple[Kind, Any]]:
    """Do a cell in a Ray worker, and yield what is told of it when it is told."""
    told: queue.SimpleQueue[tuple[Kind, Any]] = queue.SimpleQueue()
    threading.Thread(
        target=do_parcel, args=(version, parcel, lambda kind, content: told.put((kind, content))), daemon=True
    ).start()
    kind: Kind = "started"
    while kind not in LAST:
        kind, content = told.get()
        yield kind, content


def _check_answers(address: str) -> None:
    """Knock at ``host:port``: Ray itself would take minutes to find that nobody is there."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_KNOCK).close()


class RayLauncher:
    """One Ray task for each try at a cell; what is told of it comes back as the task's stream of results.

    Its options: ``address`` (of a cluster; by default ``$RAY_ADDRESS``, else one is started on this machine), ``cpus``
    and ``gpus`` of each cell (1, and 1 if the cluster has GPUs and the device is no other; parts of one are allowed),
    ``checkpoints`` (yes or no).
    """

    def __init__(self, plan: Plan) -> None:
        options, device = plan.options, plan.job["device"]
        address = options.text("address", os.environ.get("RAY_ADDRESS", "local"))
        cpus = options.number("cpus", 1.0)
        gpus = options.number("gpus", None)
        self._parcels = Parcels(plan, threads=max(1, int(cpus or 1)))
        options.check_all_taken()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports its use to its makers unless told otherwise
        self._ray = import_extra("ray", extra="ray", who="launcher ray")
        self._stack = ExitStack()
        self._stack.enter_context(redirect_stdout(sys.stderr))  # it says on stdout that a worker died
        self._notes: list[str] = []
        try:
            own = self._connect(address)
            if gpus is None:
                has_gpus = self._ray.cluster_resources().get("GPU", 0) > 0
                gpus = 1.0 if has_gpus and device.partition(":")[0] in ("auto", "cuda") else 0.0
            self._check_fits({"CPU": cpus or 0.0, "GPU": gpus}, grows=not own)
        except BaseException:
            self._stack.close()
            raise
        self.slots = plan.workers or len(plan.cells)
        task = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(ray_cell)
        self._task = task.options(num_returns="streaming")
        self._streams: dict[Any, Cell] = {}

    def _connect(self, address: str) -> bool:
        """Connect to a cluster, or start one; return whether it was started for this."""
        if self._ray.is_initialized():
            return False  # whoever did that ends it
        own = address == "local"
        how = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if own else {}
        try:
            _check_answers(address)
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR", **how)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise SetupError(
                f"launcher ray: a cluster expected at {address!r}, got {error}; check --address, and that 'ray status' "
                "works there."
            ) from error
        self._stack.callback(self._ray.shutdown)
        return own

    def _check_fits(self, wanted: dict[str, float], *, grows: bool) -> None:
        """Look for a machine that a task fits on, without which Ray would wait for ever and say nothing."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(all(node.get(kind, 0.0) >= amount for kind, amount in wanted.items()) for node in nodes):
            return
        largest = {kind: max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in wanted}
        said = (
            f"launcher ray: a machine with {wanted['CPU']:g} CPUs and {wanted['GPU']:g} GPUs expected, got at most "
            f"{largest['CPU']:g} and {largest['GPU']:g}; "
        )
        if not grows:
            raise SetupError(f"{said}pass --launcher-option cpus=N, gpus=N.")
        self._notes.append(f"{said}waiting for one")

    def submit(self, cell: Cell, failure: str | None) -> None:
        """Start a task."""
        self._streams[self._task.remote(__version__, self._parcels.pack(cell, failure))] = cell

    def events(self, seconds: float) -> Iterator[Event]:
        """Return one message of each task that has told any."""
        streams = list(self._streams)
        while self._notes:
            yield Event(self._streams[streams[0]], "say", self._notes.pop())
        if self._ray.wait(streams, num_returns=1, timeout=seconds)[0]:
            # All that are ready: the first alone would be the same one again and again, if it tells much.
            ready, _ = self._ray.wait(streams, num_returns=len(streams), timeout=0)
        else:
            ready = []
        for stream in ready:
            cell = self._streams[stream]
            event = Event(cell, *self._next(stream))
            if event.kind in LAST:
                del self._streams[stream]
            yield event

    def _next(self, stream: Any) -> tuple[Kind, Any]:
        """Return the next message of a task, or how it ended."""
        errors = self._ray.exceptions
        try:
            kind, content = self._ray.get(next(stream))
        except errors.RayTaskError as error:  # before genbench could say anything: it tells of its own errors
            reason = str(error).strip().splitlines()[-1]
            return "error", SetupError(
                f"launcher ray: a worker could not begin with genbench {__version__} ({reason}); "
                f"pip install genbench=={__version__} on every machine."
            )
        except errors.RayError as error:
            return "died", f"its process died ({type(error).__name__})"
        except StopIteration:
            return "died", "its task ended without a word"
        return kind, content

    def cancel(self, cell: Cell) -> None:
        """Kill the process of a cell."""
        stream = next(stream for stream, its in self._streams.items() if its == cell)
        del self._streams[stream]
        self._ray.cancel(stream, force=True)

    def close(self) -> None:
        """Kill what is under way, and end a cluster that was started for this."""
        for stream in self._streams:
            self._ray.cancel(stream, force=True)
        self._streams.clear()
        self._stack.close()
