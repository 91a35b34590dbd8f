"""How busy a GPU is while something runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import torch


@contextmanager
def utilization(device: torch.device) -> Iterator[list[float]]:
    """Ask nvidia-smi twice a second, in percent; empty where there is no GPU, or nobody to ask."""
    found: list[float] = []
    done = Event()
    program = shutil.which("nvidia-smi") if device.type == "cuda" else None
    if program is None:
        yield found
        return
    which = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    command = [program, f"--id={which}", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]

    def ask() -> None:
        while not done.wait(0.5):
            try:
                said = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
            except (OSError, subprocess.TimeoutExpired):
                return
            if said.isdigit():
                found.append(float(said))

    asking = Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield found
    finally:
        done.set()
        asking.join()
