"""What a worker process runs: it decodes rows of one source. Imports no torch, so that it starts quickly."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genbench.files.images import ImageSource
from genbench.files.limits import Limits
from genbench.files.pixels import decode

_job: list[tuple[ImageSource, tuple[int, ...], Limits]] = []
"""What this process was started for: one entry, set by `prepare`."""


def prepare(source: ImageSource, event_shape: tuple[int, ...], limits: Limits) -> None:
    """Set up a worker process: what it decodes, and that it ends with the process that started it."""
    _job[:] = [(source, event_shape, limits)]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the parent is gone: a pool's worker would wait for its next task forever if the parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def decode_rows(rows: Sequence[int]) -> NDArray[np.uint8]:
    """Decode rows of this process's source, as `genbench.files.pixels.decode`."""
    source, event_shape, limits = _job[0]
    return decode(source, rows, event_shape, limits)
