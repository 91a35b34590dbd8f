"""Verdicts: every rule on a curve that only it fits, and measured rates on curves that set no threshold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from genbench.stats.curves import Curve
from genbench.stats.verdicts import Modes, Verdict, verdict
from tests.stats import simulated_curves as simulated
from tests.stats.simulated_curves import Floats, measured

CURVES = 1000


def curve(values: list[float], *, noise: float | None = 0.02) -> Curve:
    """A curve with little noise."""
    errors = None if noise is None else tuple(noise * v for v in values)
    return Curve(steps=tuple(range(len(values))), values=tuple(values), errors=errors, better="lower", null=0.5)


GOOD = [50.0 * 0.8**i for i in range(12)] + [3.0] * 8


def kind(found: Verdict | None) -> str | None:
    return None if found is None else found.kind


def rate(shape: Callable[[np.random.Generator], Floats], wanted: str, *, learned: float | None = 25.0) -> int:
    """How many of `CURVES` simulated curves get a verdict."""
    rng = np.random.default_rng(7)
    found = [verdict(measured(shape(rng), rng.uniform(0.02, 0.12), rng), learned=learned) for _ in range(CURVES)]
    return sum(kind(v) == wanted for v in found)


@pytest.mark.parametrize(
    ("shape", "wanted", "stated", "learned"),
    [
        (simulated.stable, "ok", 0.996, 25.0),
        (simulated.diverged, "diverged", 0.957, 25.0),
        (simulated.collapsed, "collapsed", 0.856, 25.0),
        (simulated.unlearned, "unlearned", 0.994, 25.0),
        (simulated.unlearned, "unlearned", 0.853, None),
        (simulated.oscillating, "oscillating", 0.951, 25.0),
    ],
)
def test_rates_are_those_of_the_docstring(
    shape: Callable[[np.random.Generator], Floats], wanted: str, stated: float, learned: float | None
) -> None:
    """``stated`` is what 2,000 other curves of the shape gave.

    Two measurements of one rate p, from 2,000 and from 1,000 curves, differ with variance p (1 - p) (1/1000 + 1/2000),
    1.5 times that of the second alone; the binomial's quantiles at 1e-6 and 1 - 1e-6, 4.75 sd of the second, are thus
    3.9 sd of the difference: one failure in 10,000.
    """
    low, high = binom.ppf([1e-6, 1 - 1e-6], CURVES, stated)
    assert low <= rate(shape, wanted, learned=learned) <= high


def test_a_failed_run_has_diverged_and_says_why() -> None:
    found = verdict(None, failure="diverged, g_loss is not finite after update 7.")
    assert found == Verdict(kind="diverged", reason="diverged, g_loss is not finite after update 7.")


def test_one_who_loses_all_has_diverged() -> None:
    found = verdict(curve([*GOOD[:-4], 10.0, 30.0, 60.0, 90.0]))
    assert kind(found) == "diverged"
    assert found is not None
    assert "n = 20 stops" in found.reason
    assert "standard errors" in found.reason


def test_one_who_loses_half_of_a_small_gain_has_collapsed() -> None:
    assert kind(verdict(curve([10.0, 8.0, 6.0, 5.0, 4.5, 4.5, 4.5, 4.5, 9.0, 9.0, 9.0, 9.0]))) == "collapsed"


def test_a_loss_within_the_noise_is_none() -> None:
    values = [10.0, 8.0, 6.0, 5.0, 4.5, 4.5, 4.5, 4.5, 9.0, 9.0, 9.0, 9.0]
    # Four errors of 1.8 are more than the 4.5 lost.
    assert kind(verdict(curve(values, noise=0.2), learned=20.0)) == "ok"
    assert kind(verdict(curve(values, noise=None), learned=20.0)) == "ok"
    assert kind(verdict(curve(values, noise=0.1), learned=20.0)) == "collapsed"


def test_half_of_the_modes_are_a_collapse_whatever_the_score() -> None:
    assert kind(verdict(curve(GOOD), modes=[Modes("modes_share", 4.0, 8.0)])) == "mode-collapsed"
    assert kind(verdict(curve(GOOD), modes=[Modes("modes_share", 5.0, 8.0)])) == "ok"


def test_a_score_that_stays_is_unlearned_unless_the_control_is_beaten() -> None:
    flat = curve([40.0] * 10)
    assert kind(verdict(flat)) == "unlearned"
    assert kind(verdict(flat, learned=22.0)) == "unlearned"
    assert kind(verdict(curve([4.0] * 10), learned=22.0)) == "ok"


def test_a_slow_learner_without_a_control_is_not_unlearned() -> None:
    assert kind(verdict(curve(list(np.linspace(40, 25, 10)), noise=0.02))) == "ok"


def test_a_score_that_swings_is_oscillating_and_the_sentence_names_the_test() -> None:
    found = verdict(curve([*GOOD[:10], *[3.0, 4.5] * 5]))
    assert kind(found) == "oscillating"
    assert found is not None
    assert "chi-squared test, p = " in found.reason
    assert "n = 10 stops" in found.reason


def test_a_score_that_is_still_falling_is_not_oscillating() -> None:
    assert kind(verdict(curve([100.0 / (1 + i) ** 2 for i in range(20)], noise=0.02))) == "ok"


def test_differences_below_what_real_data_score_are_noise() -> None:
    assert kind(verdict(curve([9.0, 5.0, 2.0, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4, 0.45]))) == "ok"


@pytest.mark.parametrize(
    "unfit",
    [
        None,
        curve([5.0, 4.0, 3.0]),
        curve([5.0, 4.0, -3.0, 1.0]),
        Curve(steps=(1, 2, 3, 4), values=(1.0, 2.0, 3.0, 4.0), errors=None, better="higher"),
    ],
)
def test_what_the_rules_are_not_made_for_gets_no_verdict(unfit: Curve | None) -> None:
    assert verdict(unfit, modes=[Modes("modes", 0.0, 8.0)]) is None
