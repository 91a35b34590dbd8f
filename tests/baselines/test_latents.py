"""Latents by the noise asked for, and samplers that are snapshots."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.latents import LatentSampler, draw_latents
from baselines.networks import LabelledGenerator, mlp_generator
from genbench.errors import UsageError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("noise", "moments"),
    # second and fourth moments of N(0, 1) and of U[-1, 1]; the bound below is 5 standard errors for 40,000 numbers,
    # whose squares have deviations sqrt(2) and 0.30, and fourth powers sqrt(96) and 0.27: 0.25 is the largest
    [("normal", (1.0, 3.0)), ("uniform", (1 / 3, 1 / 5))],
)
def test_latents_have_the_moments_of_their_noise(noise: str, moments: tuple[float, float]):
    z = draw_latents(10_000, 4, noise, rng=torch.Generator().manual_seed(0))
    assert z.shape == (10_000, 4)
    assert (z**2).mean().item() == pytest.approx(moments[0], abs=0.036)
    assert (z**4).mean().item() == pytest.approx(moments[1], abs=0.25)
    assert noise == "normal" or bool((z.abs() <= 1).all())


@pytest.fixture
def batch_norm_network() -> nn.Module:
    network = mlp_generator((1, 8, 8), 5, 8)
    network(torch.randn(16, 5))  # running statistics that differ from their start
    return network


def test_sampler_depends_on_seed_alone_and_touches_no_global_generator(batch_norm_network: nn.Module):
    sampler = LatentSampler("gan", batch_norm_network, 5, CPU)
    before = torch.get_rng_state()
    first, again, other = (sampler.sample(6, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_sampler_samples_in_eval_mode_and_leaves_training_as_it_was(batch_norm_network: nn.Module):
    statistics = batch_norm_network[1].running_mean.clone()
    sampler = LatentSampler("gan", batch_norm_network, 5, CPU)
    one, many = sampler.sample(1, seed=0), sampler.sample(3, seed=0)  # in train mode a batch of one is an error
    torch.testing.assert_close(one[0], many[0], rtol=0, atol=1e-5)  # and rows would depend on each other
    assert not many.requires_grad
    assert batch_norm_network.training
    assert all(p.requires_grad for p in batch_norm_network.parameters())
    assert torch.equal(batch_norm_network[1].running_mean, statistics)


def test_sampler_keeps_its_weights_when_the_network_moves_on(batch_norm_network: nn.Module):
    sampler = LatentSampler("gan", batch_norm_network, 5, CPU)
    before = sampler.sample(4, seed=0)
    with torch.no_grad():
        for p in batch_norm_network.parameters():
            p.add_(1.0)
    assert torch.equal(sampler.sample(4, seed=0), before)


def test_sampler_draws_the_noise_that_the_network_was_trained_on():
    uniform = LatentSampler("gan", nn.Identity(), 3, CPU, noise="uniform").sample(1000, seed=0)
    assert 0.99 < uniform.abs().max() <= 1
    assert LatentSampler("gan", nn.Identity(), 3, CPU).sample(1000, seed=0).abs().max() > 2


def test_conditional_sampler_gives_each_row_its_label():
    body = nn.Linear(4, 2)
    network = LabelledGenerator(body, 3, 2)
    sampler = LatentSampler("gan", network, 2, CPU, classes=3)
    labels = torch.tensor([2, 0, 1, 0])
    z = draw_latents(4, 2, "normal", rng=torch.Generator().manual_seed(7))
    expected = body(torch.cat([z, network.labels.weight[labels]], dim=1))
    assert torch.equal(sampler.sample(4, seed=7, labels=labels), expected)
    assert sampler.classes == 3


@pytest.mark.parametrize(
    ("classes", "labels"), [(3, None), (3, [0, 3]), (3, [0]), (None, [0, 1])], ids=["none", "unknown", "few", "unasked"]
)
def test_sampler_refuses_labels_that_are_missing_wrong_or_unasked(classes: int | None, labels: list[int] | None):
    sampler = LatentSampler("gan", LabelledGenerator(nn.Identity(), 3, 2), 2, CPU, classes=classes)
    with pytest.raises(UsageError, match="gan: is"):
        sampler.sample(2, seed=0, labels=None if labels is None else torch.tensor(labels))
