"""How far apart two scores are, with an interval and a p-value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from genbench.stats.jackknife import LEVEL, standard_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first score minus the second.

    Attributes
    ----------
    std_error, low, high, p_value : float or None
        Of the difference, the interval at 95%, two-sided; None where nothing is known of the error, or where it is
        zero, so that there is nothing to hold the difference against.
    degrees : float or None
        Degrees of freedom of the standard error.
    """

    value: float
    std_error: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    degrees: float | None = None

    @property
    def sign(self) -> int:
        """1 or -1 where the interval leaves out zero, else 0; a difference without an error counts as it stands."""
        decided = self.value != 0 if self.p_value is None else self.p_value < 1 - LEVEL
        return (1 if self.value > 0 else -1) if decided else 0


def student_difference(value: float, std_error: float, degrees: float) -> Difference:
    """Put Student's t interval around a difference."""
    if std_error == 0:
        return Difference(value=value)
    half = float(stdtrit(degrees, 0.5 + LEVEL / 2)) * std_error
    p_value = 2 * float(stdtr(degrees, -abs(value) / std_error))
    return Difference(
        value=value, std_error=std_error, low=value - half, high=value + half, p_value=p_value, degrees=degrees
    )


def welch_difference(value: float, std_errors: tuple[float, float], degrees: tuple[float, float]) -> Difference:
    """Difference of two independent means whose variances may differ (Welch 1947).

    Parameters
    ----------
    value : float
        The first mean minus the second.
    std_errors, degrees : (float, float)
        Standard error of each mean, and the degrees of freedom that it was estimated with.
    """
    variances = [error**2 for error in std_errors]
    total = sum(variances)
    if total == 0:
        return Difference(value=value)
    # Welch-Satterthwaite, in shares of the variance: squares of variances would leave the range of numbers first.
    weight = sum((v / total) ** 2 / d for v, d in zip(variances, degrees, strict=True))
    return student_difference(value, math.sqrt(total), 1 / weight)


def jackknife_difference(value: float, one: Sequence[float], other: Sequence[float]) -> Difference:
    """Difference of two scores against one reference, by the delete-a-group jackknife of the difference.

    A replicate removes the same group of the reference from both scores, so that what the reference does to both alike
    cancels; the generated samples of the two are independent, and their variances add (Kott 2001, for groups; the
    relative test of Bounliphone et al. 2016, arXiv:1511.04581, is the same idea for kernels).

    Parameters
    ----------
    value : float
        The first score minus the second, debiased where they are.
    one, other : sequence of float
        Their G replicates, of the same groups in the same order; the interval has G - 1 degrees of freedom.

    Raises
    ------
    ValueError
        If the numbers of replicates differ.
    """
    if len(one) != len(other):
        raise ValueError(f"jackknife_difference: as many replicates of both expected, got {len(one)} and {len(other)}.")
    return student_difference(value, standard_error(np.subtract(one, other).tolist()), len(one) - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979): below alpha with at most alpha chance of any false one.

    Needs no independence between the tests.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
