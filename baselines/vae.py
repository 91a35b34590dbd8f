"""VAE: auto-encoding variational Bayes (Kingma & Welling 2014, arXiv:1312.6114).

The evidence lower bound of eq. 3, in nats per event, is maximized with reparametrized latents (eq. 10):

    log p(x) >= E_q log p(x | z) - KL(q(z | x) ‖ N(0, I))          q(z | x) = N(m(x), diag s²(x)),  z = m + s ε
    KL = ½ Σ_j (m_j² + s_j² - 1 - log s_j²)                        appendix B

The likelihood p(x | z) is normalized, so that the bound is one:

    discretized-logistic   images of L levels: the mass of a logistic around the decoder's location that falls on the
                           level, the two outer levels taking the tails (PixelCNN++, arXiv:1701.05517, section 2.1)
    gaussian               N(x; location, σ² I)

Both have one learned width for all pixels (σ-VAE, arXiv:2006.13202): fixing it at 1 makes the latents collapse at
this scale. The KL enters with a weight that rises from 0 to 1 over the first fifth of the budget. ``recon`` and
``kl`` are reported without that weight; recon + kl is the negative bound.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from baselines.ema import EMA
from baselines.networks import adam, descend, is_image, mlp
from baselines.options import check_choice, check_count, check_fraction, check_positive
from genbench.errors import UsageError

WARM_UP = 0.2  # share of the budget over which the KL's weight rises


@dataclass(frozen=True, kw_only=True)
class VAE:
    """The recipe: multilayer perceptrons, Adam with a cosine schedule, averaged weights."""

    likelihood: str | None = None  # absent: "discretized-logistic" for images, "gaussian" for vectors
    levels: int = 256  # of the discretized logistic: how many values a pixel can have
    samples: str | None = None  # "mean": locations; "draw": from p(x | z). Absent: means of images, draws of vectors
    lr: float = 1e-3  # Adam
    ema: float = 0.998  # of all weights; 0: none
    width: int | None = None  # absent: two hidden layers of 256 for images, three of 128 for vectors
    latent: int | None = None  # absent: 16 for images, the data's own width for vectors

    def __post_init__(self) -> None:
        if self.likelihood is not None:
            check_choice("vae", "likelihood", self.likelihood, ("discretized-logistic", "gaussian"))
        if self.samples is not None:
            check_choice("vae", "samples", self.samples, ("mean", "draw"))
        check_count("vae", least=2, levels=self.levels)
        check_positive("vae", lr=self.lr)
        check_fraction("vae", ema=self.ema)
        for option in ("width", "latent"):
            if getattr(self, option) is not None:
                check_count("vae", **{option: getattr(self, option)})

    def build(self, event_shape: tuple[int, ...], *, device: torch.device, steps: int) -> VAETrainer:
        """Make the network and its optimizer; ``steps`` sets the pace of warm-up and schedule."""
        return VAETrainer(self, event_shape, device, steps)


class VAENetwork(nn.Module):
    """Encoder, decoder and the learned width of the likelihood."""

    def __init__(self, event_shape: tuple[int, ...], latent: int, hidden: list[int]) -> None:
        super().__init__()
        d = math.prod(event_shape)
        self.latent = latent
        self.encoder = nn.Sequential(nn.Flatten(), *mlp([d, *hidden, 2 * latent], nn.ReLU))
        self.decoder = nn.Sequential(*mlp([latent, *hidden[::-1], d], nn.ReLU), nn.Unflatten(1, event_shape))
        self.log_width = nn.Parameter(torch.tensor(-1.0))

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw z, decode: location (b, *event), and mean and log variance (b, latent) of q(z | x)."""
        mean, log_var = self.encoder(batch).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return self.decoder(z), mean, log_var


class VAETrainer:
    """One gradient step on the bound a step."""

    def __init__(self, recipe: VAE, event_shape: tuple[int, ...], device: torch.device, steps: int) -> None:
        image = is_image(event_shape)
        self.recipe = recipe
        self.device = device
        self.steps = steps
        self.image = image
        self.logistic = (recipe.likelihood or ("discretized-logistic" if image else "gaussian")) != "gaussian"
        if self.logistic and not image:
            raise UsageError("vae: likelihood 'discretized-logistic' is for images, got vectors; use 'gaussian'.")
        self.draw = (recipe.samples or ("mean" if image else "draw")) == "draw"
        latent = recipe.latent or (16 if image else math.prod(event_shape))
        hidden = [recipe.width or 256] * 2 if image else [recipe.width or 128] * 3
        self.network = VAENetwork(event_shape, latent, hidden).to(device)
        self.ema = EMA(self.network, recipe.ema)
        self.adam = adam(self.network, recipe.lr, (0.9, 0.999))

    def step(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event); return ``loss``, ``recon`` and ``kl`` in nats per event."""
        progress = min(1.0, self.ema.updates / self.steps)
        self.adam.param_groups[0]["lr"] = self.recipe.lr * 0.5 * (1 + math.cos(math.pi * progress))

        location, mean, log_var = self.network(batch)
        recon = -self._log_likelihood(batch, location).mean()
        kl = kl_to_standard_normal(mean, log_var).mean()
        loss = recon + min(1.0, progress / WARM_UP) * kl
        descend(self.adam, loss)
        self.ema.update(self.network)
        return {"loss": loss.detach(), "recon": recon.detach(), "kl": kl.detach()}

    def _log_likelihood(self, x: Tensor, location: Tensor) -> Tensor:
        if self.logistic:
            return discretized_logistic(x, location, self.network.log_width, self.recipe.levels)
        return gaussian(x, location, self.network.log_width)

    def sampler(self) -> VAESampler:
        """Return a sampler of the averaged weights as they are now."""
        return VAESampler(self)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {"network": self.network.state_dict(), "ema": self.ema.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly from what `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        self.adam.load_state_dict(state["adam"])


class VAESampler:
    """z ~ N(0, I) decoded: locations of p(x | z), or draws from it. Images are kept in [-1, 1].

    Its density can be had too, in model units: it is a `genbench.metrics.likelihood.LatentModel`.
    """

    name = "vae"

    def __init__(self, trainer: VAETrainer) -> None:
        self.device = trainer.device
        self._levels = trainer.recipe.levels if trainer.logistic else None
        self._draw, self._image = trainer.draw, trainer.image
        self._network = copy.deepcopy(trainer.ema.network)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draw n events: float32 of shape (n, *event), on the sampler's device."""
        rng = torch.Generator().manual_seed(seed)
        x: Tensor = self._network.decoder(torch.randn(n, self._network.latent, generator=rng).to(self.device))
        if self._draw:
            if self._levels is None:
                noise = torch.randn(x.shape, generator=rng)
            else:
                noise = torch.logit(torch.rand(x.shape, generator=rng), eps=1e-7)
            x = x + self._network.log_width.exp() * noise.to(self.device)
            if self._levels is not None:
                x = snap(x, self._levels)
        return x.clamp(-1, 1) if self._image else x

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x): (b, *event) -> twice (b, latent)."""
        mean, log_var = self._network.encoder(x).chunk(2, dim=1)
        return mean, log_var

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Log p(x | z) in nats, of a density or of levels: (b, *event), (b, latent) -> (b,)."""
        location = self._network.decoder(z)
        if self._levels is None:
            return gaussian(x, location, self._network.log_width)
        return discretized_logistic(x, location, self._network.log_width, self._levels)


def kl_to_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) ‖ N(0, I)) in nats, summed over the latents: (b, latent) -> (b,)."""
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(dim=1)


def gaussian(x: Tensor, location: Tensor, log_width: Tensor) -> Tensor:
    """Log density in nats of N(location, exp(log_width)² I), summed over the event: (b, *event) -> (b,)."""
    standard = (x - location) * torch.exp(-log_width)
    return -(0.5 * standard**2 + log_width + 0.5 * math.log(2 * math.pi)).flatten(1).sum(dim=1)


def snap(x: Tensor, levels: int) -> Tensor:
    """Move values to the nearest of ``levels`` values evenly spaced over [-1, 1]."""
    return torch.round((x.clamp(-1, 1) + 1) * ((levels - 1) / 2)) * (2 / (levels - 1)) - 1


def discretized_logistic(x: Tensor, location: Tensor, log_width: Tensor, levels: int) -> Tensor:
    """Log mass in nats of the levels of x under a logistic, summed over the event: (b, *event) -> (b,).

    With a, b the standardized upper and lower edges of a level, its mass is σ(a) - σ(b), which is
    σ(a) σ(-b) (1 - exp(b - a)): its logarithm needs no difference of nearly equal numbers. The lowest level reaches
    down to -∞ and keeps σ(a); the highest reaches up to ∞ and keeps σ(-b).
    """
    x = snap(x, levels)
    half = 1 / (levels - 1)
    inverse = torch.exp(-log_width)
    below_top = logsigmoid((x + half - location) * inverse)
    above_bottom = logsigmoid((location - x + half) * inverse)
    inner = torch.log(-torch.expm1(-2 * half * inverse))
    lowest, highest = x <= -1 + half, x >= 1 - half
    log_mass = (
        below_top.masked_fill(highest, 0.0) + above_bottom.masked_fill(lowest, 0.0) + (~(lowest | highest)) * inner
    )
    return log_mass.flatten(1).sum(dim=1)
