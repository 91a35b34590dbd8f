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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from baselines.ema import EMA
from baselines.networks import (
    LatentSampler,
    adam,
    conv_critic,
    conv_generator,
    descend,
    frozen,
    is_image,
    latent_width,
    mlp_critic,
    mlp_generator,
)
from baselines.options import check_count, check_fraction, check_positive
from genbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class WGANGP:
    """The recipe: convolutions after DCGAN for images, multilayer perceptrons for vectors."""

    n_critic: int = 5  # updates of D for one of G; algorithm 1
    penalty: float = 10.0  # λ; 0.1 in the authors' toy experiments
    g_lr: float = 1e-4  # Adam for G; algorithm 1
    d_lr: float = 1e-4  # Adam for D
    ema: float = 0.995  # of the generator's weights; 0: none, as in the paper
    width: int | None = None  # absent: 32 channels at full resolution for images, 128 units for vectors
    latent: int | None = None  # absent: 64 for images, the data's own width for vectors

    def __post_init__(self) -> None:
        check_count("wgan-gp", n_critic=self.n_critic)
        check_positive("wgan-gp", penalty=self.penalty, g_lr=self.g_lr, d_lr=self.d_lr)
        check_fraction("wgan-gp", ema=self.ema)
        for option in ("width", "latent"):
            if getattr(self, option) is not None:
                check_count("wgan-gp", **{option: getattr(self, option)})

    def build(self, event_shape: tuple[int, ...], *, device: torch.device, steps: int) -> WGANGPTrainer:
        """Make both networks and their optimizers; ``steps`` is not used, as the rates are constant."""
        return WGANGPTrainer(self, event_shape, device)


class WGANGPTrainer:
    """``n_critic`` updates of D, then one of G, a step."""

    def __init__(self, recipe: WGANGP, event_shape: tuple[int, ...], device: torch.device) -> None:
        self.recipe = recipe
        self.device = device
        self.latent = latent_width(event_shape, recipe.latent)
        width = recipe.width or (32 if is_image(event_shape) else 128)
        make_generator, make_critic = (
            (conv_generator, conv_critic) if is_image(event_shape) else (mlp_generator, mlp_critic)
        )
        self.generator = make_generator(event_shape, self.latent, width).to(device)
        self.critic = make_critic(event_shape, width).to(device)
        self.ema = EMA(self.generator, recipe.ema)
        betas = (0.0, 0.9)  # algorithm 1
        self.g_adam = adam(self.generator, recipe.g_lr, betas)
        self.d_adam = adam(self.critic, recipe.d_lr, betas)

    def step(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Update on a batch (n_critic · b, *event); return ``d_loss``, ``g_loss``, ``critic_gap`` and ``penalty``.

        Raises
        ------
        UsageError
            If the batch cannot be cut into n_critic equal parts.
        """
        recipe = self.recipe
        n, rest = divmod(len(batch), recipe.n_critic)
        if rest or n == 0:
            raise UsageError(
                f"wgan-gp: the batch is shared by n_critic = {recipe.n_critic} updates and must be a multiple of it, "
                f"got {len(batch)}; change one of them."
            )
        with torch.no_grad():  # G does not change while D is updated: its samples are drawn at once
            generated = self.generator(torch.randn(len(batch), self.latent, device=self.device))
        for real, fake in zip(batch.chunk(recipe.n_critic), generated.chunk(recipe.n_critic), strict=True):
            losses = self._update_critic(real, fake)
        with frozen(self.critic):
            g_loss = -self.critic(self.generator(torch.randn(n, self.latent, device=self.device))).mean()
        descend(self.g_adam, g_loss)
        self.ema.update(self.generator)
        return {**losses, "g_loss": g_loss.detach()}

    def _update_critic(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        values = self.critic(torch.cat([real, fake]))
        gap = values[: len(real)].mean() - values[len(real) :].mean()
        penalty = gradient_penalty(self.critic, real, fake)
        d_loss = -gap + self.recipe.penalty * penalty
        descend(self.d_adam, d_loss)
        return {"d_loss": d_loss.detach(), "critic_gap": gap.detach(), "penalty": penalty.detach()}

    def sampler(self) -> LatentSampler:
        """Return a sampler of the averaged generator as it is now."""
        return LatentSampler("wgan-gp", self.ema.network, self.latent, self.device)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly from what `state_dict` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "critic": self.critic,
            "ema": self.ema,
            "g_adam": self.g_adam,
            "d_adam": self.d_adam,
        }


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E (‖∇D(x̂)‖₂ - 1)² at one random point between each pair of rows (eq. 3)."""
    epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
    between = torch.lerp(fake, real, epsilon).requires_grad_()
    # A row's output depends on that row alone, so that the gradient of the sum holds every row's own gradient.
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    penalty: Tensor = ((norms - 1) ** 2).mean()
    return penalty
