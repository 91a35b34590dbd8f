"""Sums of a kernel over the pairs of many subsets at once, ladder: kernel values -> forms -> squared MMD of subsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from genbench.metrics.kernel_sums import Kernel, KernelReader
from genbench.metrics.sweep import Screen, sweep


class FormsReader(KernelReader):
    """Sums a kernel over the pairs of many subsets of a set, or of subset b of one and subset b of the other.

    Parameters
    ----------
    kernel : Kernel
    members : tuple of (n, B), (m, B) tensors
        Column b is one at the samples of subset b, else zero.
    """

    def __init__(self, kernel: Kernel, members: tuple[Tensor, Tensor]) -> None:
        super().__init__(kernel)
        self._members = members
        self._forms = members[0].new_zeros(members[0].shape[1])
        self._rows = members[0].new_zeros(len(members[0]))

    def add_within(self, rows: slice, values: Tensor, first: int, mirrored: int) -> None:
        """Add values of some rows with those from ``first`` on; from ``mirrored`` on each stands for two pairs."""
        beyond = values[:, mirrored - first :]
        self._rows[rows] += values.sum(dim=1)
        self._rows[mirrored:] += beyond.sum(dim=0)
        beyond.mul_(2)
        self._forms += (self._members[0][rows] * (values @ self._members[0][first:])).sum(dim=0)

    def add_among(self, rows: slice, values: Tensor) -> None:
        """Add kernel values of some rows with all of the other set."""
        self._rows[rows] += values.sum(dim=1)
        self._forms += (self._members[0][rows] * (values @ self._members[1])).sum(dim=0)

    def result(self, screen: Screen) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return each subset's sum over ordered pairs of different samples, (B,), and each sample's over all, (n,)."""
        return (self._forms, self._rows), (self._forms, self._rows)


@dataclass(frozen=True, slots=True, eq=False)
class Forms:
    """The wish for sums of a kernel over many subsets, a `genbench.metrics.sweep.Want`; see `FormsReader`."""

    mirrors: ClassVar[bool] = False
    kernel: Kernel
    members: tuple[Tensor, Tensor]

    def reader(self, points: Tensor, others: Tensor) -> FormsReader:
        """Make a reader that sums them."""
        return FormsReader(self.kernel, self.members)


def squared_forms(kernel: Kernel, values: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the kernel over the pairs of many subsets of one set, in one sweep.

    Parameters
    ----------
    values : (n, d) tensor
    members : (n, B) tensor
        Column b is one at the samples of subset b, else zero.

    Returns
    -------
    within : (B,) tensor
        The sum over the ordered pairs of different samples of subset b.
    rows : (n,) tensor
        The sum of every sample's kernel values with all others.
    """
    within, rows = sweep(values, values, [Forms(kernel, (members, members))])[0][0]
    return within, rows


def crossed_forms(kernel: Kernel, a: Tensor, b: Tensor, members_a: Tensor, members_b: Tensor) -> Tensor:
    """Sum the kernel between subset b of one set and subset b of the other, (B,), in one sweep; cf. `squared_forms`."""
    found: Tensor = sweep(a, b, [Forms(kernel, (members_a, members_b))])[0][0][0]
    return found
