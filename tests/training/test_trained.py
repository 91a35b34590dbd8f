"""A training state becomes the sampler that it was saved with, and a file cannot make genbench run anything else."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.gan import GAN
from baselines.vae import VAE
from baselines.wgan_gp import WGANGP
from genbench.definitions import Dataset
from genbench.errors import GenbenchError, SampleError, UsageError
from genbench.load import load_sampler
from genbench.training import train
from genbench.training.checkpoint import MAGIC
from tests.files.test_tensors import Bomb, Huge

CPU = torch.device("cpu")
BUDGET: dict[str, Any] = {"seed": 4, "steps": 12, "batch": 8, "device": CPU, "stops": (6, 12)}
RECIPES = {
    "gan": GAN(width=8, latent=4),
    "wgan-gp": WGANGP(n_critic=2, width=4, latent=4),
    "vae": VAE(width=8, latent=4),
}


@pytest.mark.parametrize("name", sorted(RECIPES))
@pytest.mark.parametrize("kind", ["images", "vectors"])
def test_the_samples_are_those_of_the_training_itself(
    name: str, kind: str, request: pytest.FixtureRequest, state: Path
):
    data: Dataset = request.getfixturevalue(kind)
    for stop in train(RECIPES[name], data, checkpoint=state, **BUDGET):
        sampler = load_sampler(state, event_shape=data.event_shape)
        samples = sampler.sample(50, seed=1)
        assert samples.dtype == (torch.uint8 if kind == "images" else torch.float32)
        assert torch.equal(samples, stop.sampler.sample(50, seed=1))
        assert sampler.name == f"{name}-seed4"
    assert load_sampler(str(state), event_shape=data.event_shape, name="mine").name == "mine"


def test_nothing_of_the_process_is_changed(images: Dataset, state: Path):
    list(train(RECIPES["gan"], images, checkpoint=state, **BUDGET))
    content = state.read_bytes()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load_sampler(state, event_shape=images.event_shape).sample(5, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert state.read_bytes() == content
    assert [path.name for path in state.parent.iterdir()] == [state.name]


def test_a_model_of_other_events_is_refused(images: Dataset, state: Path):
    list(train(RECIPES["gan"], images, checkpoint=state, **BUDGET))
    with pytest.raises(SampleError, match=r"events of shape \(2,\) expected, got a model of \(1, 8, 8\)"):
        load_sampler(state, event_shape=(2,))


def test_what_has_no_meaning_for_it_is_refused(images: Dataset, state: Path):
    list(train(RECIPES["gan"], images, checkpoint=state, **BUDGET))
    for options in ({"latent": "4"}, {"value_range": (0, 1)}, {"args": {"width": 3}}, {"weights": "w.pt"}):
        with pytest.raises(UsageError, match="has no use for"):
            load_sampler(state, event_shape=images.event_shape, **options)


def test_a_damaged_state_is_refused_and_stays_where_it_is(images: Dataset, state: Path):
    list(train(RECIPES["gan"], images, checkpoint=state, **BUDGET))
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    with pytest.raises(SampleError, match="is damaged"):
        load_sampler(state, event_shape=images.event_shape)
    assert state.read_bytes() == content


@dataclass(frozen=True, kw_only=True)
class Foreign(GAN):
    """A recipe that no registry knows."""


def test_a_recipe_that_is_not_registered_needs_trust(images: Dataset, state: Path):
    *_, last = train(Foreign(width=8, latent=4), images, checkpoint=state, **BUDGET)
    with pytest.raises(UsageError, match=r"test_trained:Foreign, which is not a registered baseline.*--trust-code"):
        load_sampler(state, event_shape=images.event_shape)
    sampler = load_sampler(state, event_shape=images.event_shape, trust_code=True)
    assert torch.equal(sampler.sample(9, seed=0), last.sampler.sample(9, seed=0))


def sealed(found: Any) -> bytes:
    """A whole training state, as a forger would write it."""
    buffer = io.BytesIO()
    torch.save(found, buffer)
    return MAGIC + hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def forged(trainer: Any = None, **changes: Any) -> dict[str, Any]:
    model = {
        "recipe": "baselines.vae:VAE",
        "options": {"width": 8, "latent": 4},
        "event_shape": (1, 8, 8),
        "image": True,
        "scale": 127.5,
    }
    return {"identity": {"seed": 0, "steps": 9}, "state": {"trainer": trainer or {}, "model": {**model, **changes}}}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (forged(recipe="os:system", options={"command": "touch executed"}), "os:system, which is not a registered"),
        (forged(recipe="baselines.gan:adam"), "baselines.gan:adam, which is not a registered"),
        (forged(), "its recipe makes a model of "),
        (forged(options={"width": 10**6}), "its recipe makes a model of "),
        (forged(options={"depth": 3}), "does not take it any more"),
        (forged(options=3), "does not take it any more"),
        (forged(trainer={"network": torch.zeros(10**5)}), "does not take it any more"),
        (forged(options={"width": -1}), "option width must be a whole number"),
        (forged(event_shape=3), "not readable as a training state"),
        ({"identity": {}, "state": {"model": {}}}, "not readable as a training state"),
        ({"identity": {}, "state": {"trainer": {}}}, "does not name its recipe"),
        (3, "not readable as a training state"),
    ],
)
def test_a_forged_state_is_refused(found: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.pt").write_bytes(sealed(found))
    with pytest.raises(GenbenchError) as caught:
        load_sampler("s.pt", event_shape=(1, 8, 8))
    assert message in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_code_in_a_state_is_not_run(tmp_path: Path):
    for found in ({"identity": {}, "state": Bomb(tmp_path / "executed")}, {"identity": {}, "state": Huge()}):
        (tmp_path / "s.pt").write_bytes(sealed(found))
        with pytest.raises(GenbenchError):
            load_sampler(tmp_path / "s.pt", event_shape=(1, 8, 8))
    assert not (tmp_path / "executed").exists()
