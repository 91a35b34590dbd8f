"""Kernels, and sums of kernel matrices that are never held whole, ladder: kernel -> blocks -> sums -> squared MMD.

The kernels are smooth, so that rounding moves a value by rounding: inner products by matrix multiplication are exact
enough here, where nearest neighbours need differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genbench.errors import SampleError
from genbench.metrics.distances import check_widths, row_blocks
from genbench.metrics.features import Features
from genbench.stats.jackknife import group_count, group_labels

BLOCK_SHARE = 4
"""Blocks are by so much smaller than those of distances: a kernel passes over them several times, best in cache."""


class Kernel(Protocol):
    """A kernel function; hashable, so that what was summed under it can be remembered."""

    def prepare(self, *sets: Tensor) -> list[Tensor]:
        """Do to sets (n, d) what need not be done to every block; only sets prepared together may meet."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the kernel values of the rows of prepared a (n, d) and b (m, d): a new tensor (n, m)."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Cubic:
    """``(x.y / d + 1)^3``, the kernel of KID (Bińkowski et al. 2018, section 4)."""

    def prepare(self, *sets: Tensor) -> list[Tensor]:
        """Divide by the root of the width."""
        return [values / values.shape[1] ** 0.5 for values in sets]

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the matrix of kernel values."""
        return torch.addmm(a.new_ones(1), a, b.T).pow_(3)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """``exp(-|x - y|^2 / (2 bandwidth^2))``."""

    bandwidth: float

    def prepare(self, *sets: Tensor) -> list[Tensor]:
        """Divide by the bandwidth, about the mean of the first set, so that an offset costs no digits."""
        centre = sets[0].mean(dim=0)
        return [(values - centre) / self.bandwidth for values in sets]

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the matrix of kernel values."""
        lengths_a, lengths_b = (-0.5 * values.square().sum(dim=1) for values in (a, b))
        return torch.addmm(lengths_b, a, b.T).add_(lengths_a[:, None]).clamp_(max=0).exp_()


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


def upper_blocks(kernel: Kernel, values: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the kernel matrix of a set with itself in blocks of rows, each from its own first sample on.

    Yields
    ------
    rows : slice
    block : (rows, n - rows.start) tensor
        Its leading square holds the rows' own pairs, both halves of them, with a diagonal of zeros; right of it lie
        pairs whose mirror image is in no block.
    """
    (values,) = kernel.prepare(values)
    for rows in row_blocks(len(values), BLOCK_SHARE * len(values)):
        block = kernel(values[rows], values[rows.start :])
        block.diagonal().zero_()
        yield rows, block


def _blocks(kernel: Kernel, a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Yield the kernel matrix (n, m) of two sets in blocks of rows, in order."""
    a, b = kernel.prepare(a, b)
    for rows in row_blocks(len(a), BLOCK_SHARE * len(b)):
        yield kernel(a[rows], b)


def kernel_sums(kernel: Kernel, generated: Features, reference: Features) -> KernelSums:
    """Sum the kernel over all pairs of two sets, by the groups of the jackknife; remembered.

    Notes
    -----
    O((n + m)^2 (d + G)) operations; a few blocks of memory. Pairs within a set are computed once.
    """
    groups = max(1, group_count(generated.n, reference.n))

    def across() -> tuple[Tensor, Tensor]:
        members = _members(reference, groups)
        columns = torch.zeros(reference.n, dtype=members.dtype, device=members.device)
        parts = []
        for block in _blocks(kernel, generated.values, reference.values):
            columns += block.sum(dim=0)
            parts.append(block @ members)
        return torch.cat(parts), columns

    return KernelSums(
        _sums_within(kernel, generated, groups),
        _sums_within(kernel, reference, groups),
        *generated.remember(("kernel sums among", reference, kernel, groups), across),
    )


def _sums_within(kernel: Kernel, features: Features, groups: int) -> Tensor:
    def compute() -> Tensor:
        members = _members(features, groups)
        sums = torch.zeros_like(members)
        for rows, block in upper_blocks(kernel, features.values):
            sums[rows] += block @ members[rows.start :]
            sums[rows.stop :] += block[:, rows.stop - rows.start :].T @ members[rows]
        return sums

    return features.remember(("kernel sums within", kernel, groups), compute)


def _members(features: Features, groups: int) -> Tensor:
    """Return (n, G): one where the sample belongs to the group. A product with it adds in a fixed order everywhere."""
    labels = torch.from_numpy(group_labels(features.n, groups))
    return one_hot(labels, groups).to(features.values.device, features.values.dtype)


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
    within = torch.zeros(members.shape[1], dtype=values.dtype, device=values.device)
    sums = torch.zeros(len(values), dtype=values.dtype, device=values.device)
    for rows, block in upper_blocks(kernel, values):
        beyond = block[:, rows.stop - rows.start :]
        sums[rows] += block.sum(dim=1)
        sums[rows.stop :] += beyond.sum(dim=0)
        beyond.mul_(2)  # each such pair stands for its mirror image too
        within += (members[rows] * (block @ members[rows.start :])).sum(dim=0)
    return within, sums


def crossed_forms(kernel: Kernel, a: Tensor, b: Tensor, members_a: Tensor, members_b: Tensor) -> Tensor:
    """Sum the kernel between subset b of one set and subset b of the other, (B,), in one sweep; cf. `squared_forms`."""
    total = torch.zeros(members_a.shape[1], dtype=a.dtype, device=a.device)
    start = 0
    for block in _blocks(kernel, a, b):
        total += (members_a[start : start + len(block)] * (block @ members_b)).sum(dim=0)
        start += len(block)
    return total


def squared_mmd(within_a: Tensor, within_b: Tensor, across: Tensor, n: Tensor | int, m: Tensor | int) -> Tensor:
    """Unbiased squared MMD from sums of kernel values over ordered pairs of different samples (Gretton 2012, eq. 3)."""
    return within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * across / (n * m)
