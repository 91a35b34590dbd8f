"""A training that dies in the middle of any update ends in the same weights, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genbench.definitions import Dataset
from genbench.registry import BASELINES
from genbench.training import train
from genbench.training.checkpoint import parse_document, read_payload
from genbench.training.health import leaves
from tests.training.small import small, with_labels

CPU = torch.device("cpu")
STEPS = 60
BUDGET: dict[str, Any] = {"seed": 3, "steps": STEPS, "batch": 8, "device": CPU, "stops": (25, STEPS)}
SHORT: dict[str, Any] = {**BUDGET, "steps": 8, "stops": (3, 8)}
BUSY = {"weight_decay": 0.1, "l1": 1e-4, "schedule": "cosine", "warmup": 0.3, "clip": 1.0, "ema": 0.9}
FUSE = {"left": 10**9}


class Blown(Exception):
    """The process is gone in the middle of an update."""


@dataclass(frozen=True, kw_only=True)
class Mortal:
    """Another recipe, whose process dies when the fuse has burnt down."""

    inner: Any

    @property
    def conditional(self) -> bool:
        found: bool = self.inner.conditional
        return found

    def build(self, event_shape: tuple[int, ...], *, device: Any, steps: int, **classes: int) -> Any:
        trainer = self.inner.build(event_shape, device=device, steps=steps, **classes)
        step = trainer.step

        def mortal(batch: Tensor, **labels: Tensor) -> Mapping[str, Tensor]:
            losses: Mapping[str, Tensor] = step(batch, **labels)
            FUSE["left"] -= 1
            if FUSE["left"] == 0:
                raise Blown
            return losses

        trainer.step = mortal
        return trainer


def points() -> Dataset:
    rows = np.random.default_rng(0).standard_normal((80, 2)).astype(np.float32)
    return Dataset(name="points", train=rows[:60], test=rows[60:])


def pictures() -> Dataset:
    pixels = np.random.default_rng(0).integers(0, 256, size=(40, 1, 4, 4), dtype=np.uint8)
    return with_labels(Dataset(name="pictures", train=pixels[:30], test=pixels[30:]))


def finish(
    recipe: Any, data: Dataset, path: Path, *, fuse: int = 10**9, save_every: float = 1e9, **budget: Any
) -> list[tuple[str, Any]]:
    """Train to the end, from wherever the state stands; return all that it holds but the time taken, as bytes."""
    FUSE["left"] = fuse
    list(train(Mortal(inner=recipe), data, checkpoint=path, save_every=save_every, **(budget or BUDGET)))
    payload = read_payload(path)
    assert payload is not None
    held = leaves(parse_document(path, payload, CPU))
    return [
        (name, value.numpy().tobytes() if isinstance(value, Tensor) else value)
        for name, value in held
        if name != "state.seconds"
    ]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["gan", "wgan-gp", "vae"]),
    first=st.integers(1, STEPS),
    second=st.integers(1, STEPS),
    often=st.booleans(),
)
def test_a_training_killed_within_any_two_updates_ends_in_the_same_state(
    name: str, first: int, second: int, often: bool
) -> None:
    recipe = small(name)
    with TemporaryDirectory() as folder:
        whole = finish(recipe, points(), Path(folder) / "whole")
        cut = Path(folder) / "cut"
        for fuse in (first, second):
            try:
                finish(recipe, points(), cut, fuse=fuse, save_every=0.0 if often else 1e9)
            except Blown:
                continue
        assert finish(recipe, points(), cut) == whole


@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])
@pytest.mark.parametrize("name", BASELINES.entries())
def test_every_registered_baseline_ends_in_the_same_state_when_killed(
    name: str, conditional: bool, tmp_path: Path
) -> None:
    """With a schedule, averages, decay and dropout, killed before anything was saved and after the first stop."""
    recipe = small(name, conditional=conditional, **BUSY)
    whole = finish(recipe, pictures(), tmp_path / "whole", **SHORT)
    for fuse in (2, 5):
        with pytest.raises(Blown):
            finish(recipe, pictures(), tmp_path / "cut", fuse=fuse, **SHORT)
    assert finish(recipe, pictures(), tmp_path / "cut", **SHORT) == whole


def test_the_fuse_burns() -> None:
    with TemporaryDirectory() as folder, pytest.raises(Blown):
        finish(small("gan"), points(), Path(folder) / "state", fuse=7)
