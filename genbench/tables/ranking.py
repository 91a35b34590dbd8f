"""Which models the data can tell apart under one metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from genbench.records import Better, Estimate
from genbench.stats.differences import Difference, jackknife_difference, welch_difference
from genbench.stats.jackknife import GROUPS, MIN_GROUPS
from genbench.stats.seeds import across_seeds
from genbench.tables.cells import Cell, mean_of

Unit = Literal["seeds", "samples", "mixed"]
"""What a comparison takes for a repeat: the training, the sample, or one on each side."""


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
    worse = -1 if better == "higher" else 1
    return {
        model: 1 + sum(difference(mine, other)[0].sign == worse for name, other in sides.items() if name != model)
        for model, mine in sides.items()
    }


def order_of(cell: Cell, better: Better) -> float:
    """Sort key of a model by its mean: lower is better, infinite without a score."""
    side = side_of(cell, better)
    return math.inf if side is None else -side.mean if better == "higher" else side.mean
