"""VAE: its bound is one on the likelihood, its networks fit their events, its options do what they say."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from baselines.vae import VAE, BetaVAE, ConvVAE, VAESampler, VAETrainer
from genbench.errors import UsageError
from genbench.metrics.likelihood import LatentModel, iwae_bound

CPU = torch.device("cpu")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_kl_weight_rises_from_zero_to_one_over_the_first_fifth():
    trainer = VAETrainer(VAE(width=8, lr=1e-3), (2,), CPU, steps=20)
    weights = []
    for _ in range(6):
        losses = trainer.step(draw(8, 2).float())
        weights.append(((losses["loss"] - losses["recon"]) / losses["kl"]).item())
    # the difference of two losses near 3 over a KL above 0.05: float32 leaves about 2e-5
    assert weights == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1], abs=1e-3)


def test_beta_multiplies_the_weight_and_no_warm_up_starts_at_it():
    for recipe, expected in (
        (BetaVAE(width=8, kl_warmup=0.5), [0, 0.8, 1.6]),
        (VAE(width=8, beta=3, kl_warmup=0), [3] * 3),
    ):
        trainer = recipe.build((2,), device=CPU, steps=10)
        weights = []
        for _ in range(3):
            losses = trainer.step(draw(8, 2).float())
            weights.append(((losses["loss"] - losses["recon"]) / losses["kl"]).item())
        assert weights == pytest.approx(expected, abs=3e-3)  # as above, times beta


def test_the_gradient_of_the_loss_lowers_the_negative_bound_and_the_kl_of_a_larger_beta():
    ends = {}
    for beta in (1.0, 50.0):
        torch.manual_seed(0)
        trainer = VAE(width=16, beta=beta, kl_warmup=0, lr=5e-3, ema=0).build((2,), device=CPU, steps=200)
        history = []
        for step in range(100):
            torch.manual_seed(step)
            losses = trainer.step(draw(64, 2, seed=step).float() * torch.tensor([2.0, 0.1]))
            history.append((losses["recon"] + losses["kl"]).item())
        ends[beta] = losses["kl"].item()
        assert np.mean(history[-10:]) < np.mean(history[:10]) - 0.5
    assert ends[50.0] < 0.1 < 0.5 < ends[1.0]


def test_learning_rate_follows_a_cosine_to_zero():
    trainer = VAETrainer(VAE(width=8, lr=0.5e-3), (2,), CPU, steps=4)
    rates = []
    for _ in range(5):
        trainer.step(draw(8, 2).float())
        rates.append(trainer.optimizer.inner.param_groups[0]["lr"])
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


@pytest.mark.parametrize(
    "options", [{"likelihood": "discretized-logistic"}, {"likelihood": "bernoulli"}, {"network": "conv"}], ids=str
)
def test_what_is_for_images_is_refused_for_vectors(options: dict[str, Any]):
    with pytest.raises(UsageError, match="is for images, got vectors"):
        VAE(**options).build((2,), device=CPU, steps=1)


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


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (1, 64, 64), (2, 9, 6)], ids=str)
def test_convolutions_fit_the_image(shape: tuple[int, ...]):
    trainer = ConvVAE(width=4, latent=3).build(shape, device=CPU, steps=2)
    trainer.step(torch.zeros(2, *shape))
    sampler = trainer.sampler()
    assert sampler.name == "conv-vae"
    assert sampler.sample(3, seed=0).shape == (3, *shape)
    assert sampler.encode(torch.zeros(3, *shape))[0].shape == (3, 3)


def test_the_convolutions_of_the_digits_are_those_of_the_recipe():
    network = ConvVAE().build((1, 8, 8), device=CPU, steps=1).network
    found = [(layer.in_channels, layer.out_channels) for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    back = [(t.in_channels, t.out_channels) for t in network.modules() if isinstance(t, nn.ConvTranspose2d)]
    heads = [(t.in_features, t.out_features) for t in network.modules() if isinstance(t, nn.Linear)]
    assert found == [(1, 32), (32, 64), (64, 64), (32, 1)]
    assert back == [(64, 64), (64, 32)]
    assert heads == [(256, 32), (16, 256)]  # 64 channels at 2x2, 16 latents


def linear_gaussian(
    latent: int = 2, d: int = 5, noise: float = 0.5, inflation: float = 1.0
) -> tuple[VAESampler, Tensor]:
    """A VAE in float64 with p(x|z) = N(W z, noise² I) and q the posterior, and the covariance of its p(x).

    The columns of W are orthogonal, so that the posterior N(P Wᵀx / noise², P), P = (I + WᵀW / noise²)⁻¹, is diagonal.
    """
    trainer = VAE(latent=latent, width=4).build((d,), device=CPU, steps=1)
    weight = torch.linalg.qr(draw(d, latent))[0] * torch.tensor([0.7, 1.9][:latent], dtype=torch.float64)
    posterior = 1 / (1 + weight.square().sum(dim=0) / noise**2)
    network = trainer.ema.network.double()
    network.encoder, network.decoder = nn.Linear(d, 2 * latent).double(), nn.Linear(latent, d).double()
    with torch.no_grad():
        network.encoder.weight.zero_()[:latent] = posterior[:, None] * weight.T / noise**2
        network.encoder.bias.zero_()[latent:] = (inflation * posterior).log()
        network.decoder.weight.copy_(weight)
        network.decoder.bias.zero_()
        network.log_width.fill_(math.log(noise))
    return trainer.sampler(), weight @ weight.T + noise**2 * torch.eye(d, dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 20])
def test_iwae_of_a_linear_gaussian_vae_is_its_exact_likelihood(k: int):
    """With q the exact posterior every weight is p(x): k does not matter, and only rounding is left.

    A weight is the sum of about 5 + 3 · 2 terms below 100 in size, in float64: 11 · 100 · 2**-53 = 1.2e-13, and the
    Cholesky factor of the exact one, of condition below 20, loses as little.
    """
    model, covariance = linear_gaussian()
    exact = MultivariateNormal(torch.zeros(5, dtype=torch.float64), covariance)
    x = exact.sample((50,))
    found = iwae_bound(model, x, k=k, seed=0)
    assert found.log_prob == pytest.approx(exact.log_prob(x).numpy(), abs=1e-11)
    assert found.effective == pytest.approx(np.full(50, float(k)), rel=1e-11)


def test_iwae_of_a_linear_gaussian_vae_whose_encoder_is_off_is_short_by_what_theory_says():
    """Twice the posterior's variance: E w² = (2/√3)^L = 4/3 for weights of mean one and L = 2 latents.

    The bias at k = 200 is -(4/3 - 1) / 400 = -8.3e-4 and the deviation of an example's estimate √(1/600) = .041; the
    mean over 2,000 examples is within 4 standard errors, 3.7e-3 (false failures: 6e-5), and never far above.
    """
    model, covariance = linear_gaussian(inflation=2.0)
    exact = MultivariateNormal(torch.zeros(5, dtype=torch.float64), covariance)
    x = exact.sample((2000,))
    short = iwae_bound(model, x, k=200, seed=0).log_prob - exact.log_prob(x).numpy()
    assert short.std() == pytest.approx(math.sqrt(1 / 600), rel=0.15)
    assert abs(short.mean() + 1 / 1200) < 4 * math.sqrt(1 / 600 / 2000)


def test_means_and_draws_of_a_bernoulli_are_those_of_its_probabilities():
    options: dict[str, Any] = {"likelihood": "bernoulli", "width": 8, "latent": 2}
    trainer = VAE(**options).build((1, 4, 4), device=CPU, steps=1)
    drawing = VAE(**options, samples="draw").build((1, 4, 4), device=CPU, steps=1)
    drawing.load_state_dict(trainer.state_dict())
    means, draws = trainer.sampler().sample(2000, seed=0), drawing.sampler().sample(2000, seed=0)
    assert set(draws.unique().tolist()) == {-1.0, 1.0}
    # 2,000 draws of deviation at most 1 in each of 16 pixels: five standard errors; false failures 16 · 6e-7
    assert (means - draws).mean(dim=0).abs().max() < 5 / math.sqrt(2000)


def test_the_likelihood_of_grey_images_under_a_bernoulli_is_refused():
    model = VAE(likelihood="bernoulli", width=8).build((1, 4, 4), device=CPU, steps=1).sampler()
    with pytest.raises(UsageError, match="images whose values are -1 and 1"):
        iwae_bound(model, torch.zeros(2, 1, 4, 4), k=2, seed=0)
