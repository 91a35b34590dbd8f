"""The baselines, trained by their committed budgets, make what they are meant to make."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genbench.benchmarks import load_benchmark
from genbench.definitions import Dataset
from genbench.extractors.digits_cnn import DigitsCNN
from genbench.metrics.modes import high_quality, modes_share
from genbench.registry import DATASETS
from genbench.sampling.blocks import draw_samples
from tests.by_budget import trained

RESULTS = Path(__file__).resolve().parent.parent / "results"
CPU = torch.device("cpu")


@cache
def data(name: str) -> Dataset:
    """A dataset, loaded once."""
    dataset: Dataset = DATASETS.load(name)()
    return dataset


def samples(benchmark: str, baseline: str, state: Path) -> Tensor:
    """Train by the benchmark's budget, or go on from a state, and draw its n samples."""
    definition = load_benchmark(benchmark)
    shape = data(definition.dataset).event_shape
    return draw_samples(trained(benchmark, baseline, state), definition.n, seed=0, event_shape=shape)


def confidence(images: Tensor) -> tuple[float, Tensor]:
    """Mean probability of the likeliest class under digits-cnn, and how often each class is the likeliest."""
    logits = DigitsCNN(event_shape=(1, 8, 8), device=CPU).extract(images)["logits"].double()
    likeliest = logits.softmax(dim=1).max(dim=1)
    return float(likeliest.values.mean()), torch.bincount(likeliest.indices, minlength=10)


def test_the_check_tells_digits_from_what_is_none() -> None:
    """Measured: real digits .97; independent pixels with the digits' moments .55; digits with shuffled pixels .54."""
    real = torch.from_numpy(data("digits").test)
    rng = np.random.default_rng(0)
    train_pixels = data("digits").train.astype(np.float64)
    fake = rng.normal(train_pixels.mean(axis=0), train_pixels.std(axis=0), size=real.shape).clip(0, 255)
    shuffled = real.reshape(-1, 64)[:, torch.from_numpy(rng.permutation(64))].reshape(real.shape)
    assert confidence(real)[0] > 0.95
    assert confidence(torch.from_numpy(fake.round().astype(np.uint8)))[0] < 0.62
    assert confidence(shuffled)[0] < 0.62


@pytest.mark.slow
def test_images_of_wgan_gp_look_like_digits_of_all_ten_classes(wgan_gp_on_digits: Path) -> None:
    look_like_digits(samples("digits", "wgan-gp", wgan_gp_on_digits / "4.pt"))


@pytest.mark.slow
def test_images_of_the_vae_look_like_digits_of_all_ten_classes(tmp_path: Path) -> None:
    look_like_digits(samples("digits", "vae", tmp_path / "state.pt"))


def look_like_digits(images: Tensor) -> None:
    """Measured .77 to .82 over seeds, deviation .01; a fifth of a class's due share of 59.9 is 12."""
    mean, counts = confidence(images)
    assert mean > 0.7
    assert counts.min() >= 12


@pytest.mark.slow
def test_wgan_gp_finds_all_modes_of_the_ring(tmp_path: Path) -> None:
    found, mixture = samples("ring8", "wgan-gp", tmp_path / "state.pt"), data("ring8").mixture
    assert mixture is not None
    assert modes_share(generated=found, mixture=mixture).value == 8
    assert high_quality(generated=found, mixture=mixture).value > 0.5


def test_the_committed_run_found_all_modes_from_every_seed() -> None:
    paths = sorted((RESULTS / "ring8@1" / "records" / "wgan-gp").glob("*-step0002000.json"))
    assert len(paths) == 5
    for path in paths:
        scores = json.loads(path.read_text())["scores"]
        (found,) = [s["estimate"]["value"] for s in scores if s["metric"] == "modes_share"]
        assert found == 8, path.name
