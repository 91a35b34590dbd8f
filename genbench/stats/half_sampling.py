"""Half-sampling: the standard error of scores that count who lies within whose neighbourhood.

A score of a random half of the samples, drawn without replacement, varies from half to half as much as the score of
all samples varies from sample to sample: for a mean, the variance over halves is (1 - 1/2) s^2 / (n/2) = s^2 / n.
No row is ever repeated, unlike in the bootstrap, whose duplicates shift nearest-neighbour scores by several standard
deviations (Politis, Romano and Wolf 1999, chapter 2, for subsampling).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from genbench.errors import SampleError
from genbench.randomness import derive_seed

DRAWS = 50
LEVEL = 0.95


def halves(n: int, *, seed: int, draws: int = DRAWS) -> NDArray[np.bool_]:
    """Draw random halves of n samples, each without replacement.

    Parameters
    ----------
    n : int
        Number of samples, at least 2.
    seed : int
        Same seed, same halves. Give every set of samples a seed of its own.
    draws : int
        How many.

    Returns
    -------
    (draws, n) bool array
        True for the ``n // 2`` members of the half.

    Raises
    ------
    SampleError
        If n is below 2.
    """
    if n < 2:
        raise SampleError(f"half-sampling: at least 2 samples expected, got {n}; score more samples.")
    rng = np.random.default_rng(derive_seed(seed, "halves"))
    members = np.zeros((draws, n), dtype=bool)
    for row in members:
        row[rng.permutation(n)[: n // 2]] = True
    return members


def standard_error(scores: NDArray[np.float64]) -> float:
    """Return the standard error of the full score: the standard deviation of the scores of the halves."""
    return float(np.std(scores, ddof=1))


def interval(
    value: float, std_error: float, *, lowest: float = 0.0, highest: float = np.inf, level: float = LEVEL
) -> tuple[float, float]:
    """Return the normal interval around the value, cut off at the ends of the score's range."""
    width = float(ndtri(0.5 + level / 2)) * std_error
    return max(lowest, value - width), min(highest, value + width)
