"""Times genbench beside a peer on the same inputs in one run, and checks that both give the same number.

Rounds alternate between the two, and the median of each is taken, so that a noisy machine hits both alike. Ratios carry
over between machines better than seconds do.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from genbench.metrics.features import Features
from genbench.metrics.frechet import fd
from genbench.metrics.inception import inception_score
from genbench.metrics.neighbours import precision
from genbench.metrics.transport import wasserstein

SEED = 0


@dataclass(frozen=True)
class Case:
    """One comparison: both callables return the number that they compute."""

    name: str
    peer: str
    ours: Callable[[], float]
    theirs: Callable[[], float]


def _pair(n: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(SEED)
    generated, reference = rng.standard_normal((n, d)) + 0.1, rng.standard_normal((n, d))
    return torch.from_numpy(generated), torch.from_numpy(reference)


def _fd(n: int, d: int) -> Case:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = _pair(n, d)

    def theirs() -> float:
        found = fid_statistics_to_metric(fid_features_to_statistics(x), fid_features_to_statistics(y), False)
        return float(found["frechet_inception_distance"])

    return Case(
        f"fd n={n} d={d}", "torch-fidelity", lambda: fd(generated=Features(x), reference=Features(y)).value, theirs
    )


def _is(n: int, classes: int) -> Case:
    from torch_fidelity.metric_isc import isc_features_to_metric

    x, _ = _pair(n, classes)

    def theirs() -> float:
        return float(isc_features_to_metric(x, splits=1, shuffle=False)["inception_score_mean"])

    return Case(
        f"is n={n} classes={classes}", "torch-fidelity", lambda: inception_score(generated=Features(x)).value, theirs
    )


def _precision(n: int, d: int) -> Case:
    from torch_fidelity.metric_prc import prc_features_to_metric

    x, y = _pair(n, d)

    def theirs() -> float:
        return float(prc_features_to_metric(x, y, verbose=False)["precision"])

    def ours() -> float:
        return precision(generated=Features(x), reference=Features(y), rng=SEED).value

    return Case(f"precision n={n} d={d}", "torch-fidelity", ours, theirs)


def _w2(n: int, d: int) -> Case:
    from scipy.optimize import linear_sum_assignment

    x, y = _pair(n, d)

    def theirs() -> float:
        cost = torch.cdist(x, y).numpy() ** 2
        return float(np.sqrt(cost[linear_sum_assignment(cost)].mean()))

    def ours() -> float:
        return wasserstein(generated=Features(x), reference=Features(y), p=2).value

    return Case(f"w2 n={n} d={d}", "scipy", ours, theirs)


CASES: dict[str, list[Callable[[], Case]]] = {
    "fd": [lambda: _fd(10_000, 64), lambda: _fd(5_000, 512)],
    "is": [lambda: _is(20_000, 1008)],
    "precision": [lambda: _precision(2_000, 64)],
    "w2": [lambda: _w2(600, 64), lambda: _w2(600, 2)],
}


def _timed(function: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def main() -> None:
    """Run the chosen cases and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.peers", description=__doc__)
    parser.add_argument("--only", choices=CASES, help="only this metric")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    print("genbench's seconds include its uncertainty (jackknife or half-sampling); the peer's are of the bare number")
    print(f"{'case':26} {'peer':15} {'genbench s':>11} {'peer s':>9} {'ratio':>7} {'difference':>11}")
    for make in [m for name, makers in CASES.items() if args.only in (None, name) for m in makers]:
        case = make()
        rounds = [(_timed(case.ours), _timed(case.theirs)) for _ in range(args.rounds)]
        ours, theirs = (statistics.median(r[side][0] for r in rounds) for side in (0, 1))
        a, b = rounds[0][0][1], rounds[0][1][1]
        print(
            f"{case.name:26} {case.peer:15} {ours:11.4f} {theirs:9.4f} {ours / theirs:7.2f} {abs(a - b) / abs(b):11.1e}"
        )


if __name__ == "__main__":
    main()
