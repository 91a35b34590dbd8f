"""How often a training of one model beats a training of another, with an interval that small numbers of runs allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import comb, ndtri

from genbench.stats.ranks import mid_ranks

_EDGE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Improvement:
    """The probability that a run of the first model beats one of the second.

    Attributes
    ----------
    probability : float
        Share of pairs that the first wins, ties counted half: U / (n_first n_second) of Mann and Whitney.
    low, high : float
        95% interval.
    p_value : float
        Of the exact two-sided permutation test that both models' runs have one distribution.
    """

    probability: float
    low: float
    high: float
    p_value: float


def probability_of_improvement(first: Sequence[float], second: Sequence[float], *, level: float = 0.95) -> Improvement:
    """Compare two models by their runs, pair by pair (Agarwal et al. 2021, arXiv:2108.13264, section 4.3).

    Parameters
    ----------
    first, second : sequence of float
        A number a run, lower is better, at least one each. A failed run is infinity: it loses to every run that did
        not fail and ties with those that did.
    level : float
        Confidence level.

    Raises
    ------
    ValueError
        If a side is empty or holds a number that is not one.

    Notes
    -----
    The interval is the score interval of Newcombe 2006 (Statistics in Medicine 25:559, method 5): those probabilities
    that their own standard error, by the exponential model of Hanley and McNeil, does not put out of reach. Where every
    run of one beats every run of the other it still has a width: [.50, 1] at 3 and 3 runs, [.64, 1] at 5 and 5.
    Coverage in 4,000 simulated pairs of normal samples, nominal .95, for probabilities of .5, .76, .92 and .99:
    .90 to .97 at 3 and 3 runs, .93 to .95 at 5 and 5, .95 to .97 at 10 and 10.

    The p-value sums the permutations of the pooled mid-ranks, ties included, whose rank sum is as far from its mean as
    the observed one: 2 of 20 at 3 and 3 runs, so that three runs never show a difference at .05.
    O(n_first n_second (n_first + n_second)) additions of whole numbers.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.size == 0 or y.size == 0 or np.isnan(x).any() or np.isnan(y).any():
        raise ValueError(f"probability_of_improvement: numbers on both sides expected, got {first} and {second}.")
    wins = (x[:, None] < y[None, :]).mean() + 0.5 * (x[:, None] == y[None, :]).mean()
    low, high = _newcombe(float(wins), x.size, y.size, float(ndtri(0.5 + level / 2)))
    return Improvement(probability=float(wins), low=low, high=high, p_value=_permutation_p_value(x, y))


def _newcombe(share: float, m: int, n: int, z: float) -> tuple[float, float]:
    star = (m + n) / 2 - 1

    def reach(theta: float) -> float:
        variance = theta * (1 - theta) * (1 + star * (1 - theta) / (2 - theta) + star * theta / (1 + theta)) / (m * n)
        return float((theta - share) ** 2 - z * z * variance)

    # Negative at the share itself and positive at both ends, except at an end where the share is: there the end is it.
    inside = min(max(share, _EDGE), 1 - _EDGE)
    low = 0.0 if share <= 0 else float(brentq(reach, 0.0, inside))
    high = 1.0 if share >= 1 else float(brentq(reach, inside, 1.0))
    return low, high


def _permutation_p_value(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    ranks = mid_ranks(np.concatenate([x, y]))
    doubled = np.rint(2 * ranks).astype(np.int64)  # mid-ranks are halves
    ways = [np.zeros(int(doubled.sum()) + 1) for _ in range(x.size + 1)]
    ways[0][0] = 1.0
    for rank in doubled:
        for taken in range(x.size, 0, -1):
            ways[taken][rank:] += ways[taken - 1][: len(ways[taken]) - rank]
    sums = np.arange(len(ways[0]))
    mean = x.size * (x.size + y.size + 1)  # of a doubled rank sum
    observed = abs(int(doubled[: x.size].sum()) - mean)
    extreme = float(ways[x.size][np.abs(sums - mean) >= observed].sum())
    return min(1.0, extreme / float(comb(x.size + y.size, x.size)))
