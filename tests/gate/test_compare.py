"""Two sides under a metric: what is a repeat, which test, which direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_ind

from genbench.errors import SampleError, UsageError
from genbench.gate.baseline import Baseline
from genbench.gate.compare import concludes, overall, pair, rows_of, unit_of
from genbench.gate.result import Row
from genbench.records import Run
from genbench.stats.jackknife import standard_error
from tests.makers import make_estimate, make_run, make_score

KEY = "fd@digits-cnn.pool"


def sides(new: Sequence[Run], old: Sequence[Run], unit: Any, **noise: float) -> Any:
    return pair(Baseline(runs=tuple(old), primary=(KEY,), noise=noise), new, KEY, unit)


def trainings(values: Sequence[float], **changes: Any) -> list[Run]:
    """Runs whose debiased score is the value."""
    scores = [make_score(estimate=make_estimate(v + 0.25), **changes) for v in values]
    return [make_run("gan", seed, scores=(score,)) for seed, score in enumerate(scores)]


def test_trainings_are_compared_by_welchs_test() -> None:
    new, old = [1.3, 1.5, 1.1, 1.9], [1.0, 1.2, 0.9]
    found = sides(trainings(new), trainings(old), "seeds")
    (row,) = rows_of([found], {KEY: "0.1"}, alpha=0.05)
    expected = ttest_ind(new, np.add(old, 0.1), equal_var=False, alternative="greater")
    assert row.p_regression == pytest.approx(expected.pvalue, rel=1e-9)
    interval = ttest_ind(new, old, equal_var=False).confidence_interval(0.9)
    assert (row.low, row.high) == pytest.approx(tuple(interval), rel=1e-9)


def test_one_training_against_several_is_held_against_their_spread() -> None:
    """Student's prediction of a further draw: t = (x - mean) / (s sqrt(1 + 1/m)) with m - 1 degrees."""
    old = [1.0, 1.2, 0.9, 1.4, 1.1]
    (row,) = rows_of([sides(trainings([1.8]), trainings(old), "seeds")], {KEY: "0"}, alpha=0.05)
    statistic = (1.8 - np.mean(old)) / (np.std(old, ddof=1) * math.sqrt(1 + 1 / 5))
    assert row.p_regression == pytest.approx(student.sf(statistic, 4), rel=1e-9)
    assert row.verdict == "regression"
    (back,) = rows_of([sides(trainings(old), trainings([1.8]), "seeds")], {KEY: "0"}, alpha=0.05)
    assert back.p_better == pytest.approx(row.p_regression, rel=1e-9)


def test_one_training_on_each_side_says_nothing_of_trainings() -> None:
    (row,) = rows_of([sides(trainings([99.0]), trainings([1.0]), "seeds")], {}, alpha=0.05)
    assert (row.verdict, row.low, row.high, row.std_error) == ("inconclusive", None, None, None)
    assert "nothing" in concludes("seeds", 1, 1)


def test_samples_are_compared_by_the_jackknife_of_the_difference() -> None:
    rng = np.random.default_rng(0)
    replicates = rng.standard_normal((2, 20)) + rng.standard_normal(20) * 10  # mostly the reference, which both share
    runs = [
        make_run("gan", None, scores=(make_score(estimate=make_estimate(v, replicates=tuple(r))),))
        for v, r in zip((2.0, 1.0), replicates.tolist(), strict=True)
    ]
    found = sides(runs[:1], runs[1:], "samples")
    assert found.worse_by == pytest.approx(1.0)
    assert found.std_error == pytest.approx(standard_error(replicates[0] - replicates[1]), rel=1e-12)
    assert found.degrees == 19


def test_without_replicates_the_variances_add() -> None:
    runs = [make_run("gan", None, scores=(make_score(estimate=make_estimate(v, replicates=())),)) for v in (2.0, 1.0)]
    assert sides(runs[:1], runs[1:], "samples").std_error == pytest.approx(0.125 * math.sqrt(2))


def test_without_any_error_the_samples_cannot_be_gated() -> None:
    bare = make_estimate(replicates=(), std_error=None, low=None, high=None)
    runs = [make_run("gan", None, scores=(make_score(estimate=bare),))]
    with pytest.raises(SampleError, match="no standard error"):
        sides(runs, runs, "samples")


@pytest.mark.parametrize(("better", "verdict"), [("lower", "regression"), ("higher", "pass")])
def test_the_metrics_direction_decides_what_is_worse(better: str, verdict: str) -> None:
    new, old = trainings([2.0, 2.1, 2.2], better=better), trainings([1.0, 1.1, 1.2], better=better)
    (row,) = rows_of([sides(new, old, "seeds")], {KEY: "5%"}, alpha=0.05)
    assert (row.verdict, row.difference) == (verdict, pytest.approx(1.0))
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.difference < row.high
    (other,) = rows_of([sides(old, new, "seeds")], {KEY: "5%"}, alpha=0.05)
    assert other.verdict == ("pass" if better == "lower" else "regression")


def test_a_score_that_is_to_match_real_data_counts_by_its_distance_from_theirs() -> None:
    """Real data score .5; 1.0 above and below are equally far."""
    new, old = trainings([1.5, 1.52, 1.48], better="match"), trainings([-0.5, -0.52, -0.48], better="match")
    found = sides(new, old, "seeds")
    assert (found.new.mean, found.baseline.mean) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(("runs", "verdict"), [(2, "inconclusive"), (3, "regression")])
def test_scores_that_do_not_vary_decide_only_from_enough_trainings(runs: int, verdict: str) -> None:
    """Chance deals 2 + 2 trainings so in one of 6 arrangements, 3 + 3 in one of 20."""
    new, old = trainings([7.0] * runs, better="higher"), trainings([8.0] * runs, better="higher")
    (row,) = rows_of([sides(new, old, "seeds")], {KEY: "5%"}, alpha=0.05)
    assert row.verdict == verdict
    (same,) = rows_of([sides(old, old, "seeds")], {KEY: "5%"}, alpha=0.05)
    assert same.verdict == "pass"


def test_what_counts_as_a_repeat() -> None:
    one, two, outside = trainings([1.0]), trainings([1.0, 2.0]), [make_run("x", None)]
    other_seed = [make_run("gan", 1)]
    assert unit_of(one, one, "auto") == "samples"
    assert unit_of(outside, one, "auto") == "samples"
    assert unit_of(one, other_seed, "auto") == "seeds"
    assert unit_of(one, other_seed, "samples") == "samples"
    assert unit_of(one, two, "auto") == unit_of(two, one, "auto") == unit_of(one, one, "seeds") == "seeds"
    with pytest.raises(UsageError, match="--unit samples"):
        unit_of(two, one, "samples")


def test_scores_without_a_debiased_value_are_compared_at_one_n_alone() -> None:
    bare = make_estimate(debiased=None)
    runs = [make_run("g", None, scores=(make_score(estimate=bare, n_generated=n),)) for n in (599, 1198)]
    assert not sides(runs[:1], runs[:1], "samples").debiased
    with pytest.raises(SampleError, match="unlike n"):
        sides(runs[1:], runs[:1], "samples")
    debiased = [make_run("g", None, scores=(make_score(n_generated=n),)) for n in (599, 1198)]
    assert sides(debiased[1:], debiased[:1], "samples").debiased


def test_several_metrics_are_adjusted_for_their_number() -> None:
    new, old = trainings([1.4, 1.5, 1.7]), trainings([1.0, 1.1, 1.2])
    found = sides(new, old, "seeds")
    (alone,) = rows_of([found], {KEY: "0"}, alpha=0.05)
    together = rows_of([found] * 4, {KEY: "0"}, alpha=0.05)
    assert [row.p_regression for row in together] == pytest.approx([4 * alone.p_regression] * 4)


def test_the_default_margin_is_a_share_and_the_noise_of_an_equal_generator() -> None:
    """5% of a debiased .75, and twice sqrt(v/n + v/n) with v = .3 and n = 599."""
    runs = [make_run("gan", None)]
    (row,) = rows_of([sides(runs, runs, "samples", **{KEY: 0.3})], {}, alpha=0.05)
    assert row.margin == pytest.approx(0.05 * 0.75 + 2 * math.sqrt(2 * 0.3 / 599))


def test_one_bad_metric_fails_the_check_and_one_open_one_keeps_it_open() -> None:
    def row(verdict: Any) -> Row:
        (found,) = rows_of([sides(trainings([1.0, 1.1]), trainings([1.0, 1.1]), "seeds")], {}, alpha=0.05)
        return Row(**{**{name: getattr(found, name) for name in Row.__dataclass_fields__}, "verdict": verdict})

    assert overall([row("pass"), row("inconclusive"), row("regression")]) == "regression"
    assert overall([row("pass"), row("inconclusive")]) == "inconclusive"
    assert overall([row("pass"), row("pass")]) == "pass"
    assert overall([row("improvement"), row("inconclusive")]) == "improvement"
