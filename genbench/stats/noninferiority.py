"""Is a new score worse than an old one by more than a margin? Three answers, and the power to give them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import nctdtr, stdtr, stdtrit

ALPHA = 0.05
"""Chance of a false alarm where the difference is exactly the margin; below it the chance is smaller."""

POWER = 0.8

Verdict = Literal["pass", "regression", "improvement", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How much worse the new score is, against a margin.

    Attributes
    ----------
    worse_by : float
        The difference of losses: positive where the new score is worse, whatever its direction.
    std_error : float
        Of it, at least 0; 0 where nothing varies, and then the difference decides as it stands.
    degrees : float
        Degrees of freedom of the standard error.
    margin : float
        At least 0: up to this, worse is not worse enough to matter.
    """

    worse_by: float
    std_error: float
    degrees: float
    margin: float

    @property
    def p_regression(self) -> float:
        """One-sided p of "worse by at most the margin" (Student's t): small where it is a regression."""
        return self._above(self.worse_by - self.margin)

    @property
    def p_inferior(self) -> float:
        """One-sided p of "worse by the margin or more": small where the new score is not inferior."""
        return self._above(self.margin - self.worse_by)

    @property
    def p_better(self) -> float:
        """One-sided p of "not better": small where the new score is better."""
        return self._above(-self.worse_by)

    @property
    def p_improvement(self) -> float:
        """One-sided p of "better by at most the margin": small where it is surprisingly better."""
        return self._above(-self.worse_by - self.margin)

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Return the two one-sided bounds of `worse_by`, each at 1 - alpha: together an interval at 1 - 2 alpha."""
        half = float(stdtrit(self.degrees, 1 - alpha)) * self.std_error
        return self.worse_by - half, self.worse_by + half

    def _above(self, excess: float) -> float:
        """P that an excess of this size or more is noise."""
        if self.std_error == 0:
            return 0.0 if excess > 0 else 1.0
        return float(stdtr(self.degrees, -excess / self.std_error))


def decide(comparison: Comparison, *, alpha: float, p_regression: float, two_sided: bool = False) -> Verdict:
    """Give a verdict on one metric.

    Parameters
    ----------
    comparison : Comparison
    alpha : float
        Level of each one-sided test.
    p_regression : float
        The comparison's own, or adjusted for the number of metrics.
    two_sided : bool
        Whether being better by more than the margin is a finding too.

    Returns
    -------
    {"pass", "regression", "improvement", "inconclusive"}
        ``pass`` where "worse by the margin or more" is rejected (non-inferiority: Wellek 2010, section 1.2), or, where
        nothing varies, where the difference is not above the margin.
    """
    if p_regression < alpha:
        return "regression"
    if two_sided and comparison.p_improvement < alpha:
        return "improvement"
    exact = comparison.std_error == 0
    return "pass" if comparison.p_inferior < alpha or exact else "inconclusive"


def detection_power(worse_by: float, *, margin: float, std_error: float, degrees: float, alpha: float) -> float:
    """Chance that a generator that is worse by so much is reported as a regression (noncentral t)."""
    if std_error == 0:
        return 1.0 if worse_by > margin else 0.0
    return 1 - float(nctdtr(degrees, (worse_by - margin) / std_error, stdtrit(degrees, 1 - alpha)))


def passing_power(*, margin: float, std_error: float, degrees: float, alpha: float) -> float:
    """Chance that a generator that is exactly as good passes (noncentral t)."""
    if std_error == 0:
        return 1.0
    return 1 - float(nctdtr(degrees, margin / std_error, stdtrit(degrees, 1 - alpha)))


def noncentrality(*, degrees: float, alpha: float, power: float = POWER) -> float:
    """How many standard errors beyond the margin a difference must be, to be reported with this chance.

    Found by bisection to 1e-9: `scipy.special.nctdtrinc` does not converge for few degrees of freedom.
    """
    threshold = float(stdtrit(degrees, 1 - alpha))
    low, high = 0.0, 1.0
    while 1 - float(nctdtr(degrees, high, threshold)) < power:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if 1 - float(nctdtr(degrees, middle, threshold)) >= power else (middle, high)
    return high


def detectable(*, margin: float, std_error: float, degrees: float, alpha: float, power: float = POWER) -> float:
    """Return the difference that is reported as a regression with this chance."""
    if std_error == 0 or not math.isfinite(std_error):
        return margin if std_error == 0 else math.inf
    return margin + std_error * noncentrality(degrees=degrees, alpha=alpha, power=power)
