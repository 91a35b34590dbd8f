"""What the processes under test are given: a generator, and an extractor that counts its work and can break."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.metric import Metric


class Noise:
    """Images of uniform noise."""

    name = "noise"

    def sample(self, n: int, *, seed: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8))


class Counting:
    """Sixteen pixels; every block is written down in $WORK_LOG.

    $BREAK is RANK:CALL:HOW. That rank's call of this number ends in a signal; or, if HOW is "error", in an error; or,
    if it is "refuse", in one that leaves other scores as they are.
    """

    name = "counting"
    fingerprint = "c" * 64
    layers: ClassVar = {"pool": 16}

    def __init__(self, event_shape: Any, device: Any) -> None:
        self.calls = 0

    def extract(self, samples: Tensor) -> dict[str, Tensor]:
        rank = os.environ.get("RANK", "0")
        self.calls += 1
        if "WORK_LOG" in os.environ:
            with Path(os.environ["WORK_LOG"]).open("a", encoding="utf-8") as log:
                log.write(f"{rank} {len(samples)}\n")
        whose, call, how = os.environ.get("BREAK", "-:0:-").split(":")
        if (rank, self.calls) == (whose, int(call)):
            if how == "error":
                raise ValueError("this rank's extractor broke")
            if how == "refuse":
                raise SampleError("counting: samples of another kind expected, got these.")
            os.kill(os.getpid(), getattr(signal, how))
            time.sleep(0.1)
        return {"pool": samples.flatten(1)[:, :16].float()}


def shared_mean(*, generated: Any, reference: Any) -> float:
    """A distance of means, which on rank 0 is not done before another rank has done one; who did it is written down.

    With $BREAK of "metric" another rank is killed at it.
    """
    rank, log = os.environ.get("RANK", "0"), Path(os.environ["TASK_LOG"])
    if rank != "0" and os.environ.get("BREAK") == "metric":
        os.kill(os.getpid(), signal.SIGKILL)
    until = time.monotonic() + 120
    while rank == "0" and "WORLD_SIZE" in os.environ and not log.exists() and time.monotonic() < until:
        time.sleep(0.05)
    if rank != "0":
        log.write_text(rank, encoding="utf-8")
    ours, theirs = (torch.as_tensor(x.values if hasattr(x, "values") else x) for x in (generated, reference))
    return float((ours.mean(dim=0) - theirs.mean(dim=0)).square().sum())


SHARED_MEAN = Metric(
    name="shared_mean",
    compute=shared_mean,
    space="pool",
    unit="squared feature units",
    better="lower",
    ideal=0.0,
    uncertainty="none",
    source="the tests",
)
