"""Between the units of the data and those of models: images uint8 and [-1, 1], vectors raw and of deviation 1."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError
from genbench.isolation import isolated, seed_generators
from genbench.metrics.likelihood import LatentModel, iwae_bound
from genbench.protocols import Sampler
from genbench.randomness import derive_seed
from genbench.sampling.blocks import classes_of


class Scaling:
    """The map between data and model units.

    Images (uint8): x / 127.5 - 1. Vectors: divided by one number, the standard deviation of all values of the training
    split, so that distances keep their proportions; divided by 1 where the data are constant.

    Parameters
    ----------
    train : (n, C, H, W) uint8 or (n, d) float32 array
        The training split.
    """

    def __init__(self, train: NDArray[Any]) -> None:
        self.image = train.dtype == np.uint8
        self.scale = 127.5 if self.image else float(train.std(dtype=np.float64)) or 1.0

    def to_model(self, samples: Tensor) -> Tensor:
        """Data units to model units, float32."""
        scaled = samples.to(torch.float32) / self.scale
        return scaled - 1 if self.image else scaled

    def to_data(self, samples: Tensor) -> Tensor:
        """Model units to data units: round((x + 1) * 127.5) clamped to [0, 255] for images, x * scale for vectors."""
        if self.image:
            return torch.round((samples + 1) * self.scale).clamp(0, 255).to(torch.uint8)
        return (samples * self.scale).to(torch.float32)


IWAE_DRAWS = 64
"""Draws an event for the likelihood bound of a model with latent variables."""

BLOCK_ELEMENTS = 2**24
"""Numbers that a model may have to hold at a time for the likelihood of images: one for every level of every value."""


class ScaledSampler:
    """A trainer's sampler, in the units of the data.

    Parameters
    ----------
    inner : Sampler
        In model units.
    scaling : Scaling
        Of the training split.
    device : torch.device
        Where the inner sampler computes. On the CPU it does so in one thread, as training does.

    Attributes
    ----------
    classes : int
        How many classes a conditional sampler can be asked for; others do not have it.
    """

    def __init__(self, inner: Sampler, scaling: Scaling, device: torch.device) -> None:
        self.name = inner.name
        if (classes := classes_of(inner)) is not None:
            self.classes = classes
        self._inner = inner
        self._scaling = scaling
        self._device = device

    def sample(self, n: int, *, seed: int, labels: Tensor | None = None) -> Tensor:
        """Draw n samples: uint8 (n, C, H, W) or float32 (n, d); of a conditional sampler, for labels (n,) int64.

        Raises
        ------
        SampleError
            If a sample is not finite: rounding to pixels would hide it.
        """
        given: dict[str, Tensor] = {} if labels is None else {"labels": labels.to(self._device)}
        with isolated(self._device), torch.no_grad():
            seed_generators(self._device, seed)  # for a sampler that draws from torch's own generators
            samples = self._inner.sample(n, seed=seed, **given)
        bad = int((~torch.isfinite(samples)).flatten(1).any(dim=1).sum())
        if bad:
            raise SampleError(
                f"{self.name}: {bad} of {n} samples are not finite; a score over them would be meaningless."
            )
        return self._scaling.to_data(samples)


class DensitySampler(ScaledSampler):
    """A `ScaledSampler` of a model that also says how likely an event is: `genbench.protocols.Density`.

    Attributes
    ----------
    levels : int or None
        Of images: how many levels the mass is spread over. None: a density, or vectors.
    bound : bool
        Whether the likelihood is a lower bound, of `IWAE_DRAWS` importance-weighted draws or of dequantization.
    """

    def __init__(self, inner: Sampler, scaling: Scaling, device: torch.device) -> None:
        super().__init__(inner, scaling, device)
        self.levels: int | None = getattr(inner, "levels", None)
        self.bound = bool(getattr(inner, "bound", isinstance(inner, LatentModel)))

    def log_prob(self, x: Tensor, *, seed: int, labels: Tensor | None = None) -> Tensor:
        """Log-likelihood in nats of events in the units of the data, (n, *event) -> (n,) float64 on the CPU.

        Of images, the log mass of the image among those of so many levels; of vectors, or where a model of images has
        a density, that density in the data's units. Draws depend on the seed.
        """
        inner: Any = self._inner
        given: dict[str, Tensor] = {} if labels is None else {"labels": labels.to(self._device)}
        events = self._scaling.to_model(x.to(self._device))
        with isolated(self._device), torch.no_grad():
            seed_generators(self._device, seed)
            if isinstance(inner, LatentModel):
                found = torch.from_numpy(iwae_bound(inner, events, k=IWAE_DRAWS, seed=seed).log_prob)
            else:
                found = self._in_blocks(events, seed=seed, **given)
        if self.levels is not None:
            return found
        return found - math.prod(x.shape[1:]) * math.log(self._scaling.scale)

    def _in_blocks(self, events: Tensor, *, seed: int, **given: Tensor) -> Tensor:
        """Ask the model itself, for as many events at a time as it can hold the numbers of."""
        inner: Any = self._inner
        drawn = "seed" in inspect.signature(inner.log_prob).parameters
        block = max(1, BLOCK_ELEMENTS // (math.prod(events.shape[1:]) * (self.levels or 1)))
        found = []
        for start in range(0, len(events), block):
            rows = slice(start, start + block)
            told: dict[str, Any] = {name: value[rows] for name, value in given.items()}
            if drawn:
                told["seed"] = derive_seed(seed, "block", start)
            found.append(inner.log_prob(events[rows], **told).double().cpu())
        return torch.cat(found)


def scaled_sampler(inner: Sampler, scaling: Scaling, device: torch.device) -> ScaledSampler:
    """Return a trainer's sampler in the units of the data, with its likelihood if it has one.

    The bound of a latent-variable model does not take labels, so that a conditional one has none.
    """
    bounded = isinstance(inner, LatentModel) and classes_of(inner) is None
    kind = DensitySampler if hasattr(inner, "log_prob") or bounded else ScaledSampler
    return kind(inner, scaling, device)
