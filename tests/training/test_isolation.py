"""Training and sampling leave no trace in the process, and take none from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.gan import GAN
from genbench.definitions import Dataset
from genbench.isolation import isolated, kept_generators, seed_generators
from genbench.training import train

CPU = torch.device("cpu")
BUDGET: dict[str, Any] = {"seed": 0, "steps": 25, "batch": 8, "device": CPU, "stops": (10, 25)}


def generators() -> tuple[bytes, bytes]:
    return torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()  # noqa: NPY002 (looked at only)


@pytest.mark.parametrize("name", ["gan", "scripted"])
def test_global_generators_and_threads_stay_as_they_were(name: str, scripted: Any, vectors: Dataset, state: Path):
    before, threads = generators(), torch.get_num_threads()
    for stop in train(GAN(width=8) if name == "gan" else scripted(), vectors, checkpoint=state, **BUDGET):
        assert (generators(), torch.get_num_threads()) == (before, threads)
        stop.sampler.sample(5, seed=0)
        assert (generators(), torch.get_num_threads()) == (before, threads)
    assert (generators(), torch.get_num_threads()) == (before, threads)


def test_what_the_consumer_does_with_generators_and_threads_changes_nothing(
    scripted: Any, vectors: Dataset, tmp_path: Path
):
    threads = torch.get_num_threads()
    samples: list[list[torch.Tensor]] = []
    for disturbed in (False, True):
        samples.append([])
        for stop in train(scripted(), vectors, checkpoint=tmp_path / str(disturbed), **BUDGET):
            samples[-1].append(stop.sampler.sample(5, seed=0))
            if disturbed:
                torch.randn(1000)
                torch.set_num_threads(3)
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*samples, strict=True))


def test_generators_and_threads_are_restored_when_the_work_fails():
    before, threads = generators(), torch.get_num_threads()
    inside: list[int] = []

    def work() -> None:
        with isolated(CPU):
            seed_generators(CPU, 5)
            inside.append(torch.get_num_threads())
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        work()
    assert inside == [1]
    assert (generators(), torch.get_num_threads()) == (before, threads)


def test_progress_runs_outside_the_isolation(scripted: Any, vectors: Dataset, state: Path):
    before, threads = generators(), torch.get_num_threads()
    seen = []

    def progress(step: int, losses: Any) -> None:
        seen.append((step, generators() == before, torch.get_num_threads() == threads))

    list(train(scripted(), vectors, checkpoint=state, progress=progress, **BUDGET))
    assert seen == [(10, True, True), (20, True, True), (25, True, True)]


def test_the_generator_of_an_mps_device_is_seeded_and_restored(monkeypatch: pytest.MonkeyPatch):
    held = torch.Generator().manual_seed(1)
    monkeypatch.setattr("torch.mps.get_rng_state", held.get_state)
    monkeypatch.setattr("torch.mps.set_rng_state", held.set_state)
    monkeypatch.setattr("torch.mps.manual_seed", held.manual_seed)
    mps, before = torch.device("mps"), (generators(), held.get_state())
    with kept_generators(mps):
        seed_generators(mps, 5)
        assert held.initial_seed() == torch.initial_seed() == 5
        torch.rand(3, generator=held)
    assert generators() == before[0]
    assert torch.equal(held.get_state(), before[1])
