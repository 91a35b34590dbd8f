"""A case of the audit: metrics, data whose truth is known, and what is promised of the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genbench.audit.finding import Finding, within
from genbench.audit.promises import Inputs, Promise
from genbench.errors import GenbenchError
from genbench.estimation import compute_estimate
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.randomness import derive_seed
from genbench.records import Estimate

FULL = 3
"""The full audit takes this many times the draws of the quick one."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Data and promises.

    Attributes
    ----------
    metrics : tuple of str
        Registered names that it is about.
    name : str
        The data in a few words.
    draw : callable
        From an int seed to what the metrics are given, by name; sets are (n, d) arrays, ``rng`` is added.
    promises : tuple of Promise
    draws : int
        Of the quick audit. 1: the promises are exact, and the full audit needs no more.
    options : mapping
        Of the metric, that differ from its declaration.
    """

    metrics: tuple[str, ...]
    name: str
    draw: Callable[[int], Inputs]
    promises: tuple[Promise, ...]
    draws: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)


def judge_case(case: Case, metric: Metric, *, quick: bool, seed: int, called: str | None = None) -> list[Finding]:
    """Compute a metric on the draws of a case and judge its promises.

    Parameters
    ----------
    case : Case
    metric : Metric
        One of those that the case names, or one that claims to be it.
    quick : bool
        False takes `FULL` times the draws.
    seed : int
        Of the audit. Every draw's seed is derived from it and the case's name.
    called : str or None
        The name for the findings; by default the metric's own.

    Returns
    -------
    list of Finding
        One a promise. Where the metric refuses the data, each says so and is not kept.
    """
    count = case.draws if quick or case.draws == 1 else FULL * case.draws
    name = called or metric.name
    drawn, found = [], []
    try:
        for i in range(count):
            given = case.draw(derive_seed(seed, "audit", case.name, i))
            drawn.append(given)
            found.append(estimate_of(metric, given, case.options, seed=derive_seed(seed, "audit", "metric", i)))
    except GenbenchError as error:
        return [_refused(promise, name, case, str(error)) for promise in case.promises]
    return [_finding(promise, name, case, found, drawn) for promise in case.promises]


def estimate_of(metric: Metric, given: Inputs, options: Mapping[str, Any], *, seed: int) -> Estimate:
    """Compute a metric from what it needs of what is given; ``rng`` is the seed.

    Raises
    ------
    GenbenchError
        If the metric refuses.
    """
    offered = {**given, "rng": seed % 2**32}
    needed = {need: offered[need] for need in sorted(metric.needs)}
    sets = {need: Features(what) if isinstance(what, np.ndarray) else what for need, what in needed.items()}
    return compute_estimate(metric, options, sets, seed=seed)


def _finding(promise: Promise, name: str, case: Case, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Finding:
    verdict = promise.judge(found, drawn)
    return within(
        promise.part,
        name,
        f"{case.name}: {promise.about}",
        verdict.found,
        low=verdict.low,
        high=verdict.high,
        expected=verdict.expected,
        note=verdict.note,
    )


def _refused(promise: Promise, name: str, case: Case, error: str) -> Finding:
    what = f"{case.name}: {promise.about}"
    return Finding(part=promise.part, metric=name, case=what, expected="a score", found=None, ok=False, note=error)
