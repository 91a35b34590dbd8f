"""GAN: its losses are those of the paper."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from baselines.gan import GAN, GANTrainer

CPU = torch.device("cpu")


def constant_discriminator(logit: float, recipe: GAN) -> GANTrainer:
    """A trainer whose D gives every event the same logit, and learns too slowly to change that in one step."""
    trainer = recipe.build((2,), device=CPU, steps=1)
    last = [layer for layer in trainer.critic.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, logit)
    return trainer


@pytest.mark.parametrize("logit", [0.0, 2.0, -3.0])
@pytest.mark.parametrize("loss", ["saturating", "non-saturating"])
def test_losses_are_those_of_the_paper(logit: float, loss: str):
    trainer = constant_discriminator(logit, GAN(loss=loss, lr=1e-12))
    losses = trainer.step(torch.zeros(16, 2))
    p = 1 / (1 + math.exp(-logit))
    expected_g = math.log(1 - p) if loss == "saturating" else -math.log(p)
    # float32: values of up to 4, a few roundings of 2**-24 each
    assert losses["d_loss"].item() == pytest.approx(-math.log(p) - math.log(1 - p), abs=4e-6)
    assert losses["g_loss"].item() == pytest.approx(expected_g, abs=4e-6)


@pytest.mark.parametrize("loss", ["saturating", "non-saturating"])
def test_both_losses_move_samples_to_where_the_discriminator_sees_data(loss: str):
    trainer = GAN(loss=loss, lr=1e-2, ema=0).build((2,), device=CPU, steps=10)
    trainer.critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))  # l(x) = x_0: data are on the right
    with torch.no_grad():
        trainer.critic[0].weight.copy_(torch.tensor([[1.0, 0.0]]))
        trainer.critic[0].bias.zero_()
    before = trainer.sampler().sample(256, seed=0)
    for _ in range(10):
        trainer.step(torch.zeros(64, 2))  # the replaced D is in no optimizer and stays as it is
    shift = (trainer.sampler().sample(256, seed=0) - before).mean(dim=0)
    assert shift[0] > 0.1


def test_updating_one_network_leaves_the_other_alone():
    trainer = GAN(ema=0).build((2,), device=CPU, steps=1)
    trainer.g_optimizer.inner.param_groups[0]["lr"] = 0.0
    generator = [p.clone() for p in trainer.generator.parameters()]
    critic = [p.clone() for p in trainer.critic.parameters()]
    trainer.step(torch.ones(8, 2))
    assert all(torch.equal(a, b) for a, b in zip(generator, trainer.generator.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(critic, trainer.critic.parameters(), strict=True))
    # D was updated by its own loss alone: once, by about lr, as Adam's first step is.
    moves = [(a - b).detach().abs().max() for a, b in zip(critic, trainer.critic.parameters(), strict=True)]
    assert float(max(moves)) == pytest.approx(2e-4, rel=0.01)
