"""WGAN: the gap of a clipped critic, and RMSprop without momentum."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.wgan import WGAN, clip_weights

CPU = torch.device("cpu")


def test_every_parameter_is_clipped_and_no_smaller_one_moved():
    layer = nn.Linear(3, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-5.0, 0.01, 5.0]]))
        layer.bias.fill_(2.0)
    clip_weights(layer, 0.02)
    assert torch.equal(layer.weight.detach(), torch.tensor([[-0.02, 0.01, 0.02]]))
    assert layer.bias.item() == pytest.approx(0.02)


def test_the_critic_is_within_its_bounds_after_every_step():
    trainer = WGAN(weight_clip=0.03, lr=0.1).build((2,), device=CPU, steps=3)
    for _ in range(3):
        trainer.step(torch.randn(10, 2))
        assert max(float(p.detach().abs().max()) for p in trainer.critic.parameters()) <= 0.03
    assert max(float(p.detach().abs().max()) for p in trainer.generator.parameters()) > 0.03


def test_losses_of_a_linear_critic_are_differences_of_means():
    trainer = WGAN(n_critic=1, weight_clip=10.0).build((2,), device=CPU, steps=1)
    trainer.critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))  # in no optimizer: it stays as it is
    with torch.no_grad():
        trainer.critic[0].weight.copy_(torch.tensor([[2.0, 0.0]]))
        trainer.critic[0].bias.fill_(0.5)
    for network in trainer.generator.modules():
        if isinstance(network, nn.Linear):
            nn.init.zeros_(network.weight)
            nn.init.zeros_(network.bias)
    losses = trainer.step(torch.tensor([[3.0, 1.0], [5.0, 1.0]]))  # D: 6.5 and 10.5 on data, 0.5 on samples at 0
    assert losses["critic_gap"].item() == pytest.approx(8.0)
    assert losses["d_loss"].item() == pytest.approx(-8.0)
    assert losses["g_loss"].item() == pytest.approx(-0.5)


def test_the_gap_grows_while_the_generator_stands_still():
    trainer = WGAN(lr=1e-3, weight_clip=0.1).build((2,), device=CPU, steps=60)
    trainer.g_optimizer.inner.param_groups[0]["lr"] = 0.0
    data = torch.randn(50, 2) + 4
    first = trainer.step(data)["critic_gap"]
    for _ in range(59):
        last = trainer.step(data)["critic_gap"]
    assert last > first + 0.1
    assert last > 0


def test_samples_move_up_the_critic():
    trainer = WGAN(lr=1e-3, ema=0, n_critic=1, weight_clip=1.0).build((2,), device=CPU, steps=20)
    trainer.critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    with torch.no_grad():
        trainer.critic[0].weight.copy_(torch.tensor([[1.0, 0.0]]))
    before = trainer.sampler().sample(256, seed=0)
    for _ in range(20):
        trainer.step(torch.zeros(8, 2))
    assert (trainer.sampler().sample(256, seed=0) - before).mean(dim=0)[0] > 0.1


def test_the_optimizer_of_the_paper_is_the_default():
    trainer = WGAN().build((2,), device=CPU, steps=1)
    for optimizer in (trainer.g_optimizer, trainer.d_optimizer):
        assert isinstance(optimizer.inner, torch.optim.RMSprop)
        assert optimizer.inner.param_groups[0]["momentum"] == 0
        assert optimizer.inner.param_groups[0]["lr"] == 5e-5
