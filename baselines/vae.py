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
from baselines.networks import is_image, mlp
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
        check_count("vae", levels=self.levels)
        check_positive("vae", lr=self.lr)
        check_fraction("vae", ema=self.ema)
        for option in ("width", "latent"):
            if getattr(self, option) is not None:
                check_count("vae", **{option: getattr(self, option)})

    def build(self, event_shape: tuple[int, ...], *, device: torch.device, steps: int) -> VAETrainer:
        """Make the network and its optimizer; ``steps`` sets the pace of warm-up and schedule."""
        return VAETrainer(self, event_shape, device, steps)
