"""The moving average of weights: its formula, its buffers, its state."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines import ema as ema_module
from baselines.ema import EMA


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, value)
    nn.init.constant_(layer.bias, -value)
    return layer


@pytest.mark.parametrize("recorded", [(), ("cpu",)], ids=["counted on the host", "counted on the device"])
def test_average_follows_the_formula_with_warm_up(recorded: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ema_module, "RECORDED", recorded)
    layer = constant(1.0)
    ema = EMA(layer, decay=0.3)
    expected = 1.0
    for t, value in enumerate([2.0, -4.0, 8.0, 16.0, 1.0, 0.5]):
        nn.init.constant_(layer.weight, value)
        ema.update(layer)
        decay = min(0.3, (1 + t) / (10 + t))  # .1, .18, .25, then .3: both sides of the minimum are met
        expected = decay * expected + (1 - decay) * value
        # float32 holds 24 bits; each of the six updates rounds three times.
        torch.testing.assert_close(ema.network.weight.item(), expected, rtol=18 * 2**-24, atol=0)


def test_zero_decay_is_a_plain_copy():
    layer = constant(1.0)
    ema = EMA(layer, decay=0)
    nn.init.constant_(layer.weight, 7.0)
    ema.update(layer)
    assert ema.network.weight.item() == 7.0


def test_buffers_are_copied_and_not_averaged():
    norm = nn.BatchNorm1d(3)
    ema = EMA(norm, decay=0.9)
    norm(torch.arange(12.0).reshape(4, 3))
    ema.update(norm)
    assert torch.equal(ema.network.running_mean, norm.running_mean)
    assert torch.equal(ema.network.running_var, norm.running_var)
    assert ema.network.num_batches_tracked.item() == 1


def test_a_normalized_network_is_followed_whole():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ema = EMA(network, decay=0)
    network(torch.arange(12.0).reshape(4, 3))
    ema.update(network)
    x = torch.ones(2, 3)
    assert torch.equal(ema.network(x), network.eval()(x))


def test_average_is_in_eval_mode_without_gradient_and_leaves_its_network_alone():
    layer = constant(1.0)
    ema = EMA(layer, decay=0.9)
    ema.update(layer)
    assert not ema.network.training
    assert layer.training
    assert not any(p.requires_grad for p in ema.network.parameters())
    assert all(p.requires_grad for p in layer.parameters())


@pytest.mark.parametrize("recorded", [(), ("cpu",)], ids=["counted on the host", "counted on the device"])
def test_state_continues_the_warm_up_where_it_was(recorded: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ema_module, "RECORDED", recorded)
    first, layer = EMA(constant(1.0), decay=0.999), constant(3.0)
    for _ in range(5):
        first.update(layer)
    second = EMA(constant(0.0), decay=0.999)
    second.load_state_dict(first.state_dict())
    nn.init.constant_(layer.weight, -2.0)
    first.update(layer)
    second.update(layer)
    assert torch.equal(first.network.weight, second.network.weight)
    assert second.updates == 6
