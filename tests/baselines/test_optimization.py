"""The common options of optimization: inert by default, each doing what it says, and exact to resume."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines import optimization
from baselines.optimization import Optimizer, OptimizerOptions
from genbench.errors import UsageError

CHOICES = [
    {},
    {"optimizer": "rmsprop"},
    {"optimizer": "sgd"},
    {"weight_decay": 0.1},
    {"optimizer": "rmsprop", "weight_decay": 0.1},
    {"l1": 0.1, "clip": 0.5},
    {"schedule": "linear"},
    {"schedule": "cosine", "warmup": 0.5},
    {"optimizer": "sgd", "schedule": "cosine"},
    {"optimizer": "rmsprop", "schedule": "linear"},
]


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def loss_of(net: nn.Module, t: int = 0) -> Tensor:
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(t))
    return ((net(x) - x.sum(dim=1, keepdim=True)) ** 2).mean()


def weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def one(value: float, grad: float = 0.0) -> tuple[nn.Parameter, Callable[[], Tensor]]:
    """A weight of one row and column, and a loss whose gradient there is ``grad``."""
    weight = nn.Parameter(torch.tensor([[value]]))
    return weight, lambda: grad * weight.sum()


def test_by_default_it_is_adam_bit_for_bit():
    ours, theirs = network(), network()
    optimizer = Optimizer(ours, 1e-2, (0.5, 0.9), recipe=OptimizerOptions(), steps=5)
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=(0.5, 0.9), fused=True)
    for t in range(10):  # past the budget, too
        optimizer.descend(loss_of(ours, t))
        adam.zero_grad()
        loss_of(theirs, t).backward()
        adam.step()
    assert torch.equal(weights(ours), weights(theirs))


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_every_choice_descends(options: dict[str, Any]):
    net = network()
    optimizer = Optimizer(net, 2e-2, recipe=OptimizerOptions(**options), steps=200)
    before = loss_of(net).item()
    for _ in range(200):
        optimizer.descend(loss_of(net))
    assert loss_of(net).item() < before / 2


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_resuming_is_exact(options: dict[str, Any]):
    recipe = OptimizerOptions(**options)
    whole, first = network(), network()
    through, begun = (Optimizer(net, 1e-2, recipe=recipe, steps=8) for net in (whole, first))
    for t in range(4):
        through.descend(loss_of(whole, t))
        begun.descend(loss_of(first, t))
    second = network()
    second.load_state_dict(first.state_dict())
    resumed = Optimizer(second, 1e-2, recipe=recipe, steps=8)
    resumed.load_state_dict(begun.state_dict())
    for t in range(4, 8):
        through.descend(loss_of(whole, t))
        resumed.descend(loss_of(second, t))
    assert torch.equal(weights(whole), weights(second))


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_rates_kept_on_the_device_give_the_same_weights(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    """The path of a GPU, on the CPU: rates are float32 there, which moves a weight by 2**-24 of an update of 0.01."""
    ours, theirs = network(), network()
    recipe = OptimizerOptions(**options)
    plain = Optimizer(ours, 1e-2, recipe=recipe, steps=6)
    monkeypatch.setattr(optimization, "RECORDED", ("cpu",))
    if options.get("optimizer") == "rmsprop":  # torch refuses "capturable" where nothing can be captured
        monkeypatch.setattr(torch.optim, "RMSprop", _not_capturable(torch.optim.RMSprop))
    recorded = Optimizer(theirs, 1e-2, recipe=recipe, steps=6)
    for t in range(6):
        if t == 3:  # resumed on the way
            state = recorded.state_dict()
            recorded = Optimizer(theirs, 1e-2, recipe=recipe, steps=6)
            recorded.load_state_dict(state)
        plain.descend(loss_of(ours, t))
        recorded.descend(loss_of(theirs, t))
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=0, atol=1e-6)
    assert isinstance(recorded.inner.param_groups[-1]["lr"], Tensor) == ("schedule" in options)


def _not_capturable(kind: Callable[..., torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    return lambda *args, capturable, **options: kind(*args, **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"schedule": "linear"}, [1, 0.75, 0.5, 0.25, 0, 0]),
        ({"schedule": "cosine"}, [0.5 * (1 + math.cos(math.pi * u / 4)) for u in range(5)] + [0]),
        ({"warmup": 0.5}, [0.5, 1, 1, 1, 1, 1]),
        ({"schedule": "linear", "warmup": 0.5}, [0.5, 0.75, 0.5, 0.25, 0, 0]),
        ({}, [1] * 6),
    ],
    ids=str,
)
def test_rates_follow_the_schedule(options: dict[str, Any], expected: list[float]):
    weight, loss = one(0.0, grad=1.0)
    optimizer = Optimizer([weight], 1.0, (0.0, 0.9), recipe=OptimizerOptions(optimizer="sgd", **options), steps=4)
    rates = []
    for _ in range(6):
        before = weight.item()
        optimizer.descend(loss())
        rates.append(before - weight.item())
    assert rates == pytest.approx(expected, abs=1e-6)


def test_momentum_of_sgd_is_the_first_beta():
    weight, loss = one(0.0, grad=1.0)
    optimizer = Optimizer([weight], 1.0, (0.5, 0.9), recipe=OptimizerOptions(optimizer="sgd"), steps=4)
    optimizer.descend(loss())
    optimizer.descend(loss())
    assert weight.item() == pytest.approx(-1 - 1.5)


def test_decay_of_adam_is_decoupled_from_its_gradient():
    # AdamW: w (1 - lr · decay); in the gradient, Adam's first step would move by lr whatever the decay.
    weight, loss = one(4.0)
    Optimizer([weight], 0.1, recipe=OptimizerOptions(weight_decay=0.5), steps=1).descend(loss())
    assert weight.item() == pytest.approx(4.0 * (1 - 0.1 * 0.5))


def test_decay_of_sgd_is_added_to_the_gradient():
    weight, loss = one(4.0, grad=1.0)
    recipe = OptimizerOptions(optimizer="sgd", weight_decay=0.5)
    Optimizer([weight], 0.1, (0.0, 0.9), recipe=recipe, steps=1).descend(loss())
    assert weight.item() == pytest.approx(4.0 - 0.1 * (1.0 + 0.5 * 4.0))


def test_l1_pulls_weights_to_zero_by_their_sign():
    weight = nn.Parameter(torch.tensor([[4.0, -3.0, 0.0]]))
    recipe = OptimizerOptions(optimizer="sgd", l1=0.5)
    Optimizer([weight], 0.1, (0.0, 0.9), recipe=recipe, steps=1).descend(0 * weight.sum())
    torch.testing.assert_close(weight.detach(), torch.tensor([[3.95, -2.95, 0.0]]))


@pytest.mark.parametrize("option", ["l1", "weight_decay"])
@pytest.mark.parametrize("kind", ["adam", "rmsprop", "sgd"])
def test_penalties_leave_biases_alone(option: str, kind: str):
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, 2.0)  # further from 0 than one update goes
    bias, weight = layer.bias.detach().clone(), layer.weight.detach().clone()
    recipe = OptimizerOptions(optimizer=kind, **{option: 0.5})
    loss = 0 * (layer.weight.sum() + layer.bias.sum())
    Optimizer(layer, 0.1, recipe=recipe, steps=1).descend(loss)
    assert torch.equal(layer.bias.detach(), bias)
    assert bool((layer.weight.detach().abs() < weight.abs()).all())


@pytest.mark.parametrize(("clip", "moved"), [(1.0, 1.0), (20.0, 5.0), (0.0, 5.0)])
def test_clipping_bounds_the_norm_of_the_whole_gradient(clip: float, moved: float):
    first, second = nn.Parameter(torch.zeros(1, 1)), nn.Parameter(torch.zeros(1, 1))
    recipe = OptimizerOptions(optimizer="sgd", clip=clip)
    optimizer = Optimizer([first, second], 1.0, (0.0, 0.9), recipe=recipe, steps=1)
    optimizer.descend(3 * first.sum() + 4 * second.sum())
    assert math.hypot(first.item(), second.item()) == pytest.approx(moved, rel=1e-5)
    assert first.item() / second.item() == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("optimizer", "adamw"),
        ("schedule", "step"),
        ("weight_decay", -0.1),
        ("l1", math.nan),
        ("clip", "1"),
        ("warmup", 1.0),
    ],
)
def test_a_wrong_option_is_refused_by_name(option: str, value: Any):
    with pytest.raises(UsageError, match=rf"dcgan: option {option} must be .*, got"):
        OptimizerOptions(**{option: value}).check_optimization("dcgan")
