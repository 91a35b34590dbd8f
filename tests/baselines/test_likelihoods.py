"""Likelihoods of decoders: normalized, stable, and drawn from as they say."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from baselines import likelihoods
from baselines.likelihoods import (
    bernoulli,
    discretized_logistic,
    from_levels,
    gaussian,
    kl_to_standard_normal,
    snap,
    to_levels,
)

SIZES = list(product((-1.5, -1.0, -0.3, 0.0, 0.999, 4.0), (-7.0, -3.0, 0.0, 3.0)))  # location, log width


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def all_levels(levels: int) -> Tensor:
    return torch.linspace(-1, 1, levels, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize(("location", "log_width"), SIZES)
def test_discretized_logistic_sums_to_one_over_its_levels(location: float, log_width: float, levels: int):
    x, width = all_levels(levels), torch.tensor(log_width, dtype=torch.float64)
    log_mass = discretized_logistic(x, torch.full_like(x, location), width, levels)
    # float64: the sum of 256 terms, each rounded to about 2**-50 of itself
    assert torch.logsumexp(log_mass, dim=0).item() == pytest.approx(0.0, abs=1e-11)


def test_discretized_logistic_is_the_difference_of_the_distribution_function():
    x, location, width = all_levels(9), torch.full((9, 1), 0.2, dtype=torch.float64), 0.4
    edges = torch.linspace(-1 - 1 / 8, 1 + 1 / 8, 10, dtype=torch.float64)
    below = torch.sigmoid((edges - 0.2) / width)
    below[0], below[-1] = 0.0, 1.0
    log_mass = discretized_logistic(x, location, torch.tensor(width, dtype=torch.float64).log(), 9)
    torch.testing.assert_close(log_mass.exp(), below[1:] - below[:-1], rtol=1e-12, atol=0)


def test_discretized_logistic_stays_finite_with_its_gradient_where_the_mass_underflows():
    location = torch.full((256, 1), 1.0, requires_grad=True)
    log_width = torch.tensor(-8.0, requires_grad=True)
    log_mass = discretized_logistic(all_levels(256).float(), location, log_width, 256)
    log_mass.sum().backward()
    assert log_mass.min() < -1000  # exp of it is 0 in float32
    assert all(bool(torch.isfinite(t).all()) for t in (log_mass, location.grad, log_width.grad))


def test_kl_is_the_closed_form():
    mean, log_var = draw(5, 3), draw(5, 3, seed=1)
    q = Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)
    p = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_var), kl_divergence(q, p), rtol=1e-12, atol=1e-12)


def test_gaussian_is_the_normal_density():
    x, location, log_width = draw(5, 1, 2, 2), draw(5, 1, 2, 2, seed=1), torch.tensor(-0.7, dtype=torch.float64)
    expected = Independent(Normal(location, log_width.exp()), 3).log_prob(x)
    torch.testing.assert_close(gaussian(x, location, log_width), expected, rtol=1e-12, atol=1e-12)


def test_snap_finds_each_of_the_digits_17_levels_after_rounding_to_bytes():
    grey = torch.arange(17)
    stored = torch.round(grey * 255 / 16) / 127.5 - 1
    torch.testing.assert_close(snap(stored, 17), grey / 8 - 1, rtol=0, atol=2e-7)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_levels_and_their_values_are_one_to_one(levels: int):
    numbers = torch.arange(levels)
    values = from_levels(numbers, levels)
    assert (values.min(), values.max()) == (-1, 1)
    assert torch.equal(to_levels(values, levels), numbers)
    torch.testing.assert_close(snap(values, levels), values, rtol=0, atol=2e-7)


def test_every_byte_is_a_level_of_its_own():
    assert torch.equal(to_levels(torch.arange(256) / 127.5 - 1, 256), torch.arange(256))


def test_bernoulli_is_the_mass_of_two_values():
    logits = draw(5, 1, 2, 2)
    x = (draw(5, 1, 2, 2, seed=1) > 0).double()
    expected = Independent(Bernoulli(logits=logits), 3).log_prob(x)
    torch.testing.assert_close(bernoulli(2 * x - 1, logits), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("which", [likelihoods.DiscretizedLogistic(5), likelihoods.Bernoulli()], ids=["5", "2"])
def test_draws_have_the_masses_of_their_levels(which: likelihoods.Likelihood):
    """20,000 draws: each share is within five of its standard errors, at most .0177 (false failures: 5 · 6e-7)."""
    n, width = 20_000, torch.tensor(-0.7)
    levels = torch.linspace(-1, 1, 5 if isinstance(which, likelihoods.DiscretizedLogistic) else 2)
    draws = which.draw(torch.full((n, 1), 0.3), width, torch.Generator().manual_seed(0))
    shares = ((draws - levels).abs() < 1e-6).double().mean(dim=0)
    masses = which.log_prob(levels[:, None], torch.full((len(levels), 1), 0.3), width).exp().double()
    assert shares.sum() == pytest.approx(1.0)
    assert (shares - masses).abs().max() < 5 * 0.5 / n**0.5
