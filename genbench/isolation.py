"""Computing without leaving traces: generators and thread counts are as before, whatever happens inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from genbench.devices import one_thread


@contextmanager
def kept_generators(device: torch.device) -> Iterator[None]:
    """Restore torch's global generators, those of the CPU and of one device, on leaving."""
    cpu_state = torch.get_rng_state()
    cuda_state = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    mps_state = torch.mps.get_rng_state() if device.type == "mps" else None
    try:
        yield
    finally:
        torch.set_rng_state(cpu_state)
        if cuda_state is not None:
            torch.cuda.set_rng_state(cuda_state, device)
        if mps_state is not None:
            torch.mps.set_rng_state(mps_state)


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed the generators that `kept_generators` restores, and no others."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Restore torch's global generators on leaving; on the CPU, compute in one thread.

    The last bits depend on the number of threads, and adversarial training amplifies them to other samples. Never
    held across a ``yield``: the consumer would run inside.
    """
    with kept_generators(device), one_thread(where=device.type == "cpu"):
        yield
