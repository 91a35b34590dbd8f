"""The toy mixtures against what is known of them in closed form."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from genbench.data.toy import grid25, ring8
from genbench.randomness import derive_seed
from genbench.registry import DATASETS

BOTH = pytest.mark.parametrize("dataset", [ring8, grid25], ids=["ring8", "grid25"])


@BOTH
def test_registry_finds_the_function_and_calls_share_one_dataset(dataset):
    assert DATASETS.load(dataset.__name__) is dataset
    assert dataset() is dataset()
    assert dataset().name == dataset.__name__


@BOTH
def test_shapes_and_dtypes_are_those_of_the_protocol(dataset):
    data = dataset()
    assert data.train.shape == (20_000, 2)
    assert data.test.shape == (5_000, 2)
    assert data.train.dtype == data.test.dtype == np.float32
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64


def test_ring8_has_eight_centres_at_radius_two_evenly_spaced():
    centres = ring8().mixture.centres
    assert ring8().mixture.std == 0.02
    np.testing.assert_allclose(np.hypot(*centres.T), 2, rtol=1e-15)
    gaps = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 4 * math.sin(math.pi / 8), rtol=1e-14)  # chord of an eighth of the circle


def test_grid25_has_the_25_centres_of_the_papers():
    expected = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(centre) for centre in grid25().mixture.centres.tolist()} == expected
    assert grid25().mixture.std == 0.05


@BOTH
def test_log_prob_is_the_formula(dataset):
    mixture = dataset().mixture
    points = np.random.default_rng(0).uniform(-5, 5, size=(200, 2))
    squares = ((points[:, None] - mixture.centres) ** 2).sum(axis=2)
    exponents = -squares / (2 * mixture.std**2) - math.log(2 * math.pi * mixture.std**2)
    expected = logsumexp(exponents, axis=1) - math.log(len(mixture.centres))
    np.testing.assert_allclose(mixture.log_prob(points), expected, rtol=1e-12)
    assert dataset().log_prob(points).tolist() == mixture.log_prob(points).tolist()


@BOTH
def test_density_integrates_to_one(dataset):
    """The trapezoid rule with step std is off by 4 exp(-2 pi^2) = 1.1e-8 for a Gaussian in two dimensions (Poisson
    summation), and the grid ends at least 8 deviations outside the centres: 3e-15 is cut off."""
    mixture = dataset().mixture
    reach = np.abs(mixture.centres).max() + 8 * mixture.std
    ticks = np.arange(-reach, reach + mixture.std, mixture.std)
    mass = sum(np.exp(mixture.log_prob(np.column_stack([np.full_like(ticks, x), ticks]))).sum() for x in ticks)
    assert mass * mixture.std**2 == pytest.approx(1, abs=2e-8)


@BOTH
def test_mean_log_density_is_minus_the_entropy(dataset):
    """The components are 38 deviations apart or more, so the entropy is log K + log(2 pi e std^2).

    Minus the log density of a sample is a constant plus half a chi-square with two degrees of freedom: variance 1.
    Five standard errors, 5 / sqrt(n), are exceeded with probability 6e-7 by another seed.
    """
    data = dataset()
    entropy = math.log(len(data.mixture.centres)) + math.log(2 * math.pi * math.e * data.mixture.std**2)
    for split in (data.train, data.test):
        assert -data.log_prob(split).mean() == pytest.approx(entropy, abs=5 / math.sqrt(len(split)))


@BOTH
def test_share_within_three_deviations_is_that_of_a_gaussian(dataset):
    """In the plane the squared distance over the variance is exponential with mean 2, so the share p is 1 - exp(-4.5).
    Tolerance: five standard errors sqrt(p (1 - p) / n); probability 6e-7."""
    data = dataset()
    p = 1 - math.exp(-4.5)
    for split in (data.train, data.test):
        distance = np.linalg.norm(split[:, None] - data.mixture.centres, axis=2).min(axis=1)
        error = 5 * math.sqrt(p * (1 - p) / len(split))
        assert (distance <= 3 * data.mixture.std).mean() == pytest.approx(p, abs=error)


@BOTH
def test_labels_are_the_components_and_components_are_equally_likely(dataset):
    """The nearest centre is the component but with probability exp(-19^2 / 2). Counts are binomial with share q = 1/K;
    five deviations sqrt(n q (1 - q)) over at most 25 components and two splits: probability 3e-5."""
    data = dataset()
    q = 1 / len(data.mixture.centres)
    for split, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        nearest = np.linalg.norm(split[:, None] - data.mixture.centres, axis=2).argmin(axis=1)
        assert nearest.tolist() == labels.tolist()
        spread = 5 * math.sqrt(len(split) * q * (1 - q))
        assert np.abs(np.bincount(labels) - len(split) * q).max() < spread


@BOTH
def test_no_point_occurs_twice_within_or_across_the_splits(dataset):
    """Two of 25,000 float32 points in ring8 fall on the same floats with probability below 1e-2; these do not."""
    points = np.concatenate([dataset().train, dataset().test])
    assert len(np.unique(points, axis=0)) == 25_000


@BOTH
def test_points_are_what_the_mixture_draws_from_the_derived_seed(dataset):
    data = dataset()
    for split, points in (("train", data.train), ("test", data.test)):
        rng = np.random.default_rng(derive_seed(0, data.name, split))
        np.testing.assert_array_equal(points, data.mixture.sample(len(points), rng).astype(np.float32))


@BOTH
def test_drawing_again_gives_the_same_fingerprint(dataset):
    assert dataset.__wrapped__().fingerprint == dataset().fingerprint


def test_the_two_sets_have_different_fingerprints():
    assert ring8().fingerprint != grid25().fingerprint
