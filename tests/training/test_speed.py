"""Faster updates are the same updates, and what makes them fast is off outside of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.gan import GAN
from baselines.wgan_gp import WGANGP
from genbench.definitions import Dataset
from genbench.errors import ProtocolError, UsageError
from genbench.training import Speed, train
from genbench.training.speed import EAGER, Replayed

CPU = torch.device("cpu")
BUDGET: dict[str, Any] = {"seed": 0, "steps": 20, "batch": 12, "device": CPU, "stops": (20,)}
RECIPES = {"gan": GAN(width=16, latent=8), "wgan-gp": WGANGP(n_critic=3, width=4, latent=8)}


def settings() -> tuple[Any, ...]:
    """Everything that decides how exactly torch multiplies."""
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_enabled("cuda"),
        torch.is_autocast_cache_enabled(),
    )


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_settings_hold_inside_and_are_as_before_outside_whatever_happens(fast: bool, device: str) -> None:
    before, inside = settings(), []

    def fail() -> None:
        with Speed(fast=fast, precision="bf16").settings(torch.device(device)):
            inside.extend(settings())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert settings() == before
    assert (inside[0] == "high") == (inside[2] is True) == (fast and device == "cuda")


def test_the_default_touches_nothing() -> None:
    before = settings()
    with Speed().settings(CPU), Speed().settings(torch.device("cuda")), Speed(fast=True).settings(CPU):
        assert settings() == before
    assert Speed().identity() == {}


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="precision: one of float32, bf16 expected, got 'fp16'"):
        Speed(precision="fp16")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_bf16_is_used_in_updates_and_never_in_sampling(
    name: str, images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 keeps 8 bits: losses near those of float32, and not theirs. Samples come from float32 weights."""
    recipe = RECIPES[name]
    plain = next(iter(train(recipe, images, checkpoint=tmp_path / "a", **BUDGET)))
    half = next(iter(train(recipe, images, checkpoint=tmp_path / "b", speed=Speed(precision="bf16"), **BUDGET)))
    for loss, value in plain.losses.items():
        if loss == "d_accuracy":  # a count, which may be the same
            continue
        assert half.losses[loss] != value
        assert half.losses[loss] == pytest.approx(value, rel=0.1, abs=0.1)
    seen: list[torch.dtype] = []
    monkeypatch.setattr(torch.nn.Linear, "forward", _watch(torch.nn.Linear.forward, seen))
    half.sampler.sample(4, seed=0)
    assert seen
    assert set(seen) == {torch.float32}


def _watch(forward: Callable[..., Tensor], seen: list[torch.dtype]) -> Callable[..., Tensor]:
    def watched(self: Any, x: Tensor) -> Tensor:
        result = forward(self, x)
        seen.append(result.dtype)
        return result

    return watched


class OneLayer:
    """A trainer that holds one network, and keeps what the harness makes of it."""

    def __init__(self) -> None:
        self.layer = torch.nn.Linear(4, 4, bias=False)


def test_networks_compute_in_bf16_inside_of_updates_and_give_float32() -> None:
    """Ones and 1 + 2^-9 are one number in bfloat16: the product tells in which format it was made."""
    trainer, speed = OneLayer(), Speed(precision="bf16")
    torch.nn.init.eye_(trainer.layer.weight)
    speed.prepare(trainer, CPU)
    x = torch.full((1, 4), 1 + 2**-9)
    copied = copy.deepcopy(trainer.layer)
    with speed.settings(CPU):
        assert torch.equal(trainer.layer(x), torch.ones(1, 4))
        assert trainer.layer(x).dtype == torch.float32
        assert x.square().sum() > 4, "what is not in a network is in float32"
        with torch.no_grad():
            trainer.layer.weight.zero_()
        assert not trainer.layer(x).any(), "no cast weights from before an update"
    assert torch.equal(copied(x), x)


def test_a_network_that_fails_inside_leaves_no_autocast() -> None:
    trainer, speed = OneLayer(), Speed(precision="bf16")
    speed.prepare(trainer, CPU)
    with speed.settings(CPU), pytest.raises(RuntimeError):
        trainer.layer(torch.ones(1, 5))
    assert not torch.is_autocast_enabled("cpu")


def test_a_training_does_not_go_on_in_another_precision(images: Dataset, state: Path) -> None:
    next(iter(train(RECIPES["gan"], images, checkpoint=state, speed=Speed(precision="bf16"), **BUDGET)))
    again = next(iter(train(RECIPES["gan"], images, checkpoint=state, speed=Speed(precision="bf16"), **BUDGET)))
    assert again.step == 20
    with pytest.raises(ProtocolError, match="precision = 'bf16', expected None"):
        next(iter(train(RECIPES["gan"], images, checkpoint=state, **BUDGET)))


def test_fast_changes_no_bit_where_there_is_no_gpu(images: Dataset, tmp_path: Path) -> None:
    stops = [
        next(iter(train(RECIPES["gan"], images, checkpoint=tmp_path / str(fast), speed=Speed(fast=fast), **BUDGET)))
        for fast in (False, True)
    ]
    assert stops[0].losses == stops[1].losses
    assert torch.equal(*(stop.sampler.sample(8, seed=0) for stop in stops))


class Tape:
    """Records as a CUDA graph does: nothing is computed then; a replay reads inputs where they were, and so losses."""

    def __init__(self) -> None:
        self.warmed = self.replays = 0

    def warm(self, update: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        self.warmed += 1
        losses = update()
        self.names = list(losses)
        return losses

    def record(self, update: Callable[[], Mapping[str, Tensor]]) -> tuple[Mapping[str, Tensor], Callable[[], None]]:
        held = {name: torch.full((), torch.nan) for name in self.names}

        def replay() -> None:
            self.replays += 1
            for name, value in update().items():
                held[name].copy_(value)

        return held, replay


def test_a_replayed_update_gives_the_losses_and_weights_of_one_that_is_not(
    images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = next(iter(train(RECIPES["gan"], images, checkpoint=tmp_path / "a", **BUDGET)))
    tape = Tape()
    monkeypatch.setattr(Speed, "wrap", lambda self, update, trainer, device: Replayed(update, tape))
    replayed = next(iter(train(RECIPES["gan"], images, checkpoint=tmp_path / "b", **BUDGET)))
    assert (tape.warmed, tape.replays) == (EAGER, 20 - EAGER)
    assert replayed.losses == eager.losses
    assert torch.equal(replayed.sampler.sample(8, seed=0), eager.sampler.sample(8, seed=0))


def test_only_recordable_trainers_are_recorded_and_only_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genbench.training.speed.CudaGraph", lambda device: Tape())

    class Recordable:
        recordable = True

    def update() -> Mapping[str, Tensor]:
        return {}

    cuda = torch.device("cuda")
    assert isinstance(Speed(fast=True).wrap(update, Recordable(), cuda), Replayed)
    assert Speed(fast=True).wrap(update, object(), cuda) is update
    assert Speed(fast=True).wrap(update, Recordable(), CPU) is update
    assert Speed().wrap(update, Recordable(), cuda) is update


def test_networks_and_their_averages_are_laid_out_channels_last() -> None:
    trainer = WGANGP(width=4, latent=8).build((3, 8, 8), device=CPU, steps=1)
    Speed(fast=True).prepare(trainer, torch.device("cuda"))
    for network in (trainer.generator, trainer.critic, trainer.ema.network):
        weights = [w for w in network.parameters() if w.dim() == 4 and min(w.shape[:2]) > 1]
        assert weights
        assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
