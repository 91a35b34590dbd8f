"""What every baseline without an adversary keeps: shapes, exact resume, snapshots, labels, options."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.flow_matching import FlowMatching
from baselines.pixelcnn import PixelCNN
from baselines.realnvp import RealNVP
from baselines.vae import VAE, BetaVAE, ConvVAE
from genbench.errors import UsageError
from genbench.protocols import Baseline, Sampler, Trainer

CPU = torch.device("cpu")
SMALL: dict[str, tuple[Any, dict[str, Any]]] = {
    "vae": (VAE, {"width": 8, "latent": 3}),
    "beta-vae": (BetaVAE, {"width": 8, "latent": 3}),
    "conv-vae": (ConvVAE, {"width": 4, "latent": 3}),
    "flow-matching": (FlowMatching, {"width": 8, "depth": 1, "solver_steps": 2}),
    "realnvp": (RealNVP, {"width": 8, "couplings": 2}),
    "pixelcnn": (PixelCNN, {"width": 6, "depth": 1, "levels": 4}),
}
VECTORS = ("vae", "beta-vae", "flow-matching", "realnvp")
BUSY = {"optimizer": "adam", "weight_decay": 0.1, "l1": 1e-4, "schedule": "linear", "warmup": 0.5, "clip": 1.0}


def recipe(name: str, **options: Any) -> Baseline:
    kind, small = SMALL[name]
    made: Baseline = kind(**{**small, **options})
    return made


def event_shape(name: str) -> tuple[int, ...]:
    return (2,) if name in VECTORS else (1, 4, 4)


def advance(trainer: Trainer, shape: tuple[int, ...], start: int, end: int, **labels: Tensor) -> list[float]:
    """Train as the harness does, every step from its own seed."""
    losses = []
    for step in range(start, end):
        torch.manual_seed(step)
        losses += [loss.item() for loss in trainer.step(torch.rand(6, *shape) * 2 - 1, **labels).values()]
    return losses


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(2,), (7,), (1, 8, 8), (3, 32, 32), (1, 28, 28)], ids=str)
def test_events_of_every_shape_are_trained_on_and_drawn(name: str, shape: tuple[int, ...]):
    if len(shape) == 1 and name not in VECTORS:
        with pytest.raises(UsageError, match="images"):
            recipe(name).build(shape, device=CPU, steps=2)
        return
    trainer = recipe(name).build(shape, device=CPU, steps=2)
    losses = trainer.step(torch.rand(4, *shape) * 2 - 1)
    assert all(torch.isfinite(loss) and loss.dim() == 0 and not loss.requires_grad for loss in losses.values())
    if name == "pixelcnn" and shape[-1] > 8:
        return  # a pass a value: its windows have a test of their own
    samples = trainer.sampler().sample(3, seed=0)
    assert samples.shape == (3, *shape)
    assert samples.dtype == torch.float32
    assert len(shape) == 1 or samples.abs().max() <= 1


@pytest.mark.parametrize("name", SMALL)
def test_a_training_resumed_from_its_state_takes_the_same_path_bit_for_bit(name: str):
    shape = event_shape(name)
    options = {**BUSY, "dropout": 0.2}
    whole, first = (recipe(name, **options).build(shape, device=CPU, steps=8) for _ in range(2))
    first.load_state_dict(whole.state_dict())
    losses = advance(whole, shape, 0, 9)
    assert advance(first, shape, 0, 5) == losses[: 5 * len(losses) // 9]
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    second = recipe(name, **options).build(shape, device=CPU, steps=8)
    second.load_state_dict(torch.load(buffer, weights_only=True))
    assert advance(second, shape, 5, 9) == losses[5 * len(losses) // 9 :]
    assert torch.equal(second.sampler().sample(9, seed=1), whole.sampler().sample(9, seed=1))


@pytest.mark.parametrize("name", SMALL)
def test_a_sampler_is_a_snapshot_in_eval_mode_that_leaves_training_alone(name: str):
    shape = event_shape(name)
    trainer: Any = recipe(name, dropout=0.5, lr=0.05).build(shape, device=CPU, steps=9)
    advance(trainer, shape, 0, 2)
    sampler = trainer.sampler()
    generator = torch.get_rng_state()
    before = sampler.sample(8, seed=0)
    assert isinstance(sampler, Sampler)
    assert sampler.name == name
    assert not before.requires_grad
    assert torch.equal(torch.get_rng_state(), generator)
    assert trainer.network.training
    assert all(p.requires_grad for p in trainer.network.parameters())
    advance(trainer, shape, 2, 6)
    assert torch.equal(sampler.sample(8, seed=0), before)
    assert not torch.equal(sampler.sample(8, seed=1), before)
    assert not torch.equal(trainer.sampler().sample(8, seed=0), before)


@pytest.mark.parametrize("name", SMALL)
def test_dropout_is_off_unless_asked_for(name: str):
    def rates(**options: Any) -> set[float]:
        trainer: Any = recipe(name, **options).build(event_shape(name), device=CPU, steps=2)
        return {layer.p for layer in trainer.network.modules() if isinstance(layer, torch.nn.Dropout)}

    assert rates(dropout=0.3) == {0.3}
    assert rates(dropout=0.0) <= {0.0}


@pytest.mark.parametrize("name", SMALL)
def test_a_conditional_model_draws_the_class_that_it_is_asked_for(name: str):
    """Class 0 is around -.8 and class 1 around .8 in every number; after a short training no draw is mistaken much."""
    shape = event_shape(name)
    bigger = {"pixelcnn": {"depth": 2, "dropout": 0.0}, "flow-matching": {"width": 32, "solver_steps": 8}}.get(name, {})
    made: Any = recipe(name, conditional=True, lr=1e-2, ema=0.9, **bigger)
    trainer = made.build(shape, device=CPU, steps=150, classes=2)
    for step in range(150):
        torch.manual_seed(step)
        labels = torch.randint(2, (32,))
        side = (1.6 * labels - 0.8).reshape(-1, *[1] * len(shape))
        trainer.step(side + 0.1 * torch.randn(32, *shape), labels=labels)
    sampler = trainer.sampler()
    assert sampler.classes == 2
    wanted = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1]).repeat(25)
    samples = sampler.sample(200, seed=0, labels=wanted)
    assert ((samples.flatten(1).mean(dim=1) > 0) == wanted.bool()).float().mean() > 0.95


@pytest.mark.parametrize("name", SMALL)
def test_labels_are_asked_for_by_conditional_models_and_by_no_others(name: str):
    shape = event_shape(name)
    with pytest.raises(UsageError, match="conditional needs data with labels, got none"):
        recipe(name, conditional=True).build(shape, device=CPU, steps=1)
    made: Any = recipe(name, conditional=True)
    conditional = made.build(shape, device=CPU, steps=1, classes=3).sampler()
    for labels in (None, torch.tensor([0, 1]), torch.tensor([0, 1, 3, 0]), torch.tensor([-1, 0, 0, 0])):
        with pytest.raises(UsageError, match=r"4 labels in \[0, 3\) expected, got"):
            conditional.sample(4, seed=0, labels=labels)
    plain: Any = recipe(name).build(shape, device=CPU, steps=1).sampler()
    assert plain.classes is None
    with pytest.raises(UsageError, match="is not conditional and takes no labels"):
        plain.sample(4, seed=0, labels=torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("vae", "network", "unet"),
        ("vae", "beta", 0),
        ("vae", "kl_warmup", 1.0),
        ("vae", "dropout", -0.1),
        ("vae", "conditional", "yes"),
        ("beta-vae", "optimizer", "adagrad"),
        ("flow-matching", "network", "resnet"),
        ("flow-matching", "solver", "rk4"),
        ("flow-matching", "solver_steps", 0),
        ("flow-matching", "guidance", 0),
        ("flow-matching", "label_drop", 1),
        ("flow-matching", "ema", 1.0),
        ("flow-matching", "width", 3.5),
        ("flow-matching", "depth", 0),
        ("flow-matching", "conditional", 1),
        ("realnvp", "couplings", 1),
        ("realnvp", "levels", 1),
        ("realnvp", "width", 0),
        ("realnvp", "weight_decay", -1),
        ("realnvp", "conditional", None),
        ("pixelcnn", "levels", True),
        ("pixelcnn", "width", 0),
        ("pixelcnn", "depth", 2.0),
        ("pixelcnn", "dropout", 1),
        ("pixelcnn", "lr", 0),
        ("pixelcnn", "conditional", "no"),
        ("pixelcnn", "schedule", "exponential"),
    ],
)
def test_a_wrong_option_is_refused_by_name(name: str, option: str, value: Any):
    with pytest.raises(UsageError, match=rf"^{name}: option {option} must be .*, got"):
        recipe(name, **{option: value})


class Backward:
    """An optimizer that stops short of the update, for which torch has no kernel without data."""

    def descend(self, loss: Tensor) -> None:
        loss.backward()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])
def test_an_update_reads_no_number_from_its_device(name: str, conditional: bool):
    """On the device "meta" there are none to read: whoever asks for one gets an error."""
    nowhere, shape = torch.device("meta"), event_shape(name)
    made: Any = recipe(name, conditional=conditional, dropout=0.1)
    with nowhere:
        trainer = made.build(shape, device=nowhere, steps=9, **({"classes": 3} if conditional else {}))
        trainer.optimizer = Backward()
        labels = {"labels": torch.zeros(4, dtype=torch.int64)} if conditional else {}
        losses = trainer.step(torch.zeros(4, *shape), **labels)
    assert trainer.recordable
    assert all(loss.device == nowhere for loss in losses.values())


@pytest.mark.parametrize("name", SMALL)
def test_a_model_can_be_sized_without_memory(name: str):
    nowhere = torch.device("meta")
    with nowhere:
        state = recipe(name).build(event_shape(name), device=nowhere, steps=10**9).state_dict()
    assert state["ema"]["network"]
    assert all(t.device == nowhere for t in state["network"].values())
