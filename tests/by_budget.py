"""Baselines trained by their committed budgets, from seed 0."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from genbench.benchmarks import load_benchmark
from genbench.data import load_dataset
from genbench.protocols import Sampler
from genbench.registry import BASELINES
from genbench.training import train


def trained(benchmark: str, baseline: str, state: Path, quarters: int = 4) -> Sampler:
    """Train through some quarters of the budget, or go on from the saved state, and return the sampler there."""
    definition = load_benchmark(benchmark)
    budget = definition.baselines[baseline]
    (stop,) = train(
        BASELINES.load(baseline)(**budget.options),
        load_dataset(definition.dataset),
        seed=0,
        steps=budget.steps,
        batch=budget.batch,
        stops=[budget.steps * quarters // 4],
        checkpoint=state,
        device=torch.device("cpu"),
    )
    return stop.sampler


def train_wgan_gp_on_digits(folder: Path) -> None:
    """Save the states after a quarter of the budget and after all of it, ``1.pt`` and ``4.pt``."""
    trained("digits", "wgan-gp", folder / "1.pt", quarters=1)
    shutil.copy(folder / "1.pt", folder / "4.pt")
    trained("digits", "wgan-gp", folder / "4.pt")
