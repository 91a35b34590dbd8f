"""Networks by the shape of an event, and samplers of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.networks import (
    LatentSampler,
    conv_critic,
    conv_generator,
    frozen,
    mlp_critic,
    mlp_generator,
)
from genbench.errors import UsageError

IMAGES = [(1, 8, 8), (3, 8, 8), (1, 16, 16), (1, 28, 28), (3, 32, 32), (1, 12, 20), (1, 64, 64)]


@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_convolutions_fit_the_image(shape: tuple[int, int, int]):
    generated = conv_generator(shape, 5, 4)(torch.zeros(2, 5))
    assert generated.shape == (2, *shape)
    assert generated.abs().max() <= 1
    assert conv_critic(shape, 4)(generated).shape == (2,)


@pytest.mark.parametrize(("shape", "start"), [((1, 8, 8), 2), ((1, 16, 16), 4), ((1, 28, 28), 7), ((1, 32, 32), 4)])
def test_convolutions_start_from_the_size_of_the_recipe(shape: tuple[int, int, int], start: int):
    unflatten = next(layer for layer in conv_generator(shape, 5, 4) if isinstance(layer, nn.Unflatten))
    assert unflatten.unflattened_size[1:] == (start, start)


@pytest.mark.parametrize("make", [lambda s: conv_generator(s, 5, 4), lambda s: conv_critic(s, 4)])
def test_convolutions_refuse_sizes_they_cannot_halve_twice(make):
    with pytest.raises(UsageError, match=r"multiples of 4, got 10x8"):
        make((1, 10, 8))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7), (2,), (30,)], ids=str)
def test_perceptrons_fit_every_event(shape: tuple[int, ...]):
    generated = mlp_generator(shape, 5, 8)(torch.randn(4, 5, generator=torch.Generator().manual_seed(0)))
    assert generated.shape == (4, *shape)
    assert mlp_critic(shape, 8)(generated).shape == (4,)


def test_layers_of_the_digit_perceptrons_are_those_of_the_recipe():
    generator = [layer.out_features for layer in mlp_generator((1, 8, 8), 64, 128) if isinstance(layer, nn.Linear)]
    critic = [layer.out_features for layer in mlp_critic((1, 8, 8), 128) if isinstance(layer, nn.Linear)]
    assert (generator, critic) == ([128, 256, 64], [256, 128, 1])


@pytest.mark.parametrize("critic", [mlp_critic((1, 8, 8), 8), conv_critic((1, 8, 8), 8)], ids=["mlp", "conv"])
def test_a_critic_scores_each_row_by_itself(critic: nn.Module):
    # Batch normalization would mix the rows, and a per-sample gradient penalty would mean nothing. Kernels may sum
    # another batch in another order: a few units of 2**-24 of values near 1.
    batch = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([critic(row[None]) for row in batch])
    torch.testing.assert_close(critic(batch), alone, rtol=0, atol=1e-5)


def test_frozen_lets_gradients_through_but_not_in():
    layer = nn.Linear(2, 1)
    x = torch.ones(1, 2, requires_grad=True)
    with frozen(layer):
        layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None
    assert layer.weight.requires_grad


@pytest.fixture
def batch_norm_network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = mlp_generator((1, 8, 8), 5, 8)
        network(torch.randn(16, 5))  # running statistics that differ from their start
    return network


def test_sampler_depends_on_seed_alone_and_touches_no_global_generator(batch_norm_network: nn.Module):
    sampler = LatentSampler("gan", batch_norm_network, 5, torch.device("cpu"))
    before = torch.get_rng_state()
    first, again, other = (sampler.sample(6, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_sampler_samples_in_eval_mode_and_leaves_training_as_it_was(batch_norm_network: nn.Module):
    statistics = batch_norm_network[1].running_mean.clone()
    sampler = LatentSampler("gan", batch_norm_network, 5, torch.device("cpu"))
    one, many = sampler.sample(1, seed=0), sampler.sample(3, seed=0)  # in train mode a batch of one is an error
    torch.testing.assert_close(one[0], many[0], rtol=0, atol=1e-5)  # and rows would depend on each other
    assert not many.requires_grad
    assert batch_norm_network.training
    assert all(p.requires_grad for p in batch_norm_network.parameters())
    assert torch.equal(batch_norm_network[1].running_mean, statistics)


def test_sampler_keeps_its_weights_when_the_network_moves_on(batch_norm_network: nn.Module):
    sampler = LatentSampler("gan", batch_norm_network, 5, torch.device("cpu"))
    before = sampler.sample(4, seed=0)
    with torch.no_grad():
        for p in batch_norm_network.parameters():
            p.add_(1.0)
    assert torch.equal(sampler.sample(4, seed=0), before)
