"""What a metric can promise of draws whose truth is known, and how a promise is judged.

A promise about one set of samples is exact. One about many draws is a statistical bound: it is missed by chance alone
with probability `LEVEL`, so that all bounds of an audit together raise a false alarm in at most `FAMILY_LEVEL` of
audits (Bonferroni), however many metrics are audited. Means are compared by Student's t: scores of few different values
get data on which they vary from draw to draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import stats

from genbench.audit.finding import Part
from genbench.records import Estimate

Inputs = Mapping[str, Any]

FAMILY_LEVEL = 1e-3
"""Chance of any false alarm in a whole audit."""

MOST_BOUNDS = 1000
"""More statistical bounds than any audit has."""

LEVEL = FAMILY_LEVEL / MOST_BOUNDS
"""Chance of a false alarm of one statistical bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A number and what it may be; fields as of `genbench.audit.finding.Finding`."""

    found: float
    low: float | None
    high: float | None
    expected: str
    note: str = ""


class Promise(Protocol):
    """One promise: which part of the audit it belongs to, and its judgement over draws."""

    @property
    def part(self) -> Part:
        """Which part of the audit it belongs to."""
        ...

    @property
    def about(self) -> str:
        """What of the estimate it speaks of, in a few words."""
        ...

    def judge(self, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Verdict:
        """Hold the estimates of draws, and what each was computed from, against the promise."""
        ...


def number_of(estimate: Estimate, of: str) -> float:
    """Read a number of an estimate by name: ``best``, ``value``, ``null``, or ``extra.p_value`` for one of the others.

    Not a number where the estimate has none.
    """
    name = of.removeprefix("extra.")
    found = estimate.extra.get(name) if name != of else getattr(estimate, of)
    return math.nan if found is None else float(found)


def numbers_of(found: Sequence[Estimate], of: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Read the same number of many estimates, as (R,) float64."""
    return np.array([number_of(estimate, of) for estimate in found])


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """A number is what a formula says, on every draw.

    Attributes
    ----------
    truth : float or callable
        The number, or a function of what the metric was given that computes it by other means.
    of : str
        See `number_of`.
    rel, abs : float
        Rounding: the tolerance is the larger of ``rel * |truth|`` and ``abs``.
    """

    truth: float | Callable[[Inputs], float]
    of: str = "value"
    rel: float = 1e-8
    abs: float = 1e-9
    part: Part = "known answer"

    @property
    def about(self) -> str:
        """Of what it speaks."""
        return self.of

    def judge(self, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Verdict:
        """Take the draw that is farthest off."""
        worst: tuple[float, Verdict] | None = None
        for estimate, given in zip(found, drawn, strict=True):
            truth = float(self.truth(given) if callable(self.truth) else self.truth)
            tolerance = max(self.rel * abs(truth), self.abs)
            number = number_of(estimate, self.of)
            off = abs(number - truth) / tolerance
            off = math.inf if math.isnan(off) else off
            if worst is None or off > worst[0]:
                verdict = Verdict(found=number, low=truth - tolerance, high=truth + tolerance, expected=f"{truth:.4g}")
                worst = off, verdict
        assert worst is not None
        return worst[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A number lies in a range on every draw; for bounds that hold with certainty, or all but."""

    low: float | None = None
    high: float | None = None
    of: str = "value"
    part: Part = "known answer"

    @property
    def about(self) -> str:
        """Of what it speaks."""
        return self.of

    def judge(self, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Verdict:
        """Take the smallest number if there is a lower bound and it is missed, else the largest."""
        numbers = numbers_of(found, self.of)
        smallest = self.low is not None and (self.high is None or numbers.min() < self.low)
        number = float(numbers.min() if smallest else numbers.max())
        return Verdict(found=number, low=self.low, high=self.high, expected="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean over draws is the truth, within what chance explains and a bias that is documented.

    Attributes
    ----------
    truth : float
    of : str
        See `number_of`.
    low_bias, high_bias : float
        The documented bias lies between these; infinite where only one side is promised.
    part : str
        ``known answer`` for corrected values, ``bias`` for what is known of uncorrected ones.
    why : str
        Where truth and bias come from.
    """

    truth: float
    of: str = "best"
    low_bias: float = 0.0
    high_bias: float = 0.0
    part: Part = "known answer"
    why: str = ""

    @property
    def about(self) -> str:
        """Of what it speaks."""
        return {"best": "mean", "value": "mean of the value", "null": "null"}.get(self.of, f"mean of {self.of}")

    def judge(self, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Verdict:
        """Compare the mean by Student's t over the draws, two-sided at `LEVEL`."""
        numbers = numbers_of(found, self.of)
        slack = _t_slack(numbers)
        low = None if math.isinf(self.low_bias) else self.truth + self.low_bias - slack
        high = None if math.isinf(self.high_bias) else self.truth + self.high_bias + slack
        side = "at least " if high is None else "at most " if low is None else ""
        expected = f"{side}{self.truth:.4g}"
        if not side and self.low_bias < self.high_bias:
            expected += f", bias {self.low_bias:.2g} to {self.high_bias:.2g}"
        return Verdict(found=float(numbers.mean()), low=low, high=high, expected=expected, note=self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """The null that the estimate states is what equal distributions score on average.

    Only for draws of equal distributions. ``bias`` is what is documented of the difference, either way.
    """

    of: str = "value"
    bias: float = 0.0
    part: Part = "null"

    @property
    def about(self) -> str:
        """Of what it speaks."""
        return "value less its null"

    def judge(self, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Verdict:
        """Compare the mean difference with 0 by Student's t."""
        gaps = numbers_of(found, self.of) - numbers_of(found, "null")
        slack = _t_slack(gaps) + self.bias
        return Verdict(found=float(gaps.mean()), low=-slack, high=slack, expected="0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Covers:
    """The interval covers the truth as often as promised.

    Attributes
    ----------
    truth : float or None
        None takes the mean over the draws, for scores whose expectation at this n is the target.
    at_least : float
        The promised coverage.
    """

    truth: float | None
    at_least: float = 0.90
    part: Part = "coverage"

    @property
    def about(self) -> str:
        """Of what it speaks."""
        return "coverage" + (" of its mean" if self.truth is None else "")

    def judge(self, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Verdict:
        """Count the intervals; fewer than the binomial quantile at `LEVEL` are too few. An open end covers."""
        truth = float(numbers_of(found, "best").mean()) if self.truth is None else self.truth
        least = float(stats.binom.ppf(LEVEL, len(found), self.at_least)) / len(found)
        bounded = all(e.low is not None or e.high is not None for e in found)
        ends = [(-math.inf if e.low is None else e.low, math.inf if e.high is None else e.high) for e in found]
        share = float(np.mean([low - 1e-12 <= truth <= high + 1e-12 for low, high in ends])) if bounded else math.nan
        why = f"coverage of {self.at_least:.3g} promised; {len(found)} draws"
        return Verdict(found=share, low=least, high=None, expected=f"≥ {self.at_least:.3g}", note=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The stated standard error is the deviation over fresh draws, times a documented factor.

    Attributes
    ----------
    low, high : float
        The root mean square of the stated errors over the true deviation lies between these.
    """

    low: float = 0.9
    high: float = 1.15
    part: Part = "stability"

    @property
    def about(self) -> str:
        """Of what it speaks."""
        return "stated error / deviation over draws"

    def judge(self, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Verdict:
        """Widen the promised range by the chi-square band of a deviation over R draws, two-sided at `LEVEL`."""
        numbers, errors = numbers_of(found, "best"), numbers_of(found, "std_error")
        degrees = len(found) - 1
        deviation = float(numbers.std(ddof=1))
        ratio = float(np.sqrt((errors**2).mean())) / deviation if deviation > 0 else math.nan
        band = np.sqrt(stats.chi2.isf([1 - LEVEL / 2, LEVEL / 2], degrees) / degrees)
        return Verdict(
            found=ratio,
            low=self.low / float(band[1]),
            high=self.high / float(band[0]),
            expected=f"{self.low:.3g} to {self.high:.3g}",
            note=f"{len(found)} draws",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A p-value is at most ``level`` in no more than that share of draws under the null hypothesis."""

    of: str = "extra.p_value"
    level: float = 0.05
    promised: float = 0.05
    part: Part = "null"

    @property
    def about(self) -> str:
        """Of what it speaks."""
        return f"share of {self.of.removeprefix('extra.')} ≤ {self.level:.3g}"

    def judge(self, found: Sequence[Estimate], drawn: Sequence[Inputs]) -> Verdict:
        """Count; more than the binomial quantile at `LEVEL` are too many."""
        numbers = numbers_of(found, self.of)
        share = math.nan if np.isnan(numbers).any() else float((numbers <= self.level).mean())
        most = float(stats.binom.isf(LEVEL, len(found), self.promised)) / len(found)
        return Verdict(found=share, low=None, high=most, expected=f"≤ {self.promised:.3g}", note=f"{len(found)} draws")


def _t_slack(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Half-width of a t interval of a mean at confidence 1 - `LEVEL`, and room for rounding."""
    count = len(numbers)
    error = float(numbers.std(ddof=1)) / math.sqrt(count)
    return float(stats.t.isf(LEVEL / 2, count - 1)) * error + 1e-9 * max(1.0, float(np.abs(numbers).max()))
