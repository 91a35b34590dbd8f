"""Kernels, and sums of kernel matrices that are never held whole, ladder: kernel -> blocks -> sums -> squared MMD.

The kernels are smooth, so that rounding moves a value by rounding: inner products by matrix multiplication are exact
enough here, where nearest neighbours need differences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genbench.errors import SampleError
from genbench.metrics.cubic_sums import VAST, CubicSums
from genbench.metrics.distances import SquaredDistances, check_widths
from genbench.metrics.features import Features
from genbench.metrics.sweep import Reader, Screen, announce, is_large, swept_among, swept_within
from genbench.stats.jackknife import group_count, group_labels

CACHED = 2**22
"""Bytes of kernel values that are made and summed at a time: kernels pass over them several times, best in cache."""


class Side(NamedTuple):
    """What a kernel needs of one side's centred rows beside their inner products with the other's.

    Attributes
    ----------
    squares : (n,) tensor
        Squared norms.
    shifts : (n,) tensor
        What turns inner products into those of the rows as they were, if both sides' are added.
    """

    squares: Tensor
    shifts: Tensor

    def part(self, rows: slice) -> Side:
        """Return that of some rows."""
        return Side(self.squares[rows], self.shifts[rows])


class Kernel(Protocol):
    """A kernel function of inner products; hashable, so that what was summed under it can be remembered."""

    def __call__(self, products: Tensor, rows: Side, columns: Side, d: int) -> Tensor:
        """Return the kernel values of pairs of rows of width d with these centred products: a new tensor (n, m)."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Cubic:
    """``(x.y / d + 1)^3``, the kernel of KID (Bińkowski et al. 2018, section 4)."""

    def __call__(self, products: Tensor, rows: Side, columns: Side, d: int) -> Tensor:
        """Return the matrix of kernel values."""
        values = torch.add(columns.shifts / d + 1, products, alpha=1 / d).add_((rows.shifts / d)[:, None])
        return values.pow_(3)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """``exp(-|x - y|^2 / (2 bandwidth^2))``."""

    bandwidth: float

    def __call__(self, products: Tensor, rows: Side, columns: Side, d: int) -> Tensor:
        """Return the matrix of kernel values."""
        unit = 1 / self.bandwidth**2
        values = torch.add(-0.5 * unit * columns.squares, products, alpha=unit)
        return values.add_((-0.5 * unit * rows.squares)[:, None]).clamp_(max=0).exp_()


def sides(screen: SquaredDistances) -> tuple[Side, Side]:
    """Return what kernels need of a pair of sets beside their products."""
    centre = screen.centre
    shifts = screen.others.to(centre.dtype) @ centre
    columns = Side(screen.other_squares, shifts)
    if screen.points is screen.others:
        return Side(screen.point_squares, shifts - centre @ centre), columns
    return Side(screen.point_squares, screen.points.to(centre.dtype) @ centre - centre @ centre), columns


class KernelSums(NamedTuple):
    """Sums of the kernel over groups of columns, all that squared MMD and its jackknives need; no sample with itself.

    Attributes
    ----------
    generated : (n, G) tensor
        Row i, column g: the sum of k(x_i, x_j) over the other samples j of group g.
    reference : (m, G) tensor
        The same within the reference.
    across : (n, G) tensor
        Row i, column g: the sum of k(x_i, y_j) over the reference samples j of group g.
    columns : (m,) tensor
        The sum of k(x_i, y_j) over all i.
    """

    generated: Tensor
    reference: Tensor
    across: Tensor
    columns: Tensor


def check_sets(metric: str, generated: Features, reference: Features) -> None:
    """Refuse sets that have no squared MMD.

    Raises
    ------
    SampleError
        If a set has fewer than 2 samples or the widths differ.
    """
    check_widths(metric, generated, reference)
    if min(generated.n, reference.n) < 2:
        raise SampleError(
            f"{metric}: at least 2 generated and 2 reference samples expected, got {generated.n} and {reference.n}; "
            "score more samples."
        )


@dataclass(frozen=True, slots=True)
class RowSums:
    """The wish for every sample's sums of a kernel over the groups of a jackknife, a `genbench.metrics.sweep.Want`."""

    mirrors: ClassVar[bool] = True
    takes_single: ClassVar[bool] = True
    kernel: Kernel
    groups: int

    def reader(self, points: Tensor, others: Tensor) -> Reader:
        """Make a reader that sums them."""
        members = members_of_groups(points, self.groups), members_of_groups(others, self.groups)
        if self.kernel == Cubic() and is_large(points, others, VAST):
            return CubicSums(points, others, members)
        return SumsReader(self.kernel, members)


class KernelReader(ABC):
    """Makes kernel values of blocks of inner products, a few rows at a time, and hands them on."""

    needs_products = True
    needs_double = True

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._sides: tuple[Side, Side] | None = None

    def read(self, screen: Screen, rows: slice, block: Tensor) -> None:
        """Take in the products of some rows with all others, or within one set with all from the first of them on."""
        assert isinstance(screen, SquaredDistances)
        self._sides = self._sides or sides(screen)
        first, d = block.shape[1] - len(screen.others), screen.others.shape[1]
        step = max(1, CACHED // (8 * block.shape[1]))
        for start in range(rows.start, rows.stop, step):
            part = slice(start, min(start + step, rows.stop))
            columns = slice(-first, len(screen.others))
            products = block[start - rows.start : part.stop - rows.start]
            values = self.kernel(products, self._sides[0].part(part), self._sides[1].part(columns), d)
            if screen.points is screen.others:
                # Within a set a block's leading square holds both halves of its pairs; the rest holds one of them.
                values[:, start - rows.start :].diagonal().zero_()
                self.add_within(part, values, columns.start, rows.stop)
            else:
                self.add_among(part, values)

    @abstractmethod
    def add_within(self, rows: slice, values: Tensor, first: int, mirrored: int) -> None:
        """Add values of some rows with those from ``first`` on; from ``mirrored`` on each stands for two pairs."""

    @abstractmethod
    def add_among(self, rows: slice, values: Tensor) -> None:
        """Add kernel values of some rows with all of the other set."""


class SumsReader(KernelReader):
    """Sums a kernel over the groups of either side."""

    def __init__(self, kernel: Kernel, members: tuple[Tensor, Tensor]) -> None:
        super().__init__(kernel)
        self._members = members
        self._sums = torch.zeros_like(members[0]), torch.zeros_like(members[1])

    def add_within(self, rows: slice, values: Tensor, first: int, mirrored: int) -> None:
        """Add values of some rows with those from ``first`` on; from ``mirrored`` on each stands for two pairs."""
        self._sums[0][rows] += values @ self._members[0][first:]
        self._sums[0][mirrored:] += values[:, mirrored - first :].T @ self._members[0][rows]

    def add_among(self, rows: slice, values: Tensor) -> None:
        """Add kernel values of some rows with all of the other set."""
        self._sums[0][rows] += values @ self._members[1]
        self._sums[1].add_(values.T @ self._members[0][rows])

    def result(self, screen: Screen) -> tuple[Tensor, Tensor]:
        """Return the points' sums over the others' groups, (n, G), and the others' over the points', (m, G)."""
        within = screen.points is screen.others
        return (self._sums[0], self._sums[0]) if within else self._sums


def kernel_sums(kernel: Kernel, generated: Features, reference: Features) -> KernelSums:
    """Sum the kernel over all pairs of two sets, by the groups of the jackknife; remembered.

    Notes
    -----
    O((n + m)^2 (d + G)) operations; a block of products and a copy of a set. Pairs within a set are computed once.
    """
    want = RowSums(kernel, sum_groups(generated, reference))
    across, back = swept_among(generated, reference, want)
    within = [swept_within(each, want) for each in (generated, reference)]
    return KernelSums(within[0], within[1], across, back.sum(dim=1))


def announce_kernel(kernel: Kernel, generated: Features, reference: Features, *, across: bool = True) -> None:
    """Say that `kernel_sums` will be asked for, or only the sums within either set; see `genbench.metrics.sweep`."""
    want = RowSums(kernel, sum_groups(generated, reference))
    announce(want, generated)
    announce(want, reference)
    if across:
        announce(want, generated, reference)


def sum_groups(generated: Features, reference: Features) -> int:
    """Return by how many groups of either set the sums are taken."""
    return max(1, group_count(generated.n, reference.n))


def members_of_groups(values: Tensor, groups: int) -> Tensor:
    """Return (n, G) float64: one where a sample is of the group. A product with it adds in a fixed order everywhere."""
    labels = torch.from_numpy(group_labels(len(values), groups))
    return one_hot(labels, groups).to(values.device, torch.float64)


def squared_mmd(within_a: Tensor, within_b: Tensor, across: Tensor, n: Tensor | int, m: Tensor | int) -> Tensor:
    """Unbiased squared MMD from sums of kernel values over ordered pairs of different samples (Gretton 2012, eq. 3)."""
    return within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * across / (n * m)
