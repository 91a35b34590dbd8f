"""Samplers over a fixed set of samples, as a file holds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError


class FileSampler(ABC):
    """A sampler over a finite set. Nothing but the rows asked for is read.

    Its samples are drawn without replacement, so that no score is moved by copies that the model never made.

    Attributes
    ----------
    name : str
        For tables and messages.
    """

    name: str

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return these samples in this order.

        Parameters
        ----------
        indices : (k,) int64 array
            In [0, len(self)).

        Returns
        -------
        Tensor
            Images uint8 (k, C, H, W), or vectors float32 (k, d).
        """

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Return n different samples in random order, for callers that know only `genbench.protocols.Sampler`.

        Parameters
        ----------
        n : int
            At most ``len(self)``. The first n of a larger choice with the same seed are the same samples.
        seed : int
            Of the choice and its order; files are often sorted by class, and estimators rely on exchangeable rows.

        Raises
        ------
        SampleError
            If there are fewer than n.
        """
        if n > len(self):
            raise SampleError(f"{self.name}: {n:,} samples expected, got {len(self):,}; generate more.")
        return self.rows(np.random.default_rng(seed).permutation(len(self))[:n])


class ArraySampler(FileSampler):
    """The rows of an array, which may be mapped from a file.

    Parameters
    ----------
    name : str
        For tables and messages.
    samples : (n, ...) tensor or array
        Anything that can be indexed by an int64 array.
    convert : callable
        Makes samples of rows, as `genbench.sampling.conversion.to_samples`; by default they are samples already.
    """

    def __init__(
        self, name: str, samples: Tensor | NDArray[Any], convert: Callable[[Any], Tensor] = torch.as_tensor
    ) -> None:
        self.name = name
        self._samples = samples
        self._convert = convert

    def __len__(self) -> int:
        return len(self._samples)

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return these samples in this order."""
        return self._convert(self._samples[indices])
