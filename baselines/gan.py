"""GAN: generative adversarial networks (Goodfellow et al. 2014, arXiv:1406.2661).

D tells data from samples, eq. 1:

    max_D  E_x log D(x) + E_z log(1 - D(G(z)))

G fools D, in one of two ways (section 3, last paragraph):

    saturating       min_G  E_z log(1 - D(G(z)))      the game's own value; its gradient dies where D wins
    non-saturating   max_G  E_z log D(G(z))           the same fixed point, a strong gradient early on

D(x) = sigmoid(l(x)); written with logits, -log D = softplus(-l) and -log(1 - D) = softplus(l). One step is one update
of D, then one of G through the updated D, on the same latents. The reported ``d_loss`` is at 2 log 2 = 1.386 and
``d_accuracy`` at 1/2 where D cannot tell data from samples; no loss says how good the samples are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from baselines.adversarial import AdversarialOptions, AdversarialTrainer, accuracy, make_networks
from baselines.options import check_choice, check_count, check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class GAN(AdversarialOptions):
    """The recipe: multilayer perceptrons, batch normalization in the generator of images, none in D."""

    name: ClassVar[str] = "gan"

    loss: str = "non-saturating"  # the paper's advice; "saturating" is its eq. 1
    lr: float = 2e-4  # for both networks, as in DCGAN (arXiv:1511.06434)
    beta1: float = 0.5  # DCGAN: 0.9 oscillates
    ema: float = 0.999  # of the generator's weights; 0: none, as in the paper
    width: int = 128  # of the narrowest hidden layer; 256 for 28x28

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self.name, "loss", self.loss, ("non-saturating", "saturating"))
        check_positive(self.name, lr=self.lr)
        check_fraction(self.name, beta1=self.beta1)
        check_count(self.name, width=self.width)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> GANTrainer:
        """Make both networks and their optimizers; ``steps`` is for the schedule, ``classes`` for labelled data."""
        networks = make_networks(self, event_shape, classes, perceptrons=True)
        return GANTrainer(self, networks, device, rates=(self.lr, self.lr), betas=(self.beta1, 0.999), steps=steps)


class GANTrainer(AdversarialTrainer[GAN]):
    """One update of D, then one of G, a step."""

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event) with (b,) labels if any; return ``d_loss``, ``g_loss`` and ``d_accuracy``."""
        generated = self.generate(len(batch), labels)

        # D sees data and samples in one pass: it has no batch normalization that could mix them.
        on_data, on_samples = self.judge_both(batch, generated.detach(), labels)
        d_loss = discriminator_loss(on_data, on_samples)
        self.d_optimizer.descend(d_loss)

        g_loss = generator_loss(self.judge_fixed(generated, labels), self.recipe.loss)
        self.update_generator(g_loss)
        return {
            "d_loss": d_loss.detach(),
            "g_loss": g_loss.detach(),
            "d_accuracy": accuracy(on_data, on_samples),
        }


def discriminator_loss(on_data: Tensor, on_samples: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))) of logits, in nats."""
    return softplus(-on_data).mean() + softplus(on_samples).mean()


def generator_loss(on_samples: Tensor, loss: str) -> Tensor:
    """-E log D(G(z)), or of the "saturating" kind E log(1 - D(G(z))), of logits, in nats."""
    return softplus(-on_samples).mean() if loss == "non-saturating" else -softplus(on_samples).mean()
