"""SN-GAN: spectral norms of one, and the hinge."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from baselines.networks import conv_critic, mlp_critic
from baselines.sn_gan import SNGAN, normalize_spectra

CPU = torch.device("cpu")


def spectral_norms(critic: nn.Module) -> list[float]:
    layers = [m for m in critic.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    return [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2).item() for layer in layers]


@pytest.mark.parametrize(
    ("make", "layers"), [(lambda: mlp_critic((2,), 8), 4), (lambda: conv_critic((1, 8, 8), 4), 3)], ids=["mlp", "conv"]
)
def test_every_weight_matrix_has_norm_one(make, layers: int):
    critic = make()
    for parameter in critic.parameters():
        nn.init.normal_(parameter, 0.0, 3.0)
    normalize_spectra(critic)
    for _ in range(100):  # each look at a weight in training is a round of power iteration
        found = spectral_norms(critic)
    assert found == pytest.approx([1.0] * layers, abs=1e-3)


def test_a_normalized_perceptron_stretches_nothing():
    # Layers of norm 1 and LeakyReLU of slopes at most 1: |D(x) - D(y)| <= |x - y|.
    critic = mlp_critic((5,), 16)
    for parameter in critic.parameters():
        nn.init.normal_(parameter, 0.0, 3.0)
    normalize_spectra(critic)
    for _ in range(100):
        spectral_norms(critic)
    x, y = torch.randn(200, 5), torch.randn(200, 5)
    assert bool(((critic(x) - critic(y)).abs() <= 1.001 * (x - y).norm(dim=1)).all())


class Fixed(nn.Module):
    """A critic with a value for data, whose first coordinate is 9, and another for samples."""

    def __init__(self, on_data: float, on_samples: float) -> None:
        super().__init__()
        self.on_data, self.on_samples = on_data, on_samples
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x[:, 0] == 9, self.on_data, self.on_samples) + 0 * x.sum(dim=1) + 0 * self.unused


@pytest.mark.parametrize(
    ("on_data", "on_samples", "d_loss", "d_accuracy"),
    [(0.0, 0.0, 2.0, 0.5), (2.0, -2.0, 0.0, 1.0), (0.5, -0.5, 1.0, 1.0), (-1.0, 3.0, 6.0, 0.0)],
)
def test_the_hinge_by_hand(on_data: float, on_samples: float, d_loss: float, d_accuracy: float):
    trainer = SNGAN(n_critic=1).build((2,), device=CPU, steps=1)
    trainer.critic = Fixed(on_data, on_samples)
    losses = trainer.step(torch.full((4, 2), 9.0))
    assert losses["d_loss"].item() == pytest.approx(d_loss)
    assert losses["g_loss"].item() == pytest.approx(-on_samples)
    assert losses["d_accuracy"].item() == pytest.approx(d_accuracy)


def test_samples_move_up_the_critic():
    trainer = SNGAN(lr=1e-2, ema=0, n_critic=1).build((2,), device=CPU, steps=10)
    trainer.critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))  # in no optimizer: it stays as it is
    with torch.no_grad():
        trainer.critic[0].weight.copy_(torch.tensor([[1.0, 0.0]]))
    before = trainer.sampler().sample(256, seed=0)
    for _ in range(10):
        trainer.step(torch.zeros(8, 2))
    assert (trainer.sampler().sample(256, seed=0) - before).mean(dim=0)[0] > 0.1


def test_training_keeps_the_norms_near_one():
    trainer = SNGAN(width=8, n_critic=1, lr=1e-3).build((1, 8, 8), device=CPU, steps=50)
    for _ in range(50):
        trainer.step(2 * torch.rand(16, 1, 8, 8) - 1)
    assert spectral_norms(trainer.critic) == pytest.approx([1.0] * 3, abs=0.1)


def test_the_critic_of_the_paper_is_built_where_asked():
    plain, deep = (SNGAN(width=4, deep=deep).build((3, 32, 32), device=CPU, steps=1).critic for deep in (False, True))
    assert [sum(isinstance(m, nn.Conv2d) for m in critic.modules()) for critic in (plain, deep)] == [3, 7]
