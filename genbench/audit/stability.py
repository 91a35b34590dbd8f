"""Whether a metric agrees with itself: over the number of samples, and over feature spaces."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from genbench.audit.case import FULL, estimate_of
from genbench.audit.corruptions import corrupt
from genbench.audit.finding import Finding, within
from genbench.audit.generic import QUICKER
from genbench.audit.grounds import draw_digits
from genbench.audit.promises import LEVEL, Inputs, numbers_of
from genbench.audit.worlds import Cells, classes, gaussians, ring_modes
from genbench.errors import GenbenchError
from genbench.metrics.metric import Metric
from genbench.randomness import derive_seed
from genbench.records import Estimate
from genbench.registry import EXTRACTORS

SIZES = (60, 120, 240)
DRAWS = 24
TOLD = 6
"""Draws of metrics of which nothing is judged."""

DRIFT = 0.05
"""What a debiased value may move by from n/4 to n, as a share of itself: what first-order corrections leave."""

SIZE_BOUND: Mapping[str, str] = {
    "kl_class_reverse": "its smoothing is set by n",
}
"""Metrics whose debiased value depends on n, with the reason that their docstrings give."""

SPACES = ("digits-cnn", "random-projection", "identity")
FAULTS = (
    ("noise", 0.4),
    ("noise", 0.8),
    ("mode drop", 0.2),
    ("mode drop", 0.4),
    ("mode drop", 0.8),
    ("shrink", 0.8),
    ("collapse", 0.8),
    ("foreign", 0.1),
    ("foreign", 0.4),
)
"""The generators that spaces rank: clean digits, and digits with these faults."""

IMAGES = 200
OVER_SPACES = frozenset({"generated", "reference", "rng"})


def over_n(metric: Metric, *, quick: bool, seed: int, called: str | None = None) -> list[Finding]:
    """Compare a score at n/4, n/2 (in the full audit) and n = 240 samples of the same two distributions.

    Parameters
    ----------
    metric : Metric
    quick : bool
        False takes three times the draws.
    seed : int
    called : str or None
        The name for the findings; by default the metric's own.

    Returns
    -------
    list of Finding
        A debiased value has to agree with itself, within 5% and what chance explains; of one that is not debiased, or
        whose docstring says that it depends on n, the ratio is told and not judged. None where the metric refuses.
    """
    name, options = called or metric.name, QUICKER.get(metric.name, {})

    def draws(n: int, start: int, stop: int) -> list[Estimate]:
        seeds = [derive_seed(seed, "audit", "size", n, i) for i in range(start, stop)]
        return [estimate_of(metric, _apart(metric, n, s), options, seed=s) for s in seeds]

    sizes = (SIZES[0], SIZES[-1]) if quick else SIZES
    try:
        found = {n: draws(n, 0, TOLD) for n in sizes}
        if found[SIZES[-1]][0].debiased is None or metric.name in SIZE_BOUND:
            return [_described(metric, name, found)]
        for n in sizes:
            found[n] += draws(n, TOLD, DRAWS * (1 if quick else FULL))
    except GenbenchError:
        return []
    return [_agreement(name, found[n], found[SIZES[-1]], n) for n in sizes[:-1]]


def _apart(metric: Metric, n: int, seed: int) -> Inputs:
    """Draw sets that differ: half a ring's modes for its metrics, unlike classes, or Gaussians."""
    if "mixture" in metric.needs or "log_prob" in metric.needs:
        return ring_modes(n, 4)(seed)
    if metric.space == "logits":
        shares = np.linspace(1.0, 4.0, 6) / 15
        return classes(n, shares, shares[::-1])(seed)
    real = gaussians(n, 2)(derive_seed(seed, "real"))
    sets = {**gaussians(n, 2, shift=1.0, scale=0.8)(seed), "train": real["generated"], "test": real["reference"]}
    return {**sets, "factors": Cells(12, 4, fine=1e4)}


def _agreement(name: str, few: list[Estimate], many: list[Estimate], n: int) -> Finding:
    a, b = numbers_of(few, "best"), numbers_of(many, "best")
    error = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))
    # Of two samples of unlike variance, with as few degrees of freedom as there could be.
    slack = float(stats.t.isf(LEVEL / 2, len(a) - 1)) * error + DRIFT * abs(float(b.mean())) + 1e-9
    case = f"n = {n} against {SIZES[-1]}: difference of the debiased means"
    return within("stability", name, case, float(a.mean() - b.mean()), low=-slack, high=slack, expected="0")


def _described(metric: Metric, name: str, found: Mapping[int, list[Estimate]]) -> Finding:
    few, many = (float(numbers_of(found[n], "best").mean()) for n in (SIZES[0], SIZES[-1]))
    note = SIZE_BOUND.get(metric.name, "not debiased: compare at one n")
    case = f"n = {SIZES[0]} over {SIZES[-1]}: ratio of the means"
    ratio = few / many if many else math.nan
    told = within("stability", name, case, ratio, expected="not promised", note=note)
    return Finding(
        part="stability", metric=name, case=case, expected="not promised", found=told.found, ok=None, note=note
    )


def over_spaces(metric: Metric, *, seed: int, called: str | None = None) -> list[Finding]:
    """Compare how a metric ranks ten generators of digits in different feature spaces.

    Parameters
    ----------
    metric : Metric
    seed : int
    called : str or None
        The name for the findings; by default the metric's own.

    Returns
    -------
    list of Finding
        Rank correlations of a space with ``digits-cnn``, told and not judged: no metric promises one. None for metrics
        of logits, or of more than generated and reference samples.
    """
    if metric.space != "pool" or not metric.needs <= OVER_SPACES:
        return []
    name, options = called or metric.name, QUICKER.get(metric.name, {})
    sets = {space: _digits_in(space, seed) for space in SPACES}
    scores: dict[str, list[float]] = {}
    try:
        for space, (real, *fakes) in sets.items():
            scores[space] = [
                estimate_of(metric, {"generated": fake, "reference": real}, options, seed=0).best for fake in fakes
            ]
    except GenbenchError:
        return []
    found = []
    for space in SPACES[1:]:
        constant = any(min(scores[s]) == max(scores[s]) for s in (SPACES[0], space))
        rank = None if constant else float(stats.spearmanr(scores[SPACES[0]], scores[space]).statistic)
        found.append(
            Finding(
                part="stability",
                metric=name,
                case=f"ten generators of digits, {space} against {SPACES[0]}: rank correlation",
                expected="not promised",
                found=rank,
                ok=None,
                note="all score the same" if constant else "",
            )
        )
    return found


@cache
def _digits_in(space: str, seed: int) -> list[NDArray[np.float64]]:
    """Return features of held-out digits, and of those that each generator makes."""
    data, material = draw_digits(IMAGES, derive_seed(seed, "audit", "spaces"))
    extractor = EXTRACTORS.load(space)(event_shape=data.event_shape, device=torch.device("cpu"))
    made = [corrupt(fault, material, severity, seed=seed).samples for fault, severity in (("noise", 0.0), *FAULTS)]
    return [
        np.asarray(extractor.extract(torch.from_numpy(images))["pool"].double().cpu().numpy())
        for images in (data.test, *made)
    ]
