"""Detectors: what became of one training, by the first of a few rules that its records fulfil.

All thresholds stand in `Thresholds`. They were chosen from the literature and from trainings of small models, not from
the simulated curves by which the rates below were measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from genbench.stats.curves import Curve, oscillation

Kind = Literal["diverged", "collapsed", "mode-collapsed", "unlearned", "oscillating", "ok"]

KINDS: tuple[Kind, ...] = ("diverged", "collapsed", "mode-collapsed", "unlearned", "oscillating", "ok")

LOST: tuple[Kind, ...] = ("diverged", "collapsed", "mode-collapsed")
"""Verdicts on runs whose generator is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What the rules compare with.

    Attributes
    ----------
    stops : int
        A run with fewer has no verdict, unless it failed.
    errors : float
        By how many standard errors a late score must exceed the best one to be called lost.
    diverged : float
        Times its best score that a diverged run ends at.
    untrained : float
        Share of its first score below which a run has learned.
    late : float
        Last share of the stops, at least two, whose mean is a collapsed run's late score.
    collapsed_gain, collapsed : float
        Share of what had been learned that a collapsed run has lost, and times its best score that it is late at.
    modes : float
        Share of the modes that real data have at which a run is mode-collapsed.
    oscillation, oscillation_p : float
        Standard deviation of the logarithm around its trend beyond the noise, and the p-value that it must have.
    """

    stops: int = 4
    errors: float = 4.0
    diverged: float = 3.0
    untrained: float = 0.5
    late: float = 0.25
    collapsed_gain: float = 0.5
    collapsed: float = 1.5
    modes: float = 0.5
    oscillation: float = 0.10
    oscillation_p: float = 0.01


THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a run, and the sentence that says by which rule, with its numbers."""

    kind: Kind
    reason: str


class Modes(NamedTuple):
    """How many modes, classes or distinct samples a run ends with, under which metric, and how many real data have."""

    metric: str
    found: float
    real: float


class _Ends(NamedTuple):
    """The summary of a curve that the rules look at."""

    first: float
    best: float  # lowest running median of three: one lucky measurement is no best
    late: float
    last: float
    late_stops: int
    error: float  # of one late stop; infinite where it is not known, so that no rule fires


def verdict(
    curve: Curve | None,
    *,
    failure: str | None = None,
    modes: Sequence[Modes] = (),
    learned: float | None = None,
    thresholds: Thresholds = THRESHOLDS,
) -> Verdict | None:
    """Judge one training; the first rule that it fulfils decides.

    - *diverged*: it failed (a loss, a gradient, a weight or a sample was not finite), or it ends at 3 times its best
      score and at half its first one or more.
    - *collapsed*: the mean of the last quarter of its stops is worse than its best by half of what it had learned, and
      1.5 times its best. For this rule and the one before, also worse than the best by 4 standard errors.
    - *mode-collapsed*: it ends with half of the modes or classes that real data have, or fewer.
    - *unlearned*: it ends at half its first score or more, and no better than ``learned``.
    - *oscillating*: over the last half of its stops it moves around a parabola by .10 in the logarithm beyond the
      noise, chi-squared test at .01 (`genbench.stats.curves.oscillation`).
    - *ok*: none of these.

    Parameters
    ----------
    curve : Curve or None
        Of a positive score of which lower is better.
    failure : str or None
        Why the run has no final score.
    modes : sequence of Modes
        At the end.
    learned : float or None
        A score that no model has before it learned, such as the one of the Gaussian control: it tells a model that had
        learned all before its first stop from one that never did. Without it, a run counts as unlearned only where it
        is not 4 standard errors better than at its first stop.
    thresholds : Thresholds

    Returns
    -------
    Verdict or None
        None where the curve is too short, not positive, or of a score of which lower is not better.

    Notes
    -----
    Scores below ``curve.null`` count as it. O(stops).

    Rates over 2,000 simulated curves of 20 stops of each kind, of shapes and with noise that no threshold was set by
    (power laws and logistic falls; Student's noise with 5 degrees of freedom, correlation .5 along training, relative
    deviation .02 to .12). False alarms: 0.4% of stable curves get another verdict than ok. Hits, with the very kind:
    96% of diverged curves (the others: collapsed), 86% of collapsed ones that lose three quarters or more of a gain
    of 2 to 3 times, 99% of unlearned ones (85% without the control), 95% of those that oscillate by .2 to .4.
    """
    if failure is not None:
        return Verdict(kind="diverged", reason=failure)
    if curve is None or len(curve.values) < thresholds.stops or curve.better != "lower" or curve.logs is None:
        return None
    t, n = thresholds, len(curve.values)
    curve = replace(curve, values=tuple(max(value, curve.null or 0.0) for value in curve.values))
    ends = _ends(curve, t)
    for found in (_diverged(ends, n, t), _collapsed(ends, n, t), _mode_collapsed(modes, t)):
        if found is not None:
            return found
    return _unlearned(ends, n, learned, t) or _moving(curve, t)


def _ends(curve: Curve, t: Thresholds) -> _Ends:
    values = np.asarray(curve.values)
    late = max(2, math.ceil(t.late * len(values)))
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, 3), axis=1)
    error = math.inf if curve.errors is None else math.sqrt(float(np.mean(np.square(curve.errors[-late:]))))
    return _Ends(float(values[0]), float(medians.min()), float(values[-late:].mean()), float(values[-1]), late, error)


def _diverged(e: _Ends, n: int, t: Thresholds) -> Verdict | None:
    if e.last < t.diverged * e.best or e.last < t.untrained * e.first or e.last - e.best <= t.errors * e.error:
        return None
    reason = (
        f"it ends at {e.last:.3g}, {e.last / e.best:.2g} times its best score {e.best:.3g} and {_errors(e.last, e)} "
        f"above it (n = {n} stops)"
    )
    return Verdict(kind="diverged", reason=reason)


def _collapsed(e: _Ends, n: int, t: Thresholds) -> Verdict | None:
    lost = max(t.errors * e.error, t.collapsed_gain * (e.first - e.best))
    if e.late - e.best <= lost or e.late < t.collapsed * e.best:
        return None
    reason = (
        f"the last {e.late_stops} of n = {n} stops average {e.late:.3g}, {e.late / e.best:.2g} times its best score "
        f"{e.best:.3g} and {_errors(e.late, e)} above it"
    )
    return Verdict(kind="collapsed", reason=reason)


def _errors(score: float, e: _Ends) -> str:
    return f"{(score - e.best) / e.error:.1f} standard errors" if e.error > 0 else "beyond any error"


def _mode_collapsed(modes: Sequence[Modes], t: Thresholds) -> Verdict | None:
    for metric, found, real in modes:
        if found <= t.modes * real:
            reason = f"it ends with {found:.3g} under {metric} where real data have {real:.3g}"
            return Verdict(kind="mode-collapsed", reason=reason)
    return None


def _unlearned(e: _Ends, n: int, learned: float | None, t: Thresholds) -> Verdict | None:
    if e.last < t.untrained * e.first:
        return None
    if learned is None:
        if math.isinf(e.error) or e.first - e.last > t.errors * e.error:
            return None
        beside = f"not {t.errors:g} standard errors better"
    elif e.last < learned:
        return None
    else:
        beside = f"no better than the Gaussian control's {learned:.3g}"
    reason = f"it ends at {e.last:.3g} after {e.first:.3g} at its first of n = {n} stops, {beside}"
    return Verdict(kind="unlearned", reason=reason)


def _moving(curve: Curve, t: Thresholds) -> Verdict:
    found = oscillation(curve, degree=2)
    if found is None:
        return Verdict(kind="ok", reason=f"n = {len(curve.values)} stops are too few to look for oscillation")
    tested = "noise not known" if found.p_value is None else f"chi-squared test, p = {found.p_value:.2g}"
    reason = (
        f"it moves around a bent trend by {found.residual:.2g} in the logarithm, of which noise of measurement is "
        f"{found.noise:.2g} ({tested}, n = {found.n} stops)"
    )
    moves = found.excess > t.oscillation and found.p_value is not None and found.p_value < t.oscillation_p
    return Verdict(kind="oscillating" if moves else "ok", reason=reason)
