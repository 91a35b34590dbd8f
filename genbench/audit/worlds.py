"""Data whose truth is known: Gaussians, classes, mixtures, and sets with copies, each drawn from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.audit.promises import Inputs
from genbench.definitions import Mixture

Array = NDArray[np.float64]
Draw = Callable[[int], Inputs]


def gaussians(n: int, d: int, *, scale: float = 1.0, shift: float = 0.0, m: int | None = None) -> Draw:
    """Draw generated N(shift e1, scale^2 I), n of it, and reference N(0, I), m of it (by default n)."""

    def draw(seed: int) -> Inputs:
        rng = np.random.default_rng(seed)
        generated = scale * rng.standard_normal((n, d))
        generated[:, 0] += shift
        return {"generated": generated, "reference": rng.standard_normal((m or n, d))}

    return draw


def known_gaussian(n: int, d: int, *, scale: float = 1.0, shift: float = 0.0) -> Draw:
    """Draw generated N(shift e1, scale^2 I) beside the density of N(0, I)."""
    truth = Mixture(centres=np.zeros((1, d)), std=1.0)

    def draw(seed: int) -> Inputs:
        return {**gaussians(n, d, scale=scale, shift=shift)(seed), "log_prob": truth.log_prob}

    return draw


def spectrum(n: int, d: int) -> Draw:
    """Draw two sets of one Gaussian with variances 1, 1/2, ..., 1/d."""
    deviations = np.arange(1, d + 1) ** -0.5

    def draw(seed: int) -> Inputs:
        rng = np.random.default_rng(seed)
        return {name: deviations * rng.standard_normal((n, d)) for name in ("generated", "reference")}

    return draw


def two_clouds(n: int, m: int, d: int) -> Draw:
    """Draw small sets with nothing special about them, for formulas that compute the score by other means."""
    return gaussians(n, d, scale=1.3, shift=0.6, m=m)


def one_hot(classes: NDArray[np.int64], k: int) -> Array:
    """Turn (n,) classes into (n, k) logits of a classifier that is sure."""
    return np.asarray(50.0 * np.eye(k)[classes])


def classes(n: int, shares: Array, other: Array | None = None, *, exact: bool = False) -> Draw:
    """Draw logits of n generated samples with the class shares, and n reference samples with the other shares.

    Parameters
    ----------
    n : int
        Of each set.
    shares, other : (K,) arrays
        By default the reference's are the same.
    exact : bool
        Every class comes ``share * n`` times, rounded, in place of a random number of times.
    """
    k = len(shares)

    def one(chances: Array, rng: np.random.Generator) -> Array:
        drawn = np.repeat(np.arange(k), np.rint(chances * n).astype(int)) if exact else rng.choice(k, n, p=chances)
        return one_hot(drawn, k)

    def draw(seed: int) -> Inputs:
        rng = np.random.default_rng(seed)
        return {"generated": one(shares, rng), "reference": one(shares if other is None else other, rng)}

    return draw


def dirichlet(n: int, alpha: Array) -> Draw:
    """Draw logits of n samples whose class probabilities are of a Dirichlet distribution."""

    def draw(seed: int) -> Inputs:
        shares = np.random.default_rng(seed).dirichlet(alpha, size=n)
        return {"generated": np.log(shares.clip(1e-300))}

    return draw


def ring(k: int = 8, *, radius: float = 4.0, std: float = 0.1) -> Mixture:
    """Return k far modes on a circle."""
    angles = 2 * math.pi * np.arange(k) / k
    return Mixture(centres=radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std=std)


def ring_modes(n: int, kept: int = 8, k: int = 8) -> Draw:
    """Draw from the first ``kept`` modes of a ring of k, beside the whole ring as the truth and as reference."""
    truth = ring(k)
    part = Mixture(centres=truth.centres[:kept], std=truth.std)

    def draw(seed: int) -> Inputs:
        rng = np.random.default_rng(seed)
        sets = {"generated": part.sample(n, rng), "reference": truth.sample(n, rng)}
        return {**sets, "mixture": truth, "log_prob": truth.log_prob}

    return draw


def three_sets(
    n: int, n_train: int, n_test: int, d: int, *, scale: float = 1.0, copies: float = 0.0, jitter: float = 0.0
) -> Draw:
    """Draw generated, train and test samples of N(0, I); the generated ones scaled, a share of them copied from train.

    Copies are of distinct training samples, with Gaussian jitter. ``reference`` is the training set.
    """

    def draw(seed: int) -> Inputs:
        rng = np.random.default_rng(seed)
        train, test = rng.standard_normal((n_train, d)), rng.standard_normal((n_test, d))
        generated = scale * rng.standard_normal((n, d))
        copied = round(copies * n)
        generated[:copied] = train[rng.choice(n_train, copied, replace=False)]
        generated[:copied] += jitter * rng.standard_normal((copied, d))
        return {"generated": generated, "train": train, "test": test, "reference": train}

    return draw


class Cells:
    """Factors that can be read off any event: cells on the first axis; the last ``unseen`` are never trained on.

    Cells are 1 / ``fine`` wide and numbered in turn, so that fine ones are all equally likely for any smooth density.
    """

    def __init__(self, combinations: int, unseen: int, *, fine: float = 1.0) -> None:
        self.combinations, self.fine = combinations, fine
        self.unseen = np.arange(combinations - unseen, combinations)

    def read(self, values: NDArray[Any], *, tolerance: float) -> NDArray[np.int64]:
        """Number the cell of every row."""
        return np.asarray(np.mod(np.floor(self.fine * values[:, 0]), self.combinations), dtype=np.int64)


def same_inputs(given: Inputs) -> Inputs:
    """Give the reference, row for row, as the generated set."""
    return {**given, "generated": given["reference"]}
