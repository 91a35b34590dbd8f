"""Means and covariances, of sets at hand and of sets that stream by, ladder: rows -> sums by group -> moments.

The sums are kept for each of the jackknife's groups, so that a group is removed by subtraction, and a set that is
summed up as it is drawn gives the same bits as one that is held whole.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.stats.jackknife import group_labels

FOLD = 8192
"""Rows that are summed up at a time. Part of the definition of the sums: their last bits depend on it."""


class Moments(NamedTuple):
    """Size of a set, mean (d,) and unbiased covariance (d, d), float64."""

    n: int
    mean: Tensor
    covariance: Tensor


class MomentSums:
    """Sums of a set of n rows and of its jackknife groups, taken in as the rows come; the rows are not kept.

    Parameters
    ----------
    n, d : int
        Of the whole set, which must be known: the groups depend on n.
    groups : int
        How many of the jackknife's groups can be removed later; 0 for none, and a matrix instead of one for each.

    Attributes
    ----------
    n, d, groups : int
        As given.

    Notes
    -----
    O(n d^2) operations. Memory: G d^2 numbers for G groups (13 MB for G = 20 and d = 288, 670 MB for d = 2048), and up
    to 8,192 rows. The sums are about the mean of the first rows, so that an offset costs no digits.
    """

    def __init__(self, n: int, d: int, groups: int) -> None:
        self.n, self.d, self.groups = n, d, groups
        self._labels = torch.from_numpy(group_labels(n, max(1, groups)))
        self._held: list[Tensor] = []
        self._waiting = self._seen = 0
        self._whole: Moments | None = None

    def add(self, rows: Tensor) -> None:
        """Take in the next rows, (k, d), of any floating dtype.

        Raises
        ------
        SampleError
            If a value is not finite.
        """
        # Cut where a set that is held whole would be cut.
        while len(rows):
            taken = rows[: FOLD - self._waiting]
            rows = rows[len(taken) :]
            self._held.append(Features(taken).values)
            self._waiting += len(taken)
            if self._waiting == FOLD or self._seen + self._waiting == self.n:
                self._fold()

    def _fold(self) -> None:
        rows = torch.cat(self._held)
        if self._seen == 0:
            parts = max(1, self.groups)
            self._centre = rows.mean(dim=0)
            self._counts = torch.bincount(self._labels, minlength=parts).tolist()
            self._sums = rows.new_zeros((parts, self.d))
            self._products = rows.new_zeros((parts, self.d, self.d))
        rows = rows - self._centre
        labels = self._labels[self._seen : self._seen + len(rows)]
        for group in range(len(self._counts)):
            mine = rows[(labels == group).to(rows.device)]
            self._sums[group] += mine.sum(dim=0)
            self._products[group].addmm_(mine.T, mine)
        self._seen += len(rows)
        self._held, self._waiting = [], 0

    def moments(self) -> Moments:
        """Return the moments of all rows.

        Raises
        ------
        SampleError
            If there are fewer than 2, or not as many as were announced.
        """
        if self._seen + self._waiting != self.n:
            raise SampleError(f"moments: {self.n} rows expected, got {self._seen + self._waiting}.")
        if self._whole is None:
            self._whole = self._to_moments(self.n, self._sums.sum(dim=0), self._products.sum(dim=0))
        return self._whole

    def without(self, group: int) -> Moments:
        """Return the moments of the rows outside one of the groups."""
        left = [g for g in range(self.groups) if g != group]
        n = sum(self._counts[g] for g in left)
        return self._to_moments(n, self._sums[left].sum(dim=0), self._products.sum(dim=0) - self._products[group])

    def _to_moments(self, n: int, total: Tensor, products: Tensor) -> Moments:
        if n < 2:
            raise SampleError(f"fd: at least 2 samples expected for a covariance, got {n}; score more samples.")
        mean = total / n
        return Moments(n, self._centre + mean, (products - torch.outer(total, mean)) / (n - 1))


class Statistics:
    """A set of which only n, mean and covariance are known, as reference statistics on disk hold them.

    Parameters
    ----------
    n : int
        How many samples they were computed from, at least 2.
    mean : (d,) array
    covariance : (d, d) array

    Raises
    ------
    SampleError
        If the shapes do not fit, a number is not finite, or the covariance is not symmetric.
    """

    groups = 0

    def __init__(self, n: int, mean: Any, covariance: Any) -> None:
        mean = torch.as_tensor(np.asarray(mean), dtype=torch.float64)
        covariance = torch.as_tensor(np.asarray(covariance), dtype=torch.float64)
        check_moments(mean, covariance)
        if n < 2:
            raise SampleError(f"statistics: of at least 2 samples expected, got n = {n}.")
        self.n, self.d = n, len(mean)
        self._whole = Moments(n, mean, covariance)

    def moments(self) -> Moments:
        """Return n, mean and covariance."""
        return self._whole


Summary = MomentSums | Statistics


def check_moments(mean: Tensor, covariance: Tensor) -> None:
    """Refuse a mean and a covariance that cannot be those of one set.

    Raises
    ------
    SampleError
    """
    if mean.dim() != 1 or covariance.shape != (len(mean), len(mean)):
        raise SampleError(
            f"fd: a mean (d,) and a covariance (d, d) expected, got shapes {tuple(mean.shape)} and "
            f"{tuple(covariance.shape)}."
        )
    if not (torch.isfinite(mean).all() and torch.isfinite(covariance).all()):
        raise SampleError("fd: finite moments expected, got NaN or infinity; compute them anew from finite features.")
    if not torch.allclose(covariance, covariance.T, rtol=1e-6, atol=1e-8 * float(covariance.abs().max())):
        raise SampleError("fd: a symmetric covariance expected, got one that differs from its transpose.")


def moment_sums(features: Features, groups: int) -> MomentSums:
    """Sum up features (n, d), by the jackknife's groups where their number is not 0; remembered. O(n d^2)."""

    def compute() -> MomentSums:
        sums = MomentSums(features.n, features.d, groups)
        sums.add(features.values)
        return sums

    return features.remember(("moment sums", groups), compute)
