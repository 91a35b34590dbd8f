import math

import numpy as np
import pytest

from genbench.definitions import Mixture
from genbench.errors import SampleError
from genbench.metrics.known_density import cross_entropy, kl_log_prob


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def standard_log_prob(x):
    return -0.5 * (x**2).sum(axis=1) - x.shape[1] / 2 * math.log(2 * math.pi)


def test_cross_entropy_covers_the_closed_form_of_gaussians():
    """-E log N(x; 0, I) = d/2 log(2 pi) + d s^2/2 for x ~ N(0, s^2 I).

    n = 200, 200 draws: at 95%, fewer than 180 covered have probability 7e-4. Unbiased: the mean of the values is
    within 4 standard errors (6e-5).
    """
    d, scale = 2, 0.7
    truth = d / 2 * math.log(2 * math.pi) + d * scale**2 / 2
    found = [cross_entropy(generated=scale * normal(200, d, s), log_prob=standard_log_prob) for s in range(200)]
    assert sum(e.low <= truth <= e.high for e in found) >= 180
    values = np.array([e.value for e in found])
    assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / 200**0.5


def test_cross_entropy_of_true_samples_is_the_entropy_of_the_truth():
    """Far modes: entropy log K + d/2 log(2 pi e s^2). n = 5,000: 4 closed-form errors (6e-5)."""
    mixture = Mixture(centres=np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]]), std=0.5)
    truth = math.log(3) + math.log(2 * math.pi * math.e * 0.25)
    estimate = cross_entropy(generated=mixture.sample(5000, np.random.default_rng(0)), log_prob=mixture.log_prob)
    assert abs(estimate.value - truth) < 4 * estimate.std_error < 0.06


def test_a_collapsed_generator_has_the_lowest_cross_entropy_which_is_why_lower_is_not_better():
    mixture = Mixture(centres=np.zeros((1, 2)), std=1.0)
    at_the_mode = cross_entropy(generated=np.zeros((50, 2)), log_prob=mixture.log_prob)
    assert at_the_mode.value == pytest.approx(math.log(2 * math.pi))
    assert at_the_mode.std_error == pytest.approx(0.0, abs=1e-12)
    assert at_the_mode.value < cross_entropy(generated=normal(50, 2), log_prob=mixture.log_prob).value


def test_the_worst_sample_is_reported():
    far = np.vstack([normal(99, 1), [[100.0]]])
    estimate = cross_entropy(generated=far, log_prob=standard_log_prob)
    assert estimate.extra["worst"] == pytest.approx(5000 + 0.5 * math.log(2 * math.pi))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_divergence_from_the_truth_covers_the_closed_form(scale):
    """KL(N(0, s^2 I) || N(0, I)) = d (s^2 - 1)/2 - d log s; d = 2, n = 300, 100 draws.

    At 95%, fewer than 90 covered have probability .01; the seeds are fixed.
    """
    d = 2
    truth = d * (scale**2 - 1) / 2 - d * math.log(scale)
    found = [kl_log_prob(generated=scale * normal(300, d, s), log_prob=standard_log_prob) for s in range(100)]
    assert sum(e.low <= truth <= e.high for e in found) >= 90


@pytest.mark.parametrize("d", [1, 2, 5])
def test_true_samples_have_no_divergence(d):
    """n = 2,000: 4 jackknife errors (8e-4 a case) and the entropy's known bias, 0.05."""
    estimate = kl_log_prob(generated=normal(2000, d, d), log_prob=standard_log_prob)
    assert abs(estimate.value) < 4 * estimate.std_error + 0.05
    assert estimate.value == pytest.approx(estimate.extra["cross_entropy"] - estimate.extra["entropy"])


def test_common_scaling_and_order_change_nothing():
    """Samples and density scaled alike: cross-entropy and entropy both gain d log a."""
    x = 0.7 * normal(200, 3)
    plain = kl_log_prob(generated=x, log_prob=standard_log_prob).value
    scaled = kl_log_prob(generated=9 * x, log_prob=lambda y: standard_log_prob(y / 9) - 3 * math.log(9)).value
    assert scaled == pytest.approx(plain, abs=1e-9)
    shuffled = np.random.default_rng(1).permutation(x)
    assert kl_log_prob(generated=shuffled, log_prob=standard_log_prob).value == pytest.approx(plain, abs=1e-9)


def test_repeated_samples_are_used_once_in_both_terms_and_announced():
    x = normal(200, 2)
    twice = kl_log_prob(generated=np.vstack([x, x]), log_prob=standard_log_prob)
    assert twice.value == pytest.approx(kl_log_prob(generated=x, log_prob=standard_log_prob).value, abs=1e-12)
    assert twice.extra["unique_fraction"] == 0.5
    assert "200 of 400 samples repeat another" in twice.notes[-1]


def test_many_dimensions_and_few_samples_are_refused():
    with pytest.raises(SampleError, match="kl_log_prob: at most 5 dimensions"):
        kl_log_prob(generated=normal(100, 6), log_prob=standard_log_prob)
    with pytest.raises(SampleError, match="kl_log_prob: more than k distinct"):
        kl_log_prob(generated=np.ones((100, 2)), log_prob=standard_log_prob)
    with pytest.raises(SampleError, match="cross_entropy: at least 2"):
        cross_entropy(generated=[[0.0]], log_prob=standard_log_prob)


@pytest.mark.parametrize("metric", [cross_entropy, kl_log_prob])
def test_densities_that_do_not_fit_are_refused(metric):
    x = normal(50, 3)
    mixture = Mixture(centres=np.zeros((1, 2)), std=1.0)
    with pytest.raises(SampleError, match=r"\(n, 2\) expected, got \(50, 3\)"):
        metric(generated=x, log_prob=mixture.log_prob)
    with pytest.raises(SampleError, match=f"{metric.__name__}: .* width 3"):
        metric(generated=x, log_prob=lambda y: y @ np.zeros(2))
    with pytest.raises(SampleError, match="it is zero"):
        metric(generated=x, log_prob=lambda y: np.where(y[:, 0] > 0, 0.0, -np.inf))
    with pytest.raises(SampleError, match=r"shape \(50,\)"):
        metric(generated=x, log_prob=lambda y: y)


def test_the_density_cannot_write_to_the_samples():
    x = normal(50, 1)
    before = x.copy()

    def spoil(y):
        y[:] = 0
        return np.zeros(len(y))

    cross_entropy(generated=x, log_prob=spoil)
    assert (x == before).all()
