"""Exact distances and nearest neighbours, in blocks of rows so that memory stays bounded.

Distances are sums of squared differences in float64, never ``|x|^2 - 2 x.y + |y|^2``: the distance of two equal
rows is exactly zero, which ties, duplicates and copies depend on.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.features import Features

BLOCK_BYTES = 2**26


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut rows into blocks of at most `BLOCK_BYTES` of float64, one row at least."""
    step = max(1, BLOCK_BYTES // (8 * max(columns, 1)))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def pairwise_distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances of every row of a (n, d) to every row of b (m, d): (n, m). Takes O(n m d) operations."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


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
    O(n m d) operations; one block of distances and (n, depth) distances and indices of memory.
    """

    def __init__(self, points: Tensor, others: Tensor, depth: int) -> None:
        self.points = points
        self.others = others
        depth = min(depth, len(others))
        distances, indices = [], []
        for rows in row_blocks(len(points), len(others)):
            nearest = self._to_others(torch.arange(rows.start, rows.stop, device=points.device))
            found = nearest.topk(depth, dim=1, largest=False, sorted=True)
            distances.append(found.values)
            indices.append(found.indices)
        self.distances = torch.cat(distances)
        self.indices = torch.cat(indices)

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
    """Return, and remember, the neighbours of every sample within its own set."""
    return features.remember(
        ("neighbours within", depth), lambda: NeighbourLists(features.values, features.values, depth)
    )


def neighbours_among(features: Features, others: Features, depth: int) -> NeighbourLists:
    """Return, and remember with ``features``, the neighbours of its samples in another set."""
    return features.remember(
        ("neighbours among", others, depth), lambda: NeighbourLists(features.values, others.values, depth)
    )
