"""LSGAN: least squares GANs (Mao et al. 2017, arXiv:1611.04076).

D is fitted to labels by least squares, and G moves samples to where D says data; of the paper's two codings of the
labels the one by 0 and 1 (eq. 9):

    min_D  ½ E_x (D(x) - 1)² + ½ E_z D(G(z))²
    min_G  ½ E_z (D(G(z)) - 1)²

D ends linearly, without a sigmoid: samples on the right side of the boundary but far from data still have a gradient.
Networks and their normalization are those of DCGAN. ``d_loss`` is at 1/4 and ``d_accuracy``, with the threshold 1/2,
at 1/2 where D cannot tell data from samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.adversarial import AdversarialOptions, AdversarialTrainer, accuracy, make_networks
from baselines.options import check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class LSGAN(AdversarialOptions):
    """The recipe: batch-normalized convolutions in both networks for images, multilayer perceptrons for vectors."""

    name: ClassVar[str] = "lsgan"

    lr: float = 2e-4  # as in DCGAN (arXiv:1511.06434); 5e-4 is better for budgets of a minute
    beta1: float = 0.5  # as in DCGAN

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.name, lr=self.lr)
        check_fraction(self.name, beta1=self.beta1)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> LSGANTrainer:
        """Make both networks and their optimizers; ``steps`` is for the schedule, ``classes`` for labelled data."""
        networks = make_networks(self, event_shape, classes, critic_batch_norm=True)
        return LSGANTrainer(self, networks, device, rates=(self.lr, self.lr), betas=(self.beta1, 0.999), steps=steps)


class LSGANTrainer(AdversarialTrainer[LSGAN]):
    """One update of D, then one of G, a step."""

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event) with (b,) labels if any; return ``d_loss``, ``g_loss`` and ``d_accuracy``."""
        generated = self.generate(len(batch), labels)

        on_data, on_samples = self.judge(batch, labels), self.judge(generated.detach(), labels)
        d_loss = 0.5 * ((on_data - 1) ** 2).mean() + 0.5 * (on_samples**2).mean()
        self.d_optimizer.descend(d_loss)

        g_loss = 0.5 * ((self.judge_fixed(generated, labels) - 1) ** 2).mean()
        self.update_generator(g_loss)
        return {
            "d_loss": d_loss.detach(),
            "g_loss": g_loss.detach(),
            "d_accuracy": accuracy(on_data, on_samples, threshold=0.5),
        }
