"""Points whose density is known though it is no mixture: noisy curves, by quadrature, and a checkerboard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import log_ndtr

from genbench.definitions import Dataset
from genbench.errors import SampleError
from genbench.randomness import derive_seed

TRAIN_SIZE = 20_000
TEST_SIZE = 5_000

_ROWS = 1_000
"""Points whose density is computed at a time."""

_HALVINGS = 10
"""Of the panels at both ends of a curve."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoisyCurve:
    """A point drawn from curves in the plane, plus isotropic Gaussian noise.

    The density is an integral along the curves, ``∫ N(x; c(t), std² I) p(t) dt``, taken by Gauss-Legendre quadrature
    with nodes at most ``std`` / 4 apart: off by less than 1e-8 nats, on the curve and 50 deviations from it.

    Attributes
    ----------
    nodes : (m, 2) array, float64
        Points of the quadrature on the curves.
    weights : (m,) array, float64
        Theirs; they sum to 1.
    std : float
        Of the noise along either axis.
    """

    nodes: NDArray[np.float64]
    weights: NDArray[np.float64]
    std: float

    def log_prob(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Log density in nats at each row of x, shape (n, 2) -> (n,); O(n m)."""
        points = _points(x, 2)
        found = np.empty(len(points))
        for start in range(0, len(points), _ROWS):
            rows = points[start : start + _ROWS]
            exponents = -0.5 / self.std**2 * cdist(rows, self.nodes, "sqeuclidean")
            top = exponents.max(axis=1)
            found[start : start + _ROWS] = top + np.log(np.exp(exponents - top[:, None]) @ self.weights)
        return np.asarray(found - math.log(2 * math.pi * self.std**2))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """A noisy curve in the first and third axis, drawn out evenly along the second, with the same noise there.

    Attributes
    ----------
    curve : NoisyCurve
    width : float
        The second coordinate is uniform on [0, width] before the noise.
    """

    curve: NoisyCurve
    width: float

    def log_prob(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Log density in nats at each row of x, shape (n, 3) -> (n,)."""
        points = _points(x, 3)
        # The density of uniform plus normal is (Φ(b) - Φ(a)) / width. Reflected to the lower tail, where the logarithms
        # of Φ are exact however far out.
        middle = np.abs(points[:, 1] - self.width / 2) / self.curve.std
        half = self.width / 2 / self.curve.std
        upper, lower = log_ndtr(half - middle), log_ndtr(-half - middle)
        across = upper + np.log1p(-np.exp(lower - upper)) - math.log(self.width)
        return np.asarray(self.curve.log_prob(points[:, ::2]) + across)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkerboard:
    """Uniform on every other square of a board around the origin.

    Attributes
    ----------
    side : float
        Of a square.
    count : int
        Squares along an edge of the board, even.
    """

    side: float
    count: int

    def squares(self, x: NDArray[Any]) -> NDArray[np.int64]:
        """Number of the square of each row of x, (n, 2) -> (n,): from 0 along the columns; -1 outside all of them."""
        columns, rows = np.floor(_points(x, 2) / self.side + self.count / 2).T
        inside = (columns >= 0) & (columns < self.count) & (rows >= 0) & (rows < self.count)
        filled = inside & ((columns + rows) % 2 == 0)
        number = columns * (self.count // 2) + rows // 2
        return np.where(filled, number, -1).astype(np.int64)

    def log_prob(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Log density in nats at each row of x, shape (n, 2) -> (n,); minus infinity outside the squares."""
        density = 1 / (self.side**2 * self.count**2 / 2)
        return np.where(self.squares(x) >= 0, math.log(density), -math.inf)


def _points(x: NDArray[Any], d: int) -> NDArray[np.float64]:
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != d:
        raise SampleError(f"density: points of shape (n, {d}) expected, got {points.shape}.")
    return points


@cache
def swissroll() -> Dataset:
    """Draw from a Swiss roll: a spiral in the first and third axis, drawn out along the second, with noise.

    t is uniform on [1.5 π, 4.5 π], the point (t cos t, y, t sin t) with y uniform on [0, 21], as in scikit-learn's
    ``make_swiss_roll``, plus Gaussian noise of standard deviation 0.5 along every axis.

    Returns
    -------
    Dataset
        ``train`` (20000, 3) and ``test`` (5000, 3), float32, with the exact ``log_prob`` (an integral along the spiral,
        accurate to 1e-8 nats). The same object on every call; treat its arrays as read-only.

    References
    ----------
    S. Marsland, Machine Learning: An Algorithmic Perspective, 2nd edition, chapter 6.
    """
    low, high, width, std = 1.5 * math.pi, 4.5 * math.pi, 21.0, 0.5
    speed = math.hypot(1, high)  # of the curve t (cos t, sin t), greatest at its end
    t, weights = _quadrature(low, high, step=std / 4 / speed)
    curve = NoisyCurve(nodes=_spiral(t), weights=weights, std=std)

    def draw(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        flat = _spiral(rng.uniform(low, high, n))
        clean = np.stack([flat[:, 0], rng.uniform(0, width, n), flat[:, 1]], axis=1)
        return clean + std * rng.standard_normal((n, 3))

    train, test = (draw(_rng("swissroll", split), n) for split, n in (("train", TRAIN_SIZE), ("test", TEST_SIZE)))
    return Dataset(
        name="swissroll",
        train=train.astype(np.float32),
        test=test.astype(np.float32),
        density=Sheet(curve=curve, width=width),
    )


@cache
def moons() -> Dataset:
    """Draw from two moons: interleaving half circles of radius 1 with Gaussian noise of standard deviation 0.1.

    The circles are those of scikit-learn's ``make_moons``: (cos a, sin a) and (1 - cos a, 1/2 - sin a), a uniform on
    [0, π].

    Returns
    -------
    Dataset
        ``train`` (20000, 2) and ``test`` (5000, 2), float32, labelled by moon, with the exact ``log_prob`` (an integral
        along the circles, accurate to 1e-8 nats). The same object on every call; treat its arrays as read-only.
    """
    std = 0.1
    angles, weights = _quadrature(0, math.pi, step=std / 4)
    nodes = np.concatenate([_moon(angles, np.zeros(len(angles))), _moon(angles, np.ones(len(angles)))])
    curve = NoisyCurve(nodes=nodes, weights=np.concatenate([weights, weights]) / 2, std=std)

    def draw(rng: np.random.Generator, n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        labels = rng.integers(2, size=n)
        points = _moon(rng.uniform(0, math.pi, n), labels) + std * rng.standard_normal((n, 2))
        return points.astype(np.float32), labels

    train, train_labels = draw(_rng("moons", "train"), TRAIN_SIZE)
    test, test_labels = draw(_rng("moons", "test"), TEST_SIZE)
    return Dataset(
        name="moons", train=train, test=test, train_labels=train_labels, test_labels=test_labels, density=curve
    )


@cache
def checkerboard() -> Dataset:
    """Draw uniformly from the eight filled squares of a 4 x 4 board on [-4, 4]².

    Returns
    -------
    Dataset
        ``train`` (20000, 2) and ``test`` (5000, 2), float32, labelled by square from 0 to 7, with the exact
        ``log_prob``: -log 32 in the squares, minus infinity elsewhere. The same object on every call; treat its arrays
        as read-only.

    References
    ----------
    W. Grathwohl et al., FFJORD, arXiv:1810.01367.
    """
    board = Checkerboard(side=2.0, count=4)

    def draw(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        columns, half = rng.integers(board.count, size=n), rng.integers(board.count // 2, size=n)
        corner = np.stack([columns, 2 * half + columns % 2], axis=1) - board.count / 2
        return (board.side * (corner + rng.random((n, 2)))).astype(np.float32)

    train, test = (draw(_rng("checkerboard", split), n) for split, n in (("train", TRAIN_SIZE), ("test", TEST_SIZE)))
    return Dataset(
        name="checkerboard",
        train=train,
        test=test,
        train_labels=board.squares(train),
        test_labels=board.squares(test),
        density=board,
    )


def _rng(name: str, split: str) -> np.random.Generator:
    return np.random.default_rng(derive_seed(0, name, split))


def _spiral(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(t[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1))


def _moon(angles: NDArray[np.float64], labels: NDArray[Any]) -> NDArray[np.float64]:
    upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.where(labels[:, None] == 0, upper, np.array([1.0, 0.5]) - upper)


def _quadrature(low: float, high: float, *, step: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of a mean over [low, high]: Gauss-Legendre of order 8 in panels, at most ``step`` apart.

    The panels at both ends are halved again and again: seen from far off, the integrand falls steeply from an end.
    """
    nodes, weights = np.polynomial.legendre.leggauss(8)
    panel = step / (np.diff(nodes).max() / 2)
    even = np.linspace(0, 1, math.ceil((high - low) / panel) + 1)
    ends = even[1] * 0.5 ** np.arange(1, _HALVINGS + 1)
    edges = low + (high - low) * np.unique(np.concatenate([even, ends, 1 - ends]))
    centres, halves = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    grid = (centres[:, None] + halves[:, None] * nodes).ravel()
    return grid, (halves[:, None] * weights).ravel() / (high - low)
