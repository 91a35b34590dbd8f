"""Scores of every metric on small fixed sets: ``python -m tests.golden.scores.make`` writes them to ``scores-1.json``.

The file was written before any metric was made faster, and stays: a score that moves is another score. It gains a case
or a metric by being written anew with the code that has it, the old numbers unchanged. Those of w1 beside its value are
from the correction of its centring, on squares in place of distances.
"""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genbench.definitions import Mixture
from genbench.errors import GenbenchError
from genbench.metrics.features import Features
from genbench.records import Estimate
from genbench.registry import METRICS
from tests.metrics.real_sets import Quadrants

FILE = Path(__file__).parent / "scores-1.json"
NUMBERS = ("value", "debiased", "std_error", "low", "high")
SEED = 5
FEW = {
    "kd_subsets": {"subset_size": 40, "subsets": 10},
    "kid_subsets": {"subset_size": 40, "subsets": 10},
    "mmd_test": {"permutations": 19},
    "sliced_w2": {"directions": 40},
    "mind": {"directions": 40},
}
"""Options that keep the sets small and the file quick to make."""

CASES: dict[str, tuple[int, int, int]] = {
    "equal sizes": (120, 120, 3),
    "unequal sizes": (150, 90, 4),
    "one column": (100, 80, 1),
    "fewer samples than columns": (60, 50, 80),
    "many samples": (420, 300, 16),
    "two columns, many samples": (1000, 1100, 2),
    "duplicates and ties": (120, 100, 2),
    "far from the origin": (90, 110, 5),
    "fewer samples than groups": (15, 16, 3),
    "the same set": (80, 80, 3),
}
"""Numbers of generated and of reference samples, and of columns."""


@cache
def sets(case: str, seed: int = SEED) -> dict[str, np.ndarray]:
    """The four sets of a case: generated, reference, train and test, float64."""
    n, m, d = CASES[case]
    rng = np.random.default_rng([seed, list(CASES).index(case)])
    sizes = {"generated": n, "reference": m, "train": m, "test": m - m // 4}
    found = {name: rng.standard_normal((size, d)) for name, size in sizes.items()}
    found["generated"] = 1.2 * found["generated"] + 0.2
    if case == "duplicates and ties":
        found = {name: np.round(2 * x) / 2 for name, x in found.items()}
    if case == "far from the origin":
        found = {name: 30 * x + 500 for name, x in found.items()}
    if case == "the same set":
        found["generated"] = found["reference"].copy()
    return found


def offered(case: str, noise: float = 0.0) -> dict[str, Any]:
    """All that a metric may ask for, the entries of the sets moved by a share ``noise`` at random."""
    rng = np.random.default_rng(1)
    moved = {name: x * (1 + noise * rng.standard_normal(x.shape)) for name, x in sets(case).items()}
    centres = np.zeros((2, CASES[case][2]))
    centres[1, 0] = 2.0
    mixture = Mixture(centres=centres, std=1.0)
    truth = {"mixture": mixture, "log_prob": mixture.log_prob, "rng": SEED}
    if CASES[case][2] > 1:
        truth["factors"] = Quadrants()
    return {**{name: Features(x) for name, x in moved.items()}, **truth}


def score(name: str, given: dict[str, Any]) -> dict[str, float | None] | str:
    """The numbers of a metric's estimate, or the kind of error with which it refuses the case."""
    metric = METRICS.load(name)
    if not metric.needs <= set(given):
        return "not offered"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = metric.compute(
                **{need: given[need] for need in metric.needs}, **{**metric.options, **FEW.get(name, {})}
            )
    except GenbenchError as error:
        return type(error).__name__
    estimate = found if isinstance(found, Estimate) else Estimate(value=found)
    return {number: getattr(estimate, number) for number in NUMBERS} | dict(estimate.extra)


def built_in() -> list[str]:
    """The names of genbench's own metrics."""
    return [name for name, entry in METRICS.entries().items() if entry.provider == "genbench"]


def main() -> None:
    """Write the file anew."""
    torch.set_num_threads(1)
    rows = []
    for case in CASES:
        given = offered(case)
        rows += [json.dumps([case, name, score(name, given)]) for name in built_in()]
    FILE.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
