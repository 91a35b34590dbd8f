import math

import numpy as np
import pytest
from scipy import stats

from genbench.definitions import Mixture
from genbench.errors import SampleError
from genbench.metrics.modes import WITHIN, high_quality, kl_modes, modes, modes_share


def ring(k=8, std=0.01):
    angles = 2 * np.pi * np.arange(k) / k
    return Mixture(centres=np.stack([np.cos(angles), np.sin(angles)], axis=1), std=std)


def true_samples(n, mixture, seed=0):
    return mixture.sample(n, np.random.default_rng(seed))


def test_high_quality_is_three_deviations_in_two_dimensions():
    mixture = Mixture(centres=np.zeros((1, 2)), std=2.0)
    at = np.array([[5.999, 0.0], [0.0, -6.001]])
    assert high_quality(generated=at, mixture=mixture).value == 0.5


@pytest.mark.parametrize("d", [2, 3, 10, 700])
def test_true_samples_are_of_high_quality_in_every_dimension(d):
    """1 - exp(-4.5) of 2,000, whose binomial deviation is 0.0023: five of those, 6e-7 false failures."""
    mixture = Mixture(centres=np.zeros((1, d)), std=0.5)
    estimate = high_quality(generated=true_samples(2000, mixture, d), mixture=mixture)
    assert estimate.value == pytest.approx(1 - math.exp(-4.5), abs=0.012)
    assert estimate.null == WITHIN


def test_interval_of_high_quality_covers():
    """Wilson at 95%: 180 or fewer of 200 have probability 3e-3 at exactly 95%; it covers more at this share."""
    found = [high_quality(generated=true_samples(500, ring(), seed), mixture=ring()) for seed in range(200)]
    assert sum(e.low <= WITHIN <= e.high for e in found) > 180
    assert 0 < found[0].std_error < 0.01


def test_modes_are_those_hit():
    mixture = ring()
    generated = np.vstack([mixture.centres[:3], [[0.0, 0.0]]])
    assert modes(generated=generated, mixture=mixture).value == 3.0
    assert high_quality(generated=generated, mixture=mixture).value == 0.75


def test_one_stray_sample_a_mode_fools_the_count_but_not_the_share():
    mixture = ring()
    generated = np.vstack([true_samples(0, mixture), np.tile(mixture.centres[0], (93, 1)), mixture.centres[1:]])
    assert modes(generated=generated, mixture=mixture).value == 8.0
    assert modes_share(generated=generated, mixture=mixture).value == 1.0
    assert kl_modes(generated=generated, mixture=mixture).value > 1.5


@pytest.mark.parametrize(("hits", "counted"), [(4, 1.0), (5, 2.0)])
def test_share_threshold_is_a_fifth_of_the_due(hits, counted):
    """50 samples on 2 modes: 25 due, 5 needed."""
    mixture = ring(2)
    generated = np.repeat(mixture.centres, [50 - hits, hits], axis=0)
    assert modes_share(generated=generated, mixture=mixture).value == counted


@pytest.mark.parametrize("metric", [modes, modes_share])
def test_null_is_the_mean_of_a_perfect_generator(metric):
    """25 modes, 40 samples, 300 draws: within 4 standard errors (6e-5 false failures)."""
    mixture = ring(25)
    found = [metric(generated=true_samples(40, mixture, seed), mixture=mixture) for seed in range(300)]
    values = np.array([e.value for e in found])
    assert 10 < found[0].null < 24
    assert abs(values.mean() - found[0].null) < 4 * values.std(ddof=1) / 300**0.5


def test_divergence_of_modes_by_hand():
    """Shares (1/2, 1/2, 0, 0): log 2, which is also the bound for two of four modes."""
    mixture = ring(4)
    estimate = kl_modes(generated=np.repeat(mixture.centres[:2], 50, axis=0), mixture=mixture)
    assert estimate.value == pytest.approx(math.log(2))
    assert estimate.extra["bound"] == pytest.approx(math.log(2))
    assert estimate.debiased == pytest.approx(math.log(2) - 1 / 200)
    assert estimate.null == pytest.approx(3 / 200)
    assert estimate.extra["p_value"] == pytest.approx(stats.chi2.sf(200 * math.log(2), 3))


def test_divergence_of_modes_is_debiased_at_the_floor():
    """25 modes, n = 2,500, 100 draws of the truth: plug-in 24/5000 = 0.0048, debiased 0, within 4 standard errors."""
    mixture = ring(25, 0.001)
    found = [kl_modes(generated=true_samples(2500, mixture, seed), mixture=mixture) for seed in range(100)]
    debiased = np.array([e.debiased for e in found])
    assert abs(debiased.mean()) < 4 * debiased.std(ddof=1) / 10 < 0.001
    assert np.mean([e.value for e in found]) == pytest.approx(found[0].null, abs=0.001)
    assert debiased.min() < 0


def test_a_single_sample_near_a_mode_gives_a_value_without_interval():
    """Its group, once removed, would leave no shares at all."""
    mixture = ring(4)
    estimate = kl_modes(generated=np.vstack([np.zeros((99, 2)), mixture.centres[:1]]), mixture=mixture)
    assert estimate.value == pytest.approx(math.log(4))
    assert estimate.std_error is None


def test_no_sample_near_a_mode_is_no_divergence():
    with pytest.raises(SampleError, match="kl_modes: samples near a mode"):
        kl_modes(generated=np.zeros((10, 2)), mixture=ring())
    assert modes(generated=np.zeros((10, 2)), mixture=ring()).value == 0.0


@pytest.mark.parametrize("metric", [modes, modes_share, high_quality, kl_modes])
def test_features_of_another_width_are_refused(metric):
    with pytest.raises(SampleError, match=f"{metric.__name__}: samples of width 2"):
        metric(generated=np.zeros((10, 3)), mixture=ring())
