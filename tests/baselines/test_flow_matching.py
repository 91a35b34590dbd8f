"""Flow matching: its loss is that of the paper, its solvers have their order, its samples go where the data are."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.flow_matching import FlowMatching, FlowMatchingTrainer, VelocityMLP, solve
from genbench.errors import UsageError

CPU = torch.device("cpu")


def build(shape: tuple[int, ...] = (2,), steps: int = 100, **options: Any) -> FlowMatchingTrainer:
    return FlowMatching(**{"width": 8, "depth": 1, **options}).build(shape, device=CPU, steps=steps)


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)], ids=str)
def test_the_loss_of_a_field_of_zero_is_the_mean_square_of_data_less_noise(shape: tuple[int, ...]):
    trainer, batch = build(shape), torch.rand(16, *shape)
    torch.manual_seed(5)
    noise = torch.randn_like(batch)
    torch.manual_seed(5)
    loss = trainer.step(batch)["loss"]  # the field is zero before its first update
    # float32: a mean of at most 1,024 squares near 2, rounded to 2**-24 of itself a few times
    torch.testing.assert_close(loss, (batch - noise).square().mean(), rtol=1e-5, atol=0)


class Recorder(nn.Module):
    """A field that keeps what it is asked."""

    def __init__(self, velocity: float = 0.0) -> None:
        super().__init__()
        self.velocity = nn.Parameter(torch.tensor(velocity))
        self.asked: list[tuple[Tensor, Tensor, Tensor | None]] = []

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        self.asked.append((x, t, labels))
        return self.velocity.expand_as(x)


def test_the_field_is_asked_on_the_straight_line_between_noise_and_data():
    trainer, batch = build(), torch.full((2000, 2), 3.0)
    trainer.network = recorder = Recorder()
    torch.manual_seed(1)
    noise = torch.randn_like(batch)
    torch.manual_seed(1)
    trainer.optimizer, trainer.ema = _Nothing(), _Nothing()  # type: ignore[assignment]
    trainer.step(batch)
    (between, t, labels), *_ = recorder.asked
    torch.testing.assert_close(between, noise + t[:, None] * (batch - noise), rtol=0, atol=2e-6)
    assert labels is None
    # 2,000 uniform numbers: the mean is within 5 of its standard errors .0065
    assert t.min() >= 0
    assert t.max() < 1
    assert t.mean().item() == pytest.approx(0.5, abs=0.033)


class _Nothing:
    def descend(self, loss: Tensor) -> None:
        """Learn nothing."""

    def update(self, network: nn.Module) -> None:
        """Average nothing."""


def test_a_share_of_the_rows_is_shown_without_its_label():
    trainer = FlowMatching(width=8, depth=1, conditional=True, label_drop=0.3).build(
        (2,), device=CPU, steps=9, classes=4
    )
    trainer.network = recorder = Recorder()
    trainer.optimizer, trainer.ema = _Nothing(), _Nothing()  # type: ignore[assignment]
    labels = torch.arange(4).repeat(1000)
    trainer.step(torch.zeros(4000, 2), labels=labels)
    seen = recorder.asked[0][2]
    assert seen is not None
    assert torch.equal(seen[seen != 4], labels[seen != 4])
    # 4,000 draws of probability .3: five standard errors of .0072
    assert (seen == 4).double().mean().item() == pytest.approx(0.3, abs=0.036)


@pytest.mark.parametrize("solver", ["euler", "midpoint", "heun"])
def test_solvers_follow_their_formulas(solver: str):
    """dx/dt = x grows by 1 + h, or 1 + h + h²/2, a step; dx/dt = 2 t is exact but for euler, who is short by h."""
    x, h = torch.tensor([1.0, -2.0], dtype=torch.float64), 1 / 7
    growth = 1 + h if solver == "euler" else 1 + h + h * h / 2
    torch.testing.assert_close(solve(lambda y, t: y, x, 7, solver), x * growth**7, rtol=1e-12, atol=0)
    ramp = solve(lambda y, t: torch.full_like(y, 2 * t), x, 7, solver)
    torch.testing.assert_close(ramp, x + (1 - h if solver == "euler" else 1.0), rtol=1e-12, atol=1e-12)


def test_guidance_leans_away_from_the_field_without_a_class():
    ends = {}
    for guidance in (1.0, 3.0):
        trainer = FlowMatching(width=8, depth=1, conditional=True, guidance=guidance).build(
            (2,), device=CPU, steps=9, classes=2
        )
        field = trainer.ema.network
        assert isinstance(field, VelocityMLP)
        assert field.embed.label is not None
        nn.init.zeros_(field.last[2].weight)
        field.forward = lambda x, t, labels: torch.stack([labels, -labels], dim=1).float()  # type: ignore[method-assign,assignment,union-attr]
        sampler = trainer.sampler()
        sampler._network.forward = field.forward
        ends[guidance] = sampler.sample(4, seed=0, labels=torch.tensor([0, 1, 0, 1]))
    noise = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0.0, 1.0, 0.0, 1.0])[:, None] * torch.tensor([1.0, -1.0])
    none = torch.tensor([2.0, -2.0])
    torch.testing.assert_close(ends[1.0], noise + label, rtol=0, atol=1e-5)
    torch.testing.assert_close(ends[3.0], noise + none + 3 * (label - none), rtol=0, atol=1e-5)


def test_images_are_kept_in_range_and_vectors_are_not():
    for shape, largest in (((1, 8, 8), 1.0), ((2,), 4.0)):
        trainer = build(shape, network="mlp")
        field = trainer.ema.network
        assert isinstance(field, VelocityMLP)
        last = field.last[2]
        assert isinstance(last, nn.Linear)
        nn.init.constant_(last.bias, 8.0)
        samples = trainer.sampler().sample(50, seed=0)
        assert samples.max() == largest if len(shape) == 3 else samples.max() > largest


def test_a_u_net_for_vectors_is_refused():
    with pytest.raises(UsageError, match="network 'unet' is for images, got vectors"):
        build((2,), network="unet")


def test_two_points_are_found_and_told_apart():
    """Data at (±1, 0) with deviation .05: trained samples are within .3 of one of them, half of them at each."""
    trainer = build(steps=150, width=64, depth=2, lr=5e-3, ema=0.95)
    for step in range(150):
        torch.manual_seed(step)
        side = torch.randint(2, (128, 1)) * 2.0 - 1
        trainer.step(torch.cat([side, torch.zeros_like(side)], dim=1) + 0.05 * torch.randn(128, 2))
    samples = trainer.sampler().sample(1000, seed=0)
    distances = (samples[:, None] - torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).norm(dim=2)
    # Three seeds gave .92 to .95 near; of noise that went nowhere 6 % are.
    assert (distances.amin(dim=1) < 0.3).float().mean() > 0.8
    # 1,000 fair coins deviate by .016; the field may favour one side a little
    assert (samples[:, 0] > 0).float().mean().item() == pytest.approx(0.5, abs=0.15)


def test_the_loss_of_one_gaussian_ends_at_its_least_value():
    """x₁ ~ N(0, s²): given x_t, x₁ - x₀ has variance s² / ((1 - t)² + s² t²), as it is jointly normal with x_t.

    Its integral over t in [0, 1] is s π / 2, so π for s = 2; a field of zero leaves 1 + s² = 5. The mean of 100 losses
    of 512 rows has a standard error below .05, of a quantity with deviation below 10; five of them are allowed.
    """
    trainer = build((1,), steps=400, width=32, depth=1, lr=1e-2, ema=0)
    losses = []
    for step in range(400):
        torch.manual_seed(step)
        losses.append(trainer.step(2 * torch.randn(512, 1))["loss"].item())
    assert sum(losses[300:]) / 100 == pytest.approx(math.pi, abs=0.25)
