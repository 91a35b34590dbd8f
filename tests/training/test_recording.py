"""Every baseline that says so can be recorded: an update that is repeated as it was gives what a new one would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genbench.definitions import Dataset
from genbench.registry import BASELINES
from genbench.training import Speed, train
from genbench.training.checkpoint import parse_document, read_payload
from genbench.training.health import leaves
from genbench.training.speed import EAGER, Replayed
from tests.training.recording import Recording, Waited, optimizing_as_on_cuda
from tests.training.small import small, with_labels

CPU = torch.device("cpu")
STEPS = 9
BUDGET: dict[str, Any] = {"seed": 1, "steps": STEPS, "batch": 10, "device": CPU, "stops": (STEPS,)}
BUSY = {"weight_decay": 0.1, "l1": 1e-4, "schedule": "cosine", "warmup": 0.3, "clip": 1.0, "ema": 0.9}


def trained(recipe: Any, data: Dataset, path: Path, recorder: Recording | None, monkeypatch: Any, **speed: Any) -> Any:
    """Train with optimizers that keep their numbers on the device; return losses, and the state as bytes."""
    with optimizing_as_on_cuda(monkeypatch), monkeypatch.context() as patch:
        if recorder is not None:
            patch.setattr(Speed, "wrap", lambda self, update, trainer, device: Replayed(update, recorder))
        losses = [stop.losses for stop in train(recipe, data, checkpoint=path, speed=Speed(**speed), **BUDGET)]
    payload = read_payload(path)
    assert payload is not None
    held = leaves(parse_document(path, payload, CPU)["state"])
    state = {name: v.numpy().tobytes() if isinstance(v, Tensor) else v for name, v in held if "seconds" not in name}
    return losses, state


def compare(recipe: Any, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **speed: Any) -> None:
    # Torch makes a number anew for each update that RMSprop counts on the CPU, and none on CUDA.
    counted = recipe.optimizer == "rmsprop"
    recorder = Recording(frozenset({"aten::lift_fresh"} if counted else {}))
    plain = trained(recipe, data, tmp_path / "plain", None, monkeypatch, **speed)
    repeated = trained(recipe, data, tmp_path / "repeated", recorder, monkeypatch, **speed)
    assert (recorder.warmed, recorder.replays) == (EAGER, STEPS - EAGER)
    assert repeated == plain


@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])
@pytest.mark.parametrize("name", BASELINES.entries())
def test_a_recorded_update_follows_schedules_averages_and_labels(
    name: str, conditional: bool, images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rates, decays and weights change from one update to the next; a recording freezes those that are Python's."""
    compare(small(name, conditional=conditional, **BUSY), with_labels(images), tmp_path, monkeypatch)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_every_optimizer_can_be_recorded(
    optimizer: str, schedule: str, vectors: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(small("wgan", optimizer=optimizer, schedule=schedule), vectors, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["dcgan", "wgan-gp", "vae"])
def test_a_recorded_update_in_bf16_casts_its_weights_anew(
    name: str, images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(small(name), images, tmp_path, monkeypatch, precision="bf16")


def test_every_registered_baseline_says_that_it_can_be_recorded() -> None:
    told = {name: small(name).build((1, 8, 8), device=CPU, steps=1) for name in BASELINES.entries()}
    assert [name for name, trainer in told.items() if not getattr(trainer, "recordable", False)] == []


class Wrong:
    """An update that cannot be recorded: it counts in Python, or it reads a loss."""

    def __init__(self, how: str) -> None:
        self.how, self.updates, self.mean = how, 0, torch.zeros(2)

    def step(self, batch: Tensor) -> Mapping[str, Tensor]:
        self.updates += 1
        loss = (batch.mean(dim=0) - self.mean).square().mean()
        if self.how == "reads" and loss.item() < 0:
            raise AssertionError
        self.mean.lerp_(batch.mean(dim=0), 1 / self.updates)
        return {"loss": loss}


def test_a_number_of_pythons_is_frozen_in_a_recording() -> None:
    plain, recorded = Wrong("counts"), Wrong("counts")
    update = Replayed(recorded.step, Recording())
    batches = torch.randn(8, 5, 2, generator=torch.Generator().manual_seed(0))
    same = []
    for batch in batches:
        plain.step(batch)
        update(batch)
        same.append(torch.equal(plain.mean, recorded.mean))
    assert same == [True] * (EAGER + 1) + [False] * (len(batches) - EAGER - 1)


def test_an_update_that_reads_its_device_is_found_out() -> None:
    update = Replayed(Wrong("reads").step, Recording())
    for _ in range(EAGER):
        update(torch.ones(5, 2))
    with pytest.raises(Waited, match="reads a number"):
        update(torch.ones(5, 2))
