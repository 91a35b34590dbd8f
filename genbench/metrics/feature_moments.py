"""Means and covariances of features at hand, and of what remains without a group of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.features import Features
from genbench.metrics.moments import FOLD, ROWS, GroupedMoments, add_fold, add_rows, first_mean, no_sums
from genbench.metrics.symmetric import add_gram
from genbench.metrics.triangles import Steps, Tiles, inner, tiles
from genbench.stats.jackknife import are_values_alone

KEPT_BYTES = 2**28
"""Up to which size a set's sums by group are remembered, and not made anew.

20 groups of 1,295 dimensions in float64, of 2,590 where a triangle in float32 will do.
"""


class FeatureMoments(GroupedMoments):
    """Moments of features at hand; a group's sums are remembered, or made anew when it is removed if they are large.

    Attributes
    ----------
    light : bool
        Whether what is derived for every group, (d, d) numbers each, may be remembered.
    values : (n, d) tensor
        As the features were given.

    Notes
    -----
    n d^2 operations and G d^2 numbers where ``light``, else twice the operations and O(d^2) numbers, or the same and
    G d^2 / 4 where what groups add fits in float32.
    """

    def __init__(self, features: Features, groups: int) -> None:
        super().__init__(features.n, features.d, groups)
        self.light = 8 * self._parts * self.d**2 <= KEPT_BYTES
        # Float32 rows are taken to float64 where they are summed: a copy of them all takes longer, and more memory.
        self.values = features.given
        self.centre = first_mean(self.values)
        self._sums: list[tuple[Tensor, Tensor]] = []
        self._steps: list[Tiles] = []
        self._totals: list[Tensor] = []

    def moves(self, matrix: Tensor) -> list[float]:
        """Return by how much the inner product of a matrix with the covariance moves, as each group is removed.

        Parameters
        ----------
        matrix : (d, d) float32 tensor
            Symmetric.

        Notes
        -----
        G d^2 operations on sums that are remembered in float32, else n d^2 on rows. Its errors are those of rounding a
        group's products to float32 once: the part that all groups have in common is computed from their sum.
        """
        self.moments()
        left = torch.stack([self._total, *(self._total - total for total in self._group_totals())])
        counts = np.array([self.n, *(self.n - count for count in self.counts)])
        centred = ((left.float() @ matrix).double() * left).sum(dim=1).cpu().numpy() / counts
        parts = np.array([inner(part, matrix) for part in self._group_tiles()])
        kept = np.array([parts.sum(), *(parts.sum() - parts)])
        along = (kept - centred) / (counts - 1)
        return list(along[1:] - along[0])

    def means(self) -> Tensor:
        """Return the mean of all rows outside each group, (G, d)."""
        self.moments()
        counts = torch.tensor(self.counts, dtype=self._total.dtype, device=self._total.device)
        return self.centre + (self._total - torch.stack(self._group_totals())) / (self.n - counts)[:, None]

    def _part(self, group: int) -> tuple[Tensor, Tensor]:
        if self.light and not self._sums:
            self._sums = no_sums(self.values, self._parts)
            for fold in self._folds():
                add_fold(self.values[fold], self._labels[fold], self.centre, self._sums)
        if self.light:
            return self._sums[group]
        self._sums = self._sums or no_sums(self.values, 1)
        total, products = (part.zero_() for part in self._sums[0])
        for rows in self.rows(group):
            add_rows(rows, total, products)
        return total, products

    def _whole(self) -> tuple[Tensor, Tensor]:
        if self.light:
            return super()._whole()
        # Into one table, which no group's sums are added to afterwards: what each added can be told from it.
        total, products = no_sums(self.values, 1)[0]
        heavy = 2 * self._parts * self.d**2 > KEPT_BYTES
        steps = None if heavy or not self.groups or are_values_alone() else Steps(products, self.groups)
        for group in range(self._parts):
            part = torch.zeros_like(total)
            for rows in self.rows(group):
                add_rows(rows, part, products)
            total += part
            self._totals.append(part)
            if steps is not None:
                steps.take(products)
        self._steps = [] if steps is None else steps.taken
        return total, products

    def _group_totals(self) -> list[Tensor]:
        return [self._part(group)[0] for group in range(self.groups)] if self.light else self._totals

    def _group_tiles(self) -> Iterator[Tiles]:
        """Every group's products, as they are remembered, or of its rows in float32."""
        if self._steps:
            yield from self._steps
            return
        for group in range(self.groups):
            if self.light:
                yield tiles(self._part(group)[1].float())
                continue
            half = self.values.new_zeros((self.d, self.d), dtype=torch.float32)
            for rows in self.rows(group):
                add_gram(half, rows.float())
            yield tiles(half)

    def rows(self, group: int) -> Iterator[Tensor]:
        """Yield a group's rows about the centre, in float64."""
        mine = torch.nonzero(self._labels == group).squeeze(1).to(self.values.device)
        for index in torch.split(mine, ROWS):
            yield self.values[index] - self.centre

    def _folds(self) -> Iterator[slice]:
        return (slice(start, start + FOLD) for start in range(0, self.n, FOLD))


def feature_moments(features: Features, groups: int) -> FeatureMoments:
    """Return the moments of features (n, d), by the jackknife's groups where their number is not 0; remembered."""
    return features.remember(("moments", groups), lambda: FeatureMoments(features, groups))
