"""Controls: samplers of which it is known beforehand how they must score.

They stand in the tables below the models. If ``replay`` is not found to be memorized, or ``real`` scores badly, the
instrument is at fault; and a model that scores as ``gaussian`` does has learned two moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.definitions import Dataset, Split
from genbench.devices import one_thread
from genbench.metrics.features import Features
from genbench.metrics.moments import FOLD, MomentSums
from genbench.metrics.nearest import neighbours_within
from genbench.protocols import Sampler
from genbench.randomness import derive_seed
from genbench.sampling.files import ArraySampler

LEVELS = 8
"""The most that `replay-noise` adds to, or takes from, a pixel of 0 to 255."""

DEVIATION = 0.05
"""Noise of `replay-noise` on vectors, as a part of the deviation of all values of the training split."""

WIDEST = 4096
"""Values of an event up to which `gaussian` has the covariance of the whole training split."""


class Control(NamedTuple):
    """A sampler, and what it gives, in words for the tables."""

    sampler: Sampler
    about: str


def make_controls(data: Dataset, *, n: int, order: Callable[[Split], NDArray[np.int64]]) -> dict[str, Control]:
    """Make every control that the data allow, from the best there is to the worst that looks like it.

    Parameters
    ----------
    data : Dataset
    n : int
        Samples that are scored.
    order : callable
        Gives all rows of a split by number; the first n of them are those that scores compare with.

    Returns
    -------
    dict of str to Control
        ``real``: n real samples that no score compares with, of the held-out split as far as they go, else of the
        training split, else of what a smaller one leaves out; absent where there are too few. ``truth``: where the
        exact density is known and can be drawn from. ``gaussian``: the mean and the covariance of the training split,
        images rounded. ``replay``: the training samples that scores compare with, again and again where there are
        fewer than n; a model that replays a larger training set hits fewer of them. ``replay-noise``: those with noise,
        images with up to ``LEVELS`` levels, vectors with ``DEVIATION`` of their deviation or half the median distance
        to the next sample if that is less: further away it is no copy.

    Notes
    -----
    Deterministic: what noise there is has a fixed seed, and a draw's own seed decides the rest. O(n² d) for the noise
    on vectors, O(m d² + d³) for the covariance of m training samples.
    """
    order_of_train = order("train")[:n]
    train = data.train[np.resize(order_of_train, n)]  # of a training split with fewer, again and again
    made: dict[str, Control] = {}
    spare = _spare(data, n, order)
    if spare is not None:
        made["real"] = Control(ArraySampler("real", spare), "real samples that no score compares with")
    draw = getattr(data.density, "sample", None)
    if draw is not None:
        made["truth"] = Control(Drawn("truth", draw, image=False), "exact samples of the known density")
    made["gaussian"] = Control(
        Drawn("gaussian", Gaussian(data.train).draw, image=_is_image(data)),
        "a normal distribution with the mean and covariance of the training samples",
    )
    noisy, noise = near_copies(train, seed=derive_seed(0, "replay-noise"))
    made["replay-noise"] = Control(ArraySampler("replay-noise", noisy), f"training samples with noise of {noise}")
    made["replay"] = Control(ArraySampler("replay", train), "training samples as they are")
    return made


def _is_image(data: Dataset) -> bool:
    return data.train.dtype == np.uint8


def _spare(data: Dataset, n: int, order: Callable[[Split], NDArray[np.int64]]) -> NDArray[Any] | None:
    """Return n real samples that are in neither reference, (n, *event); None where there are fewer."""
    held_out, train, left = order("test")[n : 2 * n], order("train")[n:], data.split("spare")
    found = np.concatenate([data.test[held_out], data.train[train[:n]], left[:n]])
    return found[:n] if len(found) >= n else None


def near_copies(samples: NDArray[Any], *, seed: int) -> tuple[NDArray[Any], str]:
    """Add noise that leaves every sample nearer to its own original than to most others; say how much.

    Parameters
    ----------
    samples : (n, C, H, W) uint8 or (n, d) float32 array
    seed : int

    Returns
    -------
    samples : array
        Of the same shape and dtype.
    noise : str
        Its size in words.
    """
    rng = np.random.default_rng(seed)
    if samples.dtype == np.uint8:
        steps = rng.integers(-LEVELS, LEVELS + 1, size=samples.shape, dtype=np.int16)
        return np.clip(samples + steps, 0, 255).astype(np.uint8), f"up to {LEVELS} levels"
    distances, _ = neighbours_within(Features(samples), 1).kth(1, positive=True)
    between = float(distances.median())  # infinite where no two samples differ
    std = min(DEVIATION * float(samples.std(dtype=np.float64)), 0.5 * between / math.sqrt(samples.shape[1]))
    noisy = samples + std * rng.standard_normal(samples.shape)
    return noisy.astype(np.float32), f"deviation {std:.3g}"


class Drawn:
    """A sampler of a distribution that numpy can draw from.

    Parameters
    ----------
    name : str
    draw : callable
        (n, generator) to an (n, *event) array, as `genbench.definitions.Mixture.sample`.
    image : bool
        Round and clip to uint8.
    """

    def __init__(
        self, name: str, draw: Callable[[int, np.random.Generator], NDArray[np.float64]], *, image: bool
    ) -> None:
        self.name = name
        self._draw = draw
        self._image = image

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draw n samples: uint8 (n, C, H, W), or float32 (n, d)."""
        found = self._draw(n, np.random.default_rng(seed))
        if self._image:
            return torch.from_numpy(np.clip(np.rint(found), 0, 255).astype(np.uint8))
        return torch.from_numpy(found.astype(np.float32))


class Gaussian:
    """The normal distribution with the moments of a set.

    Of events with more than `WIDEST` values, whose covariance would not fit, the first `WIDEST` samples are taken: a
    covariance of their rank, without forming it.

    Parameters
    ----------
    samples : (m, *event) array
        At least 2.
    """

    def __init__(self, samples: NDArray[Any]) -> None:
        self._shape = samples.shape[1:]
        d = math.prod(self._shape)
        with one_thread():
            if d > WIDEST:
                rows = torch.from_numpy(samples[:WIDEST].reshape(-1, d).astype(np.float64))
                self._mean = rows.mean(dim=0)
                self._factor = (rows - self._mean) / math.sqrt(len(rows) - 1)
                return
            sums = MomentSums(len(samples), d, 0)
            for start in range(0, len(samples), FOLD):
                sums.add(torch.from_numpy(samples[start : start + FOLD].reshape(-1, d).astype(np.float64)))
            _, self._mean, covariance = sums.moments()
            values, vectors = torch.linalg.eigh(covariance)
            # The symmetric root is unique, where a factor by eigenvectors alone would have arbitrary signs.
            self._factor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw (n, *event)."""
        with one_thread():
            points = self._mean + torch.from_numpy(rng.standard_normal((n, len(self._factor)))) @ self._factor
        drawn: NDArray[np.float64] = points.reshape(n, *self._shape).numpy()
        return drawn
