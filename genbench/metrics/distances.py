"""Exact distances, and fast ones with a bound on their error, in blocks of rows so that memory stays bounded.

What decides is a sum of squared differences in float64, never ``|x|^2 - 2 x.y + |y|^2``: the distance of two equal
rows is exactly zero, which ties, duplicates and copies depend on. The product form, some 16 times as fast in 512
dimensions, only says which few pairs need to be looked at; its error is bounded, so that it never decides itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from genbench.errors import SampleError

BLOCK_BYTES = 2**26


class Wide(Protocol):
    """Anything with a number of columns."""

    @property
    def d(self) -> int:
        """How many there are."""


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut rows into blocks of at most `BLOCK_BYTES` of float64, one row at least."""
    step = max(1, BLOCK_BYTES // (8 * max(columns, 1)))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def pairwise_distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances of every row of ``a`` to every row of ``b``, as differences.

    Parameters
    ----------
    a, b : (..., n, d), (..., m, d) float64 tensors
        Leading dimensions are batches, as in `torch.cdist`.

    Returns
    -------
    (..., n, m) float64 tensor
        The same bits for the same two rows, in whatever shapes they come. O(n m d) operations.
    """
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def distances_of_pairs(a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Distances of the rows ``a[i]`` to the rows ``b[j]``, with the bits of `pairwise_distances`: (pairs,)."""
    found = [pairwise_distances(a[i[s], None], b[j[s], None]).flatten() for s in row_blocks(len(i), 2 * a.shape[1])]
    return torch.cat(found) if found else a.new_zeros(0)


def check_widths(metric: str, generated: Wide, reference: Wide) -> None:
    """Refuse two sets of features of different widths.

    Raises
    ------
    SampleError
        Naming the metric and both widths.
    """
    if generated.d != reference.d:
        raise SampleError(
            f"{metric}: generated and reference features of equal width expected, got {generated.d} and "
            f"{reference.d}; take both from the same layer of the same extractor."
        )


class SquaredDistances:
    """Squared distances by matrix products, each with a bound on how far it is from the exact one.

    Parameters
    ----------
    points : (n, d) float64 tensor
    others : (m, d) float64 tensor

    Attributes
    ----------
    points, others
        As given.
    point_norms, other_norms : (n,), (m,) float64 tensors
        Distances to the mean of the others, on which both sets are centred, so that a common offset costs no digits.

    Notes
    -----
    The bound. Let u = 2^-53, and S = |a| + |b| for the centred rows a and b. Centring rounds every coordinate by at
    most u of its size, which moves the squared distance by at most 2 u S^2 (1 + u). Norms, product and their
    sum, of d + 2 roundings each, err by at most (d + 3) u (|a| + |b|)^2, in whatever order or with fused operations
    they are taken. The exact form's own rounding, its root, and the squaring of a radius come to (d + 6) u S^2, as the
    distance is at most S. In all (2 d + 11) u S^2; `bound` is twice that and more, which also covers the terms
    of second order for every d below 2^40, and the rounding of S itself.
    """

    def __init__(self, points: Tensor, others: Tensor) -> None:
        self.points, self.others = points, others
        centre = others.mean(dim=0)
        self._others = others - centre
        self._points = self._others if points is others else points - centre
        self._point_squares = self._points.square().sum(dim=1)
        self._other_squares = self._others.square().sum(dim=1)
        self.point_norms = self._point_squares.sqrt()
        self.other_norms = self._other_squares.sqrt()

    def block(self, rows: slice | Tensor, first: int = 0) -> Tensor:
        """Return the squares of some points to the others from ``first`` on, within `bound` of the exact ones."""
        squares = torch.addmm(self._other_squares[first:], self._points[rows], self._others[first:].T, alpha=-2)
        return squares.add_(self._point_squares[rows, None])

    def bound(self, point_norms: Tensor, other_norms: Tensor) -> Tensor:
        """Return the largest error of the squares between points and others of these norms, elementwise."""
        return 4 * (self._points.shape[1] + 8) * 2.0**-53 * (point_norms + other_norms).square()
