"""Likelihoods p(x | z) of decoders: what a decoder's output says of an event, and how to draw one from it.

    discretized-logistic   images of L levels: the mass of a logistic around the decoder's location that falls on the
                           level, the two outer levels taking the tails (PixelCNN++, arXiv:1701.05517, section 2.1)
    gaussian               N(x; location, σ² I), a density
    bernoulli              images of two values: -1 with probability 1 - σ(location), 1 with σ(location)

The first two have one learned width for all pixels (σ-VAE, arXiv:2006.13202). Of images between its two values, the
last is the cross-entropy that tutorials minimize: a fair objective, but no likelihood, as it sums to one over nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from genbench.errors import UsageError


class Likelihood(Protocol):
    """What a VAE asks of p(x | z); ``location`` is the decoder's output and ``log_width`` a learned scalar."""

    def log_prob(self, x: Tensor, location: Tensor, log_width: Tensor) -> Tensor:
        """Log p(x | z) in nats, summed over the event: (b, *event) -> (b,)."""
        ...

    def mean(self, location: Tensor) -> Tensor:
        """Where p(x | z) is centred: (b, *event)."""
        ...

    def draw(self, location: Tensor, log_width: Tensor, rng: torch.Generator) -> Tensor:
        """Draw x from p(x | z), the numbers coming from a generator of the CPU: (b, *event)."""
        ...

    def check(self, x: Tensor) -> None:
        """Raise `UsageError` if x is nothing that has a likelihood."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """N(location, width² I)."""

    def log_prob(self, x: Tensor, location: Tensor, log_width: Tensor) -> Tensor:
        """See `gaussian`."""
        return gaussian(x, location, log_width)

    def mean(self, location: Tensor) -> Tensor:
        """Return the location."""
        return location

    def draw(self, location: Tensor, log_width: Tensor, rng: torch.Generator) -> Tensor:
        """Add normal noise of the learned width."""
        return location + log_width.exp() * torch.randn(location.shape, generator=rng).to(location.device)

    def check(self, x: Tensor) -> None:
        """Take all numbers."""


@dataclass(frozen=True)
class DiscretizedLogistic:
    """Masses of the ``levels`` values of a pixel under a logistic."""

    levels: int

    def log_prob(self, x: Tensor, location: Tensor, log_width: Tensor) -> Tensor:
        """See `discretized_logistic`."""
        return discretized_logistic(x, location, log_width, self.levels)

    def mean(self, location: Tensor) -> Tensor:
        """Return the location: not rounded to a level."""
        return location

    def draw(self, location: Tensor, log_width: Tensor, rng: torch.Generator) -> Tensor:
        """Add logistic noise and move to the nearest level."""
        noise = torch.logit(torch.rand(location.shape, generator=rng), eps=1e-7).to(location.device)
        return snap(location + log_width.exp() * noise, self.levels)

    def check(self, x: Tensor) -> None:
        """Take all images: their values are moved to levels."""


@dataclass(frozen=True)
class Bernoulli:
    """Two values a pixel; the learned width plays no part."""

    def log_prob(self, x: Tensor, location: Tensor, log_width: Tensor) -> Tensor:
        """See `bernoulli`."""
        return bernoulli(x, location)

    def mean(self, location: Tensor) -> Tensor:
        """Return 2 σ(location) - 1."""
        return 2 * torch.sigmoid(location) - 1

    def draw(self, location: Tensor, log_width: Tensor, rng: torch.Generator) -> Tensor:
        """Return 1 with probability σ(location), else -1."""
        uniform = torch.rand(location.shape, generator=rng).to(location.device)
        return 2 * (uniform < torch.sigmoid(location)).to(location.dtype) - 1

    def check(self, x: Tensor) -> None:
        """Refuse values between the two, whose cross-entropies would pass for likelihoods."""
        if bool((x.abs() != 1).any()):
            raise UsageError(
                "vae: a bernoulli likelihood is one of images whose values are -1 and 1, got others; binarize them, or "
                "train with likelihood 'discretized-logistic'."
            )


def kl_to_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) ‖ N(0, I)) in nats, summed over the latents: (b, latent) -> (b,)."""
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(dim=1)


def gaussian(x: Tensor, location: Tensor, log_width: Tensor) -> Tensor:
    """Log density in nats of N(location, exp(log_width)² I), summed over the event: (b, *event) -> (b,)."""
    standard = (x - location) * torch.exp(-log_width)
    return -(0.5 * standard**2 + log_width + 0.5 * math.log(2 * math.pi)).flatten(1).sum(dim=1)


def bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """Log mass in nats of x in {-1, 1} where 1 has probability σ(logits), summed over the event: (b, *event) -> (b,).

    Between the two values, linear: minus the cross-entropy of (x + 1) / 2.
    """
    return -binary_cross_entropy_with_logits(logits, (x + 1) / 2, reduction="none").flatten(1).sum(dim=1)


def snap(x: Tensor, levels: int) -> Tensor:
    """Move values to the nearest of ``levels`` values evenly spaced over [-1, 1]."""
    return torch.round((x.clamp(-1, 1) + 1) * ((levels - 1) / 2)) * (2 / (levels - 1)) - 1


def to_levels(x: Tensor, levels: int) -> Tensor:
    """Number the nearest levels of values in [-1, 1]: int64 in [0, levels)."""
    return torch.round((x.clamp(-1, 1) + 1) * ((levels - 1) / 2)).long()


def from_levels(numbers: Tensor, levels: int) -> Tensor:
    """Give levels their values in [-1, 1]; the inverse of `to_levels`."""
    return numbers.to(torch.float32) * (2 / (levels - 1)) - 1


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
