"""Measures of a learning curve against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genbench.records import Better
from genbench.stats.curves import Curve, first_at, late_gap, learning_area, oscillation, setback


def curve(values: list[float], *, better: Better = "lower", noise: float | None = 0.0) -> Curve:
    """A curve with a stop every 100 updates and a relative noise."""
    steps = tuple(100 * (i + 1) for i in range(len(values)))
    errors = None if noise is None else tuple(noise * abs(v) for v in values)
    return Curve(steps=steps, values=tuple(values), errors=errors, better=better)


def test_the_area_of_a_positive_score_is_a_geometric_mean() -> None:
    assert learning_area(curve([1.0, 4.0, 16.0])) == pytest.approx(4.0, rel=1e-12)
    assert learning_area(curve([1.0, 4.0, 16.0], better="higher")) == 7.0
    assert learning_area(curve([1.0, -4.0, 6.0])) == 1.0


def test_setback_and_late_gap_by_hand() -> None:
    found = curve([8.0, 2.0, 4.0, 1.0, 3.0])
    assert setback(found) == pytest.approx((math.log(2) + math.log(3)) / 5, rel=1e-12)
    assert late_gap(found) == pytest.approx(3.0, rel=1e-12)
    assert setback(curve([8.0, 4.0, 2.0])) == 0.0


def test_measures_of_ratios_are_the_same_for_the_reciprocal() -> None:
    values = [8.0, 2.0, 4.0, 1.0, 3.0]
    other = curve([1 / v for v in values], better="higher")
    assert setback(other) == pytest.approx(setback(curve(values)), rel=1e-12)
    assert late_gap(other) == pytest.approx(late_gap(curve(values)), rel=1e-12)


def test_ratios_of_what_is_not_positive_are_not_taken() -> None:
    for found in (curve([2.0, 0.0] * 5), curve([2.0, 1.0] * 5, better="match")):
        assert setback(found) is None
        assert late_gap(found) is None
        assert oscillation(found) is None


def test_a_score_that_falls_by_a_factor_does_not_oscillate() -> None:
    found = oscillation(curve([100 * 0.8**i for i in range(20)]))
    assert found is not None
    assert found.residual < 1e-12  # rounding of logarithms of order 1


def test_the_residual_is_that_of_least_squares() -> None:
    """Of alternating signs around a line: the closed form of simple regression on 0 ... 9."""
    late = np.array([0.1 * (-1) ** i for i in range(10)])
    at = np.arange(10) - 4.5
    squares = (late**2).sum() - (at @ late) ** 2 / (at @ at)
    found = oscillation(curve([5.0] * 10 + (3 * np.exp(late)).tolist(), noise=0.05))
    assert found is not None
    assert found.residual == pytest.approx(math.sqrt(squares / 8), rel=1e-9)
    assert found.noise == pytest.approx(0.05, rel=1e-12)
    assert found.excess == pytest.approx(math.sqrt(squares / 8 - 0.0025), rel=1e-9)


def test_noise_alone_has_uniform_p_values() -> None:
    """1,000 curves of known normal noise: a tenth of the p-values is below .1, sd .0095; 4 sd fail once in 16,000."""
    rng = np.random.default_rng(2)
    below = 0
    for _ in range(1000):
        noise = rng.standard_normal(20)
        found = oscillation(curve((7 * np.exp(0.01 * noise)).tolist(), noise=0.01), degree=2)
        assert found is not None
        assert found.p_value is not None
        below += found.p_value < 0.1
    assert abs(below / 1000 - 0.1) < 4 * 0.0095


@pytest.mark.parametrize(("degree", "stops"), [(1, 7), (2, 9)])
def test_oscillation_needs_stops_to_be_told_from_a_trend(degree: int, stops: int) -> None:
    assert oscillation(curve([1.0] * (stops - 1)), degree=degree) is None
    assert oscillation(curve([1.0] * stops), degree=degree) is not None


def test_without_a_known_noise_there_is_no_test() -> None:
    found = oscillation(curve([1.0, 2.0] * 10, noise=None))
    assert found is not None
    assert found.p_value is None


def test_the_first_stop_that_is_good_enough_counts() -> None:
    assert first_at(curve([5.0, 3.0, 4.0, 2.0]), 3.0) == 1
    assert first_at(curve([5.0, 3.0, 4.0], better="higher"), 4.5) == 0
    assert first_at(curve([5.0, 3.0]), 1.0) is None
