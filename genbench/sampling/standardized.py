"""Samples in the units of the source, for data that were standardized."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.definitions import Standardization
from genbench.protocols import Sampler
from genbench.sampling.blocks import FiniteSampler, classes_of


class StandardizedSampler:
    """A sampler whose vectors are shifted and scaled as the data's were; cf. `standardized`."""

    def __init__(self, sampler: Sampler, change: Standardization) -> None:
        self.name = sampler.name
        self._sampler, self._change = sampler, change
        if (classes := classes_of(sampler)) is not None:
            self.classes = classes

    def sample(self, n: int, *, seed: int, **given: Any) -> Tensor:
        """Draw n samples, (n, d) float32, in the units of the standardized data."""
        return torch.from_numpy(self._change.apply(self._sampler.sample(n, seed=seed, **given).numpy()))


class StandardizedRows:
    """A finite sampler whose vectors are shifted and scaled as the data's were; cf. `standardized`."""

    def __init__(self, sampler: FiniteSampler, change: Standardization) -> None:
        self.name = sampler.name
        self._sampler, self._change = sampler, change

    def __len__(self) -> int:
        return len(self._sampler)

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the samples of these numbers, (k, d) float32, in the units of the standardized data."""
        return torch.from_numpy(self._change.apply(self._sampler.rows(indices).numpy()))


def standardized(sampler: Sampler | FiniteSampler, change: Standardization | None) -> Sampler | FiniteSampler:
    """Let samples in the units of the source be scored against standardized data; None changes nothing."""
    if change is None:
        return sampler
    if isinstance(sampler, FiniteSampler):
        return StandardizedRows(sampler, change)
    return StandardizedSampler(sampler, change)
