"""A plain function gets its uncertainty from its declaration, and it is the right one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genbench.errors import DeclarationError
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd
from genbench.stats.resampling import resampled_estimate


def gap(*, generated: Features, reference: Features, scale: float = 1.0) -> float:
    """Difference of the means of the first column."""
    return scale * float(generated.values[:, 0].mean() - reference.values[:, 0].mean())


def tables(n: int = 400, m: int = 300) -> dict[str, Features]:
    """Two Gaussian sets of unequal size and spread."""
    rng = np.random.default_rng(5)
    return {
        "generated": Features(rng.normal(1.0, 2.0, size=(n, 1))),
        "reference": Features(rng.normal(0.0, 1.0, size=(m, 1))),
    }


@pytest.mark.parametrize(("method", "relative"), [("jackknife", 0.5), ("half-sampling", 0.4)])
def test_the_error_of_a_difference_of_means_is_the_textbook_one(method: str, relative: float) -> None:
    """s.e. = sqrt(s1^2/n + s2^2/m). The estimated one has relative deviation 1/sqrt(2 * 19) = .16 from 20 groups and
    1/sqrt(2 * 49) = .10 from 50 halves: 3 and 4 deviations, less than 1 failure in 300; the seed is fixed."""
    both = tables()
    estimate = resampled_estimate(gap(**both), gap, both, {}, method=method, seed=0)
    x, y = both["generated"].values, both["reference"].values
    expected = math.sqrt(float(x.var()) / 400 + float(y.var()) / 300)
    assert estimate.std_error == pytest.approx(expected, rel=relative)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < estimate.value < estimate.high
    assert estimate.debiased is None
    assert estimate.notes


def test_the_jackknife_of_a_plain_function_is_that_of_the_built_in() -> None:
    both = {
        name: Features(np.random.default_rng(i).normal(size=(200, 3)))
        for i, name in enumerate(("generated", "reference"))
    }
    built_in = fd(**both)
    plain = resampled_estimate(built_in.value, lambda **sets: fd(**sets).value, both, {}, method="jackknife", seed=0)
    np.testing.assert_allclose(plain.replicates, built_in.replicates, rtol=1e-9)
    assert plain.std_error == pytest.approx(built_in.std_error, rel=1e-9)


def test_other_inputs_are_passed_on() -> None:
    both = tables()
    doubled = resampled_estimate(2 * gap(**both), gap, both, {"scale": 2.0}, method="jackknife", seed=0)
    single = resampled_estimate(gap(**both), gap, both, {}, method="jackknife", seed=0)
    assert doubled.std_error == pytest.approx(2 * single.std_error)  # type: ignore[operator]


def test_none_gives_the_value_alone() -> None:
    both = tables()
    estimate = resampled_estimate(1.5, gap, both, {}, method="none", seed=0)
    assert (estimate.value, estimate.std_error, estimate.low) == (1.5, None, None)


def test_a_closed_form_cannot_be_made_up() -> None:
    with pytest.raises(DeclarationError, match="must return an Estimate"):
        resampled_estimate(1.0, gap, tables(), {}, method="closed form", seed=0)


def test_too_few_rows_give_no_interval_and_say_so() -> None:
    few = tables(4, 4)
    estimate = resampled_estimate(gap(**few), gap, few, {}, method="jackknife", seed=0)
    assert estimate.low is None
    assert any("too few" in note for note in estimate.notes)
