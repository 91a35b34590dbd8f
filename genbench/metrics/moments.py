"""Means and covariances, of sets at hand and of sets that stream by, ladder: rows -> sums by group -> moments.

A jackknife group is removed by subtracting its sums, and a set that is summed up as it is drawn gives the same bits as
one that is held whole.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.symmetric import add_gram, mirror
from genbench.stats.jackknife import group_labels

FOLD = 8192
"""Rows that are summed up at a time. Part of the definition of the sums: their last bits depend on it."""

ROWS = 1024
"""Rows that are centred at a time where there are no groups: few enough that memory is used again, not asked for.

So many are also averaged for what all rows are centred on: part of the definition of the sums, as `FOLD` is.
"""


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
    centre : (d,) tensor
        What the sums are about: a mean of the first rows, so that an offset costs no digits.
    """

    centre: Tensor

    def __init__(self, n: int, d: int, groups: int) -> None:
        self.n, self.d, self.groups = n, d, groups
        self._parts = max(1, groups)
        self._labels = torch.from_numpy(group_labels(n, groups)) if groups else torch.zeros(n, dtype=torch.int64)
        self.counts = torch.bincount(self._labels, minlength=self._parts).tolist()
        self._moments: Moments | None = None
        self._total: Tensor

    @abstractmethod
    def _part(self, group: int) -> tuple[Tensor, Tensor]:
        """Return the sum (d,) of a group's rows about the centre, and that of their outer products (d, d), half."""

    def moments(self) -> Moments:
        """Return the moments of all rows.

        Raises
        ------
        SampleError
            If there are fewer than 2, or not as many as were announced.
        """
        if self._moments is None:
            self._total, products = self._whole()
            self._moments = self._to_moments(self.n, self._total, products)
        return self._moments

    def without(self, group: int) -> Moments:
        """Return the moments of the rows outside one of the groups."""
        whole = self.moments()
        part, part_products = self._part(group)
        products = torch.addr(whole.covariance, self._total, self._total / self.n, beta=self.n - 1).sub_(part_products)
        return self._to_moments(self.n - self.counts[group], self._total - part, products)

    def _whole(self) -> tuple[Tensor, Tensor]:
        """Return the sums of all rows, in tables of their own."""
        total, products = (part.clone() for part in self._part(0))
        for group in range(1, self._parts):
            part, part_products = self._part(group)
            total += part
            products += part_products
        return total, products

    def _to_moments(self, n: int, total: Tensor, products: Tensor) -> Moments:
        """Turn sums into moments, in the place of the products, of which the upper triangle counts."""
        if n < 2:
            raise SampleError(f"fd: at least 2 samples expected for a covariance, got {n}; score more samples.")
        mean = total / n
        return Moments(n, self.centre + mean, mirror(products.addr_(total, mean, alpha=-1).div_(n - 1)))


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
            self.centre = first_mean(rows)
            self._sums = no_sums(rows, self._parts)
        add_fold(rows, self._labels[self._seen : self._seen + len(rows)], self.centre, self._sums)
        self._seen += len(rows)
        self._held, self._waiting = [], 0

    def _part(self, group: int) -> tuple[Tensor, Tensor]:
        if self._seen + self._waiting != self.n:
            raise SampleError(f"moments: {self.n} rows expected, got {self._seen + self._waiting}.")
        return self._sums[group]


def no_sums(like: Tensor, parts: int) -> list[tuple[Tensor, Tensor]]:
    """Sums of nothing, for rows of the width of ``like``."""
    d = like.shape[1]
    zeros = partial(like.new_zeros, dtype=torch.float64)
    return [(zeros(d), zeros((d, d))) for _ in range(parts)]


def first_mean(rows: Tensor) -> Tensor:
    """Return the mean (d,) float64 of the first rows: near enough to that of all for an offset to cost no digits."""
    first = rows[:ROWS]
    return first.sum(dim=0, dtype=torch.float64) / len(first)


def add_fold(rows: Tensor, labels: Tensor, centre: Tensor, sums: list[tuple[Tensor, Tensor]]) -> None:
    """Add rows (k, d), about the centre, to the sums of their groups."""
    if len(sums) == 1:
        for block in torch.split(rows, ROWS):
            add_rows(block - centre, *sums[0])
        return
    order = torch.argsort(labels, stable=True).to(rows.device)
    counts = torch.bincount(labels, minlength=len(sums)).tolist()
    for mine, parts in zip(torch.split(order, counts), sums, strict=True):
        add_rows(rows[mine].double().sub_(centre), *parts)


def add_rows(rows: Tensor, total: Tensor, products: Tensor) -> None:
    """Add rows (k, d), about the centre, to a sum (d,) and to a half matrix (d, d) of their outer products."""
    total += rows.sum(dim=0)
    add_gram(products, rows)


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
        n, mean, covariance = self._whole
        return Moments(n, mean, (covariance + covariance.T) / 2)


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
