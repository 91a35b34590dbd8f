"""Means and covariances, of sets at hand and of sets that stream by, ladder: rows -> sums by group -> moments.

A jackknife group is removed by subtracting its sums, and a set that is summed up as it is drawn gives the same bits as
one that is held whole.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
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


class GroupedMoments(ABC):
    """Moments of a set of n rows, and of what remains without each of its jackknife groups.

    A group's part is summed up over its rows in folds of `FOLD`, and the whole is the sum of the parts in order: so it
    is the same bits whether rows stream by or are at hand.

    Parameters
    ----------
    n, d : int
        Of the whole set, which must be known: the groups depend on n.
    groups : int
        How many of the jackknife's groups can be removed later; 0 for none.

    Attributes
    ----------
    n, d, groups : int
        As given.
    """

    def __init__(self, n: int, d: int, groups: int) -> None:
        self.n, self.d, self.groups = n, d, groups
        self._parts = max(1, groups)
        self._labels = torch.from_numpy(group_labels(n, self._parts))
        self._counts = torch.bincount(self._labels, minlength=self._parts).tolist()
        self._total: tuple[Tensor, Tensor] | None = None

    @abstractmethod
    def _centre(self) -> Tensor:
        """Return what the sums are about, (d,): the mean of the first fold, so that an offset costs no digits."""

    @abstractmethod
    def _part(self, group: int) -> tuple[Tensor, Tensor]:
        """Return the sum (d,) of a group's rows about the centre, and that of their outer products (d, d)."""

    def moments(self) -> Moments:
        """Return the moments of all rows.

        Raises
        ------
        SampleError
            If there are fewer than 2, or not as many as were announced.
        """
        return self._to_moments(self.n, *self._whole())

    def without(self, group: int) -> Moments:
        """Return the moments of the rows outside one of the groups."""
        total, products = self._whole()
        part, part_products = self._part(group)
        return self._to_moments(self.n - self._counts[group], total - part, products - part_products)

    def _whole(self) -> tuple[Tensor, Tensor]:
        if self._total is None:
            total, products = (part.clone() for part in self._part(0))
            for group in range(1, self._parts):
                part, part_products = self._part(group)
                total += part
                products += part_products
            self._total = total, products
        return self._total

    def _to_moments(self, n: int, total: Tensor, products: Tensor) -> Moments:
        if n < 2:
            raise SampleError(f"fd: at least 2 samples expected for a covariance, got {n}; score more samples.")
        mean = total / n
        return Moments(n, self._centre() + mean, (products - torch.outer(total, mean)) / (n - 1))


class FeatureMoments(GroupedMoments):
    """Moments of features at hand; a group is summed up anew when it is removed.

    Notes
    -----
    2 O(n d^2) operations, O(d^2) memory.
    """

    def __init__(self, features: Features, groups: int) -> None:
        super().__init__(features.n, features.d, groups)
        self._values = features.values
        self._first_mean = self._values[:FOLD].mean(dim=0)

    def _centre(self) -> Tensor:
        return self._first_mean

    def _part(self, group: int) -> tuple[Tensor, Tensor]:
        total = self._values.new_zeros(self.d)
        products = self._values.new_zeros((self.d, self.d))
        for start in range(0, self.n, FOLD):
            fold = slice(start, start + FOLD)
            mine = torch.nonzero(self._labels[fold] == group).squeeze(1).to(self._values.device) + start
            _add_rows(self._values[mine] - self._first_mean, total, products)
        return total, products


class MomentSums(GroupedMoments):
    """Sums of rows that are taken in as they come, and are not kept.

    Notes
    -----
    O(n d^2) operations. Memory: G d^2 numbers for G groups (13 MB for G = 20 and d = 288, 670 MB for d = 2048), and up
    to 8,192 rows.
    """

    def __init__(self, n: int, d: int, groups: int) -> None:
        super().__init__(n, d, groups)
        self._held: list[Tensor] = []
        self._waiting = self._seen = 0
        self._sums: list[tuple[Tensor, Tensor]] = []

    def add(self, rows: Tensor) -> None:
        """Take in the next rows, (k, d), of any floating dtype.

        Raises
        ------
        SampleError
            If a value is not finite.
        """
        while len(rows):
            taken = rows[: FOLD - self._waiting]
            rows = rows[len(taken) :]
            self._held.append(Features(taken).values)
            self._waiting += len(taken)
            if self._waiting == FOLD or self._seen + self._waiting == self.n:
                self._fold()

    def _fold(self) -> None:
        rows = torch.cat(self._held)
        if not self._sums:
            self._first_mean = rows.mean(dim=0)
            self._sums = [(rows.new_zeros(self.d), rows.new_zeros((self.d, self.d))) for _ in range(self._parts)]
        labels = self._labels[self._seen : self._seen + len(rows)]
        for group, sums in enumerate(self._sums):
            mine = torch.nonzero(labels == group).squeeze(1).to(rows.device)
            _add_rows(rows[mine] - self._first_mean, *sums)
        self._seen += len(rows)
        self._held, self._waiting = [], 0

    def _centre(self) -> Tensor:
        return self._first_mean

    def _part(self, group: int) -> tuple[Tensor, Tensor]:
        if self._seen + self._waiting != self.n:
            raise SampleError(f"moments: {self.n} rows expected, got {self._seen + self._waiting}.")
        return self._sums[group]


def _add_rows(rows: Tensor, total: Tensor, products: Tensor) -> None:
    total += rows.sum(dim=0)
    products.addmm_(rows.T, rows)


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
        mean = torch.from_numpy(np.array(mean, dtype=np.float64))
        covariance = torch.from_numpy(np.array(covariance, dtype=np.float64))
        check_moments(mean, covariance)
        if n < 2:
            raise SampleError(f"statistics: of at least 2 samples expected, got n = {n}.")
        self.n, self.d = n, len(mean)
        self._whole = Moments(n, mean, covariance)

    @property
    def fingerprint(self) -> str:
        """Sha256 of n, mean and covariance."""
        digest = hashlib.sha256(str(self.n).encode())
        for array in (self._whole.mean, self._whole.covariance):
            digest.update(array.cpu().numpy().tobytes())
        return digest.hexdigest()

    def moments(self) -> Moments:
        """Return n, mean and covariance."""
        return self._whole


Summary = GroupedMoments | Statistics


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


def feature_moments(features: Features, groups: int) -> FeatureMoments:
    """Return the moments of features (n, d), by the jackknife's groups where their number is not 0; remembered."""
    return features.remember(("moments", groups), lambda: FeatureMoments(features, groups))
