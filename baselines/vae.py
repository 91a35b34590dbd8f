"""VAE: auto-encoding variational Bayes (Kingma & Welling 2014, arXiv:1312.6114), and β-VAE (Higgins et al. 2017).

The evidence lower bound of eq. 3, in nats per event, is maximized with reparametrized latents (eq. 10):

    log p(x) >= E_q log p(x | z) - KL(q(z | x) ‖ N(0, I))          q(z | x) = N(m(x), diag s²(x)),  z = m + s ε
    KL = ½ Σ_j (m_j² + s_j² - 1 - log s_j²)                        appendix B

The likelihood p(x | z) is normalized (`baselines.likelihoods`), so that the bound is one, and its width is learned
(σ-VAE, arXiv:2006.13202): fixing it at 1 makes the latents collapse at this scale. The KL enters with a weight that
rises from 0 to β over the first fifth of the budget. β above 1 is β-VAE: latents that are nearer to the prior, and to
independence, for worse reconstructions; the loss is then below the bound. At a learned width, β and the width both
set how much a latent may cost: compare β at one likelihood only. ``recon`` and ``kl`` are reported without the weight;
recon + kl is the negative bound whatever β is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.ema import EMA
from baselines.labels import class_count, one_hot, sample_labels
from baselines.likelihoods import Bernoulli, DiscretizedLogistic, Gaussian, Likelihood, kl_to_standard_normal
from baselines.networks import halvings, is_image, mlp
from baselines.optimization import Optimizer, OptimizerOptions
from baselines.options import check_choice, check_count, check_flag, check_fraction, check_positive
from baselines.parts import Parts
from genbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class VAE(OptimizerOptions):
    """The recipe: multilayer perceptrons or convolutions, Adam with a cosine schedule, averaged weights."""

    name: ClassVar[str] = "vae"

    network: str = "mlp"  # or "conv", of images
    likelihood: str | None = None  # absent: "discretized-logistic" for images, "gaussian" for vectors; or "bernoulli"
    levels: int = 256  # of the discretized logistic: how many values a pixel can have
    beta: float = 1.0  # weight of the KL
    kl_warmup: float = 0.2  # share of the budget over which that weight rises
    samples: str | None = None  # "mean": locations; "draw": from p(x | z). Absent: means of images, draws of vectors
    lr: float = 1e-3  # Adam
    ema: float = 0.998  # of all weights; 0: none
    width: int | None = None  # absent: two hidden layers of 256 for images, three of 128 for vectors; 32 channels
    latent: int | None = None  # absent: 16 for images, the data's own width for vectors
    dropout: float = 0.0  # in the hidden layers
    conditional: bool = False
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        self.check_optimization(self.name)
        check_choice(self.name, "network", self.network, ("mlp", "conv"))
        if self.likelihood is not None:
            choices = ("discretized-logistic", "gaussian", "bernoulli")
            check_choice(self.name, "likelihood", self.likelihood, choices)
        if self.samples is not None:
            check_choice(self.name, "samples", self.samples, ("mean", "draw"))
        check_count(self.name, least=2, levels=self.levels)
        check_positive(self.name, lr=self.lr, beta=self.beta)
        check_fraction(self.name, ema=self.ema, dropout=self.dropout, kl_warmup=self.kl_warmup)
        check_flag(self.name, conditional=self.conditional)
        for option in ("width", "latent"):
            if getattr(self, option) is not None:
                check_count(self.name, **{option: getattr(self, option)})

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> VAETrainer:
        """Make the network and its optimizer; ``steps`` sets the pace of warm-up and schedule.

        Raises
        ------
        UsageError
            If an option is for images and events are vectors, or a conditional recipe is not told of classes.
        """
        if not is_image(event_shape):
            for option, value in (("network", self.network), ("likelihood", self.likelihood)):
                if value in ("conv", "discretized-logistic", "bernoulli"):
                    raise UsageError(f"{self.name}: {option} {value!r} is for images, got vectors; choose another.")
        known = class_count(self.name, conditional=self.conditional, classes=classes)
        return VAETrainer(self, event_shape, device, steps, known)


@dataclass(frozen=True, kw_only=True)
class BetaVAE(VAE):
    """VAE with the weight of the KL at 4 (Higgins et al. 2017, https://openreview.net/forum?id=Sy2fzU9gl)."""

    name: ClassVar[str] = "beta-vae"
    beta: float = 4.0


@dataclass(frozen=True, kw_only=True)
class ConvVAE(VAE):
    """VAE of convolutions."""

    name: ClassVar[str] = "conv-vae"
    network: str = "conv"


class VAENetwork(nn.Module):
    """Encoder, decoder and the learned width of the likelihood; both are shown the class, (b, classes), if any."""

    def __init__(self, recipe: VAE, event_shape: tuple[int, ...], latent: int, *, classes: int) -> None:
        super().__init__()
        self.latent = latent
        self.features: nn.Module = nn.Flatten()
        self.events: nn.Module = nn.Unflatten(1, event_shape)
        if recipe.network == "conv":
            self.features, self.events, deep = convolutions(event_shape, recipe.width or 32, recipe.dropout)
            layers = [deep]
        else:
            deep = math.prod(event_shape)
            layers = [deep, *([recipe.width or 256] * 2 if is_image(event_shape) else [recipe.width or 128] * 3)]
        first, *rest = layers
        self.encoder = mlp([first + classes, *rest, 2 * latent], nn.ReLU, dropout=recipe.dropout)
        self.decoder = mlp([latent + classes, *layers[::-1]], nn.ReLU, dropout=recipe.dropout)
        self.log_width = nn.Parameter(torch.tensor(-1.0))

    def encode(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x): (b, *event), (b, classes) -> twice (b, latent)."""
        mean, log_var = self.encoder(torch.cat([self.features(x), code], dim=1)).chunk(2, dim=1)
        return mean, log_var

    def decode(self, z: Tensor, code: Tensor) -> Tensor:
        """Location of p(x | z): (b, latent), (b, classes) -> (b, *event)."""
        location: Tensor = self.events(self.decoder(torch.cat([z, code], dim=1)))
        return location

    def forward(self, batch: Tensor, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw z, decode: location (b, *event), and mean and log variance (b, latent) of q(z | x)."""
        mean, log_var = self.encode(batch, code)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return self.decode(z, code), mean, log_var


def convolutions(
    event_shape: tuple[int, ...], width: int, dropout: float = 0.0
) -> tuple[nn.Sequential, nn.Sequential, int]:
    """Convolutions from images to features (b, k), their mirror image, and k. Sides are halved down to 2, 4 or 7.

    8x8: w - halve to 2w - halve to 2w; further halvings are to 4w. No batch normalization.
    """
    channels, *size = event_shape
    count = halvings(*size, least=2, stop=4)
    widths = [width, *([2 * width] * min(count, 2)), *([4 * width] * (count - 2))]
    down: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Dropout(dropout)]
    up: list[nn.Module] = [nn.Conv2d(width, channels, 3, padding=1)]
    for wide, below in pairwise(widths):
        down += [nn.Conv2d(wide, below, 4, stride=2, padding=1), nn.ReLU(), nn.Dropout(dropout)]
        up[:0] = [nn.ConvTranspose2d(below, wide, 4, stride=2, padding=1), nn.ReLU(), nn.Dropout(dropout)]
    lowest = (widths[-1], *(side >> count for side in size))
    return (
        nn.Sequential(*down, nn.Flatten()),
        nn.Sequential(nn.ReLU(), nn.Unflatten(1, lowest), *up),
        math.prod(lowest),
    )


class VAETrainer(Parts):
    """One gradient step on the bound a step."""

    recordable: ClassVar[bool] = True  # an update runs wholly on the device, so it may be recorded and replayed

    def __init__(
        self, recipe: VAE, event_shape: tuple[int, ...], device: torch.device, steps: int, classes: int = 0
    ) -> None:
        self.recipe, self.device, self.steps, self.classes = recipe, device, steps, classes
        self.image = is_image(event_shape)
        kind = recipe.likelihood or ("discretized-logistic" if self.image else "gaussian")
        likelihoods: dict[str, Likelihood] = {
            "gaussian": Gaussian(),
            "bernoulli": Bernoulli(),
            "discretized-logistic": DiscretizedLogistic(recipe.levels),
        }
        self.likelihood = likelihoods[kind]
        latent = recipe.latent or (16 if self.image else math.prod(event_shape))
        self.network = VAENetwork(recipe, event_shape, latent, classes=classes).to(device)
        self.ema = EMA(self.network, recipe.ema)
        self.optimizer = Optimizer(self.network, recipe.lr, recipe=recipe, steps=steps)
        # Counted on the device, so that a step that is recorded and replayed there follows the warm-up, too.
        exact = torch.float32 if device.type == "mps" else torch.float64
        self._updates = torch.zeros((), dtype=exact, device=device)

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event), with the labels (b,) of a conditional one.

        Returns ``loss``, ``recon`` and ``kl`` in nats per event.
        """
        location, mean, log_var = self.network(batch, one_hot(labels, self.classes, like=batch))
        recon = -self.likelihood.log_prob(batch, location, self.network.log_width).mean()
        kl = kl_to_standard_normal(mean, log_var).mean()
        loss = recon + self._kl_weight() * kl
        self.optimizer.descend(loss)
        self.ema.update(self.network)
        return {"loss": loss.detach(), "recon": recon.detach(), "kl": kl.detach()}

    def _kl_weight(self) -> Tensor | float:
        """Return the weight of the KL in this update, and count it."""
        progress = self._updates / self.steps
        self._updates += 1
        if not self.recipe.kl_warmup:
            return self.recipe.beta
        return (self.recipe.beta * (progress / self.recipe.kl_warmup).clamp(max=1)).float()

    def sampler(self) -> VAESampler:
        """Return a sampler of the averaged weights as they are now."""
        return VAESampler(self)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {**super().state_dict(), "updates": self._updates.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly from what `state_dict` returned."""
        super().load_state_dict(state)
        self._updates.copy_(state["updates"])


class VAESampler:
    """z ~ N(0, I) decoded: locations of p(x | z), or draws from it. Images are kept in [-1, 1].

    Its density can be had too, in model units: it is a `genbench.metrics.likelihood.LatentModel`. ``levels`` is over
    how many the likelihood spreads the mass of an image, None where it is a density. ``classes`` is their number where
    the model is conditional, else None.
    """

    def __init__(self, trainer: VAETrainer) -> None:
        self.name, self.device, self.classes = trainer.recipe.name, trainer.device, trainer.classes or None
        self._likelihood, self._image = trainer.likelihood, trainer.image
        self.levels = trainer.likelihood.levels if isinstance(trainer.likelihood, DiscretizedLogistic) else None
        self._draw = (trainer.recipe.samples or ("mean" if trainer.image else "draw")) == "draw"
        self._network = copy.deepcopy(trainer.ema.network)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, labels: Tensor | None = None) -> Tensor:
        """Draw n events, of the classes in ``labels`` (n,) if conditional: float32 (n, *event), on its device."""
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self._network.latent, generator=rng).to(self.device)
        location = self._network.decode(z, self._code(labels, z))
        if self._draw:
            x = self._likelihood.draw(location, self._network.log_width, rng)
        else:
            x = self._likelihood.mean(location)
        return x.clamp(-1, 1) if self._image else x

    def encode(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x): (b, *event) -> twice (b, latent)."""
        return self._network.encode(x, self._code(labels, x))

    def log_likelihood(self, x: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Log p(x | z) in nats, of a density or of levels: (b, *event), (b, latent) -> (b,).

        Raises
        ------
        UsageError
            If the likelihood is "bernoulli" and x has other values than -1 and 1.
        """
        self._likelihood.check(x)
        return self._likelihood.log_prob(x, self._network.decode(z, self._code(labels, z)), self._network.log_width)

    def _code(self, labels: Tensor | None, like: Tensor) -> Tensor:
        known = sample_labels(self.name, labels, n=len(like), classes=self.classes, device=self.device)
        return one_hot(known, self.classes or 0, like=like)
