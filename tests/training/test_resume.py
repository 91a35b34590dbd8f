"""A training that was killed, at any point, ends in the same bits as one that was not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.gan import GAN
from baselines.vae import VAE
from baselines.wgan_gp import WGANGP
from genbench.definitions import Dataset
from genbench.protocols import Baseline
from genbench.training import Stop, train

CPU = torch.device("cpu")
BUDGET: dict[str, Any] = {"seed": 0, "steps": 70, "batch": 8, "device": CPU, "stops": (55, 70)}
RECIPES = {
    "gan": GAN(width=8, latent=4),
    "wgan-gp": WGANGP(n_critic=2, width=4, latent=4),
    "vae": VAE(width=8, latent=4),
}


class Killed(Exception):
    """The process is gone."""


def killer(at: int):
    """A progress callback that ends everything after an update."""

    def progress(step: int, losses: Mapping[str, float]) -> None:
        if step >= at:
            raise Killed

    return progress


def facts(stop: Stop) -> tuple[int, list[int], Mapping[str, float], list[Mapping[str, float]]]:
    """Everything about a stop, samples as their bytes."""
    samples = stop.sampler.sample(16, seed=1)
    return stop.step, list(samples.contiguous().view(torch.uint8).flatten()), stop.losses, list(stop.history)


@pytest.fixture(params=sorted(RECIPES))
def baseline(request: pytest.FixtureRequest) -> Baseline:
    return RECIPES[request.param]


@pytest.mark.parametrize("save_every", [0.0, 1e9], ids=["saves often", "saves at stops"])
def test_killed_training_ends_in_the_same_bits(baseline: Baseline, images: Dataset, tmp_path: Path, save_every: float):
    whole = [facts(stop) for stop in train(baseline, images, checkpoint=tmp_path / "whole", **BUDGET)]
    # Before any save; after one at the end of a window; at a stop that is not yet saved; beyond it; at the end.
    for at in (20, 50, 55, 60, 70):
        path = tmp_path / f"killed-{at}"
        with pytest.raises(Killed):
            list(train(baseline, images, checkpoint=path, progress=killer(at), save_every=save_every, **BUDGET))
        resumed = [facts(stop) for stop in train(baseline, images, checkpoint=path, **BUDGET)]
        assert resumed == whole[2 - len(resumed) :]
        assert len(resumed) >= 1


def test_training_on_vectors_resumes_exactly_too(baseline: Baseline, vectors: Dataset, tmp_path: Path):
    whole = [facts(stop) for stop in train(baseline, vectors, checkpoint=tmp_path / "whole", **BUDGET)]
    with pytest.raises(Killed):
        list(train(baseline, vectors, checkpoint=tmp_path / "killed", progress=killer(50), save_every=0.0, **BUDGET))
    assert [facts(stop) for stop in train(baseline, vectors, checkpoint=tmp_path / "killed", **BUDGET)] == whole


def test_consumer_killed_before_it_recorded_a_stop_gets_that_stop_again(
    baseline: Baseline, images: Dataset, tmp_path: Path
):
    path = tmp_path / "state"
    stops = train(baseline, images, checkpoint=path, **BUDGET)
    first = facts(next(stops))
    stops.close()
    again = [facts(stop) for stop in train(baseline, images, checkpoint=path, **BUDGET)]
    assert [stop[0] for stop in again] == [55, 70]
    assert again[0] == first
    last = [facts(stop) for stop in train(baseline, images, checkpoint=path, **BUDGET)]
    assert last == again[1:]  # the state stands at the end: earlier stops cannot be had from it


def test_state_is_on_disk_before_its_stop_is_given_out(scripted: Any, vectors: Dataset, tmp_path: Path):
    path = tmp_path / "state"
    for stop in train(scripted(), vectors, checkpoint=path, **BUDGET):
        copy = tmp_path / f"copy-{stop.step}"
        copy.write_bytes(path.read_bytes())
        assert next(iter(train(scripted(), vectors, checkpoint=copy, **BUDGET))).step == stop.step


def test_stops_and_savings_change_nothing(scripted: Any, vectors: Dataset, tmp_path: Path):
    def end(name: str, **changes: Any) -> Any:
        return [facts(s) for s in train(scripted(), vectors, checkpoint=tmp_path / name, **{**BUDGET, **changes})][-1]

    plain = end("a", stops=(70,))
    assert end("b", stops=(1, 7, 49, 50, 51, 70)) == plain
    assert end("c", stops=(70,), save_every=0.0) == plain


def test_sampler_of_a_stop_outlives_it(baseline: Baseline, images: Dataset, tmp_path: Path):
    stops = train(baseline, images, checkpoint=tmp_path / "state", **BUDGET)
    first = next(stops)
    before = first.sampler.sample(8, seed=0)
    last = next(stops)
    assert torch.equal(first.sampler.sample(8, seed=0), before)
    assert not torch.equal(last.sampler.sample(8, seed=0), before)


def test_another_seed_is_another_training(baseline: Baseline, images: Dataset, tmp_path: Path):
    one, other = (
        facts(next(iter(train(baseline, images, checkpoint=tmp_path / str(seed), **{**BUDGET, "seed": seed}))))
        for seed in (0, 1)
    )
    assert one[1] != other[1]
    assert one[2] != other[2]
