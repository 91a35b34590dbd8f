import math

import numpy as np
import pytest
from scipy.spatial import cKDTree

import genbench.metrics.sweep
from genbench.errors import SampleError
from genbench.metrics.demand import announce_metric
from genbench.metrics.divergence import kl_knn
from genbench.metrics.features import Features
from genbench.metrics.projection import whiten
from genbench.registry import METRICS
from genbench.stats.jackknife import deletions, values_alone


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def gaussian_kl(d, shift, scale):
    """KL(N(0, I) || N(shift e_1, scale^2 I)) in nats."""
    return d * math.log(scale) + (d + shift**2) / (2 * scale**2) - d / 2


def textbook(p, q, k):
    rho, nu = cKDTree(p).query(p, k + 1)[0][:, k], cKDTree(q).query(p, [k])[0][:, 0]
    return p.shape[1] * np.log(nu / rho).mean() + math.log(len(q) / (len(p) - 1))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("k", [1, 5])
def test_agrees_with_the_formula_on_a_k_d_tree(direction, k):
    generated, reference = Features(normal(200, 3, 1)), Features(1.5 * normal(260, 3, 2))
    p, q = (side.values.numpy() for side in whiten("test", generated, reference, 5))
    p, q = (p, q) if direction == "forward" else (q, p)
    value = kl_knn(generated=generated, reference=reference, direction=direction, k=k).value
    assert value == pytest.approx(textbook(p, q, k), rel=1e-9)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0)])
def test_gaussians_have_their_closed_form(d, shift, scale):
    """n = 2,000: 4 jackknife errors (t with 19 degrees: 8e-4 a case, 5e-3 in all) and the known bias, 0.02."""
    reference = scale * normal(2000, d, 10 + d)
    reference[:, 0] += shift
    estimate = kl_knn(generated=normal(2000, d, 20 + d), reference=reference)
    assert abs(estimate.value - gaussian_kl(d, shift, scale)) < 4 * estimate.std_error + 0.02
    assert estimate.std_error < 0.1


def test_common_affine_maps_change_nothing():
    generated, reference = normal(300, 3, 1), 1.3 * normal(300, 3, 2)
    linear, shift = normal(3, 3, 3), np.array([5.0, -2.0, 1.0])
    plain = kl_knn(generated=generated, reference=reference).value
    mapped = kl_knn(generated=generated @ linear + shift, reference=reference @ linear + shift).value
    assert mapped == pytest.approx(plain, rel=1e-8)


def test_duplicates_and_copies_give_finite_numbers_and_are_reported():
    reference = normal(200, 2, 1)
    generated = np.vstack([reference[:40], normal(80, 2, 2), np.tile(normal(1, 2, 3), (80, 1))])
    for direction in ("forward", "reverse"):
        estimate = kl_knn(generated=generated, reference=reference, direction=direction)
        assert math.isfinite(estimate.value)
        assert math.isfinite(estimate.std_error)
        assert estimate.extra["copies"] == pytest.approx(0.2)
        assert estimate.extra["duplicates"] == (0.4 if direction == "forward" else 0.0)


def test_each_sample_twice_is_corrected_by_the_raised_rank():
    """At k = 1 every point's nearest is its double; the first positive distance, of rank 2, is that of the single set.

    So the distances are the same, n becomes 2n in log(m/(n - 1)), and the correction adds psi(2) - psi(1) = 1.
    """
    p, q = normal(1000, 2, 1), 1.5 * normal(1000, 2, 2)
    doubled = kl_knn(generated=np.vstack([p, p]), reference=q, k=1).value
    single = kl_knn(generated=p, reference=q, k=1).value
    assert doubled == pytest.approx(single + 1.0 - math.log(1999 / 999), rel=1e-9)


def test_replicates_are_those_of_the_kept_rows_in_fixed_coordinates():
    generated, reference = Features(normal(120, 2, 1)), Features(normal(150, 2, 2))
    p, q = (side.values.numpy() for side in whiten("test", generated, reference, 5))
    direct = [textbook(p[a], q[b], 5) for a, b in deletions(120, 150)]
    assert kl_knn(generated=generated, reference=reference).replicates == pytest.approx(direct, rel=1e-9)


def test_points_outside_the_support_are_announced():
    far = normal(300, 2, 1)
    far[:30] += 100
    estimate = kl_knn(generated=far, reference=normal(300, 2, 2))
    assert estimate.extra["outside_support"] == pytest.approx(0.1, abs=0.03)
    assert "lower bound" in estimate.notes[-1]
    assert len(kl_knn(generated=normal(300, 2, 1), reference=normal(300, 2, 2)).notes) == 1


def test_only_five_directions_are_used():
    assert kl_knn(generated=normal(100, 20, 1), reference=normal(100, 20, 2)).extra["dimensions"] == 5.0


@pytest.mark.parametrize(("n", "m", "k"), [(5, 100, 5), (100, 4, 5), (100, 100, 0)])
def test_too_few_samples_for_k_are_refused(n, m, k):
    with pytest.raises(SampleError, match="kl_knn: k >= 1"):
        kl_knn(generated=normal(n, 2, 1), reference=normal(m, 2, 2), k=k)


def test_a_set_that_is_one_point_is_refused():
    with pytest.raises(SampleError, match="one point"):
        kl_knn(generated=np.ones((50, 2)), reference=normal(50, 2))


def test_few_samples_for_k_get_a_value_without_interval():
    estimate = kl_knn(generated=normal(12, 2, 1), reference=normal(12, 2, 2), k=10)
    assert math.isfinite(estimate.value)
    assert estimate.std_error is None


def test_unlike_widths_are_refused():
    with pytest.raises(SampleError, match="equal width"):
        kl_knn(generated=normal(20, 3), reference=normal(20, 4))


@pytest.mark.parametrize("d", [2, 8])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_value_that_is_read_alone_is_the_same(direction, d):
    """Also where rows are repeated, whose ranks are raised: fewer neighbours are listed for it."""
    generated, reference = normal(200, d, 1), normal(210, d, 2)
    generated[:40], reference[:30] = generated[0], generated[100:130]
    given = {"generated": generated, "reference": reference, "direction": direction, "dims": d}
    whole = kl_knn(**given)
    with values_alone():
        alone = kl_knn(**given)
    assert alone.value == whole.value
    assert alone.extra == whole.extra
    assert alone.std_error is None
    assert whole.std_error is not None


@pytest.mark.parametrize("announced", [True, False])
def test_both_directions_take_one_pass_over_the_pairs_if_both_were_announced(monkeypatch, announced):
    """In 12 components, in which no tree is searched. What is listed in one pass or in two is measured exactly."""
    sweep, passes = genbench.metrics.sweep.sweep, []
    monkeypatch.setattr(genbench.metrics.sweep, "sweep", lambda *a: passes.append(a) or sweep(*a))
    generated, reference = Features(normal(90, 12, 1)), Features(normal(80, 12, 2))
    directions = {"forward": "kl_knn", "reverse": "kl_knn_reverse"}
    for name in directions.values() if announced else ():
        announce_metric(METRICS.load(name), {"dims": 12}, {"generated": generated, "reference": reference})
    found = {
        direction: kl_knn(generated=generated, reference=reference, direction=direction, dims=12)
        for direction in directions
    }
    assert len(passes) == (3 if announced else 4)
    for direction, estimate in found.items():
        fresh = kl_knn(generated=normal(90, 12, 1), reference=normal(80, 12, 2), direction=direction, dims=12)
        assert estimate == fresh
