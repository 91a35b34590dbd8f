"""Nearest neighbours within a set and between two, exact, ladder: distances -> proposals -> lists -> questions.

One sweep over the distances of two sets lists the neighbours of either one's samples in the other, and the distances
within a set are gone through in one half; all metrics of an evaluation, and their replicates, ask these lists.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.metrics.distances import SquaredDistances, pairwise_distances, row_blocks
from genbench.metrics.features import Features

SHARED_DEPTH = 40
"""Lists of neighbours are this deep at least, so that metrics with a small k share them."""

SPARE = 8
"""How many more candidates the product form proposes than are kept."""


class NeighbourLists:
    """The nearest neighbours of each of ``points`` among ``others``, which also answer for subsets of the others.

    Made by `lists_within` and `lists_among`. A question that the lists cannot answer is answered from all distances of
    the points concerned, so that every answer is exact, and their depth decides about time alone.

    Attributes
    ----------
    points : (n, d) float64 tensor
    others : (m, d) float64 tensor
        The same tensor as ``points`` within one set; a point is then no neighbour of itself.
    distances : (n, depth) float64 tensor
        In ascending order; infinite where a set has no more points.
    indices : (n, depth) int64 tensor
    """

    def __init__(self, points: Tensor, others: Tensor, distances: Tensor, indices: Tensor) -> None:
        self.points, self.others = points, others
        self.distances, self.indices = distances, indices

    @property
    def complete(self) -> bool:
        """Whether the lists hold every other point."""
        return self.distances.shape[1] >= len(self.others)

    def to_others(self, rows: Tensor) -> Tensor:
        """Return the exact distances of some points to all others, infinite to themselves, so that they come last."""
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
        if not self.complete:
            missing = torch.nonzero(torch.isinf(radius)).squeeze(1)
            for rows in row_blocks(len(missing), len(self.others)):
                far = self.to_others(missing[rows]).sort(dim=1)
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


def lists_within(points: Tensor, depth: int) -> NeighbourLists:
    """List the ``depth`` nearest neighbours of every point (n, d) within its own set.

    Notes
    -----
    O(n^2 d / 2) operations as matrix products: every pair of points is looked at once, for both. The candidates that
    they propose are measured exactly, and a point whose candidates could miss a neighbour (one of many at nearly the
    same distance) is measured against all others. One block of distances, and (n, depth) distances and indices.
    """
    squares = SquaredDistances(points, points)
    nearest = _Proposals(points, points, depth)
    for rows in row_blocks(len(points), len(points)):
        block = squares.block(rows, rows.start)
        block.diagonal().fill_(torch.inf)
        nearest.add(rows, block, rows.start)
        if rows.stop < len(points):
            nearest.add(slice(rows.stop, len(points)), block[:, rows.stop - rows.start :].T, rows.start)
    return nearest.lists(squares, squares.point_norms, squares.other_norms)


def lists_among(a: Tensor, b: Tensor, depth: int) -> tuple[NeighbourLists, NeighbourLists]:
    """List the ``depth`` nearest neighbours in b (m, d) of every point of a (n, d), and in a of every point of b.

    Notes
    -----
    As `lists_within`: O(n m d) operations, every pair of points looked at once, for both.
    """
    squares = SquaredDistances(a, b)
    forward, backward = _Proposals(a, b, depth), _Proposals(b, a, depth)
    for rows in row_blocks(len(a), len(b)):
        block = squares.block(rows)
        forward.add(rows, block, 0)
        backward.add(slice(0, len(b)), block.T, rows.start)
    return (
        forward.lists(squares, squares.point_norms, squares.other_norms),
        backward.lists(squares, squares.other_norms, squares.point_norms),
    )


class _Proposals:
    """For each point the others that are nearest by the product form, gathered from blocks as they come."""

    def __init__(self, points: Tensor, others: Tensor, depth: int) -> None:
        self.points, self.others = points, others
        self.depth = min(depth, len(others))
        width = min(self.depth + SPARE, len(others))
        # NaN comes last in topk, behind the infinite distance of a point to itself.
        self.squares = points.new_full((len(points), width), torch.nan)
        self.indices = torch.full((len(points), width), -1, dtype=torch.int64, device=points.device)

    def add(self, rows: slice, block: Tensor, first: int) -> None:
        """Take in the squares of some points to the others numbered from ``first``: (rows, columns)."""
        width = self.squares.shape[1]
        near = block.contiguous().topk(min(width, block.shape[1]), dim=1, largest=False, sorted=False)
        squares = torch.cat([self.squares[rows], near.values], dim=1)
        indices = torch.cat([self.indices[rows], near.indices + first], dim=1)
        best = squares.topk(width, dim=1, largest=False, sorted=False)
        self.squares[rows], self.indices[rows] = best.values, indices.gather(1, best.indices)

    def lists(self, squares: SquaredDistances, point_norms: Tensor, other_norms: Tensor) -> NeighbourLists:
        """Measure the proposed ones exactly, and against all others the points that may lack one."""
        distances = self._measured()
        order = distances.argsort(dim=1, stable=True)[:, : self.depth]
        found = NeighbourLists(self.points, self.others, distances.gather(1, order), self.indices.gather(1, order))
        if self.squares.shape[1] < len(self.others):
            # A neighbour that was not proposed is closer by the exact form than one that was kept only if their
            # squares differ by less than both errors.
            error = squares.bound(point_norms, other_norms.max())
            sure = self.squares.amax(dim=1) - error > found.distances[:, -1].square() + error
            missing = torch.nonzero(~sure).squeeze(1)
            for part in row_blocks(len(missing), len(self.others)):
                nearest = found.to_others(missing[part]).topk(self.depth, dim=1, largest=False, sorted=True)
                found.distances[missing[part]], found.indices[missing[part]] = nearest
        return found

    def _measured(self) -> Tensor:
        """Measure the points exactly against the others proposed for each: (n, width), infinite to themselves."""
        distances = torch.cat(
            [
                pairwise_distances(self.points[part, None], self.others[self.indices[part]]).squeeze(1)
                for part in row_blocks(len(self.points), self.indices.shape[1] * self.points.shape[1])
            ]
        )
        if self.points is self.others:
            numbers = torch.arange(len(self.points), device=distances.device)
            distances[self.indices == numbers[:, None]] = torch.inf
        return distances


def neighbours_within(features: Features, depth: int) -> NeighbourLists:
    """Return, and remember, the neighbours of every sample within its own set: ``depth`` of them or more."""
    depth = max(depth, SHARED_DEPTH)
    return features.remember(("neighbours within", depth), lambda: lists_within(features.values, depth))


def neighbours_among(features: Features, others: Features, depth: int) -> NeighbourLists:
    """Return the neighbours of a set's samples in another set, ``depth`` or more; remembered for both directions."""
    depth = max(depth, SHARED_DEPTH)
    key = ("neighbours among", depth)
    if (known := others.recall(key, beside=features)) is not None:
        backward: NeighbourLists = known[1]
        return backward
    return features.remember(key, lambda: lists_among(features.values, others.values, depth), beside=others)[0]
