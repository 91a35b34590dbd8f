"""Running a network so that a row does not depend on its company: blocks of one size, and float32 that is float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

ACCELERATOR_BLOCK = 32
"""Samples in one pass on an accelerator."""


def block_size(device: torch.device) -> int:
    """How many samples a large network takes at once.

    One on the CPU, where a large network is no slower for it (Inception-v3 at 299x299 on one core: 0.20 s an image
    alone, 0.27 s in a batch of 64).
    """
    return 1 if device.type == "cpu" else ACCELERATOR_BLOCK


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
    """
    parts: dict[str, list[Tensor]] = {}
    with torch.no_grad(), full_float32():
        for rows in torch.split(samples, block):
            fill = rows[:1].expand(block - len(rows), *rows.shape[1:])
            for layer, values in network(torch.cat([rows, fill]).to(device)).items():
                parts.setdefault(layer, []).append(values[: len(rows)].to(samples.device))
    return {layer: torch.cat(values) for layer, values in parts.items()}


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
