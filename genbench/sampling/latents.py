"""What a generator is fed with: the shape and the distribution of its latents, as declared."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from genbench.errors import UsageError

DISTRIBUTIONS = ("normal", "uniform")

FORM = re.compile(r"(?P<shape>[1-9]\d{0,8}(x[1-9]\d{0,8})*)(:(?P<distribution>\w+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Latent:
    """The distribution of one latent.

    Attributes
    ----------
    shape : tuple of int
        Of one latent: (128,), or (3, 8, 8).
    distribution : str
        ``normal`` (standard), or ``uniform`` on [-1, 1].
    """

    shape: tuple[int, ...]
    distribution: str = "normal"

    def draw(self, n: int, *, seed: int) -> Tensor:
        """Draw (n, *shape) float32 latents on the CPU: the same for every device."""
        rng = torch.Generator().manual_seed(seed)
        if self.distribution == "normal":
            return torch.randn(n, *self.shape, generator=rng)
        return 2 * torch.rand(n, *self.shape, generator=rng) - 1


def parse_latent(text: str | None, *, who: str) -> Latent:
    """Read a declaration such as ``128``, ``128:normal`` or ``3x8x8:uniform``.

    Raises
    ------
    UsageError
        If there is none, or it has another form.
    """
    if text is None:
        raise UsageError(
            f"{who}: needs the latents that it maps to samples; declare them with --latent, "
            "as 128, 128:normal or 3x8x8:uniform."
        )
    match = FORM.fullmatch(text.strip())
    if match is None or (match["distribution"] or "normal") not in DISTRIBUTIONS:
        raise UsageError(
            f"{who}: latents as 128, 128:normal or 3x8x8:uniform expected, got {text!r}; "
            f"the distributions are {' and '.join(DISTRIBUTIONS)}."
        )
    shape = tuple(int(size) for size in match["shape"].split("x"))
    if math.prod(shape) > 2**24:
        raise UsageError(f"{who}: latents of at most {2**24:,} numbers expected, got {text!r}; correct the shape.")
    return Latent(shape, match["distribution"] or "normal")
