"""Squared distances in single precision, with a bound on their error: they only say which pairs to look at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import blas
from torch import Tensor

from genbench.metrics.distances import row_blocks, torch_threads

CHUNK = 256
"""So many products are summed in single precision before the sum goes into memory; the bound grows with it."""

Chunks = list[NDArray[np.float32]]


class SingleSquares:
    """Squared distances as `genbench.metrics.distances.SquaredDistances`, twice as fast and less exact; on the CPU.

    Parameters
    ----------
    points : (n, d) float64 tensor
    others : (m, d) float64 tensor

    Attributes
    ----------
    scale : float
        The unit of length in which squares are given, a power of two, so that they neither overflow nor vanish.
    point_norms, other_norms : (n,), (m,) float64 tensors
        Distances to the others' mean, in that unit.
    slack, floor : float
        Between rows of norms |a| and |b| in that unit, the error of the square is at most
        ``slack (|a| + |b|)^2 + floor``.

    Notes
    -----
    The bound. Let v = 2^-24, K the number of chunks, and S = |a| + |b|. Rounding the centred rows to single precision
    moves a distance by at most v S, its square by 2 v S^2. Twice the product, summed in chunks of `CHUNK` which then
    are added up, errs by at most 2 (CHUNK + K) v |a| |b| <= (CHUNK + K) v S^2 / 2, in whatever order a chunk is summed.
    Rounding the norms and two sums come to 4 v S^2; what is exact only in float64, to less than (d + 8) 2^-51 S^2.
    ``slack`` is twice the sum of these. Numbers below the smallest single one are lost, at most 2^-120 a coordinate.
    """

    def __init__(self, points: Tensor, others: Tensor) -> None:
        self.points, self.others = points, others
        self.centre = others.mean(dim=0)
        sets = (others,) if points is others else (others, points)
        most = max(float((v[part] - self.centre).abs().max()) for v in sets for part in _parts(v))
        self.scale = 2.0 ** float(np.ceil(np.log2(most))) if most > 0 else 1.0
        d = points.shape[1]
        self._starts = range(0, d, CHUNK)
        self._others: Chunks = [np.empty((len(others), min(CHUNK, d - s)), np.float32) for s in self._starts]
        for part in _parts(others):
            for whole, piece in zip(self._others, self._rounded(others[part]), strict=True):
                whole[part] = piece
        self._other_squares = _lengths(self._others)
        if points is others:
            self._point_squares = self._other_squares
        else:
            self._point_squares = np.concatenate([_lengths(self._rounded(points[part])) for part in _parts(points)])
        self.point_norms = torch.from_numpy(self._point_squares).sqrt()
        self.other_norms = torch.from_numpy(self._other_squares).sqrt()
        self.slack = (CHUNK + len(self._others) + 16) * 2.0**-24 + (d + 8) * 2.0**-50
        self.floor = d * 2.0**-120

    def block(self, rows: slice, first: int = 0) -> Tensor:
        """Return the squares of some points to the others from ``first`` on: (rows, m - first) float32 tensor."""
        if self.points is self.others:
            own = [chunk[rows] for chunk in self._others]
        else:
            own = self._rounded(self.points[rows])
        squares = np.empty((len(own[0]), len(self.others) - first), np.float32)
        with torch_threads():
            for number, (ours, theirs) in enumerate(zip(own, self._others, strict=True)):
                # Fortran's order is that of the transpose: nothing is copied.
                blas.sgemm(-2.0, theirs[first:].T, ours.T, float(number > 0), squares.T, trans_a=True, overwrite_c=True)
        found = torch.from_numpy(squares).add_(torch.from_numpy(self._other_squares[first:].astype(np.float32)))
        return found.add_(torch.from_numpy(self._point_squares[rows].astype(np.float32))[:, None])

    def _rounded(self, values: Tensor) -> Chunks:
        """Centre and scale rows, and round them to single precision, in chunks of columns."""
        scaled = ((values - self.centre) / self.scale).float().numpy()
        return [np.ascontiguousarray(scaled[:, start : start + CHUNK]) for start in self._starts]


def _parts(values: Tensor) -> Iterator[slice]:
    return row_blocks(len(values), 8 * values.shape[1])


def _lengths(chunks: Chunks) -> NDArray[np.float64]:
    """Squared norms of rounded rows, (n,)."""
    total = np.zeros(len(chunks[0]))
    for chunk in chunks:
        total += np.einsum("ij,ij->i", chunk, chunk, dtype=np.float64)
    return total
