"""WGAN: Wasserstein GAN with weight clipping (Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875).

By the Kantorovich-Rubinstein duality, the distance W₁ of data and samples is the largest gap of a 1-Lipschitz critic.
The critic approaches it, up to its Lipschitz constant, and G descends it (eq. 3, theorem 3):

    max_D  E_x D(x) - E_z D(G(z))      with all weights of D held in [-c, c] after every update
    min_G  -E_z D(G(z))

One step is ``n_critic`` updates of D, each on its own part of the batch, then one of G (algorithm 1): a batch of
n_critic · b rows gives the paper's mini-batches of b. D is a function of one event, so it has no batch normalization.
Momentum is what the paper found unstable: hence RMSprop. ``critic_gap`` = E_x D(x) - E_z D(G(z)) is positive while D
tells them apart; its unit is the critic's, and it must not be reported as a distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.adversarial import AdversarialOptions, AdversarialTrainer, make_networks
from baselines.options import check_count, check_positive

BETAS = (0.0, 0.9)  # of Adam, for those who choose it: without momentum


@dataclass(frozen=True, kw_only=True)
class WGAN(AdversarialOptions):
    """The recipe: convolutions after DCGAN for images, multilayer perceptrons for vectors."""

    name: ClassVar[str] = "wgan"

    optimizer: str = "rmsprop"  # algorithm 1
    lr: float = 5e-5  # for both networks; algorithm 1
    weight_clip: float = 0.01  # c of algorithm 1; it acts together with lr
    n_critic: int = 5  # updates of D for one of G; algorithm 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.name, lr=self.lr, weight_clip=self.weight_clip)
        check_count(self.name, n_critic=self.n_critic)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> WGANTrainer:
        """Make both networks and their optimizers; ``steps`` is for the schedule, ``classes`` for labelled data."""
        networks = make_networks(self, event_shape, classes)
        return WGANTrainer(
            self, networks, device, rates=(self.lr, self.lr), betas=BETAS, steps=steps, n_critic=self.n_critic
        )


class WGANTrainer(AdversarialTrainer[WGAN]):
    """``n_critic`` updates of D, then one of G, a step."""

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (n_critic · b, *event) and its labels if any.

        Returns ``d_loss``, ``g_loss`` and ``critic_gap``.

        Raises
        ------
        UsageError
            If the batch cannot be cut into n_critic equal parts.
        """
        for data, classes in self.cut(batch, labels, self.recipe.n_critic):
            with torch.no_grad():
                generated = self.generate(len(data), classes)
            on_data, on_samples = self.judge_both(data, generated, classes)
            gap = on_data.mean() - on_samples.mean()
            self.d_optimizer.descend(-gap)
            clip_weights(self.critic, self.recipe.weight_clip)

        g_loss = -self.judge_fixed(self.generate(len(data), classes), classes).mean()
        self.update_generator(g_loss)
        return {"d_loss": -gap.detach(), "g_loss": g_loss.detach(), "critic_gap": gap.detach()}


@torch.no_grad()
def clip_weights(critic: nn.Module, bound: float) -> None:
    """Move every parameter of a critic, biases too, into [-bound, bound]."""
    parameters = tuple(critic.parameters())
    torch._foreach_clamp_min_(parameters, -bound)
    torch._foreach_clamp_max_(parameters, bound)
