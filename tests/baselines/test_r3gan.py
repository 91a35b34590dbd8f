"""R3GAN: the relativistic loss on pairs, and both penalties against analytic gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from baselines.r3gan import R3GAN, R3GANTrainer, squared_slope

CPU = torch.device("cpu")


def trainer_with_linear_critic(slope: tuple[float, float], **options: float) -> R3GANTrainer:
    """D(x) = slope · x, in no optimizer: it stays as it is."""
    trainer = R3GAN(**options).build((2,), device=CPU, steps=10)
    trainer.critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    with torch.no_grad():
        trainer.critic[0].weight.copy_(torch.tensor([slope]))
        trainer.critic[0].bias.fill_(100.0)  # drops out of every difference
    return trainer


def silence(generator: nn.Module) -> None:
    """Let every sample be the origin."""
    for layer in generator.modules():
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


def test_losses_are_of_differences_pair_by_pair():
    trainer = trainer_with_linear_critic((1.0, 0.0))
    silence(trainer.generator)
    losses = trainer.step(torch.tensor([[3.0, 0.0], [-1.0, 0.0]]))  # D(x) - D(G(z)) is 3, then -1
    d_loss = (math.log(1 + math.exp(-3)) + math.log(1 + math.exp(1))) / 2
    g_loss = (math.log(1 + math.exp(3)) + math.log(1 + math.exp(-1))) / 2
    assert losses["d_loss"].item() == pytest.approx(d_loss, abs=1e-5)  # values near 100 in float32
    assert losses["g_loss"].item() == pytest.approx(g_loss, abs=1e-5)
    assert losses["d_accuracy"].item() == 0.5


def test_penalties_of_a_linear_critic_are_its_squared_norm():
    losses = trainer_with_linear_critic((3.0, 4.0)).step(torch.randn(5, 2))
    assert losses["r1"].item() == pytest.approx(25.0)
    assert losses["r2"].item() == pytest.approx(25.0)


def test_squared_slope_takes_rows_apart_and_means_over_them():
    # D(x) = |x|²/2 has gradient x.
    x = torch.randn(7, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    values = 0.5 * (x**2).flatten(1).sum(dim=1)
    expected = (x.detach() ** 2).flatten(1).sum(dim=1).mean()
    assert squared_slope(values, x).item() == pytest.approx(expected.item(), rel=1e-12)


def test_squared_slope_is_differentiable_in_the_critic():
    # d/dw |w|² = 2 w, at data whatever they are
    critic = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    squared_slope(critic(x).flatten(), x).backward()
    torch.testing.assert_close(critic.weight.grad, 2 * critic.weight.detach())


@pytest.mark.parametrize(("at", "name"), [("data", "r1"), ("samples", "r2")])
def test_each_penalty_is_taken_at_its_own_points(at: str, name: str):
    class Step(nn.Module):
        """Slope 1 beyond x_0 = 5, where data are, and slope 3 before it, where samples are."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x[:, 0] > 5, x[:, 0], 3 * x[:, 0])

    trainer = R3GAN().build((2,), device=CPU, steps=1)
    trainer.critic = Step()
    silence(trainer.generator)
    losses = trainer.step(torch.full((4, 2), 9.0))
    assert losses[name].item() == pytest.approx(1.0 if at == "data" else 9.0)


@pytest.mark.parametrize("gamma", [1e-6, 50.0])
def test_gamma_flattens_the_critic(gamma: float):
    trainer = R3GAN(gamma=gamma, lr=1e-2).build((2,), device=CPU, steps=60)
    trainer.g_optimizer.inner.param_groups[0]["lr"] = 0.0
    data = torch.randn(32, 2) + 3
    for _ in range(60):
        losses = trainer.step(data)
    assert (losses["r1"] + losses["r2"] > 0.1) == (gamma < 1)


def test_samples_move_to_where_the_critic_sees_data_and_data_do_not():
    trainer = trainer_with_linear_critic((1.0, 0.0), lr=1e-2, ema=0)
    before = trainer.sampler().sample(256, seed=0)
    data = torch.zeros(64, 2)
    for _ in range(10):
        trainer.step(data)
    assert (trainer.sampler().sample(256, seed=0) - before).mean(dim=0)[0] > 0.1
    assert not data.requires_grad
