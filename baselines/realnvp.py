"""RealNVP: density estimation by real-valued non-volume-preserving maps (Dinh et al. 2017, arXiv:1605.08803).

An invertible map f from events to z ~ N(0, I) gives every event its density (eq. 2):

    log p(x) = log N(f(x); 0, I) + log |det ∂f/∂x|

f is a chain of couplings. Each leaves a part m x of its input as it is and moves the rest by amounts that only that
part decides (eq. 9), so that the determinant is a sum and the inverse needs no solving:

    y = m x + (1 - m)(x exp s(m x) + t(m x))          log |det| = Σ (1 - m) s(m x)

m takes turns: every other pixel, a checkerboard, or every other number of a vector, then the others (section 3.4). s
and t are perceptrons here, and s is bounded to (-2, 2); the authors' multi-scale residual networks are for larger
images.

Images of L levels are made continuous by uniform noise, v = (level + u) / L, and mapped to all numbers by
logit(α + (1 - 2 α) v), α = .05 (section 4.1). Their log-likelihoods are reported for densities with a level as the unit
of length: E_u log p(level + u) is a lower bound of the log mass of the level in nats, to be held against a PixelCNN's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.ema import EMA
from baselines.labels import class_count, one_hot, sample_labels
from baselines.likelihoods import from_levels, to_levels
from baselines.networks import is_image, mlp
from baselines.optimization import Optimizer, OptimizerOptions
from baselines.options import check_count, check_flag, check_fraction, check_positive
from baselines.parts import Parts
from genbench.errors import UsageError
from genbench.randomness import derive_seed

ALPHA = 0.05  # section 4.1
LARGEST_LOG_SCALE = 2.0  # of one coupling


@dataclass(frozen=True, kw_only=True)
class RealNVP(OptimizerOptions):
    """The recipe: couplings by perceptrons, AdamW with a cosine schedule, averaged weights."""

    levels: int = 256  # of images: how many values a pixel can have
    lr: float = 1e-3  # AdamW
    ema: float = 0.998  # of all weights; 0: none
    couplings: int = 8
    width: int | None = None  # of two hidden layers in each; absent: 256 for images, 128 for vectors
    dropout: float = 0.0  # in the hidden layers; 0.2 keeps it from learning a thousand digits by heart
    conditional: bool = False
    weight_decay: float = 1e-3  # it overfits small data at once; section 4.1 has 5e-5
    schedule: str = "cosine"
    clip: float = 1.0

    def __post_init__(self) -> None:
        self.check_optimization("realnvp")
        check_count("realnvp", least=2, levels=self.levels, couplings=self.couplings)
        check_positive("realnvp", lr=self.lr)
        check_fraction("realnvp", ema=self.ema, dropout=self.dropout)
        check_flag("realnvp", conditional=self.conditional)
        if self.width is not None:
            check_count("realnvp", width=self.width)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> RealNVPTrainer:
        """Make the network and its optimizer; ``steps`` sets the pace of the schedule.

        Raises
        ------
        UsageError
            If events are single numbers, which have no other part, or a conditional recipe is not told of classes.
        """
        if math.prod(event_shape) < 2:
            raise UsageError(f"realnvp: events of at least 2 numbers expected, got {event_shape}; use flow-matching.")
        known = class_count("realnvp", conditional=self.conditional, classes=classes)
        return RealNVPTrainer(self, event_shape, device, steps, known)


class Coupling(nn.Module):
    """One coupling layer over vectors, with a mask m of zeros and ones; the identity at first."""

    def __init__(self, mask: Tensor, width: int, *, dropout: float, classes: int) -> None:
        super().__init__()
        d = len(mask)
        self.mask = nn.Buffer(mask)
        self.network = mlp([d + classes, width, width, 2 * d], nn.ReLU, dropout=dropout)
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Move x: (b, d), (b, classes) -> y (b, d), log |det| (b,)."""
        log_scale, shift = self._amounts(x, context)
        return x * log_scale.exp() + shift, log_scale.sum(dim=1)

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """Undo `forward`: m y = m x decides the same amounts."""
        log_scale, shift = self._amounts(y, context)
        return (y - shift) * (-log_scale).exp()

    def _amounts(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.network(torch.cat([x * self.mask, context], dim=1)).chunk(2, dim=1)
        moved = 1 - self.mask
        return moved * LARGEST_LOG_SCALE * torch.tanh(log_scale / LARGEST_LOG_SCALE), moved * shift


class Flow(nn.Module):
    """The map f from events to z, its inverse, and the density that it gives.

    Vectors are taken as they are. Images are v in (0, 1): their density is per unit of v.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        couplings: int,
        width: int,
        *,
        dropout: float = 0.0,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape, self.image = event_shape, is_image(event_shape)
        mask = alternating_mask(event_shape)
        self.couplings = nn.ModuleList(
            Coupling(1 - mask if i % 2 else mask, width, dropout=dropout, classes=classes) for i in range(couplings)
        )

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map events to z: (b, *event), (b, classes) -> z (b, d) and log |det ∂z/∂x| (b,)."""
        z = x.flatten(1)
        log_det = torch.zeros(len(z), dtype=z.dtype, device=z.device)
        if self.image:
            inside = ALPHA + (1 - 2 * ALPHA) * z
            z = torch.logit(inside)
            log_det = (math.log(1 - 2 * ALPHA) - inside.log() - (1 - inside).log()).sum(dim=1)
        for coupling in self.couplings:
            z, log_scale = coupling(z, context)
            log_det = log_det + log_scale
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Map z to events: (b, d), (b, classes) -> (b, *event); of images, v may lie outside (0, 1) by .06."""
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, Coupling)
            z = coupling.inverse(z, context)
        x = (torch.sigmoid(z) - ALPHA) / (1 - 2 * ALPHA) if self.image else z
        return x.reshape(-1, *self.event_shape)

    def log_density(self, x: Tensor, context: Tensor) -> Tensor:
        """Log p(x) in nats: (b, *event), (b, classes) -> (b,)."""
        z, log_det = self.forward(x, context)
        return log_det - 0.5 * (z.square() + math.log(2 * math.pi)).sum(dim=1)


class RealNVPTrainer(Parts):
    """One gradient step on the negative log-likelihood a step."""

    recordable: ClassVar[bool] = True  # an update runs wholly on the device, so it may be recorded and replayed

    def __init__(
        self, recipe: RealNVP, event_shape: tuple[int, ...], device: torch.device, steps: int, classes: int
    ) -> None:
        self.recipe, self.event_shape, self.device, self.classes = recipe, event_shape, device, classes
        width = recipe.width or (256 if is_image(event_shape) else 128)
        self.network = Flow(event_shape, recipe.couplings, width, dropout=recipe.dropout, classes=classes).to(device)
        self.ema = EMA(self.network, recipe.ema)
        self.optimizer = Optimizer(self.network, recipe.lr, recipe=recipe, steps=steps)

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event), with the labels (b,) of a conditional one; return ``loss``, nats an event."""
        x = dequantize(batch, self.recipe.levels, torch.rand_like(batch)) if self.network.image else batch
        log_density = self.network.log_density(x, one_hot(labels, self.classes, like=x))
        loss = level_units(self.network, self.recipe.levels) - log_density.mean()
        self.optimizer.descend(loss)
        self.ema.update(self.network)
        return {"loss": loss.detach()}

    def sampler(self) -> RealNVPSampler:
        """Return a sampler of the averaged weights as they are now."""
        return RealNVPSampler(self)


class RealNVPSampler:
    """z ~ N(0, I) through the inverse map, images then rounded down to levels; and the density of any event."""

    name = "realnvp"

    def __init__(self, trainer: RealNVPTrainer) -> None:
        self.classes = trainer.classes or None
        self._levels, self._device = trainer.recipe.levels, trainer.device
        image = trainer.network.image
        self.levels, self.bound = (trainer.recipe.levels if image else None), image  # dequantized: below the mass
        self._network = copy.deepcopy(trainer.ema.network)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, labels: Tensor | None = None) -> Tensor:
        """Draw n events, of the classes in ``labels`` (n,) if conditional: float32 (n, *event), on its device."""
        labels = sample_labels(self.name, labels, n=n, classes=self.classes, device=self._device)
        d = math.prod(self._network.event_shape)
        z = torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).to(self._device)
        x = self._network.inverse(z, one_hot(labels, self.classes or 0, like=z))
        if not self._network.image:
            return x
        return from_levels((x * self._levels).floor().clamp(0, self._levels - 1), self._levels)

    @torch.no_grad()
    def log_prob(self, x: Tensor, *, seed: int = 0, labels: Tensor | None = None) -> Tensor:
        """Log-likelihood in nats, in model units: (b, *event) -> (b,).

        Of vectors, the exact log density. Of images, the exact log density of level + u with a level as the unit of
        length, for one u drawn from ``seed`` and the row's number: its mean over u is at most the log mass of the
        image. Samples are those of that density; the little of it beyond the outer levels is moved to them.
        """
        labels = sample_labels(self.name, labels, n=len(x), classes=self.classes, device=self._device)
        if self._network.image:
            noise = torch.stack(
                [
                    torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(derive_seed(seed, "dequantize", i)))
                    for i in range(len(x))
                ]
            )
            x = dequantize(x, self._levels, noise.to(x))
        log_density = self._network.log_density(x, one_hot(labels, self.classes or 0, like=x))
        return log_density - level_units(self._network, self._levels)


def alternating_mask(event_shape: tuple[int, ...]) -> Tensor:
    """Ones and zeros in turn: a checkerboard, the same for all channels, of images; (d,) float32."""
    if not is_image(event_shape):
        return (torch.arange(math.prod(event_shape)) % 2).float()
    channels, height, width = event_shape
    board = (torch.arange(height)[:, None] + torch.arange(width)) % 2
    return board.expand(channels, height, width).reshape(-1).float()


def dequantize(x: Tensor, levels: int, noise: Tensor) -> Tensor:
    """Spread the levels of images in [-1, 1] over (0, 1) by noise in [0, 1): v = (level + u) / L."""
    return (to_levels(x, levels) + noise) / levels


def level_units(flow: Flow, levels: int) -> float:
    """Log density per unit of v, less this, is per level: d log L for images, 0 for vectors."""
    return math.prod(flow.event_shape) * math.log(levels) if flow.image else 0.0
