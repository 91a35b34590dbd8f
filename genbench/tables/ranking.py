"""Which models the data can tell apart under one metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from genbench.records import Better, Estimate
from genbench.stats.differences import Difference, jackknife_difference, welch_difference
from genbench.stats.jackknife import GROUPS, LEVEL, MIN_GROUPS
from genbench.stats.seeds import across_seeds
from genbench.tables.cells import Cell, mean_of

Unit = Literal["seeds", "samples", "mixed"]
"""What a comparison takes for a repeat: the training, the sample, or one on each side."""

BLOCK = 256
"""Models that are compared with all others at a time: 20,000 others take some 300 MB."""

ROUNDING = 1e-9
"""How near the level a p-value may be before its pair is decided alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One model's scores under a metric, as a comparison needs them.

    Attributes
    ----------
    mean : float
        Over runs; of distances from real data for a metric that is best there.
    std_error : float or None
        Over trainings, or of the one there is over samples.
    runs : int
    replicates : tuple of float
        Of the group jackknife, averaged over runs; empty where there are none.
    """

    mean: float
    std_error: float | None
    runs: int
    replicates: tuple[float, ...] = ()


def side_of(cell: Cell, better: Better) -> Side | None:
    """Summarize a cell; None where it has no score, or must match real data and nobody scored those.

    A score that is to match real data counts by its distance from what they score. The jackknife of that distance takes
    the side on which the score lies as given, which is cautious where it is close.
    """
    estimates = [s.estimate for s in cell.scores if s.estimate is not None]
    null = mean_of(cell, "null")
    if not estimates or (better == "match" and null is None):
        return None
    values = [e.best if better != "match" or null is None else abs(e.best - null) for e in estimates]
    spread = across_seeds(values)
    return Side(
        mean=spread.mean,
        std_error=spread.std_error if spread.n > 1 else estimates[0].std_error,
        runs=spread.n,
        replicates=_replicates(estimates, null if better == "match" else None),
    )


def _replicates(estimates: Sequence[Estimate], null: float | None) -> tuple[float, ...]:
    """Average the replicates over runs, which share the reference: of distances from ``null`` where it is given."""
    if len({len(e.replicates) for e in estimates}) > 1:
        return ()
    signs = [-1.0 if null is not None and e.best < null else 1.0 for e in estimates]
    parts = [np.multiply(sign, e.replicates) for sign, e in zip(signs, estimates, strict=True)]
    return tuple(np.mean(parts, axis=0).tolist())


def difference(one: Side, other: Side) -> tuple[Difference, Unit]:
    """Return the first minus the second, and what was taken for a repeat.

    Several trainings on both sides: Welch over trainings. One on both sides: the group jackknife of the difference,
    which shares the reference. One against several: that jackknife, plus the variance over the trainings of the side
    that has them; a little wide, because the noise of that side's samples is in both. Without replicates, the two
    sides' variances are added, which forgets the shared reference and is wide too.
    """
    value = one.mean - other.mean
    degrees = [float(side.runs - 1 if side.runs > 1 else GROUPS - 1) for side in (one, other)]
    errors = [side.std_error or 0.0 for side in (one, other)]
    unit: Unit = "samples" if one.runs == other.runs == 1 else "seeds" if min(one.runs, other.runs) > 1 else "mixed"
    paired = len(one.replicates) == len(other.replicates) >= MIN_GROUPS
    if unit == "seeds" or not paired:
        return welch_difference(value, (errors[0], errors[1]), (degrees[0], degrees[1])), unit
    jackknife = jackknife_difference(value, one.replicates, other.replicates)
    if unit == "samples":
        return jackknife, unit
    several = 0 if one.runs > 1 else 1
    within = jackknife.std_error or 0.0
    groups = float(len(one.replicates) - 1)
    return welch_difference(value, (within, errors[several]), (groups, degrees[several])), unit


def ranks(cells: Sequence[Cell], better: Better) -> dict[str, int]:
    """Rank the models whose every run has a score; controls are none.

    A model's rank is one more than the number of models that are better by `difference` (two-sided 5%, one pair at a
    time): models that the data cannot tell apart may share a rank. A score of which no error is known counts as exact.
    """
    found = {cell.model: side_of(cell, better) for cell in cells if not (cell.control or cell.failed)}
    sides = {model: side for model, side in found.items() if side is not None}
    lost = losses(list(sides.values()), better)
    return {model: 1 + int(times) for model, times in zip(sides, lost, strict=True)}


def losses(sides: Sequence[Side], better: Better) -> NDArray[np.int64]:
    """Return by how many of the others each side is beaten, by `difference`.

    Quadratic in the number of sides, in blocks of rows. Welch's test of sides with several trainings is done on whole
    blocks: `difference` is asked alone where a single run takes part, and where the p-value is the level to rounding.
    """
    sign = -1.0 if better == "higher" else 1.0
    means = sign * np.array([side.mean for side in sides])
    several = np.array([side.runs > 1 for side in sides], dtype=bool)
    lost = np.zeros(len(sides), dtype=np.int64)
    if several.any():
        variances = np.array([(side.std_error or 0.0) ** 2 for side in sides])[several]
        degrees = np.array([float(side.runs - 1) for side in sides])[several]
        indices = np.flatnonzero(several)
        for start in range(0, len(indices), BLOCK):
            rows = slice(start, start + BLOCK)
            values = means[several][rows, None] - means[several]
            beaten, unclear = _beaten(values, variances, degrees, rows)
            lost[indices[rows]] += beaten.sum(axis=1)
            for i, j in np.argwhere(unclear).tolist():
                mine, theirs = int(indices[start + i]), int(indices[j])
                lost[mine] += mine != theirs and difference(sides[mine], sides[theirs])[0].sign == sign
    for i in np.flatnonzero(~several).tolist():
        for j, other in enumerate(sides):
            if j != i:
                found = difference(sides[i], other)[0].sign * sign
                lost[i] += found > 0
                lost[j] += several[j] and found < 0
    return lost


def _beaten(
    values: NDArray[np.float64], variances: NDArray[np.float64], degrees: NDArray[np.float64], rows: slice
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows lose against which columns by Welch's test, and of which that is not sure."""
    total = variances[rows, None] + variances
    exact = total == 0
    squared = np.divide(values**2, total, out=np.zeros_like(total), where=~exact)
    # No t quantile is below the normal one, and none is above that of the fewer degrees of freedom of the two.
    highest = stdtrit(degrees, 0.5 + LEVEL / 2) ** 2
    sure = exact | (squared > 1.001 * np.maximum(highest[rows, None], highest))
    near = ~sure & (squared > 0.999 * ndtri(0.5 + LEVEL / 2) ** 2)
    i, j = np.nonzero(near)
    share = variances[rows][i] / total[i, j]
    freedom = 1 / (share**2 / degrees[rows][i] + (1 - share) ** 2 / degrees[j])
    p_values = 2 * stdtr(freedom, -np.sqrt(squared[i, j]))
    sure[i, j] = p_values < 1 - LEVEL
    near[i, j] = np.abs(p_values - (1 - LEVEL)) < ROUNDING
    return sure & ~near & (values > 0), near


def order_of(cell: Cell, better: Better) -> float:
    """Sort key of a model by its mean: lower is better, infinite without a score."""
    side = side_of(cell, better)
    return math.inf if side is None else -side.mean if better == "higher" else side.mean
