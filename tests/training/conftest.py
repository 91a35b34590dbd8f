"""Small data, small recipes, and a baseline that misbehaves on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genbench.definitions import Dataset

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """Learns the mean of its data by random steps; a loss, its state or its samples are not finite from a step on."""

    bad_loss: int = 10**9
    bad_state: int = 10**9
    bad_samples: bool = False

    def build(self, event_shape: tuple[int, ...], *, device: Any, steps: int) -> ScriptedTrainer:
        return ScriptedTrainer(self, event_shape)


class ScriptedTrainer:
    def __init__(self, recipe: Scripted, event_shape: tuple[int, ...]) -> None:
        self.recipe = recipe
        self.updates = 0
        self.mean = torch.randn(event_shape)

    def step(self, batch: Tensor) -> Mapping[str, Tensor]:
        self.updates += 1
        self.mean = torch.lerp(self.mean, batch.mean(dim=0), 0.1) + 0.01 * torch.randn(self.mean.shape)
        bad = self.updates >= self.recipe.bad_loss
        hidden = self.updates >= self.recipe.bad_state
        self.hidden = torch.tensor(float("nan") if hidden else 0.0)
        return {"update": torch.tensor(float(self.updates)), "g_loss": torch.tensor(float("inf") if bad else 1.0)}

    def sampler(self) -> ScriptedSampler:
        return ScriptedSampler(self.mean.clone(), bad=self.recipe.bad_samples)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "mean": self.mean, "parts": [getattr(self, "hidden", torch.zeros(()))]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates, self.mean = state["updates"], state["mean"]
        self.hidden = state["parts"][0]


class ScriptedSampler:
    name = "scripted"

    def __init__(self, mean: Tensor, *, bad: bool) -> None:
        self.mean, self.bad = mean, bad

    def sample(self, n: int, *, seed: int) -> Tensor:
        samples = self.mean + 0.1 * torch.randn(n, *self.mean.shape)  # from torch's own generator, on purpose
        if self.bad:
            samples[:2, 0] = torch.nan
        return samples


@pytest.fixture
def vectors() -> Dataset:
    rng = np.random.default_rng(0)
    points = (3 * rng.standard_normal((200, 2)) + 1).astype(np.float32)
    return Dataset(name="points", train=points[:150], test=points[150:])


@pytest.fixture
def images() -> Dataset:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(80, 1, 8, 8), dtype=np.uint8)
    return Dataset(name="pixels", train=pixels[:60], test=pixels[60:])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "states" / "seed0.pt"


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted
