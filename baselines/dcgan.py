"""DCGAN: deep convolutional GANs (Radford, Metz & Chintala 2016, arXiv:1511.06434).

The game of `baselines.gan`, with the architecture that made it work on images (section 3):

    strided convolutions down in D, transposed ones up in G, no pooling
    batch normalization in both networks, but for G's last layer and D's first
    ReLU in G with tanh at its end, LeakyReLU of slope 0.2 in D
    weights from N(0, 0.02²), Adam with lr 2e-4 and beta1 0.5      section 4

Data and samples pass through D in batches of their own, each normalized by itself, as in the authors' code. Vectors
are mapped by the perceptrons of `baselines.gan`, without batch normalization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.adversarial import AdversarialOptions, AdversarialTrainer, accuracy, make_networks
from baselines.gan import discriminator_loss, generator_loss
from baselines.options import check_choice, check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class DCGAN(AdversarialOptions):
    """The recipe: batch-normalized convolutions in both networks."""

    name: ClassVar[str] = "dcgan"

    loss: str = "non-saturating"  # or "saturating"
    lr: float = 2e-4  # section 4; 5e-4 is better for budgets of a minute
    beta1: float = 0.5  # section 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.name, "loss", self.loss, ("non-saturating", "saturating"))
        check_positive(self.name, lr=self.lr)
        check_fraction(self.name, beta1=self.beta1)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> DCGANTrainer:
        """Make both networks and their optimizers; ``steps`` is for the schedule, ``classes`` for labelled data."""
        networks = make_networks(self, event_shape, classes, critic_batch_norm=True)
        return DCGANTrainer(self, networks, device, rates=(self.lr, self.lr), betas=(self.beta1, 0.999), steps=steps)


class DCGANTrainer(AdversarialTrainer[DCGAN]):
    """One update of D, then one of G, a step."""

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event) with (b,) labels if any; return ``d_loss``, ``g_loss`` and ``d_accuracy``."""
        generated = self.generate(len(batch), labels)

        on_data, on_samples = self.judge(batch, labels), self.judge(generated.detach(), labels)
        d_loss = discriminator_loss(on_data, on_samples)
        self.d_optimizer.descend(d_loss)

        g_loss = generator_loss(self.judge_fixed(generated, labels), self.recipe.loss)
        self.update_generator(g_loss)
        return {
            "d_loss": d_loss.detach(),
            "g_loss": g_loss.detach(),
            "d_accuracy": accuracy(on_data, on_samples),
        }
