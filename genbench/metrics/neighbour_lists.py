"""Lists of nearest neighbours that measure exactly what an answer depends on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.bits import WORD, counts_before, packed_bits
from genbench.metrics.distances import distances_of_pairs, pairwise_distances, row_blocks
from genbench.metrics.ordered import ascending, kth_listed

WIDE = 32
"""In fewer dimensions it takes longer to find out which pairs are asked for twice than to measure them."""


class NeighbourLists:
    """The nearest neighbours of each of ``points`` among ``others``, which also answer for subsets of the others.

    Made by `lists_within` and `lists_among`. Proposed neighbours are measured exactly when an answer depends on them,
    and a question that the lists cannot answer is answered from all distances of the points concerned: every answer
    is exact, and what was listed decides about time alone.

    Parameters
    ----------
    points : (n, d) float64 or float32 tensor
    others : (m, d) float64 or float32 tensor
        The same tensor as ``points`` within one set; a point is then no neighbour of itself.
    depth : int
        How many neighbours may be asked for, at most m.
    near : (n, width) float64 tensor
        Distances of those proposed, width >= depth. Infinite of a point to itself; width = m where all are listed.
    indices : (n, width) int64 tensor
    errors : (n,) float64 tensor
        How far the squares may be from exact; also of those not listed that could be nearer than the last.
    exact : bool
        Whether the distances are exact already.
    """

    def __init__(
        self, points: Tensor, others: Tensor, depth: int, near: Tensor, indices: Tensor, errors: Tensor, *, exact: bool
    ) -> None:
        self.points, self.others, self.depth = points, others, min(depth, len(others))
        self._near, self._indices = ascending(near, indices)
        self._errors = errors
        self._all_exact, self._exact = exact, torch.isinf(self._near) | exact
        # The square of the last one's distance as it was proposed: of none that is not listed it was less.
        self._last = self._near[:, -1].square() if near.shape[1] < len(others) else torch.full_like(errors, torch.inf)
        self._settled = 0

    @property
    def complete(self) -> bool:
        """Whether the lists hold every other point."""
        return self.depth >= len(self.others)

    @property
    def distances(self) -> Tensor:
        """(n, depth) float64 tensor, exact, in ascending order; infinite where a set has no more points."""
        return self.nearest(self.depth)[0]

    @property
    def indices(self) -> Tensor:
        """(n, depth) int64 tensor: the others at these distances."""
        return self.nearest(self.depth)[1]

    def nearest(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the exact distances and the indices of the k nearest, (n, k) each, in ascending order; k <= depth."""
        k = min(k, self.depth)
        if k > self._settled:
            everyone = torch.arange(len(self.points), device=self.points.device)
            self._settle(k, everyone)
            self._settled = k
        return self._near[:, :k], self._indices[:, :k]

    def to_others(self, rows: Tensor) -> Tensor:
        """Return the exact distances of some points to all others, infinite to themselves, so that they come last."""
        distances = pairwise_distances(self.points[rows], self.others)
        if self.points is self.others:
            distances[torch.arange(len(rows), device=rows.device), rows] = torch.inf
        return distances

    def _settle(self, k: int, rows: Tensor) -> None:
        """Measure what could be among the k nearest of some points, and list those whose k-th may be missing anew."""
        while not self._all_exact:
            near, errors = self._near[rows], self._errors[rows, None]
            reach = near[:, k - 1 : k].square() + 2 * errors
            open_ = ~self._exact[rows] & (near.square() <= reach)
            if not open_.any():
                break
            self._measure(rows, open_)
        radius = self._near[rows, k - 1]
        self._relist(rows[self._doubtful(radius, rows) & torch.isfinite(radius)])

    def _measure(self, rows: Tensor, wanted: Tensor) -> None:
        """Measure the wanted of the listed pairs of some points, (rows, width) bool, and sort these points' lists."""
        row, place = torch.nonzero(wanted, as_tuple=True)
        i = rows[row]
        j = self._indices[i, place]
        if self.points is self.others and self.points.shape[1] >= WIDE:
            # Of two points that list each other the distance is taken once.
            low, high = torch.minimum(i, j), torch.maximum(i, j)
            pair, back = torch.unique(low * len(self.others) + high, return_inverse=True)
            n = len(self.others)
            found = distances_of_pairs(self.points, self.others, pair // n, pair % n)[back]
        else:
            found = distances_of_pairs(self.points, self.others, i, j)
        self._near[i, place], self._exact[i, place] = found, True
        touched = torch.unique(i)
        near, order = self._near[touched].sort(dim=1, stable=True)
        self._near[touched] = near
        self._indices[touched] = self._indices[touched].gather(1, order)
        self._exact[touched] = self._exact[touched].gather(1, order)

    def _relist(self, rows: Tensor) -> None:
        """List some points' neighbours from all distances."""
        width = self._near.shape[1]
        for part in row_blocks(len(rows), len(self.others)):
            near = self.to_others(rows[part]).topk(width, dim=1, largest=False, sorted=True)
            self._near[rows[part]], self._indices[rows[part]] = near
        self._exact[rows], self._errors[rows], self._last[rows] = True, 0.0, torch.inf

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
        n = len(self.points)
        rank = torch.full((n,), k, dtype=torch.int64, device=self.points.device)
        if k > self._near.shape[1]:
            radius = torch.full((n,), torch.inf, dtype=self._near.dtype, device=self._near.device)
            asked = torch.arange(n, device=radius.device)
        else:
            radius, asked = self._first_alive(k, alive, positive)
            radius[asked], rank[asked] = self._searched(k, asked, alive, positive)
            asked = asked[self._doubtful(radius[asked], asked)]
        if not (self.complete and self._near.shape[1] >= len(self.others)):
            for rows in row_blocks(len(asked), len(self.others)):
                far = self.to_others(asked[rows]).sort(dim=1)
                found = kth_listed(far.values, far.indices, k, alive, positive)
                radius[asked[rows]], rank[asked[rows]] = found
        return radius, rank

    def bounds(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return bounds on the distances of all listed neighbours, below and above, and their indices: (n, width)."""
        squares, errors = self._near.square(), self._errors[:, None]
        low = torch.where(self._exact, self._near, (squares - errors).clamp_(min=0).sqrt_())
        return low, torch.where(self._exact, self._near, (squares + errors).sqrt_()), self._indices

    @property
    def beyond(self) -> Tensor:
        """What the distances of the others that are not listed are at least, (n,); infinite where all are."""
        return (self._last - self._errors).clamp(min=0).sqrt()

    def positive_kth_in_parts(self, k: int, parts: Tensor) -> tuple[Tensor, Tensor]:
        """Find radius and rank as `kth` does with ``positive``, for many parts of the others: (n, P) tensors each."""
        radius = self.kth_in_parts([k], parts)[0]
        rank = torch.full(radius.shape, k, dtype=torch.int64, device=radius.device)
        for number in torch.nonzero((radius == 0).any(dim=0)).flatten().tolist():
            radius[:, number], rank[:, number] = self.kth(k, parts[number], positive=True)
        return radius, rank

    def kth_in_parts(self, ks: Sequence[int], parts: Tensor) -> list[Tensor]:
        """Find the distances to the k-th nearest neighbours in many parts of the others at once.

        Parameters
        ----------
        ks : sequence of int
            At least 1.
        parts : (P, m) bool tensor

        Returns
        -------
        list of (n, P) float64 tensors
            For each k; infinite where a part has no such neighbour. As `kth` for each part, but every pair is
            measured once.
        """
        rows = torch.arange(len(self.points), device=self.points.device)
        places = self._places(rows, ks, parts)
        asked = rows
        while len(asked) and not self._all_exact:
            near, errors = self._near[asked], self._errors[asked, None]
            wanted = torch.nn.functional.pad(torch.zeros_like(near, dtype=torch.bool), (0, 1))
            wanted = wanted.scatter_(1, places[asked].flatten(1), True)[:, :-1]
            squares = near.square()
            below = torch.where(wanted, squares, -torch.inf).cummax(dim=1).values
            above = torch.where(wanted, squares, torch.inf).flip(1).cummin(dim=1).values.flip(1)
            open_ = ~self._exact[asked] & ((squares - below <= 2 * errors) | (above - squares <= 2 * errors))
            touched = open_.any(dim=1)
            if touched.any():
                self._measure(asked, open_)
                places[asked[touched]] = self._places(asked[touched], ks, parts)
            asked = asked[touched]
        return self._at(rows, places, ks, parts)[0]

    def about_kth_in_parts(self, ks: Sequence[int], parts: Tensor, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """Find about what `kth_in_parts` does, of some points, without measuring what is listed.

        Returns
        -------
        radii : list of (rows, P) float64 tensors
        errors : (rows,) float64 tensor
            How far the squares of a point's radii may be from exact.

        Notes
        -----
        The k-th smallest of numbers that are wrong by at most so much is wrong by at most as much.
        """
        radii, measured = self._at(rows, self._places(rows, ks, parts), ks, parts)
        errors = self._errors[rows] * (0.0 if self._all_exact else 1.0)
        errors[measured] = 0.0
        return radii, errors

    def measure_near(self, rows: Tensor, distances: Tensor) -> None:
        """Measure what is listed of some points near these exact distances: k-th ones are then on the right side."""
        own, which = torch.unique(rows, return_inverse=True)
        wanted = torch.zeros_like(self._exact[own])
        for part in row_blocks(len(rows), 4 * self._near.shape[1]):
            apart = (self._near[rows[part]].square() - distances[part, None].square()).abs()
            pair, place = torch.nonzero(apart <= self._errors[rows[part], None], as_tuple=True)
            wanted[which[part][pair], place] = True
        wanted &= ~self._exact[own]
        if wanted.any():
            self._measure(own, wanted)

    def _at(self, rows: Tensor, places: Tensor, ks: Sequence[int], parts: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the radii at places in some points' lists, and of which of these they were measured instead."""
        ended = torch.nn.functional.pad(self._near[rows], (0, 1), value=torch.inf)
        radii = [ended.gather(1, places[:, kind]) for kind in range(len(ks))]
        if self._near.shape[1] >= len(self.others):
            return radii, rows[:0]
        largest = torch.stack(radii).amax(dim=(0, 2))
        lacking = torch.nonzero(self._doubtful(largest, rows)).squeeze(1)
        for block in row_blocks(len(lacking), len(self.others)):
            far = self.to_others(rows[lacking[block]]).sort(dim=1)
            for number, alive in enumerate(parts):
                for k, radius in zip(ks, radii, strict=True):
                    radius[lacking[block], number] = kth_listed(far.values, far.indices, k, alive, False)[0]
        return radii, lacking

    def _places(self, rows: Tensor, ks: Sequence[int], parts: Tensor) -> Tensor:
        """Return where in some points' lists the k-th of each part is, (rows, K, P); the lists' width if nowhere."""
        words = packed_bits(parts)
        found = torch.empty((len(rows), len(ks), len(parts)), dtype=torch.int64, device=rows.device)
        for block in row_blocks(len(rows), 16 * self._near.shape[1]):
            lists = np.ascontiguousarray(self._indices[rows[block]].cpu().numpy().T)
            for start, word in words:
                for kind, k in enumerate(ks):
                    stop = min(start + WORD, len(parts))
                    places = counts_before(word[lists], k, stop - start)
                    found[block, kind, start:stop] = torch.from_numpy(places).to(found)
        return found

    def _first_alive(self, k: int, alive: Tensor | None, positive: bool) -> tuple[Tensor, Tensor]:
        """Answer where the k nearest all are alive; return the radii, and for which points another look is needed."""
        near, indices = self.nearest(min(k, self.depth))
        radius = near[:, -1].clone()
        open_ = torch.zeros(len(near), dtype=torch.bool, device=near.device)
        if k > self.depth:
            open_[:] = True
        if alive is not None:
            open_ |= ~alive[indices].all(dim=1)
        if positive:
            open_ |= radius == 0
        return radius, torch.nonzero(open_ | torch.isinf(radius)).squeeze(1)

    def _doubtful(self, radius: Tensor, rows: Tensor) -> Tensor:
        """Tell for which points something that is not listed could be nearer."""
        doubt = radius.square() + self._errors[rows] >= self._last[rows]
        return torch.isinf(radius) | (doubt & (radius > 0))

    def _searched(self, k: int, rows: Tensor, alive: Tensor | None, positive: bool) -> tuple[Tensor, Tensor]:
        """Find the k-th of some points among the listed ones, measuring those on which the answer depends."""
        while True:
            near, indices = self._near[rows], self._indices[rows]
            radius, rank = kth_listed(near, indices, k, alive, positive)
            if self._all_exact:
                return radius, rank
            gap = (near.square() - radius.square()[:, None]).abs()
            errors = self._errors[rows, None]
            open_ = (gap <= 2 * errors) | (near.square() <= errors if positive else False)
            open_ &= ~self._exact[rows]
            if alive is not None:
                open_ &= alive[indices]
            if not open_.any():
                return radius, rank
            self._measure(rows, open_)
