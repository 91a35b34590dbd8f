"""The analytic mode of `fd`: influence functions against closed forms, simulation and the jackknife."""

import numpy as np
import pytest
from scipy import stats

from genbench.errors import DeclarationError, SampleError
from genbench.metrics.features import Features
from genbench.metrics.frechet import factors_to_fd, fd, features_to_gaussian, gaussian_null_bias
from genbench.metrics.frechet_influence import fd_influence


def normal(n, d, seed=0, deviations=1.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * deviations


def influence(generated, reference):
    generated, reference = Features(generated), Features(reference)
    fits = features_to_gaussian(generated), features_to_gaussian(reference)
    return fd_influence(generated.values, reference.values, *fits)


def analytic(generated, reference):
    return fd(generated=generated, reference=reference, mode="analytic")


def test_bias_of_equal_gaussians_is_the_null_formulas():
    """The fourth moments' own noise and order is a few per cent at n = 20,000, d = 6."""
    deviations = 1.0 / np.arange(1, 7) ** 0.5
    found = influence(normal(20000, 6, 1, deviations), normal(10000, 6, 2, deviations)).bias
    assert found == pytest.approx(gaussian_null_bias(np.diag(deviations**2), 20000, 10000), rel=0.04)


def test_bias_of_gaussians_of_unlike_size_is_the_closed_form():
    """P = N(0, c^2 I), Q = N(0, I): s_i = c and a ~ N(0, c^2 I) on both sides. E a_i^2 a_j^2 - delta m_i^2 is c^4, or
    2 c^4 for i = j, over 2 c^3: with the mean's share, (d c^2 + c d(d+1)/4)/n and (d + c d(d+1)/4)/m. Noise: 4%."""
    c, d, n, m = 1.8, 6, 20000, 10000
    truth = (d * c**2 + c * d * (d + 1) / 4) / n + (d + c * d * (d + 1) / 4) / m
    assert influence(normal(n, d, 1, c), normal(m, d, 2)).bias == pytest.approx(truth, rel=0.04)


def test_error_of_a_far_shift_is_the_closed_form():
    """First order: the influence of x is 2 mu.x on either side, of variance 4 |mu|^2; n = 20,000 leaves 2% of noise."""
    shift = np.array([3.0, 0.0, -2.0, 0.0])
    found = influence(normal(20000, 4, 1) + shift, normal(10000, 4, 2)).std_error
    assert found == pytest.approx((4 * 13 * (1 / 20000 + 1 / 10000)) ** 0.5, rel=0.02)


def test_error_of_unlike_scales_is_the_closed_form():
    """P = N(0, c^2 I): T = I/c. The influences are (1 - 1/c)|x|^2 and (1 - c)|y|^2, with Var |x|^2 = 2 d c^4."""
    c, d = 2.0, 4
    truth = (2 * d * ((1 - 1 / c) ** 2 * c**4 / 20000 + (1 - c) ** 2 / 10000)) ** 0.5
    assert influence(normal(20000, d, 1, c), normal(10000, d, 2)).std_error == pytest.approx(truth, rel=0.03)


def test_error_of_equal_gaussians_is_no_less_than_the_true_deviation():
    """For N(0, I) the second-order term's features have a squared covariance of trace d + d/4 + d(d-1)/8, so that its
    deviation is sqrt(2 t)(1/n + 1/m). 100 draws confirm that to 30% (4 standard errors of 7%). The estimate adds the
    first-order variance of the fitted maps, and lies between 1 and 2.2 times it."""
    d, n, m = 8, 400, 600
    deviation = (2 * (d + d / 4 + d * (d - 1) / 8)) ** 0.5 * (1 / n + 1 / m)
    found = [analytic(normal(n, d, 2 * i), normal(m, d, 2 * i + 1)) for i in range(100)]
    assert np.std([e.debiased for e in found], ddof=1) == pytest.approx(deviation, rel=0.3)
    assert deviation < np.mean([e.std_error for e in found]) < 2.2 * deviation


@pytest.mark.parametrize("d", [8, 32])
@pytest.mark.parametrize("alike", [False, True])
def test_interval_covers_the_distance_of_the_distributions(d, alike):
    """Gaussians with spectrum 1/i, n = 500 and 400: shift 0.3, scale 1.2: truth 0.09 + 0.04 tr S.

    Nominal 95%; measured over 200 draws .965 and .960, for equal ones 1.00. 89 or fewer of 100 have probability .012.
    """
    assert stats.binom.cdf(89, 100, 0.95) < 0.012
    deviations = np.arange(1, d + 1) ** -0.5
    shift, scale = (0.0, 1.0) if alike else (0.3, 1.2)
    truth = shift**2 + (scale - 1) ** 2 * (deviations**2).sum()
    covered = 0
    for i in range(100):
        generated = normal(500, d, 1000 + 2 * i, deviations * scale)
        generated[:, 0] += shift
        estimate = analytic(generated, normal(400, d, 1001 + 2 * i, deviations))
        covered += estimate.low <= truth <= estimate.high
    assert covered >= 90


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_agrees_with_the_jackknife_within_its_error(shift):
    """Both correct the same bias of the same samples, so that they differ by far less than a standard error; the
    jackknife's own error has a deviation of 16%, and 0.5 to 2 is beyond 4 of them with what the null adds."""
    generated, reference = normal(1000, 8, 1) + shift, normal(800, 8, 2)
    ours, theirs = analytic(generated, reference), fd(generated=generated, reference=reference)
    assert ours.value == theirs.value
    assert abs(ours.debiased - theirs.debiased) < 0.5 * theirs.std_error
    assert 0.5 < ours.std_error / theirs.std_error < 2


def test_moves_with_one_sample_as_the_influence_says():
    """The first-order variance is that of the change when a sample is removed, to order 1/n: 5% at n = 400, far out."""
    x, y = normal(400, 3, 1, 1.5) + 2, normal(4000, 3, 2)
    fit = features_to_gaussian(Features(y))
    without = [factors_to_fd(features_to_gaussian(Features(np.delete(x, i, axis=0))), fit) for i in range(400)]
    everything = [x, np.vstack([y] * 100)]  # a reference so large that its own share is gone
    assert influence(*everything).std_error == pytest.approx((399 * np.var(without)) ** 0.5, rel=0.05)


def test_blocks_change_nothing_but_the_last_digits(monkeypatch):
    x, y = normal(300, 5, 1, 1.3), normal(400, 5, 2)
    whole = influence(x, y)
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 5 * 7)
    assert influence(x, y) == pytest.approx(whole, rel=1e-10)


def test_is_blind_to_rotation_translation_and_constant_columns():
    x, y = normal(300, 5, 1, 1.3), normal(400, 5, 2)
    turn, _ = np.linalg.qr(normal(5, 5, 3))
    whole = influence(x, y)
    assert influence(x @ turn + 5, y @ turn + 5) == pytest.approx(whole, rel=1e-8)
    padded = [np.hstack([z, np.full((len(z), 2), 3.0)]) for z in (x, y)]
    assert influence(*padded) == pytest.approx(whole, rel=1e-8)


def test_swapping_the_sets_and_scaling_do_what_they_must():
    x, y = normal(300, 5, 1, 1.3), normal(400, 5, 2)
    whole = influence(x, y)
    assert influence(y, x) == pytest.approx(whole, rel=1e-8)
    assert influence(3 * x, 3 * y) == pytest.approx([9 * part for part in whole], rel=1e-8)


def test_keeps_no_replicates_and_needs_ten_samples_a_dimension():
    estimate = analytic(normal(80, 8, 1), normal(100, 8, 2))
    assert estimate.replicates == ()
    assert estimate.low < estimate.debiased < estimate.high
    with pytest.raises(SampleError, match="at least 10 samples a dimension, got 79 for 8 dimensions"):
        analytic(normal(79, 8, 1), normal(100, 8, 2))


def test_sets_that_are_one_point_each_have_no_error():
    estimate = analytic(np.ones((40, 3)), np.zeros((40, 3)))
    assert (estimate.debiased, estimate.std_error) == (pytest.approx(3.0), 0.0)


def test_an_unknown_mode_is_refused():
    with pytest.raises(DeclarationError, match="mode 'jackknife' or 'analytic' expected, got 'bootstrap'"):
        fd(generated=normal(40, 3), reference=normal(40, 3), mode="bootstrap")
