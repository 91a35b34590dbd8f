"""Networks by the shape of an event, with and without labels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.networks import (
    LabelledCritic,
    conv_critic,
    conv_generator,
    deep_critic,
    frozen,
    labelled_shape,
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


def kinds(network: nn.Module) -> list[type]:
    return [type(layer) for layer in network]


def test_dcgan_critic_normalizes_all_layers_but_the_first():
    critic = conv_critic((1, 32, 32), 4, batch_norm=True)
    block = [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert kinds(critic) == [nn.Conv2d, nn.LeakyReLU, *block, *block, nn.Flatten, nn.Linear, nn.Flatten]


def test_deep_critic_has_the_seven_convolutions_of_sn_gan_at_32x32():
    layers = [layer for layer in deep_critic((3, 32, 32), 64) if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [64, 128, 128, 256, 256, 512, 512]
    assert [layer.stride[0] for layer in layers] == [1, 2, 1, 2, 1, 2, 1]


@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_deep_critic_fits_the_image(shape: tuple[int, int, int]):
    assert deep_critic(shape, 4)(torch.zeros(2, *shape)).shape == (2,)


@pytest.mark.parametrize(
    ("make", "hidden"),
    [
        (lambda p: mlp_generator((2,), 5, 8, dropout=p), 3),
        (lambda p: mlp_generator((1, 8, 8), 5, 8, dropout=p), 2),
        (lambda p: mlp_critic((2,), 8, dropout=p), 3),
        (lambda p: conv_generator((1, 8, 8), 5, 8, dropout=p), 2),
        (lambda p: conv_critic((1, 8, 8), 8, dropout=p), 2),
        (lambda p: deep_critic((1, 8, 8), 8, dropout=p), 5),
    ],
)
def test_dropout_is_in_the_hidden_layers_and_only_if_asked_for(make, hidden: int):
    dropped = [layer.p for layer in make(0.25) if isinstance(layer, nn.Dropout)]
    assert dropped == [0.25] * hidden
    assert nn.Dropout not in kinds(make(0.0))


def test_conditional_critic_sees_a_picture_of_the_label_as_one_more_channel():
    body = conv_critic(labelled_shape((1, 8, 8), 3), 4)
    critic = LabelledCritic(body, 3, (1, 8, 8))
    x, labels = torch.randn(5, 1, 8, 8), torch.tensor([0, 2, 1, 1, 0])
    pictures = critic.labels.weight[labels].reshape(5, 1, 8, 8)
    assert torch.equal(critic(x, labels), body(torch.cat([x, pictures], dim=1)))


def test_conditional_critic_sees_numbers_of_the_label_beside_a_vector():
    body = mlp_critic(labelled_shape((2,), 3), 4)
    critic = LabelledCritic(body, 3, (2,))
    x, labels = torch.randn(5, 2), torch.tensor([0, 2, 1, 1, 0])
    assert torch.equal(critic(x, labels), body(torch.cat([x, critic.labels.weight[labels]], dim=1)))


def test_without_classes_a_critic_sees_the_event_as_it_is():
    assert labelled_shape((3, 8, 8), 0) == (3, 8, 8)
