"""Squared distances in single precision, with a bound on their error: they only say which pairs to look at."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.metrics.distances import torch_threads
from genbench.metrics.single_products import add_own_products, add_products, mirror_upper

CHUNK = 256
"""So many products are summed in single precision before the sum goes into memory; the bound grows with it."""

CENTRED = 64
"""So many rows are centred and rounded at a time: in the cache that takes a seventh of the time."""

Chunks = list[NDArray[np.float32]]


class SingleSquares:
    """Squared distances as `genbench.metrics.distances.SquaredDistances`, twice as fast and less exact; on the CPU.

    Parameters
    ----------
    points : (n, d) float64 or float32 tensor
    others : (m, d) float64 or float32 tensor

    Attributes
    ----------
    scale : float
        The unit of length in which squares are given, a power of two, so that they neither overflow nor vanish.
    centre : (d,) float64 tensor
        The others' mean.
    point_norms, other_norms : (n,), (m,) float64 tensors
        Distances to the others' mean, in that unit.
    slack, floor : float
        Between rows of norms |a| and |b| in that unit, the error of the square is at most
        ``slack (|a| + |b|)^2 + floor``.

    Notes
    -----
    The bound. Let v = 2^-24, K the number of chunks, N = CHUNK + K, and S = |a| + |b|. Rounding the centred rows to
    single precision moves a distance by at most v S, and its square by 2 v S^2. A term of a product passes through N
    roundings at most, in whatever order a chunk is summed, so that twice the product errs by at most 2 g |a| |b| with
    g = N v / (1 - N v), that is by g S^2 / 2. Rounding the squared norms comes to v S^2, and their two sums with the
    product to 2 v S^2. What is exact only in float64 comes to less than (d + 8) 2^-51 S^2. ``slack`` is the sum of
    these, 5 v + g / 2 and that, with v and g / 100 more for the terms of second order, which are below
    (5 v + g)^2 and so within that for N < 150,000. Numbers below the smallest single one are lost, at most 2^-120 a
    coordinate.
    """

    def __init__(self, points: Tensor, others: Tensor) -> None:
        self.points, self.others = points, others
        self.centre, least, largest = _columns(others)
        if points is not others:
            _, low, high = _columns(points)
            least, largest = torch.minimum(least, low), torch.maximum(largest, high)
        most = max(float((self.centre - least).max()), float((largest - self.centre).max()))
        self.scale = 2.0 ** float(np.ceil(np.log2(most))) if most > 0 else 1.0
        self._others = self._rounded(others)
        terms = (CHUNK + len(self._others)) * 2.0**-24
        self.slack = 0.51 * terms / (1 - terms) + 6 * 2.0**-24 + (points.shape[1] + 8) * 2.0**-51
        self.floor = points.shape[1] * 2.0**-120

    def products(self, rows: slice, first: int = 0) -> Tensor:
        """Return inner products of some centred points with the others from ``first`` on: (rows, m - first) float32.

        In units of ``scale`` squared, as the squares are.
        """
        within = self.points is self.others
        ours = [chunk[rows] for chunk in self._others] if within else self._rounded(self.points[rows])
        products = np.empty((len(ours[0]), len(self.others) - first), np.float32)
        # Where a set's rows meet themselves half of the products are the other half.
        own = len(products) if within and first == rows.start else 0
        with torch_threads():
            for number, (mine, theirs) in enumerate(zip(ours, self._others, strict=True)):
                add_products(products[:, own:], mine, theirs[first + own :], empty=number == 0)
                if own:
                    add_own_products(products[:, :own], mine, empty=number == 0)
        if own:
            mirror_upper(products[:, :own])
        return torch.from_numpy(products)

    def squares(self, products: Tensor, rows: slice, first: int = 0) -> Tensor:
        """Turn a block of inner products into one of squared distances, in place."""
        columns = torch.from_numpy(self._other_squares[first:].astype(np.float32))
        torch.add(columns, products, alpha=-2, out=products)
        return products.add_(torch.from_numpy(self._point_squares[rows].astype(np.float32))[:, None])

    def block(self, rows: slice, first: int = 0) -> Tensor:
        """Return the squares of some points to the others from ``first`` on: (rows, m - first) float32 tensor."""
        return self.squares(self.products(rows, first), rows, first)

    @cached_property
    def _other_squares(self) -> NDArray[np.float64]:
        """Squared norms of the others, for which not everybody asks."""
        return _squared_norms(self._others)

    @cached_property
    def _point_squares(self) -> NDArray[np.float64]:
        """Squared norms of the points. Of another set they are rounded once more here, as no copy of them is held.

        That costs less than a hundredth of the products.
        """
        if self.points is self.others:
            return self._other_squares
        return np.concatenate([_squared_norms(self._rounded(self.points[part])) for part in _parts(self.points)])

    @property
    def point_norms(self) -> Tensor:
        """Distances of the points to the others' mean, (n,) float64, in units of ``scale``."""
        return torch.from_numpy(self._point_squares).sqrt()

    @property
    def other_norms(self) -> Tensor:
        """Distances of the others to their mean, (m,) float64, in units of ``scale``."""
        return torch.from_numpy(self._other_squares).sqrt()

    def _rounded(self, values: Tensor) -> Chunks:
        """Centre and scale rows, and round them to single precision, in chunks of columns."""
        starts = range(0, values.shape[1], CHUNK)
        chunks = [np.empty((len(values), min(CHUNK, values.shape[1] - s)), np.float32) for s in starts]
        for part in _parts(values):
            scaled = ((values[part] - self.centre).mul_(1 / self.scale)).float().numpy()
            for chunk, start in zip(chunks, starts, strict=True):
                chunk[part] = scaled[:, start : start + CHUNK]
        return chunks


def _squared_norms(chunks: Chunks) -> NDArray[np.float64]:
    """Return the rows' squared norms, (n,), of the numbers in single precision, summed in double."""
    squares: NDArray[np.float64] = np.sum(
        [np.einsum("ij,ij->i", chunk, chunk, dtype=np.float64) for chunk in chunks], axis=0
    )
    return squares


def _columns(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the columns' means, least and largest numbers, (d,) float64 each."""
    total = torch.zeros(values.shape[1], dtype=torch.float64)
    least, largest = values[0].double(), values[0].double()
    for part in _parts(values):
        rows = values[part].double()
        total += rows.sum(dim=0)
        least, largest = torch.minimum(least, rows.amin(dim=0)), torch.maximum(largest, rows.amax(dim=0))
    return total / len(values), least, largest


def _parts(values: Tensor) -> Iterator[slice]:
    for start in range(0, len(values), CENTRED):
        yield slice(start, min(start + CENTRED, len(values)))
