"""Exact distances, and fast ones with a bound on their error, in blocks of rows so that memory stays bounded.

What decides is a sum of squared differences in float64, never ``|x|^2 - 2 x.y + |y|^2``: the distance of two equal
rows is exactly zero, which ties, duplicates and copies depend on. The product form, some 16 times as fast in 512
dimensions, only says which few pairs need to be looked at; its error is bounded, so that it never decides itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import blas
from threadpoolctl import ThreadpoolController
from torch import Tensor

from genbench.errors import SampleError

BLOCK_BYTES = 2**26

GATHERED = 2**21
"""Bytes of rows that are gathered at a time to measure pairs; from the cache they are measured thrice as fast."""


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
    a, b : (..., n, d), (..., m, d) float64 or float32 tensors
        Leading dimensions are batches, as in `torch.cdist`. Float32 rows are taken for the float64 ones that they are.

    Returns
    -------
    (..., n, m) float64 tensor
        The same bits for the same two rows, in whatever shapes they come. O(n m d) operations.
    """
    a, b = a.to(torch.float64), b.to(torch.float64)
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def distances_of_pairs(a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Distances of the rows ``a[i]`` to the rows ``b[j]``, with the bits of `pairwise_distances`: (pairs,) float64."""
    found = torch.empty(len(i), dtype=torch.float64, device=a.device)
    step = max(1, (GATHERED if a.device.type == "cpu" else BLOCK_BYTES) // (8 * a.shape[1]))
    step = min(step, max(1, len(i)))
    first, second = a.new_empty((step, a.shape[1])), b.new_empty((step, b.shape[1]))
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        size = len(i[part])
        torch.index_select(a, 0, i[part], out=first[:size])
        torch.index_select(b, 0, j[part], out=second[:size])
        found[part] = pairwise_distances(first[:size, None], second[:size, None]).flatten()
    return found


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def torch_threads(most: int | None = None) -> Iterator[None]:
    """Let the BLAS of numpy and scipy use as many threads as torch does, or ``most``, if that is less."""
    threads = torch.get_num_threads()
    with _pools().limit(limits=threads if most is None else min(threads, most), user_api="blas"):
        yield


def inner_products(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of every row of a (n, d) with every row of b (m, d), float64: a new (n, m) tensor.

    On the CPU by scipy's BLAS, which on some processors is a fifth faster than torch's.
    """
    if a.device.type != "cpu" or len(a) * b.numel() < 2**24:
        return a @ b.T
    (own, own_turned), (other, other_turned) = _by_columns(a), _by_columns(b)
    with torch_threads():
        return torch.from_numpy(blas.dgemm(1.0, other, own, trans_a=other_turned, trans_b=not own_turned).T)


def _by_columns(table: Tensor) -> tuple[NDArray[np.float64], bool]:
    """Return a table or its transpose, whichever lies column by column as BLAS has it, and whether it is that."""
    values = table.numpy()
    return (values, False) if values.flags.f_contiguous else (values.T, True)


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
    points : (n, d) float64 or float32 tensor
    others : (m, d) float64 or float32 tensor

    Attributes
    ----------
    points, others
        As given.
    point_norms, other_norms : (n,), (m,) float64 tensors
        Distances to the mean of the others, on which both sets are centred, so that a common offset costs no digits.
    slack, floor, scale : float
        The bound is ``slack (|a| + |b|)^2 + floor``, squares being in units of ``scale``; here floor = 0 and scale = 1.

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
        self.centre = others.mean(dim=0, dtype=torch.float64)
        self._others = others - self.centre
        self.other_squares = self._others.square().sum(dim=1)
        if points is others:
            self.point_squares = self.other_squares
        else:
            parts = row_blocks(len(points), 4 * points.shape[1])
            self.point_squares = torch.cat([(points[p] - self.centre).square().sum(dim=1) for p in parts])
        self.point_norms, self.other_norms = self.point_squares.sqrt(), self.other_squares.sqrt()

        self.slack, self.floor, self.scale = 4 * (points.shape[1] + 8) * 2.0**-53, 0.0, 1.0

    def products(self, rows: slice | Tensor, first: int = 0) -> Tensor:
        """Return the inner products of some centred points with the others from ``first`` on, (rows, m - first)."""
        own = self._others[rows] if self.points is self.others else self.points[rows] - self.centre
        return inner_products(own, self._others[first:])

    def block(self, rows: slice | Tensor, first: int = 0) -> Tensor:
        """Return the squares of some points to the others from ``first`` on, within `bound` of the exact ones."""
        return self.squares(self.products(rows, first), rows, first)

    def squares(self, products: Tensor, rows: slice | Tensor, first: int = 0) -> Tensor:
        """Turn a block of inner products into one of squared distances, in place."""
        return products.mul_(-2).add_(self.other_squares[first:]).add_(self.point_squares[rows, None])

    def bound(self, point_norms: Tensor, other_norms: Tensor) -> Tensor:
        """Return the largest error of the squares between points and others of these norms, elementwise."""
        return self.slack * (point_norms + other_norms).square()
