"""LSGAN: least squares, by hand and by the way that both networks move."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.lsgan import LSGAN

CPU = torch.device("cpu")


def linear(slope: float, bias: float) -> nn.Sequential:
    """D(x) = slope · x_0 + bias."""
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[slope, 0.0]]))
        layer.bias.fill_(bias)
    return nn.Sequential(layer, nn.Flatten(0))


@pytest.mark.parametrize(
    ("value", "d_loss", "g_loss"),
    [(0.5, 0.25, 0.125), (1.0, 0.5, 0.0), (3.0, 2 + 4.5, 2.0), (-1.0, 2 + 0.5, 2.0)],
)
def test_losses_of_a_constant_critic(value: float, d_loss: float, g_loss: float):
    trainer = LSGAN().build((2,), device=CPU, steps=1)
    trainer.critic = linear(0.0, value)  # in no optimizer: it stays as it is
    losses = trainer.step(torch.zeros(8, 2))
    assert losses["d_loss"].item() == pytest.approx(d_loss)
    assert losses["g_loss"].item() == pytest.approx(g_loss)


def test_the_critic_is_drawn_to_one_on_data_and_to_zero_on_samples():
    trainer = LSGAN(lr=1e-2).build((2,), device=CPU, steps=200)
    trainer.g_optimizer.inner.param_groups[0]["lr"] = 0.0
    data = torch.tensor([[4.0, 4.0]]).expand(32, 2)
    for _ in range(200):
        losses = trainer.step(data)
    assert trainer.judge(data, None).mean().item() == pytest.approx(1, abs=0.2)
    assert trainer.judge(trainer.generate(100, None), None).mean().item() == pytest.approx(0, abs=0.2)
    assert losses["d_accuracy"].item() == 1.0


@pytest.mark.parametrize(("bias", "sign"), [(0.0, 1), (30.0, -1)])
def test_samples_move_to_where_the_critic_says_one_from_either_side(bias: float, sign: int):
    # A sigmoid would push for ever; least squares pull back what lies beyond.
    trainer = LSGAN(lr=1e-2, ema=0).build((2,), device=CPU, steps=10)
    trainer.critic = linear(1.0, bias)
    before = trainer.sampler().sample(256, seed=0)
    for _ in range(10):
        trainer.step(torch.zeros(64, 2))
    shift = (trainer.sampler().sample(256, seed=0) - before).mean(dim=0)[0]
    assert sign * shift > 0.1
