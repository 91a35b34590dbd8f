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

from baselines.gan import GAN
from baselines.vae import VAE
from baselines.wgan_gp import WGANGP
from genbench.definitions import Dataset
from genbench.training import train
from genbench.training.checkpoint import parse_document, read_payload
from genbench.training.health import leaves

CPU = torch.device("cpu")
STEPS = 60
BUDGET: dict[str, Any] = {"seed": 3, "steps": STEPS, "batch": 8, "device": CPU, "stops": (25, STEPS)}
RECIPES = (GAN(width=8, latent=4), WGANGP(n_critic=2, width=8, latent=2), VAE(width=8, latent=4))
FUSE = {"left": 10**9}


class Blown(Exception):
    """The process is gone in the middle of an update."""


@dataclass(frozen=True, kw_only=True)
class Mortal:
    """Another recipe, whose process dies when the fuse has burnt down."""

    inner: Any

    def build(self, event_shape: tuple[int, ...], *, device: Any, steps: int) -> Any:
        trainer = self.inner.build(event_shape, device=device, steps=steps)
        step = trainer.step

        def mortal(batch: Tensor) -> Mapping[str, Tensor]:
            losses: Mapping[str, Tensor] = step(batch)
            FUSE["left"] -= 1
            if FUSE["left"] == 0:
                raise Blown
            return losses

        trainer.step = mortal
        return trainer


def points() -> Dataset:
    rows = np.random.default_rng(0).standard_normal((80, 2)).astype(np.float32)
    return Dataset(name="points", train=rows[:60], test=rows[60:])


def finish(recipe: int, path: Path, fuse: int = 10**9, save_every: float = 1e9) -> list[tuple[str, Any]]:
    """Train to the end, from wherever the state stands; return all that the state holds, tensors as their bytes."""
    FUSE["left"] = fuse
    list(train(Mortal(inner=RECIPES[recipe]), points(), checkpoint=path, save_every=save_every, **BUDGET))
    payload = read_payload(path)
    assert payload is not None
    held = leaves(parse_document(path, payload, CPU))
    return [(name, value.numpy().tobytes() if isinstance(value, Tensor) else value) for name, value in held]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    recipe=st.integers(0, len(RECIPES) - 1),
    first=st.integers(1, STEPS),
    second=st.integers(1, STEPS),
    often=st.booleans(),
)
def test_a_training_killed_within_any_two_updates_ends_in_the_same_state(
    recipe: int, first: int, second: int, often: bool
) -> None:
    with TemporaryDirectory() as folder:
        whole = finish(recipe, Path(folder) / "whole")
        cut = Path(folder) / "cut"
        for fuse in (first, second):
            try:
                finish(recipe, cut, fuse, save_every=0.0 if often else 1e9)
            except Blown:
                continue
        assert finish(recipe, cut) == whole


def test_the_fuse_burns() -> None:
    with TemporaryDirectory() as folder, pytest.raises(Blown):
        finish(0, Path(folder) / "state", fuse=7)
