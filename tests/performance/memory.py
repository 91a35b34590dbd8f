"""Runs every metric that needs no known density on one pair of sets, in one process: seconds, value, peak memory."""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from genbench.metrics.features import Features
from genbench.registry import METRICS

CLASSES = 10


def main() -> None:
    """Print a line for each metric: seconds, value, and the process's peak so far in GiB."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.memory", description=__doc__)
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("-d", type=int, default=512)
    parser.add_argument("--only", nargs="*", help="only these metrics")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)

    def sets(d: int, scale: float) -> dict[str, Features]:
        reference = scale * rng.standard_normal((args.n, d))
        generated = 0.98 * scale * rng.standard_normal((args.n, d))
        half = args.n // 2
        parts = {"generated": generated, "reference": reference, "train": reference[:half], "test": reference[half:]}
        return {name: Features(part.copy()) for name, part in parts.items()}

    inputs = {"pool": sets(args.d, 1.0), "logits": sets(CLASSES, 3.0)}
    for name in args.only or METRICS.entries():
        metric = METRICS.load(name)
        if metric.reserved or metric.needs & {"log_prob", "mixture"}:
            continue  # a second name, or a density that these sets have not
        given = {**inputs[metric.space], "rng": 0}
        start = time.perf_counter()
        value = metric.compute(**{need: given[need] for need in metric.needs}, **metric.options).value
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{name:22} {time.perf_counter() - start:8.1f} s  {value:14.6g}  peak {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
