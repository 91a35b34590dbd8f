"""Exact distances and nearest neighbours, fast and in blocks of rows so that memory stays bounded.

What decides is a sum of squared differences in float64, never ``|x|^2 - 2 x.y + |y|^2``: the distance of two equal
rows is exactly zero, which ties, duplicates and copies depend on. The product form, some 16 times as fast in 512
dimensions, only says which few pairs need to be looked at; its error is bounded, so that it never decides itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.features import Features

BLOCK_BYTES = 2**26

SHARED_DEPTH = 40
"""Lists of neighbours are this deep at least, so that metrics with a small k share them."""

SPARE = 8
"""How many more candidates the product form proposes than are kept."""


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


def check_widths(metric: str, generated: Features, reference: Features) -> None:
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

    def block(self, rows: slice) -> Tensor:
        """Return the squares of a block of points to all others: (rows, m), within `bound` of the exact ones."""
        squares = torch.addmm(self._other_squares, self._points[rows], self._others.T, alpha=-2)
        return squares.add_(self._point_squares[rows, None])

    def bound(self, point_norms: Tensor, other_norms: Tensor) -> Tensor:
        """Return the largest error of the squares between points and others of these norms, elementwise."""
        return 4 * (self._points.shape[1] + 8) * 2.0**-53 * (point_norms + other_norms).square()


class NeighbourLists:
    """The nearest neighbours of each of ``points`` among ``others``, which also answer for subsets of the others.

    Parameters
    ----------
    points : (n, d) float64 tensor
    others : (m, d) float64 tensor
        The same tensor as ``points`` to search within one set; a point is then no neighbour of itself.
    depth : int
        How many neighbours to keep. A question that they cannot answer is answered from all distances of
        the points concerned, so that every answer is exact, and ``depth`` decides about time alone.

    Notes
    -----
    O(n m d) operations, as matrix products; the candidates they propose are measured exactly, and a point whose
    candidates could miss a neighbour (one of many at nearly the same distance) is measured against all others.
    One block of distances and (n, depth) distances and indices of memory.
    """

    def __init__(self, points: Tensor, others: Tensor, depth: int) -> None:
        self.points = points
        self.others = others
        depth = min(depth, len(others))
        squares = SquaredDistances(points, others)
        found = [self._nearest(squares, rows, depth) for rows in row_blocks(len(points), len(others))]
        self.distances = torch.cat([distances for distances, _ in found])
        self.indices = torch.cat([indices for _, indices in found])

    def _nearest(self, squares: SquaredDistances, rows: slice, depth: int) -> tuple[Tensor, Tensor]:
        """Find the nearest others of a block of points: distances in ascending order, and indices, (rows, depth)."""
        block = squares.block(rows)
        numbers = torch.arange(rows.start, rows.stop, device=block.device)
        if self.points is self.others:
            block[torch.arange(len(numbers), device=block.device), numbers] = torch.inf
        width = min(depth + SPARE, len(self.others))
        proposed = block.topk(width, dim=1, largest=False, sorted=True)
        indices = proposed.indices
        distances = self._distances_to(numbers, indices)
        order = distances.argsort(dim=1, stable=True)[:, :depth]
        distances, indices = distances.gather(1, order), indices.gather(1, order)
        if width < len(self.others):
            # A neighbour that was not proposed is closer by the exact form than one that was kept only if their
            # squares differ by less than both errors.
            error = squares.bound(squares.point_norms[rows], squares.other_norms.max())
            unsure = proposed.values[:, -1] - error <= distances[:, -1].square() + error
            missing = torch.nonzero(unsure).squeeze(1)
            for part in row_blocks(len(missing), len(self.others)):
                nearest = self._to_others(numbers[missing[part]]).topk(depth, dim=1, largest=False, sorted=True)
                distances[missing[part]], indices[missing[part]] = nearest
        return distances, indices

    def _distances_to(self, numbers: Tensor, indices: Tensor) -> Tensor:
        """Measure some points exactly against the others proposed for each: (rows, width), infinite to themselves."""
        distances = torch.cat(
            [
                pairwise_distances(self.points[numbers[part], None], self.others[indices[part]]).squeeze(1)
                for part in row_blocks(len(numbers), indices.shape[1] * self.points.shape[1])
            ]
        )
        if self.points is self.others:
            distances[indices == numbers[:, None]] = torch.inf
        return distances

    def _to_others(self, rows: Tensor) -> Tensor:
        """Return the distances of some points to all others, infinite to themselves, so that they come last."""
        distances = pairwise_distances(self.points[rows], self.others)
        if self.points is self.others:
            distances[torch.arange(len(rows), device=rows.device), rows] = torch.inf
        return distances

    def kth(self, k: int, alive: Tensor | None = None, *, positive: bool = False) -> tuple[Tensor, Tensor]:
        """Find the distance of every point to its k-th nearest neighbour.

        Parameters
        ----------
        k : int
            At least 1.
        alive : (m,) bool tensor or None
            Which of the others to search; None is all.
        positive : bool
            Where that distance would be zero, take the first positive one instead.

        Returns
        -------
        radius : (n,) float64 tensor
            Infinite where there is no such neighbour.
        rank : (n,) int64 tensor
            Which nearest neighbour it is: k, or more where ``positive`` raised it.
        """
        radius, rank = _kth_listed(self.distances, self.indices, k, alive, positive)
        if self.distances.shape[1] < len(self.others):
            missing = torch.nonzero(torch.isinf(radius)).squeeze(1)
            for rows in row_blocks(len(missing), len(self.others)):
                far = self._to_others(missing[rows]).sort(dim=1)
                found = _kth_listed(far.values, far.indices, k, alive, positive)
                radius[missing[rows]], rank[missing[rows]] = found
        return radius, rank


def _kth_listed(
    distances: Tensor, indices: Tensor, k: int, alive: Tensor | None, positive: bool
) -> tuple[Tensor, Tensor]:
    """Answer `NeighbourLists.kth` from lists in ascending order; infinite where a list ends too early."""
    usable = torch.ones_like(indices, dtype=torch.bool) if alive is None else alive[indices]
    order = usable.cumsum(dim=1, dtype=torch.int32)
    wanted = torch.full((len(distances),), k, dtype=torch.int64, device=distances.device)
    if positive:
        wanted = torch.maximum(wanted, (usable & (distances == 0)).sum(dim=1) + 1)
    hits = usable & (order == wanted[:, None])
    position = hits.to(torch.uint8).argmax(dim=1, keepdim=True)
    radius = distances.gather(1, position).squeeze(1)
    return torch.where(hits.any(dim=1), radius, torch.inf), wanted


def neighbours_within(features: Features, depth: int) -> NeighbourLists:
    """Return, and remember, the neighbours of every sample within its own set: ``depth`` of them or more."""
    depth = max(depth, SHARED_DEPTH)
    return features.remember(
        ("neighbours within", depth), lambda: NeighbourLists(features.values, features.values, depth)
    )


def neighbours_among(features: Features, others: Features, depth: int) -> NeighbourLists:
    """Return, and remember with ``features``, the neighbours of its samples in another set: ``depth`` or more."""
    depth = max(depth, SHARED_DEPTH)
    return features.remember(
        ("neighbours among", others, depth), lambda: NeighbourLists(features.values, others.values, depth)
    )
