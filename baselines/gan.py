"""GAN: generative adversarial networks (Goodfellow et al. 2014, arXiv:1406.2661).

D tells data from samples, eq. 1:

    max_D  E_x log D(x) + E_z log(1 - D(G(z)))

G fools D, in one of two ways (section 3, last paragraph):

    saturating       min_G  E_z log(1 - D(G(z)))      the game's own value; its gradient dies where D wins
    non-saturating   max_G  E_z log D(G(z))           the same fixed point, a strong gradient early on

D(x) = sigmoid(l(x)); written with logits, -log D = softplus(-l) and -log(1 - D) = softplus(l). One step is one update
of D, then one of G through the updated D, on the same latents. The reported ``d_loss`` is at 2 log 2 = 1.386 where D
cannot tell data from samples; neither loss says how good the samples are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from baselines.ema import EMA
from baselines.networks import LatentSampler, adam, descend, frozen, latent_width, mlp_critic, mlp_generator
from baselines.options import check_choice, check_count, check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class GAN:
    """The recipe: multilayer perceptrons, batch normalization in the generator of images, none in D."""

    loss: str = "non-saturating"  # the paper's advice; "saturating" is its eq. 1
    lr: float = 2e-4  # Adam for both networks, as in DCGAN (arXiv:1511.06434)
    beta1: float = 0.5  # DCGAN: 0.9 oscillates
    ema: float = 0.999  # of the generator's weights; 0: none, as in the paper
    width: int = 128  # of the narrowest hidden layer; 256 for 28x28
    latent: int | None = None  # absent: 64 for images, the data's own width for vectors

    def __post_init__(self) -> None:
        check_choice("gan", "loss", self.loss, ("non-saturating", "saturating"))
        check_positive("gan", lr=self.lr)
        check_fraction("gan", beta1=self.beta1, ema=self.ema)
        check_count("gan", width=self.width, **({} if self.latent is None else {"latent": self.latent}))

    def build(self, event_shape: tuple[int, ...], *, device: torch.device, steps: int) -> GANTrainer:
        """Make both networks and their optimizers; ``steps`` is not used, as the rate is constant."""
        return GANTrainer(self, event_shape, device)


class GANTrainer:
    """One update of D, then one of G, a step."""

    def __init__(self, recipe: GAN, event_shape: tuple[int, ...], device: torch.device) -> None:
        self.recipe = recipe
        self.device = device
        self.latent = latent_width(event_shape, recipe.latent)
        self.generator = mlp_generator(event_shape, self.latent, recipe.width).to(device)
        self.discriminator = mlp_critic(event_shape, recipe.width).to(device)
        self.ema = EMA(self.generator, recipe.ema)
        betas = (recipe.beta1, 0.999)
        self.g_adam = adam(self.generator, recipe.lr, betas)
        self.d_adam = adam(self.discriminator, recipe.lr, betas)

    def step(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event); return ``d_loss`` and ``g_loss``."""
        n = len(batch)
        generated = self.generator(torch.randn(n, self.latent, device=self.device))

        # D sees data and samples in one pass: it has no batch normalization that could mix them.
        logits = self.discriminator(torch.cat([batch, generated.detach()]))
        d_loss = softplus(-logits[:n]).mean() + softplus(logits[n:]).mean()
        descend(self.d_adam, d_loss)

        with frozen(self.discriminator):
            logits = self.discriminator(generated)
        g_loss = softplus(-logits).mean() if self.recipe.loss == "non-saturating" else -softplus(logits).mean()
        descend(self.g_adam, g_loss)
        self.ema.update(self.generator)
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}

    def sampler(self) -> LatentSampler:
        """Return a sampler of the averaged generator as it is now."""
        return LatentSampler("gan", self.ema.network, self.latent, self.device)

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
            "discriminator": self.discriminator,
            "ema": self.ema,
            "g_adam": self.g_adam,
            "d_adam": self.d_adam,
        }
