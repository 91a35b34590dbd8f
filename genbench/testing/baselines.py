"""What every baseline keeps: training depends on its seed alone, can be killed and resumed, and gives samplers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from genbench.definitions import Dataset
from genbench.errors import GenbenchError
from genbench.isolation import isolated, seed_generators
from genbench.protocols import Baseline, Sampler, Trainer
from genbench.randomness import derive_seed
from genbench.registry import BASELINES
from genbench.training import Stop, train
from genbench.training.harness import build_trainer

CPU = torch.device("cpu")
STEPS = 4
CLASSES = 3


class BaselineContract:
    """The contract of a baseline; subclass it in a test file.

    Attributes
    ----------
    part : str
        A registered name, or ``package.module:Class``.
    options : mapping
        Of the recipe; small networks make quick tests.
    shapes : tuple of tuple of int
        Events to train on: vectors and images by default. A shape that the recipe refuses with a
        `genbench.GenbenchError` is skipped; one of them must be accepted.
    batch : int
        Rows of a step.
    """

    part: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((2,), (1, 8, 8))
    batch: ClassVar[int] = 20

    @pytest.fixture
    def recipe(self, request: pytest.FixtureRequest) -> Baseline:
        """The baseline with its options."""
        part = getattr(request, "param", None) or self.part
        recipe = BASELINES.load(part)(**self.options)
        assert isinstance(recipe, Baseline), f"{part}: has no method build(event_shape, *, device, steps)."
        return recipe

    @pytest.fixture
    def datasets(self, recipe: Baseline) -> list[Dataset]:
        """A little data of every shape that the recipe accepts."""
        return self.accepted(recipe)

    @classmethod
    def accepted(cls, recipe: Baseline) -> list[Dataset]:
        """Find the shapes that a recipe accepts, and make a little data of each."""
        accepted, refusals = [], []
        for shape in cls.shapes:
            try:
                cls._trainer(recipe, shape)
            except GenbenchError as error:
                refusals.append(f"{shape}: {error}")
            else:
                accepted.append(little_data(shape))
        assert accepted, f"none of the shapes {cls.shapes} is accepted: {'; '.join(refusals)}"
        return accepted

    def test_the_recipe_is_a_frozen_dataclass(self, recipe: Baseline) -> None:
        """Its fields are what records, checkpoints and ``--set`` know of it."""
        kind: Any = type(recipe)
        assert is_dataclass(recipe), f"{kind.__name__} is no dataclass; its options would not be in any record."
        assert kind.__dataclass_params__.frozen, (
            f"{kind.__name__} is not frozen; declare @dataclass(frozen=True, kw_only=True)."
        )

    def test_an_unknown_option_is_refused(self, recipe: Baseline) -> None:
        """A misspelt option must not pass in silence."""
        with pytest.raises(TypeError):
            type(recipe)(**{**self.options, "no_such_option": 1})

    def test_a_step_returns_its_losses(self, recipe: Baseline, datasets: list[Dataset]) -> None:
        """Named, finite scalars without gradient, from a batch that stays as it was."""
        for data in datasets:
            trainer = self._trainer(recipe, data.event_shape)
            assert isinstance(trainer, Trainer), "build returns an object with step, sampler and (load_)state_dict."
            batch = torch.linspace(-1, 1, self.batch * data.train[0].size).reshape(self.batch, *data.event_shape)
            before = batch.clone()
            with isolated(CPU):
                seed_generators(CPU, 0)
                losses = trainer.step(batch, **_labels(recipe, self.batch))
            assert losses, "step returned no loss; return a mapping such as {'loss': loss.detach()}."
            for name, loss in losses.items():
                assert isinstance(loss, Tensor), f"{name}: a tensor expected, got {type(loss).__name__}."
                assert loss.shape == (), f"{name}: a scalar expected, got shape {tuple(loss.shape)}."
                assert not loss.requires_grad, f"{name}: still has its gradient; detach it."
                assert bool(loss.isfinite()), f"{name} is {float(loss)} in the first step."
            assert torch.equal(batch, before), "step wrote to its batch; copy it first."

    def test_samples_are_what_was_asked_for(self, recipe: Baseline, datasets: list[Dataset]) -> None:
        """Float32 (n, *event) in model units, finite, without gradient, images in [-1, 1], and the seed decides."""
        for data in datasets:
            sampler = self._trainer(recipe, data.event_shape).sampler()
            assert isinstance(sampler, Sampler), "sampler() returns an object with a name and sample(n, *, seed)."
            assert isinstance(sampler.name, str), f"the sampler's name is {sampler.name!r}; a text expected."
            assert sampler.name, "the sampler's name is empty."
            samples = _drawn(sampler, 7, seed=0)
            expected = (7, *data.event_shape)
            assert tuple(samples.shape) == expected, (
                f"samples of shape {expected} expected, got {tuple(samples.shape)}."
            )
            assert samples.dtype == torch.float32, f"float32 samples expected, got {samples.dtype}."
            assert not samples.requires_grad, "samples carry a gradient; sample under torch.no_grad()."
            assert bool(samples.isfinite().all()), "samples of an untrained model are not finite."
            assert len(expected) == 2 or float(samples.abs().max()) <= 1, "images are beyond [-1, 1]; clamp them."
            assert torch.equal(samples, _drawn(sampler, 7, seed=0)), "one seed gave two sets of samples."
            assert not torch.equal(samples, _drawn(sampler, 7, seed=1)), "two seeds gave one set of samples."

    def test_the_seed_decides_the_training(self, recipe: Baseline, datasets: list[Dataset], tmp_path: Path) -> None:
        """Trained twice from one seed: the same samples to the last bit. From another seed: others."""
        for data in datasets:
            path = tmp_path / f"{len(data.event_shape)}"
            first, again, other = (
                _scored(self._trained(recipe, data, path.with_suffix(f".{i}"), seed=seed))
                for i, seed in enumerate((0, 0, 1))
            )
            assert torch.equal(first, again), (
                "trained twice from one seed on a CPU, with other samples; draw what is random in build and step from "
                "torch's generator, which is seeded before each of them."
            )
            assert not torch.equal(first, other), "the seed of the training changes nothing."

    def test_a_training_resumed_is_the_same_training(
        self, recipe: Baseline, datasets: list[Dataset], tmp_path: Path
    ) -> None:
        """Stopped half-way, saved, and continued from the file by new objects: the same to the last bit."""
        for data in datasets:
            path = tmp_path / f"{len(data.event_shape)}"
            through = self._trained(recipe, data, path.with_suffix(".through"))
            self._trained(recipe, data, path.with_suffix(".halved"), stop=STEPS // 2)
            resumed = self._trained(recipe, data, path.with_suffix(".halved"))
            assert torch.equal(_scored(resumed), _scored(through)), (
                "resumed from a checkpoint, the training took another path; state_dict must return, and "
                "load_state_dict restore, all that the next step depends on: weights, averages, optimizers, counters."
            )

    def test_a_sampler_is_a_snapshot(self, recipe: Baseline, datasets: list[Dataset], tmp_path: Path) -> None:
        """Later steps do not change it, and training does not notice that it was taken or used."""
        for data in datasets:
            path = tmp_path / f"{len(data.event_shape)}"
            watched = self._stops(recipe, data, path.with_suffix(".watched"), stops=[STEPS // 2, STEPS])
            early = next(watched).sampler
            before = _scored(early)
            late = next(watched).sampler
            assert torch.equal(_scored(early), before), (
                "a sampler taken half-way gives other samples since training went on; let sampler() copy the weights."
            )
            alone = self._trained(recipe, data, path.with_suffix(".alone"))
            assert torch.equal(_scored(late), _scored(alone)), (
                "training took another path because it was sampled from; leave modes and generators as they were."
            )

    @staticmethod
    def _trainer(recipe: Baseline, shape: tuple[int, ...]) -> Trainer:
        with isolated(CPU):
            seed_generators(CPU, 0)
            classes = CLASSES if getattr(recipe, "conditional", False) else None
            return build_trainer(recipe, shape, device=CPU, steps=STEPS, classes=classes)

    def _trained(self, recipe: Baseline, data: Dataset, path: Path, *, seed: int = 0, stop: int = STEPS) -> Sampler:
        """Train, or go on from the file, to a stop; nobody looks on the way."""
        return next(self._stops(recipe, data, path, seed=seed, stops=[stop])).sampler

    def _stops(self, recipe: Baseline, data: Dataset, path: Path, *, stops: list[int], seed: int = 0) -> Iterator[Stop]:
        return train(recipe, data, seed=seed, steps=STEPS, batch=self.batch, device=CPU, stops=stops, checkpoint=path)


def little_data(shape: tuple[int, ...]) -> Dataset:
    """Sixty events of a shape in three classes: grey images of one brightness each, or points around three places."""
    rng = np.random.default_rng(derive_seed(0, "little data", *shape))
    labels = np.arange(60) % CLASSES
    places = labels.reshape(60, *([1] * len(shape)))
    if len(shape) == 3:
        events = (80 * places + rng.integers(0, 60, (60, *shape))).astype(np.uint8)
    else:
        events = (places - 1 + 0.1 * rng.standard_normal((60, *shape))).astype(np.float32)
    return Dataset(
        name="little", train=events[:50], test=events[50:], train_labels=labels[:50], test_labels=labels[50:]
    )


def _labels(told: Any, n: int) -> dict[str, Any]:
    """Labels for what asks for them: a conditional recipe, or its sampler."""
    conditional = getattr(told, "conditional", False) or getattr(told, "classes", None)
    return {"labels": torch.arange(n) % CLASSES} if conditional else {}


def _drawn(sampler: Sampler, n: int, *, seed: int) -> Tensor:
    """Ask a trainer's own sampler, which may draw from torch's generator, as the harness seeds that."""
    with isolated(CPU):
        seed_generators(CPU, seed)
        return sampler.sample(n, seed=seed, **_labels(sampler, n))


def _scored(sampler: Sampler) -> Tensor:
    """Draw from a sampler of the harness, in units of the data."""
    return sampler.sample(30, seed=0, **_labels(sampler, 30))
