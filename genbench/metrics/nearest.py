"""Nearest neighbours within a set and between two, exact, ladder: screens -> proposals -> lists -> questions.

One sweep over the distances of two sets lists the neighbours of either one's samples in the other, and the distances
within a set are gone through in one half; all metrics of an evaluation, and their replicates, ask these lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genbench.metrics.features import Features
from genbench.metrics.neighbour_lists import NeighbourLists
from genbench.metrics.proposals import Smallest
from genbench.metrics.sweep import Screen, announce, sweep, swept_among, swept_within
from genbench.metrics.trees import is_narrow, tree_proposals
from genbench.stats.jackknife import are_values_alone

SHARED_DEPTH = 40
"""Lists of neighbours are this deep at least, so that metrics with a small k share them."""

SPARE = 8
"""How many more candidates are listed than may be asked for."""

TREE_DEPTH, TREE_SPARE = 12, 1
"""The same two where a tree is searched, which takes longer the more it is asked for."""


def lists_within(points: Tensor, depth: int) -> NeighbourLists:
    """List the ``depth`` nearest neighbours of every point (n, d) within its own set.

    Notes
    -----
    O(n^2 d / 2) operations as matrix products: every pair of points is looked at once, for both; in up to
    `genbench.metrics.trees.NARROW` dimensions a tree is searched. A point whose proposals could miss a neighbour (one
    of many at nearly the same distance) is measured against all others. One block of distances, one centred copy of
    the points, and (n, depth) distances and indices.
    """
    if is_narrow(points):
        return _listed_by_tree(points, points, depth)
    found: NeighbourLists = sweep(points, points, [Nearest(depth)])[0][0]
    return found


def lists_among(a: Tensor, b: Tensor, depth: int) -> tuple[NeighbourLists, NeighbourLists]:
    """List the ``depth`` nearest neighbours in b (m, d) of every point of a (n, d), and in a of every point of b.

    Notes
    -----
    As `lists_within`: O(n m d) operations, every pair of points looked at once, for both.
    """
    if is_narrow(a):
        return _listed_by_tree(a, b, depth), _listed_by_tree(b, a, depth)
    return sweep(a, b, [Nearest(depth)])[0]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The wish for lists of neighbours of some depth, a `genbench.metrics.sweep.Want`.

    Attributes
    ----------
    depth : int
    mirrors : bool
        Whether of two sets the second's neighbours in the first are listed as well.
    """

    takes_single: ClassVar[bool] = True
    depth: int
    mirrors: bool = True

    def reader(self, points: Tensor, others: Tensor) -> NearestReader:
        """Make a reader that gathers them."""
        return NearestReader(points, others, self.depth, mirrors=self.mirrors)


class NearestReader:
    """Gathers the neighbours of each of two sets in the other, or within one, from blocks of squared distances."""

    needs_products = False
    needs_double = False

    def __init__(self, points: Tensor, others: Tensor, depth: int, *, mirrors: bool = True) -> None:
        self.points, self.others, self.depth = points, others, depth
        self._mirrors, self._found = mirrors and points is not others, list[Smallest]()

    def read(self, screen: Screen, rows: slice, block: Tensor) -> None:
        """Take in the squares of some rows, whose diagonal is overwritten within one set."""
        n, m = len(self.points), len(self.others)
        within = self.points is self.others
        if not self._found:
            self._found = [
                Smallest(size, min(self.depth + SPARE, others), block)
                for size, others in ([(n, m), (m, n)] if self._mirrors else [(n, m)])
            ]
        if not within:
            self._found[0].add_rows(rows, block, 0)
            for mirrored in self._found[1:]:
                mirrored.add_columns(slice(0, m), block, rows.start)
            return
        block.diagonal().fill_(torch.inf)
        self._found[0].add_rows(rows, block, rows.start)
        if rows.stop < n:
            self._found[0].add_columns(slice(rows.stop, n), block[:, rows.stop - rows.start :], rows.start)

    def result(self, screen: Screen) -> tuple[NeighbourLists, NeighbourLists]:
        """Return the lists of the points and those of the others; the former twice where there are no others."""
        sides = [
            (self.points, self.others, screen.point_norms, screen.other_norms),
            (self.others, self.points, screen.other_norms, screen.point_norms),
        ]
        lists = [
            _listed(points, others, self.depth, found, screen, (norms, other_norms))
            for found, (points, others, norms, other_norms) in zip(self._found, sides, strict=False)
        ]
        return lists[0], lists[-1]


def _listed(
    points: Tensor, others: Tensor, depth: int, found: Smallest, screen: Screen, norms: tuple[Tensor, Tensor]
) -> NeighbourLists:
    """Make lists of proposals, with the error of each point's.

    Only others y with |y| <= |x| + t can lie within t of x, so that an outlier does not widen everybody's error. Of
    those proposed, whose square is v at most, t^2 <= v + c (2 |x| + t)^2 + floor, with c the screen's slack.
    """
    squares = found.values.double()
    worst = torch.where(torch.isfinite(squares), squares, -torch.inf).amax(dim=1).clamp(min=0)
    root = math.sqrt(screen.slack)
    reach = ((worst + screen.floor).sqrt() + 2 * root * norms[0]) / (1 - root)
    largest = torch.minimum(norms[0] + reach, norms[1].max())
    errors = screen.slack * (norms[0] + largest).square() + screen.floor
    unit = screen.scale**2
    near = squares.mul_(unit).clamp_(min=0).sqrt_()
    return NeighbourLists(points, others, depth, near, found.indices, errors * unit, exact=False)


def _listed_by_tree(points: Tensor, others: Tensor, depth: int) -> NeighbourLists:
    near, indices, errors = tree_proposals(points, others, depth + TREE_SPARE)
    return NeighbourLists(points, others, depth, near, indices, errors, exact=True)


def neighbours_within(features: Features, depth: int, *, shared: bool = True) -> NeighbourLists:
    """Return, and remember, the neighbours of every sample within its own set: ``depth`` of them or more.

    Without ``shared`` just so many, where nobody else would ask for more.
    """
    depth = shared_depth(features, depth) if shared else depth
    if is_narrow(features.given):
        return features.remember(("neighbours within", depth), lambda: lists_within(features.values, depth))
    found: NeighbourLists = swept_within(features, Nearest(depth))
    return found


def neighbours_among(
    features: Features, others: Features, depth: int, *, shared: bool = True, mirrors: bool = True
) -> NeighbourLists:
    """Return the neighbours of a set's samples in another set, ``depth`` or more; remembered for both directions.

    Without ``shared`` just so many, where nobody else would ask for more; without ``mirrors`` for this direction alone,
    where nobody will ask for the other: the products are the same, but fewer are looked through.
    """
    depth = shared_depth(features, depth) if shared else depth
    if not is_narrow(features.given):
        found: NeighbourLists = swept_among(features, others, Nearest(depth, mirrors))[0]
        return found
    key = ("neighbours among", depth)
    return features.remember(key, lambda: _listed_by_tree(features.values, others.values, depth), beside=others)


def announce_neighbours(features: Features, depth: int, others: Features | None = None) -> None:
    """Say that a set's neighbours, within it or in another set, will be asked for; see `genbench.metrics.sweep`."""
    if not is_narrow(features.given):
        announce(Nearest(shared_depth(features, depth)), features, others)


def shared_depth(features: Features, depth: int) -> int:
    """Return how deep lists are made that somebody wants ``depth`` deep."""
    return max(depth, TREE_DEPTH if is_narrow(features.given) else SHARED_DEPTH)


def jackknife_depth(k: int) -> int:
    """Return how many neighbours to list for the k-th one, also without each of the jackknife's groups.

    Without a twentieth of the samples the k-th is practically always still listed: one more is listed at least, and
    that more than 5 + k / 4 of the k + 5 + k / 4 nearest are in one given group of twenty has a chance below 2e-6. For
    these samples all distances are taken. Where nobody is going to read an interval, k will do.
    """
    return k if are_values_alone() else k + 5 + k // 4
