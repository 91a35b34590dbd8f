import math

import numpy as np
import pytest
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.two_sample import c2st, knn_two_sample
from tests.metrics.real_sets import mixture, share_of


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def fitted(**given):
    return c2st(**given, rng=0)


def test_neighbours_agree_with_brute_force():
    generated, reference = normal(40, seed=1), normal(60, seed=2)
    pooled = np.concatenate([generated, reference])
    distances = ((pooled[:, None] - pooled) ** 2).sum(axis=2) + np.diag([np.inf] * 100)
    neighbours = distances.argsort(axis=1)[:, :3]
    same = (neighbours < 40) == (np.arange(100) < 40)[:, None]
    found = knn_two_sample(generated=generated, reference=reference)
    assert found.value == pytest.approx(same.mean(), rel=1e-12)
    assert found.null == pytest.approx((40 * 39 + 60 * 59) / (100 * 99), rel=1e-12)


@pytest.mark.parametrize("d", [2, 16])
def test_levels_of_the_neighbour_test(d):
    """Sizes .055 to .065: of 100, more than 15 alarms have a chance below .002."""
    found = [knn_two_sample(generated=normal(150, d, s), reference=normal(200, d, 999 + s)) for s in range(100)]
    for p_value in ("p_value", "p_apart", "p_copies"):
        assert share_of(one.extra[p_value] <= 0.05 for one in found) <= 0.15
    assert np.var([one.extra["z"] for one in found]) == pytest.approx(1.0, abs=5 * (2 / 99) ** 0.5)


def test_both_tails_have_their_meaning():
    """Replayed with noise, nearest neighbours are of the other set; a narrow generator lies apart."""
    rng = np.random.default_rng(0)
    train = mixture(300, rng)
    replay = train + 0.05 * rng.standard_normal(train.shape)
    copies = knn_two_sample(generated=replay, reference=train)
    assert copies.value < 0.45
    assert copies.extra["p_copies"] < 1e-6
    apart = knn_two_sample(generated=0.7 * normal(300, 16), reference=normal(300, 16, 1))
    assert apart.extra["p_apart"] < 1e-6
    fresh = knn_two_sample(generated=mixture(300, rng), reference=train)
    assert fresh.extra["p_value"] > 0.001


def test_sets_of_equal_rows_are_neither_apart_nor_copies():
    """With all rows tied, neighbours are drawn blindly; a normal z beyond 4 has a chance of 6e-5."""
    found = knn_two_sample(generated=np.ones((200, 2)), reference=np.ones((150, 2)))
    assert abs(found.extra["z"]) < 4


def test_a_far_away_collapsed_set_is_apart():
    found = knn_two_sample(generated=np.full((100, 3), 50.0), reference=normal(100, 3))
    assert found.value == 1.0


def test_neighbour_test_is_symmetric():
    generated, reference = normal(40, seed=1), normal(60, seed=2)
    one = knn_two_sample(generated=generated, reference=reference)
    other = knn_two_sample(generated=reference, reference=generated)
    assert (one.value, one.null) == (other.value, other.null)
    assert one.extra == pytest.approx(other.extra)


def test_a_set_against_itself_is_interleaved():
    features = Features(normal(60))
    found = knn_two_sample(generated=features, reference=features)
    assert found.value < found.null


@pytest.mark.slow
@pytest.mark.parametrize(("d", "n"), [(1, 100), (16, 200)])
def test_level_and_coverage_of_the_classifier_test(d, n):
    """Accuracy 1/2 is exact. Alarms: more than 10 of 80 at .05, .002. Coverage .95: fewer than 70 of 80, .002."""
    found = [c2st(generated=normal(n, d, s), reference=normal(n, d, 999 + s), rng=s) for s in range(80)]
    assert share_of(one.extra["p_value"] <= 0.05 for one in found) <= 10 / 80
    assert share_of(one.extra["p_copies"] <= 0.05 for one in found) <= 10 / 80
    assert share_of(one.low <= 0.5 <= one.high for one in found) >= 70 / 80
    assert np.mean([one.value for one in found]) == pytest.approx(0.5, abs=5 * math.sqrt(1 / (4 * n * 80)))


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_accuracy_nears_the_best_one_for_shifted_gaussians(shift):
    """The best accuracy is Phi(shift / 2); with 4,000 answers the deviation is below .008, and fitting costs less."""
    generated = normal(2000, 2) + np.array([shift, 0.0])
    found = fitted(generated=generated, reference=normal(2000, 2, 1))
    assert found.value == pytest.approx(stats.norm.cdf(shift / 2), abs=5 * 0.008)
    assert found.low <= stats.norm.cdf(shift / 2) <= found.high
    assert found.extra["p_value"] < 1e-6


def test_classifier_is_judged_on_rows_that_it_has_not_seen():
    """With more columns than rows every fit is perfect on its own rows; alarm below 6e-5 by chance."""
    found = fitted(generated=normal(60, 200), reference=normal(60, 200, 1))
    assert abs(found.value - 0.5) < 4 * 0.5 / 60**0.5


def test_exact_copies_are_told_worse_than_by_a_coin():
    """Copied rows carry the other label in the folds that were fitted: with d > n nearly all are told wrong."""
    train = normal(60, 200)
    assert fitted(generated=train, reference=train).extra["p_copies"] < 0.01


@pytest.mark.parametrize("score", [knn_two_sample, fitted], ids=["knn", "c2st"])
@pytest.mark.parametrize("change", ["shift", "scale", "order"])
def test_shift_scale_and_order_change_nothing(score, change):
    moves = {"shift": lambda x: x + 8.0, "scale": lambda x: 0.25 * x, "order": lambda x: x[::-1].copy()}
    generated, reference = normal(90), normal(120, seed=1)
    moved = score(generated=moves[change](generated), reference=moves[change](reference))
    assert moved.value == score(generated=generated, reference=reference).value


@pytest.mark.parametrize("score", [knn_two_sample, fitted], ids=["knn", "c2st"])
def test_constant_columns_change_nothing(score):
    padded = (np.hstack([normal(50, seed=s), np.ones((50, 2))]) for s in (1, 2))
    plain = score(generated=normal(50, seed=1), reference=normal(50, seed=2))
    assert score(**dict(zip(("generated", "reference"), padded, strict=True))).value == plain.value


def test_equal_rows_cannot_be_told():
    assert fitted(generated=np.ones((20, 2)), reference=np.ones((30, 2))).value == 0.5


def test_too_few_samples_are_refused():
    with pytest.raises(SampleError, match="at least 2 samples of each set"):
        knn_two_sample(generated=normal(1), reference=normal(20))
    with pytest.raises(SampleError, match="lower k"):
        knn_two_sample(generated=normal(3), reference=normal(3), k=5)
    with pytest.raises(SampleError, match="at least 5 samples"):
        fitted(generated=normal(4), reference=normal(20))
    with pytest.raises(SampleError, match="equal width"):
        fitted(generated=normal(20, 3), reference=normal(20, 4))
