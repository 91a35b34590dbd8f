"""Pieces of work that several processes share."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def mapped(do: Callable[[T], R], work: Sequence[T], workers: int, stack: ExitStack) -> Iterator[R]:
    """Do all pieces, of one thread each, and give what comes out in their order; the stack ends the processes."""
    if workers <= 1:
        return map(do, work)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,))
    return stack.enter_context(pool).map(do, work)
