"""WGAN-GP: the penalty against analytic gradients, and the order of updates of algorithm 1."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from baselines.wgan_gp import WGANGP, gradient_penalty
from genbench.errors import UsageError

CPU = torch.device("cpu")


def points(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear_critic(weights: list[float]) -> nn.Sequential:
    layer = nn.Linear(len(weights), 1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights], dtype=torch.float64))
    return nn.Sequential(layer, nn.Flatten(0))


@pytest.mark.parametrize("weights", [[3.0, 4.0], [0.6, 0.8], [0.0, 0.1]])
def test_penalty_of_a_linear_critic_is_its_norm_less_one_squared(weights: list[float]):
    norm = (weights[0] ** 2 + weights[1] ** 2) ** 0.5
    penalty = gradient_penalty(linear_critic(weights), points(7, 2), points(7, 2, seed=1))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-12)


def test_penalty_is_differentiable_in_the_critics_weights():
    # d/dw (|w| - 1)² = 2 (|w| - 1) w / |w|, here 2 · 4 · (0.6, 0.8)
    critic = linear_critic([3.0, 4.0])
    gradient_penalty(critic, points(5, 2), points(5, 2, seed=1)).backward()
    torch.testing.assert_close(critic[0].weight.grad, torch.tensor([[4.8, 6.4]], dtype=torch.float64))


def test_penalty_takes_the_norm_per_row_before_the_mean():
    # D(x) = |x|²/2 has gradient x; real = fake fixes x̂ = x whatever ε is.
    x = points(9, 1, 2, 3)
    penalty = gradient_penalty(_HalfSquare(), x, x)
    expected = ((x.flatten(1).norm(dim=1) - 1) ** 2).mean()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-12)


class _HalfSquare(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * (x**2).flatten(1).sum(dim=1)


def test_penalty_is_taken_at_one_random_point_between_each_pair():
    seen: list[Tensor] = []

    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach())
            return x.flatten(1).sum(dim=1)

    gradient_penalty(Spy(), torch.ones(50, 1, 2, 2), torch.zeros(50, 1, 2, 2))
    epsilon = seen[0].flatten(1)
    assert torch.equal(epsilon.amin(dim=1), epsilon.amax(dim=1))  # one ε for a whole event
    assert len(epsilon[:, 0].unique()) > 40  # another for each
    assert bool(((epsilon >= 0) & (epsilon <= 1)).all())


@pytest.mark.parametrize("batch", [0, 7, 2])
def test_batch_that_the_critic_updates_cannot_share_is_refused(batch: int):
    trainer = WGANGP(n_critic=3).build((2,), device=CPU, steps=1)
    with pytest.raises(UsageError, match=f"n_critic = 3 .*got {batch}"):
        trainer.step(torch.zeros(batch, 2))


def test_a_step_is_n_critic_updates_of_the_critic_and_one_of_the_generator():
    trainer = WGANGP(n_critic=4, width=8).build((2,), device=CPU, steps=1)
    trainer.step(torch.zeros(8, 2))
    optimizers = (trainer.d_optimizer.inner, trainer.g_optimizer.inner)
    updates = [next(iter(adam.state.values()))["step"].item() for adam in optimizers]
    assert updates == [4, 1]


def test_critic_gap_is_positive_where_the_critic_rates_data_higher():
    trainer = WGANGP(n_critic=1, d_lr=1e-12).build((2,), device=CPU, steps=1)
    trainer.critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    with torch.no_grad():
        trainer.critic[0].weight.copy_(torch.tensor([[1.0, 0.0]]))
        trainer.critic[0].bias.zero_()
    far = torch.tensor([100.0, 0.0]).expand(4, 2)
    losses = trainer.step(far)
    assert 90 < losses["critic_gap"] < 110
    assert losses["penalty"] == pytest.approx(0.0, abs=1e-6)
    assert losses["d_loss"] == pytest.approx(-losses["critic_gap"].item(), abs=1e-4)
