"""Sets of points on lines: projections, sorted, and the exact transport between them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.metrics.distances import row_blocks
from genbench.metrics.features import Features
from genbench.randomness import derive_seed
from genbench.stats.jackknife import group_count, group_labels

OFFSET = 10
"""Deviations that the mean of a set may be from zero before both sets are moved: it costs a digit, and no copies."""


def unit_directions(count: int, d: int, seed: int) -> Tensor:
    """Draw random unit vectors, uniform on the sphere: (count, d) float64, on the CPU."""
    source = torch.Generator().manual_seed(derive_seed(seed, "sliced directions"))
    drawn = torch.randn(count, d, generator=source, dtype=torch.float64)
    return drawn.div_(drawn.square().sum(dim=1, keepdim=True).sqrt_())


def projected_squares(
    generated: Features, reference: Features, directions: Tensor, *, replicates: bool = True
) -> NDArray[np.float64]:
    """Compute the squared W2 on given lines, of all samples and without each jackknife group.

    Parameters
    ----------
    generated, reference : Features
        (n, d), (m, d).
    directions : (L, d) float64 tensor
        Unit vectors.
    replicates : bool
        False: of all samples alone.

    Returns
    -------
    (1 + groups, L) float64 array
    """
    x, y = generated.values, reference.values
    groups = group_count(len(x), len(y)) if replicates else 0
    labels = [_labels(z, groups) if groups else None for z in (x, y)]
    directions = directions.to(x.device)
    # A common offset moves no distance. One beyond `OFFSET` deviations would cost digits in the products.
    centre = y.mean(dim=0)
    if centre @ centre > OFFSET**2 * (torch.linalg.vector_norm(y).square() / len(y) - centre @ centre):
        x, y = x - centre, y - centre
    # One table from the start: small ones that are kept between large ones that come and go tear memory apart.
    found = torch.empty((1 + groups, len(directions)), dtype=x.dtype, device=x.device)
    for rows in row_blocks(len(directions), 8 * (len(x) + len(y))):
        (ours, our_labels), (theirs, their_labels) = (
            sort_rows(directions[rows] @ z.T, of) for z, of in zip((x, y), labels, strict=True)
        )
        found[0, rows] = sorted_to_squares(ours, theirs)
        for group in range(groups):
            part = (select(ours, our_labels != group), select(theirs, their_labels != group))
            found[1 + group, rows] = sorted_to_squares(*part)
    squares_of_lines: NDArray[np.float64] = found.cpu().numpy()
    return squares_of_lines


def _labels(values: Tensor, groups: int) -> Tensor:
    """Jackknife groups of rows, (n,), in bytes: they are moved about as often as the numbers themselves."""
    return torch.from_numpy(group_labels(len(values), groups).astype(np.uint8)).to(values.device)


def sort_rows(values: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sort every row of projections, and their labels along with them.

    Parameters
    ----------
    values : (L, n) float64 tensor
        On a CPU and without labels it is sorted in place.
    labels : (n,) tensor or None
        Of the columns.

    Returns
    -------
    (L, n), (L, n) tensors
        Without labels the second is empty.

    Notes
    -----
    On a CPU by numpy, twice as fast as torch where the processor has vectors of 256 bits or more.
    """
    if values.device.type != "cpu":
        ordered, order = values.sort(dim=1)
        return ordered, ordered.new_empty(0) if labels is None else labels[order]
    table = values.numpy()
    if labels is None:
        table.sort(axis=1)
        return values, values.new_empty(0)
    places = table.argsort(axis=1)
    return torch.from_numpy(np.take_along_axis(table, places, axis=1)), torch.from_numpy(labels.numpy()[places])


def select(values: Tensor, keep: Tensor) -> Tensor:
    """Leave entries out of every row, equally many of each: (L, n) by (L, n) bools."""
    if values.device.type == "cpu":  # numpy copies runs, torch one entry after the other
        return torch.from_numpy(values.numpy()[keep.numpy()].reshape(len(values), -1))
    return values[keep].reshape(len(values), -1)


def sorted_to_squares(ours: Tensor, theirs: Tensor) -> Tensor:
    """Integrate the squared difference of the quantile functions of sorted samples (L, n) and (L, m): (L,)."""
    if ours.shape[1] == theirs.shape[1]:
        gaps = ours - theirs
        means: Tensor = torch.linalg.vecdot(gaps, gaps) / ours.shape[1]
        return means
    i, j, weights = matched_ranks(ours.shape[1], theirs.shape[1])
    gaps = ours.index_select(1, i.to(ours.device)) - theirs.index_select(1, j.to(ours.device))
    return gaps.square() @ weights.to(ours.device)


def matched_ranks(n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """Match the ranks of n and of m equal weights on a line: which of either, and how much, (n + m - gcd(n, m),)."""
    # In units of 1/(n m) the ends of the weights are integers, and nothing is rounded.
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    starts = np.concatenate([[0], ends[:-1]])
    weights = (ends - starts) / (n * m)
    return torch.from_numpy(starts // m), torch.from_numpy(starts // n), torch.from_numpy(weights)
