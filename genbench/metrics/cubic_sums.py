"""Sums of the cubic kernel over the pairs of large sets, from inner products in single precision.

Of ``(p + t)^3``, with t the inner product of two centred rows over d and p the rest of ``x.y / d + 1``, what is linear
in t adds up to products of a row with a few sums of rows, in float64. Only ``t^2 (t + 3 p)`` needs every pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.metrics.distances import torch_threads
from genbench.metrics.sweep import Screen

VAST = 2**33
"""Multiplications in the products of two sets from which on the cubic kernel is summed in single precision."""

TILE = 1024, 256
"""Rows and columns of which kernel values are made at a time: they stay in the cache."""

DOUBLED = 256
"""Rows that are taken to float64 at a time, and multiplied from the cache."""


class CubicSums:
    """Sums the cubic kernel ``(x.y / d + 1)^3`` over the groups of either side; a `genbench.metrics.sweep.Reader`.

    Parameters
    ----------
    points, others : (n, d), (m, d) float64 or float32 tensors
        The same tensor within one set.
    members : tuple of (n, G), (m, G) float64 tensors
        One where a sample belongs to the group, else zero.

    Notes
    -----
    With both rows centred on the others' mean c: ``x.y = (x - c).(y - c) + (x - c).c + (y - c).c + c.c``, so that
    ``p = 1 + x.c / d + (y - c).c / d``. The sums of ``p^3 + 3 p^2 t`` are taken in float64. Let v = 2^-24 and K the
    number of chunks of `genbench.metrics.screening`. There t, with its input rounded, errs by at most
    (CHUNK + K + 2) v |x - c| |y - c| / d, at random by some v |x - c| |y - c| / d; making ``t^2 (t + 3 p)`` of it
    costs 5 v of its value, and adding it to at most `TILE` others, before the sum goes on in float64, 1,024 v at most.
    Rounding has no preferred sign: over all pairs it averages out. Measured against float64 at n = m = 3,000 and d =
    2,048, the squared MMD moves by 1e-10 of the kernel's mean and 2e-7 of its standard error at most: for normal,
    rectified and float32 features, those that vary in 48 dimensions, and those shifted by 3 deviations. Shifted by
    1,000 it moves by 1e-5 of the error, where rounding moves the sums in float64 as well.
    """

    needs_products = True
    needs_double = False

    def __init__(self, points: Tensor, others: Tensor, members: tuple[Tensor, Tensor]) -> None:
        self._sets, self._members, self._within = (points, others), members, points is others
        self._d = points.shape[1]
        self._sums = torch.zeros_like(members[0]), torch.zeros_like(members[1])
        self._scaled: _Scaled | None = None

    def _begin(self, screen: Screen, block: Tensor) -> _Scaled:
        """Take what kernel values are made of beside products, of which the first block has come."""
        self._centre = screen.centre
        theirs = self._products(1, self._centre[None]).squeeze(1) / self._d
        ours = theirs if self._within else self._products(0, self._centre[None]).squeeze(1) / self._d
        self._shifts = ours + (1 + self._centre @ self._centre / self._d), theirs
        return _scaled(screen.scale**2 / self._d, self._shifts, self._members, block)

    def read(self, screen: Screen, rows: slice, block: Tensor) -> None:
        """Take in the products of some rows with all others, or within one set with all from the first of them on."""
        self._scaled = self._scaled or self._begin(screen, block)
        m = len(self._sets[1])
        first = m - block.shape[1]
        if not self._within:
            self._add(rows, slice(0, m), block, self._sums[1])
            return
        # A block's leading square holds both halves of its pairs; the rest holds one of them.
        square = rows.stop - rows.start
        self._add(rows, slice(first, rows.stop), block[:, :square], None)
        self._add(rows, slice(rows.stop, m), block[:, square:], self._sums[0])

    def _add(self, rows: slice, columns: slice, block: Tensor, backward: Tensor | None) -> None:
        """Sum over the products of some rows with some columns, into ``backward`` also the other way round."""
        assert self._scaled is not None
        unit, ours, theirs, own, other, _ = self._scaled
        with torch_threads(1):  # for products this small, threads that wait for each other take longer than the work
            for r in _steps(rows, TILE[0]):
                lines = block[r.start - rows.start : r.stop - rows.start]
                for c in _steps(columns, TILE[1]):
                    t = lines[:, c.start - columns.start : c.stop - columns.start]
                    values = torch.add(theirs[c], t, alpha=unit).add_(ours[r, None]).mul_(t).mul_(t)
                    # Numpy's products with so few columns take two thirds of the time of torch's.
                    table = values.numpy()
                    if backward is not None:
                        backward[c] += torch.from_numpy(table.T @ own[r])
                    elif -len(values) < r.start - c.start < values.shape[1]:
                        values.diagonal(r.start - c.start).zero_()
                    self._sums[0][r] += torch.from_numpy(table @ other[c])

    def result(self, screen: Screen) -> tuple[Tensor, Tensor]:
        """Return the points' sums over the others' groups, (n, G), and the others' over the points', (m, G)."""
        assert self._scaled is not None
        forward = self._scaled.factor * self._sums[0] + self._linear(0, 1)
        return forward, forward if self._within else self._scaled.factor * self._sums[1] + self._linear(1, 0)

    def _linear(self, side: int, across: int) -> Tensor:
        """Sum ``p^3 + 3 p^2 t`` of one side's samples over the other's groups, of different samples within a set."""
        own, shifts, members = self._shifts[side][:, None], self._shifts[across], self._members[across]
        powers = torch.stack([shifts**power for power in range(4)], dim=1)
        weights = (powers[:, :3, None] * members[:, None, :]).flatten(1)
        weighted = -torch.outer(weights.sum(dim=0), self._centre)
        for part, rows in self._doubled(across):
            weighted.addmm_(weights[part].T, rows)
        zeroth, once, twice = self._products(side, weighted).view(-1, 3, members.shape[1]).unbind(1)
        constant = powers.T @ members
        total = ((constant[0] * own + 3 * constant[1]) * own + 3 * constant[2]) * own + constant[3]
        total += 3 / self._d * ((zeroth * own + 2 * once) * own + twice)
        if self._within:
            squares = torch.empty_like(shifts)
            for part, rows in self._doubled(side):
                torch.linalg.vecdot(rows, rows, out=squares[part])
            squares -= 2 * self._d * shifts + self._centre @ self._centre
            itself = own.squeeze(1) + shifts
            total -= members * (itself.square() * (itself + 3 / self._d * squares))[:, None]
        return total

    def _products(self, side: int, vectors: Tensor) -> Tensor:
        """Inner products of a side's centred rows with vectors (k, d): (n, k); the centre is taken off afterwards."""
        found = vectors.new_empty((len(self._sets[side]), len(vectors)))
        for part, rows in self._doubled(side):
            torch.mm(rows, vectors.T, out=found[part])
        return found.sub_(vectors @ self._centre)

    def _doubled(self, side: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield a side's rows in float64, some at a time, and which they are; good until the next are asked for."""
        values = self._sets[side]
        room = torch.empty((min(DOUBLED, len(values)), self._d), dtype=torch.float64)
        for part in _steps(slice(0, len(values)), DOUBLED):
            yield part, room[: part.stop - part.start].copy_(values[part])


class _Scaled(NamedTuple):
    """What kernel values are made of, in the dtype of the products and in units in which nothing overflows."""

    unit: float
    ours: Tensor
    theirs: Tensor
    own_members: NDArray[Any]
    other_members: NDArray[Any]
    factor: float
    """What turns sums of ``P^2 (unit P + 3 p)`` over products P into those of ``t^2 (t + 3 p)``."""


def _scaled(unit: float, shifts: tuple[Tensor, Tensor], members: tuple[Tensor, Tensor], like: Tensor) -> _Scaled:
    """Scale what is added to products whose unit is ``unit`` of t."""
    size = max(unit, 3 * sum(float(each.abs().max()) for each in shifts))
    ours, theirs = (3 / size * each for each in shifts)
    own, other = (each.to(like).numpy() for each in members)
    return _Scaled(unit / size, ours.to(like), theirs.to(like), own, other, size * unit**2)


def _steps(whole: slice, size: int) -> Iterator[slice]:
    for start in range(whole.start, whole.stop, size):
        yield slice(start, min(start + size, whole.stop))
