"""Running a network so that a row does not depend on its company: blocks of one size, and float32 that is float32."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

ACCELERATOR_BLOCK = 32
"""Samples in one pass on an accelerator where nothing is measured."""

CANDIDATES = (32, 64, 128, 256)
"""Sizes that are tried on an accelerator; samples come in blocks of 256."""

GAIN = 0.05
"""Of the time of an image: by how much a larger block must be quicker."""

SHARE = 0.5
"""Of the memory that is free: what a block may take."""

_measured: dict[Hashable, int] = {}


def block_size(device: torch.device) -> int:
    """How many samples a large network takes at once.

    One on the CPU, where a large network is no slower for it (Inception-v3 at 299x299 on one core: 0.20 s an image
    alone, 0.27 s in a batch of 64).
    """
    return 1 if device.type == "cpu" else ACCELERATOR_BLOCK


def measured_block(key: Hashable, trial: Callable[[int], tuple[float, int]], *, free: int) -> int:
    """Find how many samples a network should take at once, by trying.

    The smallest of `CANDIDATES` from which the next one is less than 5 % quicker an image, or would need more than
    half of the memory that is free.

    Parameters
    ----------
    key : hashable
        What is measured: a second call with it returns what the first one found, so that one process has one size.
    trial : callable
        From a block's size to seconds and bytes of memory; it may raise `torch.OutOfMemoryError`.
    free : int
        Bytes.

    Returns
    -------
    int
        Another process may find another size, and with it other last bits of features.
    """
    if key in _measured:
        return _measured[key]
    best, before = CANDIDATES[0], float("inf")
    for block in CANDIDATES:
        try:
            seconds, memory = trial(block)
        except torch.OutOfMemoryError:
            break
        if seconds / block > before * (1 - GAIN):
            break
        best, before = block, seconds / block
        if 2 * memory > SHARE * free:
            break
    _measured[key] = best
    return best


def cuda_block(
    key: Hashable, network: Callable[[Tensor], Mapping[str, Tensor]], event_shape: tuple[int, ...], device: torch.device
) -> int:
    """Measure with `measured_block` on a CUDA device, for uint8 images; takes as long as at most 1,000 images."""

    def trial(block: int) -> tuple[float, int]:
        images = torch.zeros(block, *event_shape, dtype=torch.uint8, device=device)
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        for _ in range(2):  # the first pass loads kernels
            start = time.perf_counter()
            network(images)
            torch.cuda.synchronize(device)
        return time.perf_counter() - start, torch.cuda.max_memory_allocated(device) - held

    with torch.no_grad(), full_float32():
        return measured_block(key, trial, free=torch.cuda.mem_get_info(device)[0])


def run_in_blocks(
    network: Callable[[Tensor], Mapping[str, Tensor]], samples: Tensor, *, block: int, device: torch.device
) -> dict[str, Tensor]:
    """Run a network over samples in blocks that all have one size.

    Libraries choose other algorithms, which add in another order, for another batch size. Here the batch size never
    changes: the last block is filled up with copies of its first row, whose features are dropped.

    Parameters
    ----------
    network : callable
        (block, *event) to {layer: (block, width)}.
    samples : (n, *event) tensor
        n >= 1, on any device.
    block : int
    device : torch.device
        Where the network is.

    Returns
    -------
    dict of str to (n, width) tensor
        On the samples' device.

    Notes
    -----
    On a CUDA device nothing waits: the next block is sent while this one is computed, and the features of all n rows
    stay there until the last is done.
    """
    parts: dict[str, list[Tensor]] = {}
    with torch.no_grad(), full_float32():
        for rows in torch.split(samples, block):
            sent = send(rows, device)
            if len(rows) < block:
                sent = torch.cat([sent, sent[:1].expand(block - len(rows), *rows.shape[1:])])
            for layer, values in network(sent).items():
                parts.setdefault(layer, []).append(values[: len(rows)])
        return {layer: torch.cat(values).to(samples.device) for layer, values in parts.items()}


def send(samples: Tensor, device: torch.device) -> Tensor:
    """Copy samples to a device, where they are not there yet.

    From the CPU to CUDA they go through pinned memory and beside what the device computes; the host does not wait.
    """
    if device.type != "cuda" or samples.device.type != "cpu":
        return samples.to(device)
    beside, computing = _copies(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(beside):
        copied = samples.pin_memory().to(device, non_blocking=True)
    computing.wait_stream(beside)
    copied.record_stream(computing)  # else its memory could be taken by the next copy while it is read
    return copied


@cache
def _copies(device: torch.device) -> torch.cuda.Stream:
    """Return the stream for copies to a device, one a process."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def full_float32() -> Iterator[None]:
    """Multiply float32 as float32: no TF32 (10 bits), no search for algorithms; settings are as before on leaving."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
