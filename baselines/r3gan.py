"""R3GAN: the relativistic GAN with R1 and R2 (Huang et al. 2024, "The GAN is dead", arXiv:2501.05441).

D compares samples with data, one pair at a time, instead of judging each by itself, so that G cannot gain by dropping
modes; zero-centred penalties on the gradient at data (R1) and at samples (R2) make the game converge (section 2):

    min_D  E f(D(G(z)) - D(x)) + γ/2 (R1 + R2)      f = softplus
    min_G  E f(D(x) - D(G(z)))
    R1 = E_x ‖∇D(x)‖²,  R2 = E_z ‖∇D(G(z))‖²

The paper's loss and optimizer (Adam, beta1 0, beta2 0.99) on the bodies of the other baselines, so that a comparison
with them is one of losses; its ResNets are for larger images than there are here. One step is one update of D, then
one of G through the updated D, on the same data and latents. The penalties are per sample, so D has no batch
normalization. ``d_loss`` is without the penalties, at log 2 where D cannot tell data from samples; ``d_accuracy`` is
the share of pairs that D has in the right order; ``r1`` and ``r2`` are without γ/2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from baselines.adversarial import AdversarialOptions, AdversarialTrainer, make_networks
from baselines.options import check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class R3GAN(AdversarialOptions):
    """The recipe: convolutions after DCGAN for images, multilayer perceptrons for vectors."""

    name: ClassVar[str] = "r3gan"

    lr: float = 2e-4  # for both networks; the authors' at 32x32
    beta2: float = 0.99  # the authors' later value; beta1 is 0
    gamma: float = 5.0  # γ; for 8x8 digits. 0.1 for points in the plane; the authors' ResNets at 32x32: 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.name, lr=self.lr, gamma=self.gamma)
        check_fraction(self.name, beta2=self.beta2)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> R3GANTrainer:
        """Make both networks and their optimizers; ``steps`` is for the schedule, ``classes`` for labelled data."""
        networks = make_networks(self, event_shape, classes)
        return R3GANTrainer(self, networks, device, rates=(self.lr, self.lr), betas=(0.0, self.beta2), steps=steps)


class R3GANTrainer(AdversarialTrainer[R3GAN]):
    """One update of D, then one of G, a step."""

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event) with (b,) labels if any; return the losses, ``d_accuracy`` and penalties."""
        generated = self.generate(len(batch), labels)

        data, samples = batch.detach().requires_grad_(), generated.detach().requires_grad_()
        on_data, on_samples = self.judge_both(data, samples, labels)
        r1, r2 = squared_slope(on_data, data), squared_slope(on_samples, samples)
        d_loss = softplus(on_samples - on_data).mean()
        self.d_optimizer.descend(d_loss + 0.5 * self.recipe.gamma * (r1 + r2))

        with torch.no_grad():
            on_data_now = self.judge(batch, labels)
        g_loss = softplus(on_data_now - self.judge_fixed(generated, labels)).mean()
        self.update_generator(g_loss)
        return {
            "d_loss": d_loss.detach(),
            "g_loss": g_loss.detach(),
            "d_accuracy": (on_data > on_samples).float().mean(),
            "r1": r1.detach(),
            "r2": r2.detach(),
        }


def squared_slope(values: Tensor, events: Tensor) -> Tensor:
    """E ‖∇D‖² over the rows of a critic's values (b,) at events (b, *event), differentiable in the critic."""
    # A row's value depends on that row alone, so that the gradient of the sum holds every row's own gradient.
    (gradient,) = torch.autograd.grad(values.sum(), events, create_graph=True)
    mean: Tensor = gradient.flatten(1).square().sum(dim=1).mean()
    return mean
