"""Sliced Wasserstein distances, means over random lines, ladder: samples -> projections -> squares -> score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

from genbench.errors import UsageError
from genbench.metrics.distances import check_widths, row_blocks
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.transport import signed_root
from genbench.randomness import derive_seed
from genbench.records import Estimate
from genbench.stats.jackknife import LEVEL, debias, deletions, standard_error, too_few

DIRECTIONS = 1000


def sliced_w2(*, generated: Any, reference: Any, rng: int, directions: int = DIRECTIONS) -> Estimate:
    """Sliced Wasserstein-2 distance: the root of the mean squared W2 of projections on random lines.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        The sizes may differ.
    rng : int
        Seed of the directions; with the same one `mind` shares the computation where the sizes are equal.
    directions : int
        How many random unit vectors, at least 2.

    Returns
    -------
    Estimate
        In feature units, lower is better, ideal 0. ``value`` is the plug-in, biased up. ``debiased`` has the bias of
        order 1/n removed from its square, with the sign kept: negative values are legitimate.
        ``extra``: ``directions``, and ``direction_share``, the part of the squared error that more directions would
        remove (two scores with one seed share their directions, and most of that error).

    Raises
    ------
    UsageError
        If there are fewer than 2 directions.
    SampleError
        If the widths differ.

    Notes
    -----
    Exact on every line: the mean squared difference of the quantile functions, also for unequal sizes. The plug-in's
    square is biased by about c/n whatever d is, as lines have one dimension, so that the jackknife removes it (unlike
    that of ``w2``, which falls with n^(-2/d) only and needs halves). Gaussians a vector v apart and s times as wide
    have d SW2^2 = |v|^2 + d (s - 1)^2. The standard error joins the group jackknife's with the
    deviation over directions. O(L (n + m) (d + G log n)) operations, memory in blocks.

    References
    ----------
    Rabin et al. 2011; Bonneel et al. 2015, eq. 9.

    Examples
    --------
    >>> round(sliced_w2(generated=[[0.0], [1.0]], reference=[[3.0], [2.0]], rng=0).value, 12)
    2.0
    """
    generated, reference = Features.of(generated), Features.of(reference)
    check_widths("sliced_w2", generated, reference)
    squares = sliced_squares("sliced_w2", generated, reference, directions, rng)
    return squares_to_estimate(squares, (generated.n, reference.n))


def mind(*, generated: Any, reference: Any, rng: int, directions: int = DIRECTIONS) -> Estimate:
    """Monge Inception Distance, the formula on any features: 3 d times the mean squared sliced W2.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        The sizes may differ.
    rng : int
        Seed of the directions.
    directions : int
        How many random unit vectors, at least 2.

    Returns
    -------
    Estimate
        In squared feature units, lower is better, ideal 0. ``value`` is the plug-in, biased up by about c/n;
        ``debiased`` has that removed and may be negative.

    Raises
    ------
    UsageError
        If there are fewer than 2 directions.
    SampleError
        If the widths differ.

    Notes
    -----
    3 d times the square of `sliced_w2`, of which uncertainty and cost are the same: for Gaussians a vector v apart and
    s times as wide, 3 |v|^2 + 3 d (s - 1)^2. It is the published score only on Inception-v3's pool features; elsewhere
    quote the space. For unequal sizes, which the publication leaves open, the quantile functions of all samples are
    used; torch-fidelity drops samples of the larger set at random. Computed in float64 (torch-fidelity: float32) and
    with other random directions for the same seed.

    References
    ----------
    Berthet et al., arXiv:2605.06797; torch-fidelity, ``metric_mind.py`` at a51aa64.

    Examples
    --------
    >>> round(mind(generated=[[0.0], [1.0]], reference=[[3.0], [2.0]], rng=0).value, 12)
    12.0
    """
    generated, reference = Features.of(generated), Features.of(reference)
    check_widths("mind", generated, reference)
    squares = 3 * generated.d * sliced_squares("mind", generated, reference, directions, rng)
    return squares_to_estimate(squares, (generated.n, reference.n), power=1)


def unit_directions(count: int, d: int, seed: int) -> Tensor:
    """Draw random unit vectors, uniform on the sphere: (count, d) float64, on the CPU."""
    source = torch.Generator().manual_seed(derive_seed(seed, "sliced directions"))
    drawn = torch.randn(count, d, generator=source, dtype=torch.float64)
    return drawn.div_(drawn.square().sum(dim=1, keepdim=True).sqrt_())


def sliced_squares(
    metric: str, generated: Features, reference: Features, directions: int, seed: int
) -> NDArray[np.float64]:
    """Compute, and remember, the squared W2 on every line, of all samples and without each jackknife group.

    Returns
    -------
    (1 + groups, directions) float64 array

    Raises
    ------
    UsageError
        If there are fewer than 2 directions.
    """
    if directions < 2:
        raise UsageError(
            f"{metric}: at least 2 directions expected, got {directions}; their spread is part of the error."
        )
    return generated.remember(
        ("sliced squares", reference, directions, seed),
        lambda: projected_squares(generated, reference, unit_directions(directions, generated.d, seed)),
    )


def projected_squares(generated: Features, reference: Features, directions: Tensor) -> NDArray[np.float64]:
    """Compute the squared W2 on given lines, of all samples and without each jackknife group.

    Parameters
    ----------
    generated, reference : Features
        (n, d), (m, d).
    directions : (L, d) float64 tensor
        Unit vectors.

    Returns
    -------
    (1 + groups, L) float64 array
    """
    x, y = generated.values, reference.values
    keeps = [
        tuple(torch.from_numpy(keep).to(x.device) for keep in kept) for kept in deletions(generated.n, reference.n)
    ]
    # A common offset would cost digits in the products, and moves no distance.
    centre = y.mean(dim=0)
    x, y, directions = x - centre, y - centre, directions.to(x.device)
    # One table from the start: small ones that are kept between large ones that come and go tear memory apart.
    found = torch.empty((1 + len(keeps), len(directions)), dtype=x.dtype, device=x.device)
    for rows in row_blocks(len(directions), 8 * (len(x) + len(y))):
        (ours, our_order), (theirs, their_order) = ((directions[rows] @ z.T).sort(dim=1) for z in (x, y))
        found[0, rows] = sorted_to_squares(ours, theirs)
        for row, (keep_x, keep_y) in enumerate(keeps, 1):
            part = (_kept(ours, our_order, keep_x), _kept(theirs, their_order, keep_y))
            found[row, rows] = sorted_to_squares(*part)
    squares_of_lines: NDArray[np.float64] = found.cpu().numpy()
    return squares_of_lines


def _kept(values: Tensor, order: Tensor, keep: Tensor) -> Tensor:
    """Leave samples out of sorted projections (lines, n), by their number in the unsorted ones."""
    return values[keep[order]].reshape(len(values), -1)


def sorted_to_squares(ours: Tensor, theirs: Tensor) -> Tensor:
    """Integrate the squared difference of the quantile functions of sorted samples (L, n) and (L, m): (L,)."""
    if ours.shape[1] == theirs.shape[1]:
        return (ours - theirs).square().mean(dim=1)
    i, j, weights = matched_ranks(ours.shape[1], theirs.shape[1])
    gaps = ours[:, i.to(ours.device)] - theirs[:, j.to(ours.device)]
    return gaps.square() @ weights.to(ours.device)


def matched_ranks(n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """Match the ranks of n and of m equal weights on a line: which of either, and how much, (n + m - gcd(n, m),)."""
    # In units of 1/(n m) the ends of the weights are integers, and nothing is rounded.
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    starts = np.concatenate([[0], ends[:-1]])
    weights = (ends - starts) / (n * m)
    return torch.from_numpy(starts // m), torch.from_numpy(starts // n), torch.from_numpy(weights)


def squares_to_estimate(squares: NDArray[np.float64], sizes: tuple[int, int], *, power: int = 2) -> Estimate:
    """Turn squared distances on lines into the estimate of their mean, or of its root.

    Parameters
    ----------
    squares : (1 + groups, L) float64 array
        The first row is of all samples.
    sizes : tuple of int
        Of both sets.
    power : int
        Which root is taken; 1 for none.

    Returns
    -------
    Estimate
    """
    lines = squares.shape[1]
    means = squares.mean(axis=1)
    value = float(means[0]) ** (1 / power)
    if len(squares) == 1:
        return Estimate(value=value, extra={"directions": float(lines)}, notes=(too_few(*sizes),))
    replicates = [float(mean) for mean in means[1:]]
    centre = debias(float(means[0]), replicates)
    each = debias_lines(squares)
    over_lines = float(each.std(ddof=1)) / math.sqrt(lines)
    over_samples = standard_error(replicates)
    error = math.hypot(over_lines, over_samples)
    # Student's quantile of the jackknife for both; the lines alone would need a smaller one.
    width = float(stdtrit(len(replicates) - 1, 0.5 + LEVEL / 2)) * error
    return Estimate(
        value=value,
        debiased=signed_root(centre, power),
        std_error=(signed_root(centre + error, power) - signed_root(centre - error, power)) / 2,
        low=signed_root(centre - width, power),
        high=signed_root(centre + width, power),
        level=LEVEL,
        replicates=tuple(mean ** (1 / power) for mean in replicates),
        extra={"directions": float(lines), "direction_share": (over_lines / error) ** 2 if error > 0 else 0.0},
    )


def debias_lines(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Debias the squared distance on every line: (1 + groups, L) to (L,)."""
    groups = len(squares) - 1
    lines: NDArray[np.float64] = groups * squares[0] - (groups - 1) * squares[1:].mean(axis=0)
    return lines


SLICED_W2 = Metric(
    name="sliced_w2",
    compute=sliced_w2,
    space="pool",
    unit="feature units",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Rabin et al. 2011; Bonneel et al. 2015, eq. 9",
)
MIND = Metric(
    name="mind",
    compute=mind,
    space="pool",
    unit="feature units squared",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Berthet et al., arXiv:2605.06797",
)
