"""The curve of one training: a score at every stop, and what can be said of it in one number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

LATE = 0.5
"""The last share of the stops in which oscillation is looked for."""

FREE = 2
"""Degrees of freedom that a trend must leave; a line needs 4 stops in the last half, a parabola 5."""

ROUNDING = 1e-12
"""Of a logarithm, below which nothing is held to have moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Scores of one training under one metric, in the order of its stops.

    Attributes
    ----------
    steps : tuple of int
        Updates made at each stop.
    values : tuple of float
        Scores as the field reports them: a debiased one may be zero or negative, where nothing can be said of ratios.
    errors : tuple of float or None
        Noise of measurement at each stop, in the metric's unit: the standard error without what is common to all
        stops. Too large a noise makes every finding weaker, never stronger. None where it is not known.
    better : {"lower", "higher", "match"}
    seconds : tuple of float
        Of training at each stop; empty where they are not known.
    null : float or None
        What real data score: differences below it are noise.
    """

    steps: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...] | None
    better: Literal["lower", "higher", "match"]
    seconds: tuple[float, ...] = ()
    null: float | None = None

    @property
    def logs(self) -> NDArray[np.float64] | None:
        """Logarithms, lower is better; None where values are not all positive, or no direction is better."""
        if self.better == "match" or min(self.values) <= 0:
            return None
        found: NDArray[np.float64] = np.log(np.asarray(self.values))
        return found if self.better == "lower" else -found


@dataclass(frozen=True, slots=True, kw_only=True)
class Oscillation:
    """How a score moves around its trend over the last half of the stops.

    Attributes
    ----------
    residual : float
        Residual standard deviation of the logarithm around the trend (n - 1 - degree degrees of freedom).
    noise : float
        What noise of measurement alone gives, as a root mean square.
    p_value : float or None
        That noise of measurement alone moves the score as much; None where the noise is not known.
    n : int
        Stops.
    """

    residual: float
    noise: float
    p_value: float | None
    n: int

    @property
    def excess(self) -> float:
        """The residual with the noise removed: 0.1 is a movement of a tenth."""
        return math.sqrt(max(0.0, self.residual**2 - self.noise**2))


def oscillation(curve: Curve, *, degree: int = 1) -> Oscillation | None:
    """Measure the movement around the trend over the last half of the stops.

    Parameters
    ----------
    curve : Curve
    degree : int
        Of the trend, a polynomial of the logarithm over the number of the stop: 1 is a line. A score that is still
        falling bends away from a line, for which a parabola allows.

    Returns
    -------
    Oscillation or None
        None where there are too few stops (see `FREE`), or values are not all positive.

    Notes
    -----
    The test is chi-squared with n - 1 - degree degrees of freedom, on their number times the ratio of the two
    variances. Its noise is normal, independent and known; one that is correlated along training (all stops are
    sampled by one seed) moves less around a trend, so that the test finds too little rather than too much.
    """
    logs = curve.logs
    count = math.ceil(LATE * len(curve.values))
    freedom = count - 1 - degree
    if logs is None or freedom < FREE:
        return None
    late, at = logs[-count:], np.arange(count)
    apart = late - np.polyval(np.polyfit(at, late, degree), at)
    # A curve that follows its trend is apart from it by rounding, which differs between processors.
    apart[np.abs(apart) <= ROUNDING * max(1.0, float(np.abs(late).max()))] = 0.0
    squares = float((apart**2).sum())
    residual = math.sqrt(squares / freedom)
    if curve.errors is None:
        return Oscillation(residual=residual, noise=0.0, p_value=None, n=count)
    variance = float(np.mean((np.asarray(curve.errors[-count:]) / np.asarray(curve.values[-count:])) ** 2))
    p_value = float(chdtrc(freedom, squares / variance)) if variance > 0 else float(squares == 0)
    return Oscillation(residual=residual, noise=math.sqrt(variance), p_value=p_value, n=count)


def learning_area(curve: Curve) -> float:
    """Area under the learning curve, as a mean over the stops, in the metric's unit.

    The geometric mean, exp(mean(log score)), of a positive score of which lower is better, which falls by factors; the
    arithmetic mean of any other.
    """
    logs = curve.logs
    if curve.better == "lower" and logs is not None:
        return float(np.exp(logs.mean()))
    return float(np.mean(curve.values))


def setback(curve: Curve) -> float | None:
    """Mean over the stops of log(score / best so far): 0 where every stop is better than all before it.

    Noise of measurement makes it positive. None where values are not all positive.
    """
    logs = curve.logs
    return None if logs is None else float(np.mean(logs - np.minimum.accumulate(logs)))


def late_gap(curve: Curve) -> float | None:
    """How many times worse than its best stop a training ends, at least 1; None where values are not all positive."""
    logs = curve.logs
    return None if logs is None else float(np.exp(logs[-1] - logs.min()))


def first_at(curve: Curve, quality: float) -> int | None:
    """Return the index of the first stop that is at least as good as ``quality``, or None; of a score with noise."""
    for index, value in enumerate(curve.values):
        if value <= quality if curve.better == "lower" else value >= quality:
            return index
    return None
