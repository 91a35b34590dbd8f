"""SN-GAN: spectral normalization for GANs (Miyato et al. 2018, arXiv:1802.05957).

Every weight matrix W of D is divided by its largest singular value, so that no layer stretches by more than 1
(eq. 8); a convolution's W has one row an output channel. One round of power iteration a pass keeps the estimate of
that value, σ(W) = uᵀ W v, up to date (algorithm 1). Data and samples are pushed apart only up to a margin, eq. 16, 17:

    min_D  E_x max(0, 1 - D(x)) + E_z max(0, 1 + D(G(z)))
    min_G  -E_z D(G(z))

One step is ``n_critic`` updates of D, each on its own part of the batch, then one of G. G has the batch normalization
of DCGAN. ``d_loss`` is at 2 and ``d_accuracy`` at 1/2 where D cannot tell data from samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils.parametrizations import spectral_norm

from baselines.adversarial import AdversarialOptions, AdversarialTrainer, accuracy, make_networks
from baselines.options import check_count, check_flag, check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class SNGAN(AdversarialOptions):
    """The recipe: spectrally normalized convolutions in D for images, perceptrons for vectors."""

    name: ClassVar[str] = "sn-gan"

    lr: float = 2e-4  # for both networks; of the paper's ResNets, which were trained with the hinge loss, as are:
    beta1: float = 0.0  # beta2 is 0.9
    n_critic: int = 5  # updates of D for one of G
    schedule: str = "linear"  # the paper's rate falls in the last part of the training only
    deep: bool = False  # the paper's standard CNN: 3x3 convolutions between those that halve the size; for 32x32 and up

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.name, lr=self.lr)
        check_fraction(self.name, beta1=self.beta1)
        check_count(self.name, n_critic=self.n_critic)
        check_flag(self.name, deep=self.deep)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> SNGANTrainer:
        """Make both networks and their optimizers; ``steps`` is for the schedule, ``classes`` for labelled data."""
        networks = make_networks(self, event_shape, classes, deep=self.deep)
        normalize_spectra(networks.critic)
        return SNGANTrainer(
            self,
            networks,
            device,
            rates=(self.lr, self.lr),
            betas=(self.beta1, 0.9),
            steps=steps,
            n_critic=self.n_critic,
        )


class SNGANTrainer(AdversarialTrainer[SNGAN]):
    """``n_critic`` updates of D, then one of G, a step."""

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (n_critic · b, *event) and its labels if any.

        Returns ``d_loss``, ``g_loss`` and ``d_accuracy``.

        Raises
        ------
        UsageError
            If the batch cannot be cut into n_critic equal parts.
        """
        for data, classes in self.cut(batch, labels, self.recipe.n_critic):
            with torch.no_grad():
                generated = self.generate(len(data), classes)
            on_data, on_samples = self.judge_both(data, generated, classes)
            d_loss = relu(1 - on_data).mean() + relu(1 + on_samples).mean()
            self.d_optimizer.descend(d_loss)

        g_loss = -self.judge_fixed(self.generate(len(data), classes), classes).mean()
        self.update_generator(g_loss)
        return {
            "d_loss": d_loss.detach(),
            "g_loss": g_loss.detach(),
            "d_accuracy": accuracy(on_data, on_samples),
        }


def normalize_spectra(critic: nn.Module) -> None:
    """Divide every weight matrix of a critic by its largest singular value; pictures of labels are none."""
    for layer in list(critic.modules()):
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            spectral_norm(layer)
