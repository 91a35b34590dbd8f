"""Degenerate sets: every metric gives a finite result or an error by name, and no warning either way."""

import itertools
import math
from functools import cache

import numpy as np
import pytest

from genbench.definitions import Mixture
from genbench.errors import GenbenchError, SampleError
from genbench.metrics.features import LARGEST, Features
from genbench.registry import METRICS
from tests.metrics.real_sets import Quadrants

DECLARED = {name: METRICS.load(name) for name, entry in METRICS.entries().items() if entry.provider == "genbench"}
FEW = {
    "kd_subsets": {"subset_size": 8},
    "mmd_test": {"permutations": 19},
    "sliced_w2": {"directions": 40},
    "mind": {"directions": 40},
}
SETS = ("generated", "reference", "train", "test")


def normal(n, seed, d=3):
    return np.random.default_rng(seed).standard_normal((n, d))


def four(make):
    return {name: make(n, seed) for seed, (name, n) in enumerate(zip(SETS, (40, 50, 50, 45), strict=True))}


def sizes(n, **others):
    return {name: normal(others.get(name, n), seed) for seed, name in enumerate(SETS)}


def one_point(n, seed):
    return np.ones((n, 3))


def repeated(n, seed):
    return np.repeat(normal(n // 2, seed), 3, axis=0)


DENSITIES = "entropy_gap_knn entropy_knn js_classifier kl_dv kl_gaussian kl_knn kl_nwj"
DISTANCES = "auth_pct birthday_support c_t copy_rate label_test lower_tail_copies nn_distance_ratio"
SPREAD = "kl_knn_reverse mmd_rbf rke sinkhorn vendi"
BALLS = "coverage density precision precision_symmetric recall recall_symmetric knn_two_sample"
MANY = "c2st c_t fd_infinity is_splits kd_subsets kl_knn_reverse kl_log_prob"
CASES = {
    "all one point": (four(one_point), f"{DENSITIES} {DISTANCES} {SPREAD} kl_log_prob mmd_test"),
    "generated one point": (
        {**four(normal), "generated": one_point(40, 0)},
        f"{DENSITIES} kl_log_prob",
    ),
    "real sets one point": (
        {**four(one_point), "generated": normal(40, 0)},
        f"{DENSITIES} {DISTANCES} {SPREAD}",
    ),
    "one generated": (
        sizes(50, generated=1),
        f"{DENSITIES} {BALLS} {MANY} birthday_support cross_entropy fd fid is kd kid max_sliced_w2 mmd_rbf mmd_test "
        "rke vendi",
    ),
    "one real": (
        sizes(1, generated=50),
        f"{DENSITIES} {BALLS} {SPREAD} auth_pct birthday_support c2st c_t fd fid fd_infinity kd kid kd_subsets "
        "max_sliced_w2 mmd_test ndb",
    ),
    "two each": (sizes(2), f"{DENSITIES} {BALLS} {MANY} max_sliced_w2 ndb"),
    "four each": (sizes(4), f"{DENSITIES} {MANY} coverage density"),
    "more columns than samples": (four(lambda n, seed: normal(n, seed, 60)), "fd_infinity kl_log_prob"),
    "repeated": (four(repeated), ""),
    "small numbers": (four(lambda n, seed: 1e-30 * normal(n, seed)), ""),
    "large numbers": (four(lambda n, seed: 1e25 * normal(n, seed)), "kl_modes"),
}


FOUR = {name: Features(values) for name, values in four(normal).items()}


def compute(metric, sets):
    d = Features.of(sets["generated"]).d
    mixture = Mixture(centres=np.arange(2.0)[:, None] * np.ones(d), std=1.0)
    offered = {**sets, "mixture": mixture, "log_prob": mixture.log_prob, "rng": 3, "factors": Quadrants()}
    options = {**metric.options, **FEW.get(metric.name, {})}
    return metric.compute(**{name: offered[name] for name in metric.needs}, **options)


@cache
def shared(case):
    """The sets of a case, of which the metrics share what they compute."""
    return {name: Features(values) for name, values in CASES[case][0].items()}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", DECLARED)
def test_degenerate_sets_give_a_finite_result_or_a_refusal(name, case):
    sets, refused = shared(case), CASES[case][1]
    if name in refused.split():
        with pytest.raises(SampleError, match=r"^\w+: .*(expected|infinite|equal)"):
            compute(DECLARED[name], sets)
        return
    estimate = compute(DECLARED[name], sets)
    found = [estimate.value, estimate.debiased, estimate.std_error, estimate.low, estimate.high, estimate.null]
    assert all(math.isfinite(number) for number in found if number is not None)
    assert all(math.isfinite(number) for number in estimate.extra.values())
    assert estimate.low is None or estimate.high is None or estimate.low <= estimate.high


@pytest.mark.parametrize("name", DECLARED)
def test_a_number_that_is_not_finite_or_has_no_powers_is_refused_in_every_input(name):
    wrong = (np.nan, np.inf, -np.inf, 2 * LARGEST)
    for which, bad in itertools.product(sorted(set(SETS) & DECLARED[name].needs), wrong):
        spoilt = four(normal)[which]
        spoilt[7, 1] = bad
        sets = {**FOUR, which: spoilt}
        with pytest.raises(SampleError, match=r"^features: (1 of \d+ rows are not finite|numbers of at most 1e\+30)"):
            compute(DECLARED[name], sets)


def test_refusals_are_the_users_errors_and_no_crashes():
    assert issubclass(SampleError, GenbenchError)
    assert Features(np.array([[LARGEST]])).n == 1


@pytest.mark.parametrize(
    "name", ["fd", "w1", "w2", "sliced_w2", "mind", "sinkhorn", "js_class", "kl_class", "kl_gaussian"]
)
def test_the_distance_of_a_set_to_itself_is_zero_however_many_rows_are_repeated(name):
    x = repeated(60, 1)
    assert compute(DECLARED[name], {"generated": x, "reference": x[::-1].copy()}).value == pytest.approx(0, abs=1e-6)
