"""Labels reach conditional recipes, each with its own row, and reach no other."""

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
from genbench.errors import UsageError
from genbench.registry import BASELINES
from genbench.sampling.blocks import draw_samples
from genbench.training import train
from genbench.training.trained import load_trained

CPU = torch.device("cpu")
BUDGET: dict[str, Any] = {"seed": 0, "steps": 40, "batch": 32, "device": CPU, "stops": (20, 40)}
CENTRES = np.array([[-3.0, 0.0], [0.0, 4.0], [5.0, 1.0]], dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class ClassMeans:
    """Knows the mean of every class; refuses to be told what it did not ask for."""

    conditional: bool = True

    def build(self, event_shape: tuple[int, ...], *, device: Any, steps: int, classes: int | None = None) -> Any:
        assert (classes is not None) == self.conditional
        return ClassMeansTrainer(event_shape, classes or 1, self.conditional)


class ClassMeansTrainer:
    def __init__(self, event_shape: tuple[int, ...], classes: int, conditional: bool) -> None:
        self.conditional = conditional
        self.sums, self.counts = torch.zeros(classes, *event_shape), torch.zeros(classes)

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        assert (labels is not None) == self.conditional
        labels = torch.zeros(len(batch), dtype=torch.int64) if labels is None else labels
        assert labels.dtype == torch.int64
        assert labels.shape == (len(batch),)
        self.sums.index_add_(0, labels, batch)
        self.counts += torch.bincount(labels, minlength=len(self.counts))
        return {"seen": self.counts.sum()}

    def sampler(self) -> Any:
        means = self.sums / self.counts[:, None].clamp(min=1)
        return ClassMeansSampler(means) if self.conditional else OneMeanSampler(means)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.counts = state["sums"], state["counts"]


class ClassMeansSampler:
    name = "class-means"

    def __init__(self, means: Tensor) -> None:
        self.means, self.classes = means, len(means)

    def sample(self, n: int, *, seed: int, labels: Tensor) -> Tensor:
        return self.means[labels]


class OneMeanSampler:
    name = "one-mean"

    def __init__(self, means: Tensor) -> None:
        self.means = means

    def sample(self, n: int, *, seed: int) -> Tensor:
        return self.means.expand(n, -1)


@pytest.fixture
def labelled() -> Dataset:
    """Three points, the same every time a class is drawn."""
    labels = np.random.default_rng(0).integers(0, 3, size=120)
    rows = CENTRES[labels]
    return Dataset(
        name="three", train=rows[:90], test=rows[90:], train_labels=labels[:90], test_labels=labels[90:]
    )  # fmt: skip


def test_a_conditional_recipe_gets_each_rows_own_label(labelled: Dataset, state: Path) -> None:
    """Every mean is exactly that of its class, which a single wrong label would move."""
    *_, last = train(ClassMeans(), labelled, checkpoint=state, **BUDGET)
    assert last.sampler.classes == 3  # type: ignore[attr-defined]
    drawn = last.sampler.sample(3, seed=0, labels=torch.arange(3))  # type: ignore[call-arg]
    assert np.allclose(drawn.numpy(), CENTRES, atol=1e-5)


def test_what_is_scored_has_the_classes_of_the_data(labelled: Dataset, state: Path) -> None:
    *_, last = train(ClassMeans(), labelled, checkpoint=state, **BUDGET)
    drawn = draw_samples(last.sampler, 300, seed=0, event_shape=(2,), labels=labelled.train_labels)
    nearest = torch.cdist(drawn, torch.from_numpy(CENTRES)).argmin(dim=1)
    assert set(nearest.tolist()) == {0, 1, 2}


def test_other_recipes_are_told_nothing_of_labels(labelled: Dataset, state: Path) -> None:
    *_, last = train(ClassMeans(conditional=False), labelled, checkpoint=state, **BUDGET)
    assert not hasattr(last.sampler, "classes")
    assert last.sampler.sample(4, seed=0).shape == (4, 2)


def test_a_conditional_recipe_needs_labels(vectors: Dataset, state: Path) -> None:
    with pytest.raises(UsageError, match="ClassMeans: conditional = true needs data with labels, and points has none"):
        next(iter(train(ClassMeans(), vectors, checkpoint=state, **BUDGET)))


def test_a_conditional_model_is_rebuilt_from_its_state(
    labelled: Dataset, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, last = train(ClassMeans(), labelled, checkpoint=state, **BUDGET)
    monkeypatch.setattr(BASELINES, "load", lambda target: ClassMeans)
    rebuilt = load_trained(state, event_shape=(2,), device=CPU, trust_code=True)
    labels = torch.tensor([2, 0, 1, 1])
    assert rebuilt.classes == 3
    assert torch.equal(
        rebuilt.sample(4, seed=0, labels=labels),
        last.sampler.sample(4, seed=0, labels=labels),  # type: ignore[call-arg]
    )
