"""Which device to compute on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from genbench.errors import SetupError, UsageError


def resolve_device(name: str = "auto") -> torch.device:
    """Turn a device's name into a device that exists.

    Parameters
    ----------
    name : str
        ``auto`` (CUDA, then MPS, then the CPU), or a torch device such as ``cpu`` or ``cuda:1``.

    Raises
    ------
    UsageError
        If the name is no device.
    SetupError
        If the machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device: 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps' expected, got {name!r}.") from error
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SetupError(f"device {name!r} is not available on this machine; use --device auto.") from error
    return device


def metric_device(device: torch.device) -> torch.device:
    """Return the device for metrics, which need float64: the given one, or the CPU in place of MPS."""
    return torch.device("cpu") if device.type == "mps" else device


@contextmanager
def one_thread(*, where: bool = True) -> Iterator[None]:
    """Compute in one thread on the CPU, where asked to; the count is as before on leaving.

    Sums are split among threads, so another number of threads gives other last bits. And small matrices are quicker in
    one: threads that wait for each other on a busy machine cost up to thirty times the work itself.
    """
    threads = torch.get_num_threads()
    if where:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
