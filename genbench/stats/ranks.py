"""Ranks of pooled samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mid_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Return the ranks of values (n,) from 1 on; equal ones share the mean of theirs. O(n log n).

    As `scipy.stats.rankdata`, with which most of a second would go into importing the rest of `scipy.stats`.
    """
    _, which, times = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (times.cumsum() - (times - 1) / 2)[which]
    return ranks
