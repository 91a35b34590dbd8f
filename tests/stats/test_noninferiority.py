"""Tests against a margin: scipy's t test, its noncentral t by simulation, and what three verdicts mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import nct, ttest_ind

from genbench.stats.noninferiority import (
    Comparison,
    Verdict,
    decide,
    detectable,
    detection_power,
    noncentrality,
    passing_power,
)


def comparison(worse_by: float, *, error: float = 1.0, degrees: float = 19.0, margin: float = 1.0) -> Comparison:
    return Comparison(worse_by=worse_by, std_error=error, degrees=degrees, margin=margin)


def test_p_values_are_those_of_scipys_one_sided_t_test() -> None:
    new, old = np.array([3.0, 4.5, 4.0, 5.0]), np.array([2.0, 2.5, 3.5, 1.5])
    error = math.sqrt(new.var(ddof=1) / 4 + old.var(ddof=1) / 4)
    found = Comparison(worse_by=float(new.mean() - old.mean()), std_error=error, degrees=6, margin=0.5)
    assert found.p_regression == pytest.approx(ttest_ind(new, old + 0.5, alternative="greater").pvalue, rel=1e-9)
    assert found.p_inferior == pytest.approx(ttest_ind(new, old + 0.5, alternative="less").pvalue, rel=1e-9)
    assert found.p_better == pytest.approx(ttest_ind(new, old, alternative="less").pvalue, rel=1e-9)
    assert found.p_improvement == pytest.approx(ttest_ind(new, old - 0.5, alternative="less").pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("worse_by", "verdict"), [(3.5, "regression"), (-1.5, "pass"), (1.0, "inconclusive"), (2.0, "inconclusive")]
)
def test_a_bound_beyond_the_margin_decides(worse_by: float, verdict: Verdict) -> None:
    found = comparison(worse_by)
    low, high = found.bounds(0.05)
    assert decide(found, alpha=0.05, p_regression=found.p_regression) == verdict
    assert (low > 1.0) == (verdict == "regression")
    assert (high < 1.0) == (verdict == "pass")


def test_an_improvement_is_a_finding_only_where_asked_for() -> None:
    found = comparison(-5.0)
    assert decide(found, alpha=0.05, p_regression=found.p_regression) == "pass"
    assert decide(found, alpha=0.05, p_regression=found.p_regression, two_sided=True) == "improvement"


@pytest.mark.parametrize(("worse_by", "verdict"), [(1.0, "pass"), (1.5, "regression"), (0.0, "pass")])
def test_without_noise_the_difference_decides(worse_by: float, verdict: Verdict) -> None:
    found = comparison(worse_by, error=0.0)
    assert decide(found, alpha=0.05, p_regression=found.p_regression) == verdict


def test_an_unknown_error_is_inconclusive_whatever_the_difference() -> None:
    for worse_by in (-1e9, 0.0, 1e9):
        found = comparison(worse_by, error=math.inf, degrees=1)
        assert decide(found, alpha=0.05, p_regression=found.p_regression, two_sided=True) == "inconclusive"


def test_powers_are_the_rates_of_simulated_tests() -> None:
    """20,000 simulated tests: five deviations of a share are at most 5 * .0035 = .018 (6e-7 each)."""
    rng, degrees = np.random.default_rng(5), 19
    error = np.sqrt(rng.chisquare(degrees, 20_000) / degrees)
    for truth in (1.0, 2.5, 4.0):
        noisy = truth + rng.standard_normal(20_000)
        found = detection_power(truth, margin=1.0, std_error=1.0, degrees=degrees, alpha=0.05)
        tests = [comparison(w, error=e) for w, e in zip(noisy, error, strict=True)]
        assert found == pytest.approx(np.mean([t.p_regression < 0.05 for t in tests]), abs=0.018)
    unchanged = [comparison(w, error=e, margin=3.0) for w, e in zip(rng.standard_normal(20_000), error, strict=True)]
    assert passing_power(margin=3.0, std_error=1.0, degrees=degrees, alpha=0.05) == pytest.approx(
        np.mean([t.p_inferior < 0.05 for t in unchanged]), abs=0.018
    )


@pytest.mark.parametrize("degrees", [1, 2, 4, 19, 200])
@pytest.mark.parametrize("power", [0.6, 0.8, 0.99])
def test_the_detectable_difference_is_detected_with_its_power(degrees: int, power: float) -> None:
    worse_by = detectable(margin=0.5, std_error=2.0, degrees=degrees, alpha=0.05, power=power)
    found = detection_power(worse_by, margin=0.5, std_error=2.0, degrees=degrees, alpha=0.05)
    assert found == pytest.approx(power, abs=1e-7)
    apart = noncentrality(degrees=degrees, alpha=0.05, power=power)
    with np.errstate(divide="ignore"):  # scipy 1.13 warns within
        assert nct.sf(nct.ppf(1 - 0.05, degrees, 0), degrees, apart) == pytest.approx(power, abs=1e-6)


def test_at_the_margin_the_chance_of_an_alarm_is_alpha() -> None:
    assert detection_power(0.7, margin=0.7, std_error=0.3, degrees=19, alpha=0.05) == pytest.approx(0.05, abs=1e-9)
    assert detection_power(1.0, margin=0.7, std_error=0.0, degrees=19, alpha=0.05) == 1
    assert detection_power(0.7, margin=0.7, std_error=0.0, degrees=19, alpha=0.05) == 0
