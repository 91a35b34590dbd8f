"""Diverged trainings are found, named after the same update every time, and never saved over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from baselines.gan import GAN
from genbench.definitions import Dataset
from genbench.errors import DeclarationError, SampleError, TrainingError
from genbench.training import train
from genbench.training.health import LossLog, gradient_norms

CPU = torch.device("cpu")
BUDGET: dict[str, Any] = {"seed": 0, "steps": 130, "batch": 8, "device": CPU, "stops": (60, 130)}


@pytest.mark.parametrize("step", [1, 49, 50, 51, 60, 61, 73, 130])
@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_divergence_is_named_after_its_first_update_however_often_it_is_tried(
    step: int, save_every: float, scripted: Any, vectors: Dataset, state: Path
):
    for attempt in range(2):
        reached: list[int] = []
        stops = train(scripted(bad_loss=step), vectors, checkpoint=state, save_every=save_every, **BUDGET)
        with pytest.raises(TrainingError, match=rf"^scripted: diverged, g_loss is not finite after update {step}\.$"):
            reached.extend(stop.step for stop in stops)
        if attempt == 0:  # a later one may continue from beyond the first stop
            assert reached == ([60] if step > 60 else [])


@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_a_state_that_is_not_finite_is_refused_at_the_stop(
    save_every: float, scripted: Any, vectors: Dataset, state: Path
):
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"diverged, parts\.0 is not finite after update 60\."):
            list(train(scripted(bad_state=45), vectors, checkpoint=state, save_every=save_every, **BUDGET))


def test_an_absurd_learning_rate_diverges(vectors: Dataset, state: Path):
    with pytest.raises(TrainingError, match=r"^gan: diverged, \S+ is not finite after update \d+\.$"):
        list(train(GAN(lr=1e30, width=8), vectors, checkpoint=state, **BUDGET))


def test_samples_that_are_not_finite_are_not_rounded_to_pixels(scripted: Any, images: Dataset, state: Path):
    stop = next(iter(train(scripted(bad_samples=True), images, checkpoint=state, **BUDGET)))
    with pytest.raises(SampleError, match=r"^scripted: 2 of 5 samples are not finite"):
        stop.sampler.sample(5, seed=0)


def test_history_holds_the_means_of_every_window_and_losses_those_of_the_last(
    scripted: Any, vectors: Dataset, state: Path
):
    first, last = train(scripted(), vectors, checkpoint=state, **BUDGET)
    assert last.history == [
        {"step": 50, "update": 25.5, "g_loss": 1.0},
        {"step": 100, "update": 75.5, "g_loss": 1.0},
    ]
    assert first.history == last.history[:1]
    assert first.losses == {"update": 55.5, "g_loss": 1.0}  # updates 51 to 60
    assert last.losses == {"update": 115.5, "g_loss": 1.0}


def test_progress_gets_the_losses_of_the_last_window(scripted: Any, vectors: Dataset, state: Path):
    seen: dict[int, Any] = {}
    list(train(scripted(), vectors, checkpoint=state, progress=seen.__setitem__, **BUDGET))
    assert list(seen) == [10 * i for i in range(1, 14)]
    assert seen[40] == {}
    assert seen[60] == {"update": 25.5, "g_loss": 1.0}


@pytest.mark.parametrize("losses", [{}, {"other": torch.zeros(())}])
def test_a_step_must_return_the_same_losses_every_time(losses: dict[str, torch.Tensor]):
    log = LossLog("odd")
    log.add(1, {"loss": torch.zeros(())})
    with pytest.raises(DeclarationError, match="odd: every step must return the same named losses"):
        log.add(2, losses)


def test_the_earliest_of_several_failures_is_named():
    log = LossLog("gan")
    good, bad = torch.ones(()), torch.tensor(torch.nan)
    for step, (a, b) in enumerate([(good, good), (good, bad), (bad, bad), (good, good)], 1):
        log.add(step, {"d_loss": a, "g_loss": b})
    with pytest.raises(TrainingError, match="g_loss is not finite after update 2"):
        log.check()


def test_norms_of_gradients_are_those_of_each_networks_last_update(vectors: Dataset, state: Path) -> None:
    """One linear layer and the loss ``mean(w x)``: the gradient of w is the mean of the batch."""
    *_, last = train(Slope(), vectors, checkpoint=state, **{**BUDGET, "steps": 100, "stops": (70, 100)})
    assert [set(row) for row in last.history] == [{"step", "loss", "layer_grad_norm"}] * 2
    batch = Slope.batches[-1]
    assert len(Slope.batches) == 100
    assert last.history[-1]["layer_grad_norm"] == pytest.approx(float(batch.mean(dim=0).norm()), rel=1e-5)


@dataclass(frozen=True, kw_only=True)
class Slope:
    """Follows a constant slope."""

    batches: ClassVar[list[torch.Tensor]] = []

    def build(self, event_shape: tuple[int, ...], *, device: Any, steps: int) -> SlopeTrainer:
        return SlopeTrainer(event_shape)


class SlopeTrainer:
    def __init__(self, event_shape: tuple[int, ...]) -> None:
        self.layer = torch.nn.Linear(event_shape[0], 1, bias=False)
        self.unused = torch.nn.Linear(1, 1)

    def step(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        Slope.batches.append(batch)
        self.layer.zero_grad()
        loss = self.layer(batch).mean()
        loss.backward()
        return {"loss": loss.detach()}

    def sampler(self) -> Any:
        return SlopeSampler()

    def state_dict(self) -> dict[str, Any]:
        return {"layer": self.layer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.layer.load_state_dict(state["layer"])


class SlopeSampler:
    name = "slope"

    def sample(self, n: int, *, seed: int) -> torch.Tensor:
        return torch.zeros(n, 2)


def test_a_gradient_that_is_not_finite_ends_the_training() -> None:
    log = LossLog("gan")
    log.add(50, {"loss": torch.ones(())})
    with pytest.raises(TrainingError, match="gan: diverged, critic_grad_norm is not finite after update 50"):
        log.close_window(50, {"generator_grad_norm": 1.0, "critic_grad_norm": float("inf")})


def test_what_holds_no_networks_has_no_norms() -> None:
    assert gradient_norms(object()) == {}
    assert gradient_norms(SlopeTrainer((2,))) == {}  # before its first update
