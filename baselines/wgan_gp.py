"""WGAN-GP: improved training of Wasserstein GANs (Gulrajani et al. 2017, arXiv:1704.00028).

The critic D is pushed up on data and down on samples, and its gradient to norm 1 between them, eq. 3:

    min_D  E_z D(G(z)) - E_x D(x) + λ E_x̂ (‖∇D(x̂)‖₂ - 1)²        x̂ = ε x + (1 - ε) G(z),  ε ~ U[0, 1] per sample
    min_G  -E_z D(G(z))

One step is ``n_critic`` updates of D, each on its own part of the batch, then one of G (algorithm 1): a batch of
n_critic · b rows gives the paper's mini-batches of b. The penalty is per sample, so D has no batch normalization
(section 4). ``critic_gap`` = E_x D(x) - E_z D(G(z)) is positive while D tells them apart; under a soft penalty it is
no Wasserstein distance and must not be reported as one. ``penalty`` is without λ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.adversarial import AdversarialOptions, AdversarialTrainer, make_networks
from baselines.options import check_count, check_positive

BETAS = (0.0, 0.9)  # of Adam; algorithm 1


@dataclass(frozen=True, kw_only=True)
class WGANGP(AdversarialOptions):
    """The recipe: convolutions after DCGAN for images, multilayer perceptrons for vectors."""

    name: ClassVar[str] = "wgan-gp"

    n_critic: int = 5  # updates of D for one of G; algorithm 1
    penalty: float = 10.0  # λ; 0.1 in the authors' toy experiments
    g_lr: float = 1e-4  # for G; algorithm 1
    d_lr: float = 1e-4  # for D
    ema: float = 0.995  # of the generator's weights; 0: none, as in the paper

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.name, n_critic=self.n_critic)
        check_positive(self.name, penalty=self.penalty, g_lr=self.g_lr, d_lr=self.d_lr)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> WGANGPTrainer:
        """Make both networks and their optimizers; ``steps`` is for the schedule, ``classes`` for labelled data."""
        networks = make_networks(self, event_shape, classes)
        return WGANGPTrainer(
            self, networks, device, rates=(self.g_lr, self.d_lr), betas=BETAS, steps=steps, n_critic=self.n_critic
        )


class WGANGPTrainer(AdversarialTrainer[WGANGP]):
    """``n_critic`` updates of D, then one of G, a step."""

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (n_critic · b, *event) and its labels if any.

        Returns ``d_loss``, ``g_loss``, ``critic_gap`` and ``penalty``.

        Raises
        ------
        UsageError
            If the batch cannot be cut into n_critic equal parts.
        """
        parts = self.cut(batch, labels, self.recipe.n_critic)
        with torch.no_grad():  # G does not change while D is updated: its samples are drawn at once
            generated = self.generate(len(batch), labels).chunk(self.recipe.n_critic)
        for (data, classes), samples in zip(parts, generated, strict=True):
            losses = self._update_critic(data, samples, classes)

        g_loss = -self.judge_fixed(self.generate(len(data), classes), classes).mean()
        self.update_generator(g_loss)
        return {**losses, "g_loss": g_loss.detach()}

    def _update_critic(self, data: Tensor, samples: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        on_data, on_samples = self.judge_both(data, samples, labels)
        gap = on_data.mean() - on_samples.mean()
        penalty = gradient_penalty(lambda between: self.judge(between, labels), data, samples)
        d_loss = -gap + self.recipe.penalty * penalty
        self.d_optimizer.descend(d_loss)
        return {"d_loss": d_loss.detach(), "critic_gap": gap.detach(), "penalty": penalty.detach()}


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """E (‖∇D(x̂)‖₂ - 1)² at one random point between each pair of rows (eq. 3)."""
    epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
    between = torch.lerp(fake, real, epsilon).requires_grad_()
    # A row's output depends on that row alone, so that the gradient of the sum holds every row's own gradient.
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    penalty: Tensor = ((norms - 1) ** 2).mean()
    return penalty
