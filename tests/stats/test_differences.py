"""Differences of two scores: scipy's Welch test, the jackknife's false wins and false ties, Holm by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from genbench.stats.differences import holm, jackknife_difference, welch_difference


def test_the_welch_difference_has_scipys_p_value_and_interval() -> None:
    a, b = [1.0, 2.5, 2.0, 4.0], [0.5, 0.7, 0.2]
    expected = ttest_ind(a, b, equal_var=False)
    errors = (np.std(a, ddof=1) / 2, np.std(b, ddof=1) / math.sqrt(3))
    found = welch_difference(np.mean(a) - np.mean(b), errors, (3, 2))
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95), rel=1e-9)


def simulated_wins(shift: float, *, repeats: int, seed: int) -> float:
    """Share of pairs in which the jackknife tells two generators of equal score (shift 0) apart.

    The score is the squared distance of means in 4 dimensions, n = 200 on all three sides; both generators are
    at distance 1 from the reference, in directions of their own, and the second is ``shift`` farther.
    """
    rng, n, d, groups = np.random.default_rng(seed), 200, 4, 20
    decided = 0
    for _ in range(repeats):
        sets = rng.standard_normal((3, n, d))
        sets[0, :, 0] += 1.0
        sets[1, :, 1] += 1.0 + shift
        parts = sets.reshape(3, groups, n // groups, d).mean(axis=2)
        means = parts.mean(axis=1)
        left = (groups * means[:, None] - parts) / (groups - 1)
        value = [float(((means[i] - means[2]) ** 2).sum()) for i in (0, 1)]
        kept = [((left[i] - left[2]) ** 2).sum(axis=1) for i in (0, 1)]
        best = [groups * v - (groups - 1) * k.mean() for v, k in zip(value, kept, strict=True)]
        decided += jackknife_difference(best[1] - best[0], list(kept[1]), list(kept[0])).sign == 1
    return decided / repeats


def test_two_generators_of_equal_score_are_seldom_told_apart() -> None:
    """False wins to one side are due in 2.5% of 600 pairs, 15; more than 32 have probability 3.1e-5 (binomial)."""
    assert simulated_wins(0.0, repeats=600, seed=1) <= 32 / 600


def test_a_generator_that_is_truly_worse_is_told_apart() -> None:
    """False ties. The difference is 2.25 - 1 = 1.25, of variance 4 (|a|^2 / n + |b|^2 / n + |a - b|^2 / n).

    With |a| = 1, |b| = 1.5, n = 200 that is 4 * 6.5 / 200 = .13: 3.47 standard errors, found at t19 = 2.09 with
    probability .91; fewer than 230 of 300 have probability 5e-12 even at .9 (binomial).
    """
    assert simulated_wins(0.5, repeats=300, seed=2) >= 230 / 300


def test_holm_adjusts_by_the_rank_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
