"""VAE: its densities are normalized, its KL is the closed form, its options do what they say."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from baselines.vae import VAE, VAETrainer, discretized_logistic, gaussian, kl_to_standard_normal, snap
from genbench.errors import UsageError
from genbench.metrics.likelihood import LatentModel, iwae_bound

CPU = torch.device("cpu")
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


def test_kl_weight_rises_from_zero_to_one_over_the_first_fifth():
    trainer = VAETrainer(VAE(width=8, lr=1e-3), (2,), CPU, steps=20)
    weights = []
    for _ in range(6):
        losses = trainer.step(draw(8, 2).float())
        weights.append(((losses["loss"] - losses["recon"]) / losses["kl"]).item())
    # the difference of two losses near 3 over a KL above 0.05: float32 leaves about 2e-5
    assert weights == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1], abs=1e-3)


def test_learning_rate_follows_a_cosine_to_zero():
    trainer = VAETrainer(VAE(width=8, lr=0.5e-3), (2,), CPU, steps=4)
    rates = []
    for _ in range(5):
        trainer.step(draw(8, 2).float())
        rates.append(trainer.adam.param_groups[0]["lr"])
    assert rates[0] == 0.5e-3
    assert rates[2] == pytest.approx(0.25e-3)
    assert rates[4] == pytest.approx(0.0, abs=1e-12)


def test_the_width_of_the_likelihood_is_learned():
    trainer = VAETrainer(VAE(width=8, lr=1e-2, ema=0), (2,), CPU, steps=100)
    before = trainer.network.log_width.item()
    for _ in range(50):
        trainer.step(0.01 * draw(64, 2).float())
    assert trainer.network.log_width.item() < before - 0.1


def test_images_are_sampled_as_means_and_vectors_as_draws_unless_asked():
    image = VAETrainer(VAE(width=8), (1, 4, 4), CPU, steps=1)
    asked = VAETrainer(VAE(width=8, samples="draw", levels=5), (1, 4, 4), CPU, steps=1)
    asked.load_state_dict(image.state_dict())
    means, draws = image.sampler().sample(200, seed=0), asked.sampler().sample(200, seed=0)
    levels = torch.linspace(-1, 1, 5)
    assert (draws[..., None] - levels).abs().amin(dim=-1).max() < 1e-6
    assert len(means.unique()) > 5
    vectors = VAETrainer(VAE(width=8), (2,), CPU, steps=1)
    plain = VAETrainer(VAE(width=8, samples="mean"), (2,), CPU, steps=1)
    plain.load_state_dict(vectors.state_dict())
    noise = vectors.sampler().sample(4000, seed=0) - plain.sampler().sample(4000, seed=0)
    # 8,000 normal numbers of deviation exp(-1): the estimate's standard error is 0.8 %, five of them 4 %
    assert noise.std().item() == pytest.approx(vectors.network.log_width.exp().item(), rel=0.04)


def test_samples_of_images_stay_in_range_whatever_the_decoder_says():
    trainer = VAETrainer(VAE(width=8, likelihood="gaussian", samples="draw"), (1, 4, 4), CPU, steps=1)
    torch.nn.init.constant_(trainer.ema.network.log_width, 3.0)
    samples = trainer.sampler().sample(50, seed=0)
    assert samples.abs().max() == 1


def test_discretized_logistic_of_vectors_is_refused():
    with pytest.raises(UsageError, match="is for images, got vectors"):
        VAE(likelihood="discretized-logistic").build((2,), device=CPU, steps=1)


def test_the_likelihoods_of_all_images_that_there_are_sum_to_one():
    """Nine images of two pixels and three levels, k = 2,000 draws each of q(z|x).

    An estimate's relative error is sqrt(1/effective - 1/k), the sum's at most the largest of them: five are allowed.
    """
    torch.manual_seed(0)
    model = VAE(levels=3, width=8, latent=2).build((1, 2, 1), device=CPU, steps=1).sampler()
    images = torch.tensor(list(product([-1.0, 0.0, 1.0], repeat=2))).reshape(9, 1, 2, 1)
    found = iwae_bound(model, images, k=2000, seed=0)
    error = max(1 / found.effective - 1 / 2000) ** 0.5
    assert isinstance(model, LatentModel)
    assert error < 0.02
    assert float(torch.from_numpy(found.log_prob).exp().sum()) == pytest.approx(1.0, abs=5 * error + 1e-5)


def test_the_likelihood_of_vectors_is_that_of_the_decoded_location():
    trainer = VAE(width=8, latent=2).build((3,), device=CPU, steps=1)
    x, z = draw(5, 3).float(), draw(5, 2, seed=1).float()
    network = trainer.ema.network
    expected = Independent(Normal(network.decoder(z), network.log_width.exp()), 1).log_prob(x)
    assert torch.allclose(trainer.sampler().log_likelihood(x, z), expected, atol=1e-5)
    mean, log_var = trainer.sampler().encode(x)
    assert mean.shape == log_var.shape == (5, 2)
