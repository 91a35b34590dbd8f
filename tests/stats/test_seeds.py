"""Aggregation over training seeds against closed forms, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from genbench.stats.seeds import across_seeds, wilson_interval


def test_the_t_interval_is_scipys() -> None:
    values = [3.0, 4.5, 2.0, 8.0]
    spread = across_seeds(values)
    reference = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert spread.mean == 4.375
    assert spread.sd == pytest.approx(np.std(values, ddof=1), rel=1e-15)
    assert (spread.low, spread.high) == pytest.approx((reference.low, reference.high), rel=1e-12)


def test_one_run_has_no_spread() -> None:
    spread = across_seeds([2.0])
    assert (spread.mean, spread.sd, spread.low, spread.high, spread.n) == (2.0, None, None, None, 1)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_nothing_and_what_is_not_finite_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        across_seeds(values)


def test_the_interval_covers_the_mean_of_three_runs() -> None:
    """4,000 simulated triples; the hit rate has sd sqrt(.95 * .05 / 4000) = .0034, so 4 sd fail one time in 16,000."""
    rng = np.random.default_rng(7)
    hits = [s.low <= 0 <= s.high for s in map(across_seeds, rng.standard_normal((4000, 3))) if s.low and s.high]
    assert abs(np.mean(hits) - 0.95) < 4 * 0.0034


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 3), (50, 1000)])
def test_the_wilson_interval_is_scipys(k: int, n: int) -> None:
    reference = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson_interval(k, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="wilson_interval"):
        wilson_interval(k, n)
