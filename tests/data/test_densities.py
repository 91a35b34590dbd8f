"""Densities that are no mixtures, against brute force, and their samples against them."""

import math

import numpy as np
import pytest
from scipy.special import log_ndtr, logsumexp, ndtr

from genbench.data.densities import checkerboard, moons, swissroll
from genbench.errors import SampleError

ALL = pytest.mark.parametrize("load", [swissroll, moons, checkerboard])

STD = {"swissroll": 0.5, "moons": 0.1}
SIZE = 25_000


def fine_curve(name, count):
    """Many equally weighted points along the curve of a set: the midpoints of equal steps of its parameter."""
    if name == "swissroll":
        t = np.pi * (1.5 + 3 * (np.arange(count) + 0.5) / count)
        return t[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1)
    a = np.pi * (np.arange(count) + 0.5) / count
    upper = np.stack([np.cos(a), np.sin(a)], axis=1)
    return np.concatenate([upper, [1.0, 0.5] - upper])


def brute_force(name, points, count=40_000):
    curve, std = fine_curve(name, count), STD[name]
    squares = ((points[:, None] - curve) ** 2).sum(axis=2)
    return logsumexp(-squares / (2 * std**2), axis=1) - math.log(len(curve)) - math.log(2 * math.pi * std**2)


def planar(name):
    """The density of a set in the plane of its curve."""
    return swissroll().density.curve if name == "swissroll" else moons().density


@ALL
def test_shapes_and_dtypes_are_those_of_the_protocol(load):
    data = load()
    d = 3 if load is swissroll else 2
    assert load() is data
    assert data.name == load.__name__
    assert (data.train.shape, data.test.shape) == ((20_000, d), (5_000, d))
    assert data.train.dtype == data.test.dtype == np.float32
    assert data.mixture is None
    assert np.isfinite(data.log_prob(data.test)).all()


@ALL
def test_drawing_again_gives_the_same_fingerprint(load):
    assert load.__wrapped__().fingerprint == load().fingerprint


@ALL
def test_points_of_another_width_are_refused(load):
    with pytest.raises(SampleError, match="points of shape"):
        load().log_prob(np.zeros((4, 5)))


@ALL
def test_no_point_occurs_twice_within_or_across_the_splits(load):
    """Two of 25,000 float32 points fall together with probability below 1e-4; these do not."""
    assert len(np.unique(np.concatenate([load().train, load().test]), axis=0)) == SIZE


@pytest.mark.parametrize("name", STD)
def test_quadrature_is_exact_on_the_curve_and_far_from_it(name):
    """The midpoint rule with steps h along the parameter is off by h² |g'| / 24 at each end of the curve, where the
    integrand g falls at most at the rate speed · distance / std². Relative to g's own integral over 1 / rate that is
    (h · rate)² / 24. On the roll the speed is 14: with 40,000 steps 3e-7 at 3 deviations, with 200,000 steps 3e-4 at
    the farthest point, 30 away."""
    near = (swissroll().test[:60, ::2] if name == "swissroll" else moons().test[:60]).astype(float)
    np.testing.assert_allclose(planar(name).log_prob(near), brute_force(name, near), rtol=0, atol=1e-6)
    far = np.array([[40.0, -3.0], [0.0, 0.0], [-25.0, 30.0]]) * (1 if name == "swissroll" else 0.1)
    np.testing.assert_allclose(planar(name).log_prob(far), brute_force(name, far, 200_000), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", STD)
def test_twice_the_nodes_change_nothing(name, monkeypatch):
    """Gauss-Legendre quadrature of order 8 in panels converges as the sixteenth power of the panel, so that its error
    is the difference. The points reach 50 deviations from the curves."""
    import genbench.data.densities as module

    coarse = planar(name)
    quadrature = module._quadrature
    monkeypatch.setattr(module, "_quadrature", lambda low, high, step: quadrature(low, high, step=step / 2))
    fine = {"swissroll": swissroll, "moons": moons}[name].__wrapped__().density
    fine = fine.curve if name == "swissroll" else fine
    assert len(fine.nodes) >= 1.5 * len(coarse.nodes)
    scale = 25 if name == "swissroll" else 4
    points = np.random.default_rng(0).uniform(-scale, scale, size=(500, 2))
    np.testing.assert_allclose(coarse.log_prob(points), fine.log_prob(points), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", STD)
def test_densities_in_the_plane_integrate_to_one_and_samples_have_their_entropy(name):
    """The trapezoid rule with step std is off by 4 exp(-2 pi²) = 1.1e-8 for every Gaussian that is integrated over; for
    the entropy, whose integrand is rougher, by 2e-5 (against a quarter of the step).

    The mean of -log p over the samples is the entropy; the tolerance is five standard errors, at least 0.03:
    probability 6e-7 for each split under another seed.
    """
    density, std = planar(name), STD[name]
    data = swissroll() if name == "swissroll" else moons()
    lows, highs = density.nodes.min(axis=0) - 8 * std, density.nodes.max(axis=0) + 8 * std
    axes = [np.arange(low, high + std, std) for low, high in zip(lows, highs, strict=True)]
    logs = density.log_prob(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2))
    assert np.exp(logs).sum() * std**2 == pytest.approx(1, abs=2e-8)
    entropy = -(np.exp(logs) * logs).sum() * std**2
    for split in (data.train, data.test):
        surprise = -density.log_prob(split[:, ::2] if name == "swissroll" else split)
        assert surprise.mean() == pytest.approx(entropy, abs=5 * surprise.std() / math.sqrt(len(split)))


def test_the_roll_is_the_product_of_its_spiral_and_its_width():
    points = swissroll().test[:200].astype(float)
    points[:, 1] = np.linspace(-1.5, 22.5, 200)  # beyond, the difference below loses digits
    across = np.log((ndtr(points[:, 1] / 0.5) - ndtr((points[:, 1] - 21) / 0.5)) / 21)
    expected = planar("swissroll").log_prob(points[:, ::2]) + across
    np.testing.assert_allclose(swissroll().log_prob(points), expected, rtol=0, atol=1e-9)


def test_the_rolls_density_stays_finite_far_outside_its_width():
    """There, log(Φ(b) - Φ(a)) is log Φ(b) to within exp(-(b - a) |b|), and the same on both sides."""
    points = np.repeat(swissroll().test[:1].astype(float), 2, axis=0)
    points[:, 1] = 10.5 - 1000, 10.5 + 1000
    below, above = swissroll().log_prob(points)
    expected = planar("swissroll").log_prob(points[:1, ::2])[0] + log_ndtr((10.5 - 1000) / 0.5) - math.log(21)
    assert below == pytest.approx(expected, rel=1e-12)
    assert above == pytest.approx(expected, rel=1e-12)


def test_the_rolls_width_is_uniform():
    """Noise apart: the mean is 21 / 2 and the variance 21² / 12 + 0.25; tolerances are five standard errors."""
    y = swissroll().train[:, 1].astype(float)
    variance = 21**2 / 12 + 0.25
    assert y.mean() == pytest.approx(10.5, abs=5 * math.sqrt(variance / len(y)))
    assert y.var() == pytest.approx(variance, abs=5 * variance * math.sqrt(0.8 / len(y)))  # kurtosis of a uniform: 1.8


def test_moons_are_labelled_by_the_half_circle_they_belong_to():
    """Distances to the labelled half circle are those of noise: |r - 1| of a point at radius r, 0.1 |z| and slightly
    more near its ends. Beyond six deviations there are none; the other moon is 0.5 or more away for most points."""
    data = moons()
    for points, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        centre = np.where(labels[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
        assert np.abs(np.linalg.norm(points - centre, axis=1) - 1).max() < 0.6
        assert abs(labels.mean() - 0.5) < 5 * 0.5 / math.sqrt(len(labels))


def test_the_checkerboards_density_is_one_over_the_area_of_its_squares():
    board = checkerboard()
    ticks = np.arange(-5, 5, 0.25) + 0.125  # midpoints of cells that no edge of a square cuts
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    logs = board.log_prob(grid)
    assert set(logs.tolist()) == {-math.inf, -math.log(32)}
    assert np.exp(logs).sum() * 0.25**2 == pytest.approx(1, rel=1e-12)
    filled = (np.floor(grid / 2).sum(axis=1) % 2 == 0) & (np.abs(grid) < 4).all(axis=1)
    np.testing.assert_array_equal(np.isfinite(logs), filled)


def test_checkerboard_samples_fill_the_eight_squares_evenly():
    """Counts are binomial with share 1/8; five deviations over eight squares: probability 5e-6 under another seed.
    Within a square, means of the offsets are off by at most five standard errors."""
    data = checkerboard()
    counts = np.bincount(data.train_labels, minlength=8)
    assert len(counts) == 8
    assert np.abs(counts - 2500).max() < 5 * math.sqrt(20_000 / 8 * 7 / 8)
    offsets = data.train % 2
    assert np.abs(offsets.mean(axis=0) - 1).max() < 5 * math.sqrt(1 / 3 / 20_000)
    assert len(np.unique(data.density.squares(data.test))) == 8
    np.testing.assert_array_equal(data.density.squares(data.test), data.test_labels)
