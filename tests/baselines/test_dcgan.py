"""DCGAN: the GAN's losses on batch-normalized networks, data and samples each in a batch of their own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from baselines.dcgan import DCGAN
from baselines.gan import discriminator_loss, generator_loss

CPU = torch.device("cpu")


def test_losses_are_those_of_the_paper_by_hand():
    on_data, on_samples = torch.tensor([0.0, math.log(3)]), torch.tensor([0.0, -math.log(3)])
    # D = 1/2, 3/4 on data and 1/2, 1/4 on samples
    d_loss = -(math.log(1 / 2) + math.log(3 / 4)) / 2 - (math.log(1 / 2) + math.log(3 / 4)) / 2
    assert discriminator_loss(on_data, on_samples).item() == pytest.approx(d_loss, rel=1e-6)
    strong = -(math.log(1 / 2) + math.log(1 / 4)) / 2
    assert generator_loss(on_samples, "non-saturating").item() == pytest.approx(strong, rel=1e-6)
    weak = (math.log(1 / 2) + math.log(3 / 4)) / 2
    assert generator_loss(on_samples, "saturating").item() == pytest.approx(weak, rel=1e-6)


def test_networks_are_those_of_the_paper_for_images():
    trainer = DCGAN(width=4).build((3, 32, 32), device=CPU, steps=1)
    for network, normalized in ((trainer.generator, 3), (trainer.critic, 2)):
        assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network) == normalized
        assert not any(isinstance(layer, (nn.MaxPool2d, nn.AvgPool2d)) for layer in network)


def test_initial_weights_have_the_deviation_of_the_paper():
    weight = DCGAN(width=32).build((3, 32, 32), device=CPU, steps=1).critic[2].weight  # 32,768 numbers
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)  # the standard error is 0.4 %
    assert abs(weight.mean().item()) < 6e-4  # of 0.02 / sqrt(32,768) = 1.1e-4


def test_data_and_samples_are_normalized_apart():
    trainer = DCGAN(width=4).build((1, 8, 8), device=CPU, steps=1)
    seen: list[Tensor] = []
    trainer.critic.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    data = torch.ones(6, 1, 8, 8)
    trainer.step(data)
    assert [len(events) for events in seen] == [6, 6, 6]  # D on data, D on samples, and for G
    assert torch.equal(seen[0], data)
    assert torch.equal(seen[1], seen[2])


@pytest.mark.parametrize("loss", ["non-saturating", "saturating"])
def test_the_loss_chosen_is_the_one_reported(loss: str):
    trainer = DCGAN(loss=loss).build((2,), device=CPU, steps=1)
    nn.init.zeros_(trainer.critic[-2].weight)
    nn.init.zeros_(trainer.critic[-2].bias)
    trainer.d_optimizer.inner.param_groups[0]["lr"] = 0.0
    losses = trainer.step(torch.zeros(8, 2))
    assert losses["d_loss"].item() == pytest.approx(2 * math.log(2), rel=1e-6)
    assert losses["g_loss"].item() == pytest.approx(math.log(2) * (1 if loss == "non-saturating" else -1), rel=1e-6)
    assert losses["d_accuracy"].item() == 0.5
