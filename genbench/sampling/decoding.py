"""A sampler over image files: they are decoded when they are asked for, in worker processes where there are some."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from weakref import WeakSet, finalize

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SetupError, UsageError
from genbench.files.images import ImageSource
from genbench.files.limits import Limits
from genbench.files.pixels import check_image_shape, decode
from genbench.sampling.files import FileSampler
from genbench.sampling.workers import decode_rows, prepare

TASKS = 4
"""Pieces that a block is cut into for each worker: few enough to cost nothing, enough that none waits long."""

PATIENCE = 2.0
"""Seconds to wait for a piece before the pool is asked whether it lives."""


_working: WeakSet[ImageSampler] = WeakSet()
_ending: WeakSet[threading.Thread] = WeakSet()


def _end(pool: ProcessPoolExecutor) -> None:
    """End a pool whose sampler is forgotten, in a thread of its own.

    Garbage may be collected in a thread that holds the pool's lock, where waiting for the pool would never end.
    """
    thread = threading.Thread(target=pool.shutdown, kwargs={"cancel_futures": True})
    _ending.add(thread)
    thread.start()


def _close_all() -> None:
    for sampler in list(_working):
        sampler.close()
    for thread in list(_ending):
        thread.join()


# Registered after that of concurrent.futures, and hence run before it: the latter races with its own thread where a
# pool is still open when Python ends, and then writes an exception to the screen (seen in 3.11).
threading._register_atexit(_close_all)  # type: ignore[attr-defined]


class ImageSampler(FileSampler):
    """Images of a folder or an archive, decoded block by block.

    Parameters
    ----------
    name : str
        For tables and messages.
    source : ImageSource
        Where they are.
    event_shape : tuple of int
        (C, H, W).
    limits : Limits
        For each image.
    workers : int
        Processes that decode; 0 decodes here. They start with the first block, and end with `close`, with this object
        or with the program, however that ends. Samples and errors are the same for any number. They can decode a block
        ahead (`decode_ahead`), so that a device is not kept waiting.

    Raises
    ------
    UsageError
        If the events are not images of 1 or 3 channels, or workers is negative.
    SampleError
        If the first image is not what is expected: an early word for a wrong size.
    """

    def __init__(
        self, name: str, source: ImageSource, *, event_shape: tuple[int, ...], limits: Limits, workers: int = 0
    ) -> None:
        check_image_shape(event_shape, who=str(source.path))
        if workers < 0:
            raise UsageError(f"workers: a number from 0 expected, got {workers}.")
        self.name = name
        self.workers = workers
        self._job = (source, event_shape, limits)
        self._pool: ProcessPoolExecutor | None = None
        self._ahead: tuple[list[int], list[Future[NDArray[np.uint8]]]] = ([], [])
        decode(source, [0], event_shape, limits)

    def __len__(self) -> int:
        return len(self._job[0])

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Decode some images: uint8 (len(indices), C, H, W), in the order of the indices.

        Raises
        ------
        SampleError
            If one is damaged, or of another size or mode.
        SetupError
            If the worker processes die.
        """
        wanted = [int(index) for index in indices]
        if not self.workers or not wanted:
            return torch.from_numpy(decode(self._job[0], wanted, *self._job[1:]))
        try:
            parts = [self._result(piece) for piece in self._pieces(wanted)]
        except BrokenProcessPool as error:
            self.close()
            raise SetupError(
                f"{self.name}: a process that decodes images died; use fewer workers, and in a script of your own put "
                "the call under if __name__ == '__main__'."
            ) from error
        return torch.from_numpy(np.concatenate(parts))

    def decode_ahead(self, indices: NDArray[np.int64]) -> None:
        """Begin to decode what `rows` will be asked for next, where there are workers; return at once.

        What is decoded ahead, and not asked for then, is dropped. Memory: one block more, O(len(indices) C H W).
        """
        wanted = [int(index) for index in indices]
        if self.workers and wanted:
            with suppress(BrokenProcessPool):  # `rows` will say it
                self._ahead = (wanted, self._submit(wanted))

    def _pieces(self, wanted: list[int]) -> list[Future[NDArray[np.uint8]]]:
        """Return the pieces of a block, which may be under way."""
        (prepared, pieces), self._ahead = self._ahead, ([], [])
        # What is not asked for is decoded for nothing, not cancelled: a cancelled piece ends the pool's own thread, and
        # with it everything that waits, where a process dies at that moment (3.11).
        return pieces if prepared == wanted else self._submit(wanted)

    def _submit(self, wanted: list[int]) -> list[Future[NDArray[np.uint8]]]:
        size = max(1, -(-len(wanted) // (TASKS * self.workers)))
        pool = self._workers()
        return [pool.submit(decode_rows, wanted[start : start + size]) for start in range(0, len(wanted), size)]

    def _result(self, piece: Future[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Wait for a piece, and ask the pool now and then whether it lives.

        Python 3.11 forgets a piece that is handed in while the death of a process is being noticed: it never ends, but
        the pool refuses the next one.
        """
        while not wait([piece], timeout=PATIENCE).done:
            self._workers().submit(int)
        return piece.result()

    def close(self) -> None:
        """End the worker processes; the next block starts new ones."""
        self._ahead = ([], [])
        if self._pool is not None:
            self._forgotten.detach()
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Never fork: torch's threads may hold locks that a copy of this process would wait for.
            method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            self._pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context(method), initializer=prepare, initargs=self._job
            )
            self._forgotten = finalize(self, _end, self._pool)
            self._forgotten.atexit = False  # _close_all has been by then
            _working.add(self)
        return self._pool
