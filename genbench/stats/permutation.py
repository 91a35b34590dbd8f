"""Exact permutation theory: what a statistic of two sets does when the labels say nothing.

If two sets come from one distribution, any way to hand out their labels over the pooled rows is as likely as the
one that happened. Mean, variance and, where rows are few enough, the whole distribution follow by counting; no
assumption is made on the distribution, and none on whatever else was measured with these rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

LEVEL = 0.95
LARGEST_TABLE = 2 * 10**8
"""Additions that an exact tail may cost, about half a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSum:
    """The sum of the values of one label, and what it does under permutations of the labels.

    Attributes
    ----------
    observed, mean, variance : float
        The sum; its exact expectation and variance over all permutations.
    z : float
        Standardized; 0 where the variance is 0, as then no permutation differs.
    p_value : float
        P(sum >= observed) over all permutations.
    exact : bool
        Whether the p-value was counted; else it is the normal tail of z.
    effective_n : float
        Number of independent labels that would give the share ``observed / total`` this variance; less than the
        total where many values sit on one row. Infinite where the variance is 0.
    """

    observed: float
    mean: float
    variance: float
    z: float
    p_value: float
    exact: bool
    effective_n: float


def labelled_sum(values: Integers, labels: NDArray[np.bool_]) -> LabelledSum:
    """Test whether the rows with a label hold more of the values than their number explains.

    Parameters
    ----------
    values : (n,) int64 array
        Not negative, for example how often each row was hit.
    labels : (n,) bool array
        Whose sum is tested. Under the null hypothesis every set of as many rows was equally likely.

    Returns
    -------
    LabelledSum

    Notes
    -----
    ``Var = n1 (1 - n1/n) S^2`` with S^2 the variance of the values with denominator n - 1: sampling without
    replacement. The p-value is exact, from `subset_sum_tail`, unless that would take more than 2e8 additions: only
    then, with hundreds of rows that hold two or more, is it the normal one.
    """
    n, n_first = len(values), int(labels.sum())
    total, observed = int(values.sum()), int(values[labels].sum())
    mean = total * n_first / n
    variance = _variance(values, n_first)
    if variance <= 0:
        return LabelledSum(
            observed=observed, mean=mean, variance=0.0, z=0.0, p_value=1.0, exact=True, effective_n=math.inf
        )
    z = (observed - mean) / math.sqrt(variance)
    tail = subset_sum_tail(values, n_first, observed)
    return LabelledSum(
        observed=observed,
        mean=mean,
        variance=variance,
        z=z,
        p_value=float(ndtr(-z)) if tail is None else tail,
        exact=tail is not None,
        effective_n=effective_labels(values, n_first),
    )


def effective_labels(values: Integers, n_first: int) -> float:
    """Number of independent labels that `labelled_sum` tells of: its ``effective_n``, without the p-value's cost.

    Parameters
    ----------
    values : (n,) int64 array
        Not negative.
    n_first : int
        How many rows have the label.

    Returns
    -------
    float
    """
    share, variance = n_first / len(values), _variance(values, n_first)
    return share * (1 - share) * int(values.sum()) ** 2 / variance if variance > 0 else math.inf


def _variance(values: Integers, n_first: int) -> float:
    """Variance of the sum of ``n_first`` values drawn without replacement."""
    n = len(values)
    squares = float((values.astype(np.float64) ** 2).sum()) - int(values.sum()) ** 2 / n
    return n_first * (1 - n_first / n) * max(squares, 0.0) / max(n - 1, 1)


def subset_sum_tail(values: Integers, draws: int, threshold: int) -> float | None:
    """Compute P(sum >= threshold) for the sum of ``draws`` values drawn without replacement.

    Parameters
    ----------
    values : (n,) int64 array
        Not negative.
    draws : int
        In [0, n].
    threshold : int

    Returns
    -------
    float or None
        None if the count would take more than `LARGEST_TABLE` additions.

    Notes
    -----
    The commonest positive value is handled by the hypergeometric distribution, the zeros need nothing, and the h
    other rows (sum s) go one by one through a table of (rows drawn, sum): O(h^2 s) additions of probabilities,
    none of which cancels.
    """
    from scipy.stats import hypergeom  # takes most of a second to import

    n = len(values)
    positive, counts = np.unique(values[values > 0], return_counts=True)
    if not len(positive):
        return float(threshold <= 0)
    unit, units = int(positive[counts.argmax()]), int(counts.max())
    others = values[(values > 0) & (values != unit)]
    if len(others) * (len(others) + 1) * (int(others.sum()) + 1) > LARGEST_TABLE:
        return None
    table = np.zeros((len(others) + 1, int(others.sum()) + 1))
    table[0, 0] = 1.0
    drawn = np.arange(len(table))[:, None]
    for row, value in enumerate(others.tolist()):
        chance = np.clip((draws - drawn) / (n - row), 0.0, 1.0)
        taken = table * chance
        table -= taken
        table[1:, value:] += taken[:-1, : table.shape[1] - value]
    needed = np.maximum(-(-(threshold - np.arange(table.shape[1])) // unit), 0)
    tail = 0.0
    for k in np.flatnonzero(table.sum(axis=1) > 0):
        # Summed from the far end on, where the terms are smallest: scipy's own tail is summed anew for every number.
        exactly = hypergeom.pmf(np.arange(units + 1), n - len(others), units, draws - k)
        at_least = np.append(exactly[::-1].cumsum()[::-1], 0.0)
        tail += float(table[k] @ at_least[np.minimum(needed, units + 1)])
    return min(tail, 1.0)


def same_label_moments(sources: Integers, targets: Integers, n_first: int, n_second: int) -> tuple[float, float]:
    """Mean and variance, over permutations, of how many edges of a directed graph join rows with one label.

    Parameters
    ----------
    sources, targets : (e,) int64 arrays
        Edges between distinct rows of the n = n_first + n_second pooled ones, none of them twice; as an edge from
        every row to each of its nearest neighbours.
    n_first, n_second : int
        How many rows have either label; n >= 4.

    Returns
    -------
    mean, variance : float

    Notes
    -----
    With w_ij edges between i and j in either direction, the second moment is a sum over pairs of pairs: the same
    pair (sum of w^2), two pairs with one row in common (degrees squared less twice the former), and disjoint ones.
    Whether those join equal labels has a probability that only the two counts decide. O(e log e).

    References
    ----------
    Schilling 1986, JASA 81:799; Henze 1988, Annals of Statistics 16:772, section 3.
    """
    n, edges = n_first + n_second, len(sources)
    a, b = float(n_first), float(n_second)
    pair = (a * (a - 1) + b * (b - 1)) / (n * (n - 1))
    triple = (a * (a - 1) * (a - 2) + b * (b - 1) * (b - 2)) / (n * (n - 1) * (n - 2))
    fours = a * (a - 1) * (a - 2) * (a - 3) + b * (b - 1) * (b - 2) * (b - 3) + 2 * a * (a - 1) * b * (b - 1)
    quadruple = fours / (n * (n - 1) * (n - 2) * (n - 3))
    joined = len(np.unique(np.minimum(sources, targets) * n + np.maximum(sources, targets)))
    squares = float(edges + 2 * (edges - joined))
    degrees = np.bincount(sources, minlength=n) + np.bincount(targets, minlength=n)
    touching = float((degrees.astype(np.float64) ** 2).sum()) - 2 * squares
    apart = float(edges) ** 2 - squares - touching
    mean = edges * pair
    variance = squares * pair + touching * triple + apart * quadruple - mean**2
    return mean, max(variance, 0.0)


def exceedance_p_value(below: int, n_first: int, rank: int, n_second: int) -> float:
    """Compute P(at least ``below`` of the first set lie under the rank-th smallest of the second) by chance alone.

    Parameters
    ----------
    below : int
        Observed number, in [0, n_first].
    n_first, n_second : int
        Sizes of both sets.
    rank : int
        In [1, n_second].

    Notes
    -----
    It happens exactly when among the ``below + rank - 1`` smallest of all at least ``below`` are of the first set,
    whose number there is hypergeometric. Ties must count as not below.
    """
    from scipy.stats import hypergeom  # takes most of a second to import

    smallest = below + rank - 1
    return float(hypergeom.sf(below - 1, n_first + n_second, n_first, smallest))
