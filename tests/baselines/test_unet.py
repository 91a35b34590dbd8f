"""U-Net: it fits its images, every weight matters, and rows do not mix."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.networks import halvings
from baselines.unet import Attention, UNet


def unet(shape: tuple[int, ...], *, width: int = 8, depth: int = 1, classes: int = 0) -> UNet:
    """A U-Net whose last layers, zero at first, have been drawn anew."""
    network = UNet(shape, width, depth=depth, dropout=0.0, classes=classes)
    for p in network.parameters():
        if not p.any():
            nn.init.normal_(p, 0.0, 0.1)
    return network


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (1, 64, 64), (2, 9, 7), (1, 12, 20)], ids=str)
@pytest.mark.parametrize("depth", [1, 2])
def test_a_field_has_the_shape_of_its_images_and_is_zero_at_first(shape: tuple[int, ...], depth: int):
    x, t = torch.randn(2, *shape), torch.rand(2)
    fresh = UNet(shape, 8, depth=depth, dropout=0.0, classes=0)(x, t)
    assert fresh.shape == x.shape
    assert not fresh.any()
    assert unet(shape, depth=depth)(x, t).any()


@pytest.mark.parametrize(("size", "expected"), [(8, 4), (16, 8), (28, 7), (32, 8), (64, 8), (9, 9), (10, 5), (2, 1)])
def test_sides_are_halved_down_to_what_the_docstring_says(size: int, expected: int):
    assert size >> halvings(size, size, least=1, stop=8) == expected


def test_attention_is_for_images_above_eight_pixels():
    def count(shape: tuple[int, ...]) -> int:
        return sum(isinstance(layer, Attention) for layer in unet(shape).modules())

    assert (count((1, 8, 8)), count((1, 16, 16))) == (0, 1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16)], ids=str)
def test_every_weight_has_a_say(shape: tuple[int, ...]):
    network = unet(shape, classes=2)
    labels = torch.tensor([0, 1, 2, 0])
    network(torch.randn(4, *shape), torch.rand(4), labels).square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_time_and_class_change_the_field():
    network, x = unet((1, 8, 8), classes=2).eval(), torch.randn(1, 1, 8, 8)
    early, late = (network(x, torch.tensor([t]), torch.tensor([0])) for t in (0.1, 0.9))
    other = network(x, torch.tensor([0.1]), torch.tensor([1]))
    assert not torch.allclose(early, late)
    assert not torch.allclose(early, other)


def test_a_row_does_not_depend_on_the_others():
    network, x, t = unet((1, 16, 16)), torch.randn(4, 1, 16, 16), torch.rand(4)
    alone = torch.cat([network(x[i : i + 1], t[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(network(x, t), alone, rtol=0, atol=2e-5)  # float32, sums in another order


def test_the_network_of_the_digits_is_as_small_as_the_recipe_says():
    parameters = sum(p.numel() for p in UNet((1, 8, 8), 32, depth=1, dropout=0.0, classes=0).parameters())
    assert 250_000 < parameters < 450_000
