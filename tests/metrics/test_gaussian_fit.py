import numpy as np
import pytest
import torch

from genbench.metrics import gaussian_fit
from genbench.metrics.gaussian_fit import Gaussian, covariance_to_factor, distance, factors_to_fd
from genbench.metrics.root_trace import root_trace


def fits(d, spectrum, seed=0, n=5):
    """Fits of two sets drawn with these variances in random directions, the first 1.1 times as wide."""
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.standard_normal((d, d)))
    drawn = [
        torch.from_numpy(rng.standard_normal((n * d, d)) * np.sqrt(spectrum) * scale @ axes) for scale in (1.1, 1.0)
    ]
    return [Gaussian(x.mean(dim=0), covariance=torch.cov(x.T)) for x in drawn]


def by_singular_values(a, b):
    known = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace()
    return float(known - 2 * torch.linalg.svdvals(a.factor.T @ b.factor).sum())


SPECTRA = {f"power {p}": np.arange(1, 65) ** -p for p in (0.0, 1.0, 1.5, 2.0, 2.5)} | {
    f"{large} large, the others {small}": np.where(np.arange(64) < large, 1.0, small)
    for large in (1, 16)
    for small in (1e-4, 1e-6)
}


@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
def test_distance_is_that_by_singular_values(spectrum):
    """The true error is at most 5 times the estimate, which is at most 1e-11; 10 draws of fixed seeds."""
    for seed in range(10):
        pair = fits(64, spectrum, seed)
        assert factors_to_fd(*pair) == pytest.approx(by_singular_values(*pair), rel=5e-11)


def test_well_conditioned_fits_take_no_singular_values(monkeypatch):
    pair = fits(64, SPECTRA["power 1.0"])
    truth = by_singular_values(*pair)
    monkeypatch.setattr(gaussian_fit, "nuclear_norm", None)
    assert factors_to_fd(*pair) == pytest.approx(truth, rel=1e-12)


def test_singular_values_decide_where_eigenvalues_are_not_to_be_tried_or_not_allowed_to_err(monkeypatch):
    pair = fits(64, SPECTRA["power 2.0"])
    truth = by_singular_values(*pair)
    assert distance(*pair) == (pytest.approx(truth, rel=5e-11), True)
    assert distance(*pair, try_eigenvalues=False) == (pytest.approx(truth, rel=1e-13), False)
    monkeypatch.setattr(gaussian_fit, "ROUNDING", 0.0)
    assert distance(*pair) == (pytest.approx(truth, rel=1e-13), False)


@pytest.mark.parametrize("off", [1e-3, -1e-3])
def test_eigenvalues_that_the_determinant_contradicts_do_not_decide(off, monkeypatch):
    pair = fits(64, SPECTRA["power 2.0"])

    def wrong(lower, covariance):
        found = root_trace(lower, covariance)
        return found._replace(value=found.value + 1, log_determinant=found.log_determinant + off)

    monkeypatch.setattr(gaussian_fit, "root_trace", wrong)
    assert factors_to_fd(*pair) == pytest.approx(by_singular_values(*pair), rel=1e-11)


def test_covariances_of_low_rank_and_no_rank_are_no_trouble():
    """A flat covariance has the distance of its means and of the other's trace."""
    _, other = fits(8, np.ones(8))
    flat = Gaussian(other.mean + 2, covariance=torch.zeros_like(other.covariance))
    for pair in ((flat, other), (other, flat)):
        assert factors_to_fd(*pair) == pytest.approx(32 + other.trace, rel=1e-12)


def test_factor_reproduces_a_covariance_with_and_without_full_rank():
    rng = np.random.default_rng(0)
    for rank in (6, 4):
        data = torch.from_numpy(rng.standard_normal((6, rank)))
        covariance = data @ data.T
        factor = covariance_to_factor(covariance)
        assert factor.shape[1] == rank
        assert torch.allclose(factor @ factor.T, covariance, atol=1e-12)


def test_eigenvalues_of_the_size_of_rounding_are_dropped_even_where_cholesky_succeeds():
    factor = covariance_to_factor(torch.diag(torch.tensor([1.0, 1e-17], dtype=torch.float64)))
    assert factor.shape == (2, 1)
