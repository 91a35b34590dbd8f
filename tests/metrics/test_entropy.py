import math

import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.metrics.counts import entropy_of_counts, grassberger_entropy
from genbench.metrics.entropy import entropy_class, entropy_gap_knn, entropy_knn
from genbench.metrics.features import Features
from genbench.metrics.projection import whiten
from genbench.stats.jackknife import deletions, standard_error, values_alone


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def in_coordinates(entropy, reference):
    """Move an entropy into the whitened coordinates: add the log of the map's determinant."""
    return entropy - 0.5 * np.linalg.slogdet(np.atleast_2d(np.cov(reference, rowvar=False)))[1]


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_densities_have_their_closed_form(d, kind):
    """h = d/2 log(2 pi e) or d log 2; n = 2,000: 4 jackknife errors (8e-4 a case) and the known bias, 0.03 for d = 2.

    The uniform density ends abruptly, which adds about 4 sqrt(k/n)/2 of the points near an edge: 0.1 for d = 2.
    """
    rng = np.random.default_rng(d)
    reference = 3 * rng.standard_normal((500, d))
    generated = rng.standard_normal((2000, d)) if kind == "gaussian" else rng.uniform(-1, 1, (2000, d))
    truth = d / 2 * math.log(2 * math.pi * math.e) if kind == "gaussian" else d * math.log(2)
    estimate = entropy_knn(generated=generated, reference=reference)
    bias = 0.03 if kind == "gaussian" else 0.1
    assert abs(estimate.value - in_coordinates(truth, reference)) < 4 * estimate.std_error + bias
    assert estimate.std_error < 0.05


@pytest.mark.parametrize("factor", [0.01, 7.0])
def test_scaling_by_a_adds_d_log_a(factor):
    generated, reference = normal(300, 3, 1), normal(300, 3, 2)
    plain = entropy_knn(generated=generated, reference=reference).value
    scaled = entropy_knn(generated=generated * factor, reference=reference).value
    assert scaled - plain == pytest.approx(3 * math.log(factor), abs=1e-8)


def test_shift_adds_nothing():
    generated, reference = normal(300, 3, 1), normal(300, 3, 2)
    plain = entropy_knn(generated=generated, reference=reference).value
    assert entropy_knn(generated=generated + 5, reference=reference).value == pytest.approx(plain, abs=1e-8)


def test_duplicates_are_counted_and_used_once():
    distinct, reference = normal(200, 2, 1), normal(100, 2, 2)
    plain = entropy_knn(generated=distinct, reference=reference)
    doubled = entropy_knn(generated=np.vstack([distinct, distinct]), reference=reference)
    assert doubled.extra["unique_fraction"] == 0.5
    assert plain.extra["unique_fraction"] == 1.0
    assert doubled.value == pytest.approx(plain.value, rel=1e-12)
    assert math.isfinite(doubled.std_error)


def test_replicates_are_those_of_the_kept_samples_in_fixed_coordinates():
    generated, reference = Features(normal(150, 2, 1)), Features(normal(100, 2, 2))
    moved = whiten("test", generated, reference, 5)[0].values.numpy()
    estimate = entropy_knn(generated=generated, reference=reference)
    kept = [moved[keep] for (keep,) in deletions(150)]
    # The coordinates of a set whose own reference is standard are itself: four corners with unit covariance do that.
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) * math.sqrt(3 / 4)
    direct = [entropy_knn(generated=part, reference=corners).value for part in kept]
    assert estimate.replicates == pytest.approx(direct, rel=1e-8)


def test_five_directions_at_most_and_only_those_with_variance():
    assert entropy_knn(generated=normal(50, 9, 1), reference=normal(50, 9, 2)).extra["dimensions"] == 5.0
    flat = np.hstack([normal(50, 2, 2), np.zeros((50, 1))])
    assert entropy_knn(generated=normal(50, 3, 1), reference=flat).extra["dimensions"] == 2.0


def test_too_few_distinct_samples_are_refused():
    with pytest.raises(SampleError, match=r"entropy_knn: .* for 5 distinct of 50"):
        entropy_knn(generated=np.tile(normal(5, 2), (10, 1)), reference=normal(50, 2))


def test_barely_enough_distinct_samples_give_a_value_without_interval():
    """With 6 distinct samples and k = 5, a group may take one of them away."""
    generated = np.vstack([np.tile(normal(5, 2), (9, 1)), [[7.0, 7.0]]])
    estimate = entropy_knn(generated=generated, reference=normal(50, 2))
    assert math.isfinite(estimate.value)
    assert estimate.std_error is None


def test_even_classes_have_the_logarithm_of_their_number():
    estimate = entropy_class(generated=np.eye(10).repeat(100, axis=0))
    assert estimate.value == pytest.approx(math.log(10), rel=1e-12)
    assert estimate.extra["effective_classes"] == pytest.approx(10, abs=0.1)
    assert estimate.extra["classes_seen"] == 10.0


def test_one_class_has_no_entropy():
    assert entropy_class(generated=np.tile([[1.0, 0.0]], (500, 1))).value == 0.0


def test_interval_of_class_entropy_covers_the_truth_that_the_plug_in_misses():
    """50 even classes, n = 200: bias of the plug-in 0.12 nats. At 95%, 82 or fewer of 100 have probability 1e-6."""
    rng = np.random.default_rng(0)
    p = np.linspace(1, 3, 50) / 100
    truth = -float((p * np.log(p)).sum())
    found = [entropy_class(generated=np.eye(50)[rng.choice(50, 200, p=p)]) for _ in range(100)]
    assert sum(e.low <= truth <= e.high for e in found) > 82
    assert np.mean([e.value for e in found]) < truth - 0.08


def test_error_is_that_of_the_debiased_entropy_and_replicates_are_of_the_value():
    labels = np.random.default_rng(0).integers(50, size=200)
    parts = [np.bincount(labels[keep], minlength=50) for (keep,) in deletions(200)]
    estimate = entropy_class(generated=np.eye(50)[labels])
    assert estimate.std_error == pytest.approx(standard_error([grassberger_entropy(part) for part in parts]), rel=1e-12)
    assert estimate.replicates == pytest.approx([entropy_of_counts(part) for part in parts], rel=1e-12)


def test_one_logit_is_refused():
    with pytest.raises(SampleError, match=r"entropy_class: .* 2 classes"):
        entropy_class(generated=np.zeros((10, 1)))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_interval_of_the_gap_covers_the_closed_form(scale):
    """h(N(0, s^2 I)) - h(N(0, I)) = d log s; d = 2, n = 300, 100 pairs.

    At 95%, fewer than 90 covered have probability .01; the seeds are fixed.
    """
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found.append(
            entropy_gap_knn(generated=scale * rng.standard_normal((300, 2)), reference=rng.standard_normal((300, 2)))
        )
    assert sum(e.low <= 2 * math.log(scale) <= e.high for e in found) >= 90


def test_gap_is_the_difference_of_both_entropies_in_the_same_coordinates():
    generated, reference = 0.5 * normal(150, 2, 1), normal(150, 2, 2)
    estimate = entropy_gap_knn(generated=generated, reference=reference)
    ours = entropy_knn(generated=generated, reference=reference).value
    theirs = entropy_knn(generated=reference, reference=reference).value
    assert estimate.value == pytest.approx(ours - theirs, rel=1e-12)
    assert estimate.extra["entropy_reference"] == pytest.approx(theirs, rel=1e-12)


def test_gap_of_a_set_with_itself_is_zero_and_the_gap_changes_sign_with_the_sides():
    x, y = normal(100, 3, 1), 1.5 * normal(100, 3, 2)
    assert entropy_gap_knn(generated=x, reference=x).value == 0.0
    there, back = (entropy_gap_knn(generated=a, reference=b).value for a, b in ((x, y), (y, x)))
    assert there == pytest.approx(-back, abs=0.05), "coordinates differ: neighbours too, a little"


def test_common_affine_maps_leave_the_gap_and_scaling_one_side_adds_d_log_a():
    x, y, linear = normal(200, 3, 1), normal(200, 3, 2), normal(3, 3, 3)
    plain = entropy_gap_knn(generated=x, reference=y).value
    assert entropy_gap_knn(generated=x @ linear + 4, reference=y @ linear + 4).value == pytest.approx(plain, abs=1e-7)
    assert entropy_gap_knn(generated=7 * x, reference=y).value == pytest.approx(plain + 3 * math.log(7), abs=1e-8)


@pytest.mark.parametrize(("n", "m"), [(120, 200), (200, 120)])
def test_unequal_sets_are_thinned_alike_whatever_their_order(n, m):
    x, y, rng = normal(n, 2, 1), normal(m, 2, 2), np.random.default_rng(3)
    estimate = entropy_gap_knn(generated=x, reference=y)
    assert estimate.extra["n"] == 120.0
    assert abs(estimate.value) < 4 * estimate.std_error
    shuffled = entropy_gap_knn(generated=rng.permutation(x), reference=rng.permutation(y))
    assert shuffled.value == pytest.approx(estimate.value, abs=1e-9)
    entropy_of_all = entropy_knn(generated=y, reference=y).value
    assert (estimate.extra["entropy_reference"] == pytest.approx(entropy_of_all, rel=1e-12)) == (m == 120)


def test_repeated_samples_shrink_both_sides_of_the_gap():
    x, y = normal(100, 2, 1), normal(200, 2, 2)
    estimate = entropy_gap_knn(generated=np.vstack([x, x]), reference=y)
    assert estimate.extra["n"] == 100.0
    assert estimate.extra["unique_fraction"] == 0.5
    assert math.isfinite(estimate.std_error)


def test_the_gap_of_too_few_distinct_samples_is_refused():
    with pytest.raises(SampleError, match="entropy_gap_knn: more than k distinct"):
        entropy_gap_knn(generated=np.ones((50, 2)), reference=normal(50, 2))
    with pytest.raises(SampleError, match="k >= 1"):
        entropy_gap_knn(generated=normal(50, 2), reference=normal(50, 2), k=0)


@pytest.mark.parametrize("metric", [entropy_knn, entropy_gap_knn])
@pytest.mark.parametrize("d", [2, 8])
def test_a_value_that_is_read_alone_is_the_same(metric, d):
    generated, reference = normal(200, d, 1), normal(210, d, 2)
    generated[:40] = generated[0]
    whole = metric(generated=generated, reference=reference, dims=d)
    with values_alone():
        alone = metric(generated=generated, reference=reference, dims=d)
    assert alone.value == whole.value
    assert alone.extra == whole.extra
    assert alone.std_error is None
    assert whole.std_error is not None
