"""What the removal of a group adds to the Fréchet distance above the first order, along axes of `Side`.

With changes E1 and E2 of two covariances that are the identity along these axes, the trace term of the distance becomes
``-2 sum_i s_i (1 + X_ii)`` for the root X of

``(s_i + s_j) X_ij = s_j (E1)_ij + s_i (E2)_ij + (E1 s E2 - X s X)_ij``

whose repeated use finds one order more each time. The second order is ``1/2 sum_ij W_ij (E1 - E2)_ij^2`` for the
weights ``W_ij = s_i s_j/(s_i + s_j)``.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.feature_moments import FeatureMoments
from genbench.metrics.gaussian_fit import Gaussian
from genbench.metrics.symmetric import add_gram, mirror, turn
from genbench.randomness import derive_seed

ROWS = 384
"""Rows of each set that are turned at a time, to tell what is usual."""

MOST_ROWS = 4_096
"""Rows of each set that are turned at most to tell it."""

STEPS = 6
"""Orders above the second that are computed at most."""

PROBES = 8
"""Random vectors by which axes are checked."""

DRIFT = 1e-2
"""Root mean square by which a covariance along its axes may miss the identity before float32 is held not to do."""


class Usual(NamedTuple):
    """The second order of a group's removal.

    Attributes
    ----------
    mean, error : float
        Over groups, and the standard error of this mean.
    slopes : pair of float
        By how much it grows with each set's part of the first order.
    own, mutual : float
        Its standard deviation over groups beside that, from what single rows add and from what pairs of rows do.
    """

    mean: float
    error: float
    slopes: tuple[float, float]
    own: float
    mutual: float


class Share(NamedTuple):
    """All orders above the second as a share of it, and by how much that may be off."""

    value: float
    doubt: float


class Side:
    """One set: its sums, its fit, and axes (d, d) in float32 along which its covariance is the identity.

    ``gap`` (d,) is its mean less that of the other set.
    """

    def __init__(self, sums: FeatureMoments, fit: Gaussian, axes: Tensor, gap: Tensor) -> None:
        self.sums, self.fit, self.axes, self.gap = sums, fit, axes, gap

    def fits(self) -> bool:
        """Whether the covariance along the axes is the identity, as far as random vectors show."""
        assert self.fit.covariance is not None
        drawn = np.random.default_rng(derive_seed(0, "probes of axes", self.sums.d)).normal(size=(PROBES, self.sums.d))
        probes = torch.from_numpy(drawn).to(self.axes)
        along = turn(probes, self.axes.T).double() @ self.fit.covariance
        found = turn(along.float(), self.axes)
        return float((found - probes).square().mean().sqrt()) < DRIFT

    def add_change(self, half: Tensor, group: int, sign: int) -> None:
        """Add what removing a group adds to the covariance along the axes, to a half matrix.

        With n' rows kept of n, that is ``(n - n')/(n' - 1)`` times the identity, less ``A^T A/(n' - 1)`` for the turned
        rows A about the mean of all and one row more, their sum over ``sqrt(n')``, because the mean moves.
        """
        total, removed = torch.zeros_like(self.fit.mean), self.sums.counts[group]
        kept = self.sums.n - removed
        for rows in self.sums.rows(group):
            rows -= self.fit.mean - self.sums.centre
            total += rows.sum(dim=0)
            add_gram(half, turn(rows.float(), self.axes), -sign / (kept - 1))
        add_gram(half, turn((total / kept**0.5).float()[None], self.axes), -sign / (kept - 1))
        half.diagonal().add_(sign * removed / (kept - 1))

    def sample(self, begin: int, end: int) -> tuple[Tensor, Tensor]:
        """Rows at some places of a fixed permutation: turned, (k, d), and what they add to the first order, (k,).

        The latter is float64, and lacks what the optimal map adds.
        """
        n = self.sums.n
        order = np.random.default_rng(derive_seed(0, "rows of an expansion", n)).permutation(n)[begin:end]
        rows = self.sums.values[torch.from_numpy(order).to(self.axes.device)] - self.fit.mean
        plain = -rows.square().sum(dim=1) * self.scale - 2 * rows @ self.gap / (n - self.removed)
        return turn(rows.float(), self.axes), plain

    @property
    def removed(self) -> float:
        """Rows of a group, on average."""
        return self.sums.n / self.sums.groups

    @property
    def scale(self) -> float:
        """One over the degrees of freedom that removing a group leaves."""
        return 1 / (self.sums.n - self.removed - 1)


class _Rows(NamedTuple):
    """What each row adds to a group's second order, on average and of its own, and to the first; (k,) float64."""

    usual: Tensor
    own: Tensor
    first: Tensor

    @property
    def slope(self) -> float:
        """Least squares of ``own`` on ``first``."""
        return float(torch.cov(torch.stack([self.own, self.first]))[0, 1] / self.first.var())

    @property
    def spread(self) -> float:
        """Standard deviation that is left."""
        return float((self.own - self.slope * self.first).std())

    def error(self, n: int) -> float:
        """Standard error of the mean of ``usual``, of rows that were drawn from n without replacement."""
        return math.sqrt(float(self.usual.var()) / len(self.usual) * (1 - len(self.usual) / n))


class Orders:
    """The orders above the first. ``scales``: s, (d,) float64, ascending."""

    def __init__(self, sides: tuple[Side, Side], scales: Tensor) -> None:
        self._sides, self._unit = sides, float(scales[-1])
        self._scales = (scales / self._unit).float()
        self._weights = 1 / (1 / self._scales[:, None] + 1 / self._scales)
        self._beside = float(self._weights.sum(dtype=torch.float64) - self._weights.diagonal().double().sum())

    def second(self, group: int) -> float:
        """Second order of a group's removal. 3 (n + m)/G d^2 operations."""
        half = torch.zeros_like(self._weights)
        for side, sign in zip(self._sides, (1, -1), strict=True):
            side.add_change(half, group, sign)
        return self._squares(half)

    def usual(self, allowed: float, most: float) -> Usual:
        """Return what the second order is of groups drawn at random, from rows enough for an error of ``allowed``.

        Or from the first rows, where pairs of them make it spread by more than ``most``, so that it is of no use.

        The mean of ``(sum_g (a_i a_j - c_ij))^2`` over groups of g of n rows is that of ``(a_i a_j - c_ij)^2`` over
        rows, times ``g (n - g)/(n - 1)``; with c the identity, of which ``c (a_i^2 + a_j^2)`` needs no sample. Its
        spread is that of these squares, and that of products of two rows. All to a relative ``1/n``.

        Notes
        -----
        4 d^2 operations a row, and 2 d^2 for half of the first `ROWS` of each set and for as many of both.
        """
        samples = [side.sample(0, ROWS) for side in self._sides]
        parts = [[self._rows(side, *sample)] for side, sample in zip(self._sides, samples, strict=True)]
        begin, last = ROWS, min(MOST_ROWS, max(side.sums.n for side in self._sides))
        mutual = self._mutual(samples[0][0], samples[1][0])
        while True:
            ours, theirs = (_Rows(*map(torch.cat, zip(*found, strict=True))) for found in parts)
            error = math.hypot(ours.error(self._sides[0].sums.n), theirs.error(self._sides[1].sums.n))
            if error <= allowed or mutual > most or begin >= last:
                break
            for side, found in zip(self._sides, parts, strict=True):
                if begin < side.sums.n:
                    found.append(self._rows(side, *side.sample(begin, begin + ROWS)))
            begin += ROWS
        own = [side.removed**0.5 * rows.spread for side, rows in zip(self._sides, (ours, theirs), strict=True)]
        mean = float(ours.usual.mean() + theirs.usual.mean())
        return Usual(mean, error, (ours.slope, theirs.slope), math.hypot(*own), mutual)

    def _rows(self, side: Side, turned: Tensor, plain: Tensor) -> _Rows:
        """What rows say of one set's part of the second order."""
        n, removed = side.sums.n, side.removed
        mean, diagonal = (n - 1) / n, self._weights.diagonal()
        apart = turned.square().sub_(mean)
        weighted = turn(apart, self._weights)
        quadratic = mean**2 * self._beside + torch.linalg.vecdot(weighted, apart).double()
        linear = 2 * mean * (weighted.sum(dim=1) - apart @ diagonal).double()
        scale = self._unit * side.scale**2 / 2
        return _Rows(
            usual=scale * removed * (n - removed) / (n - 1) * (1 + 2 / (n - removed)) * quadratic,
            own=scale * (quadratic + linear),
            first=plain + self._unit * side.scale * (turned.square() @ self._scales).double(),
        )

    def _mutual(self, ours: Tensor, theirs: Tensor) -> float:
        """Standard deviation of what pairs of rows add to a group's second order, within both sets and between them."""
        one, two = self._sides
        half = min(len(ours), len(theirs)) // 2
        variance = self._sum_of_squares(one, two, ours[:half], theirs[:half])
        for side, rows in ((one, ours), (two, theirs)):
            variance += self._sum_of_squares(side, side, rows[:half], rows[half : 2 * half]) / 2
        return self._unit * math.sqrt(variance)

    def _sum_of_squares(self, one: Side, two: Side, a: Tensor, b: Tensor) -> float:
        """Sum over pairs of rows of two groups of ``(sum_ij W_ij (a_i a_j - c_ij) (b_i b_j - c_ij))^2``, from some."""
        both, diagonal = a * b, self._weights.diagonal()
        products = torch.linalg.vecdot(turn(both, self._weights), both) - (a.square() + b.square() - 1) @ diagonal
        pairs = one.removed * two.removed * (one.scale * two.scale) ** 2
        return pairs * float(products.double().square().mean())

    def share(self, allowed: float) -> Share:
        """Share of the orders above the second, of the first group's removal, to within ``allowed`` where that is had.

        What each use of the equation for the root adds shrinks by nearly the same factor, by which what is left is
        told. ``allowed`` is a share, too. Two products of matrices, and one more for every order above the third.
        """
        scales, (one, two) = self._scales, self._changes()
        scaled = one * scales
        product = turn(scaled, two)
        known = float(product.diagonal().sum(dtype=torch.float64))
        # From here on the tables of both changes are used for the equation and for the root.
        sums = scales[:, None] + scales
        base = two.mul_(scales[:, None]).add_(scaled)
        root = torch.div(base, sums, out=one)
        base += product
        torch.mul(root, scales, out=scaled)
        found = [_trace(scaled, root) - known]
        for _ in range(STEPS):
            root = torch.sub(base, turn(scaled, root), out=root).div_(sums)
            torch.mul(root, scales, out=scaled)
            found.append(_trace(scaled, root) - known)
            added = [after - before for before, after in pairwise([0.0, *found])]
            factor = min(abs(added[-1] / added[-2]), 0.9)
            rest = added[-1] * factor / (1 - factor)
            if abs(rest) <= allowed * found[0]:
                break
        return Share((found[-1] + rest) / found[0] - 1, abs(rest) / found[0])

    def _changes(self) -> tuple[Tensor, Tensor]:
        """Changes of both covariances as the first group is removed."""
        changes = [torch.zeros_like(self._weights) for _ in self._sides]
        for change, side in zip(changes, self._sides, strict=True):
            side.add_change(change, 0, 1)
        return mirror(changes[0]), mirror(changes[1])

    def _squares(self, half: Tensor) -> float:
        """Second order, of the upper triangle of ``E1 - E2``, which is overwritten."""
        half.square_()
        twice = float(torch.linalg.vecdot(half, self._weights).sum(dtype=torch.float64))
        once = float((half.diagonal() * self._weights.diagonal()).sum(dtype=torch.float64))
        return self._unit * (twice - once / 2)


def _trace(one: Tensor, other: Tensor) -> float:
    """Trace of a product of two matrices (d, d)."""
    return float(torch.linalg.vecdot(one, other.T).sum(dtype=torch.float64))
