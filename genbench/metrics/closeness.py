"""How close generated samples come to the training set, calibrated on held-out ones: AuthPct and C_T.

Both describe; `genbench.metrics.memorization.label_test` decides. A generator that is merely narrower than the data
lies closer to the training set without any copying, and both then read as copying does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from genbench.errors import SampleError
from genbench.metrics.bins import cells_of, fit_cells
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.nearest import lists_among, neighbours_among
from genbench.metrics.pools import apart, distances_within, real_sets
from genbench.records import Estimate
from genbench.stats.permutation import LEVEL
from genbench.stats.ranks import mid_ranks
from genbench.stats.seeds import share_interval

SAMPLES_A_CELL = 50
FEWEST = 10


def auth_pct(*, generated: Any, train: Any, test: Any) -> Estimate:
    """Share of authentic samples: farther from their nearest training sample than that is from its own nearest.

    Parameters
    ----------
    generated, train, test : Features or (n, d), (m, d), (l, d) arrays
        m >= 2 distinct training rows.

    Returns
    -------
    Estimate
        In [0, 1]. ``null`` is the authenticity of the held-out samples, so that a perfect generator matches it. It is
        **not** one half, as tools that print ``x - 50`` assume: 0.39 in 2, 0.59 in 8, 0.69 in 16 dimensions at 1,000
        training samples. Less than the null: closer to training samples than real ones are. More: farther away.
        ``extra``: ``z`` against the null and ``p_value``, one-sided for less.

    Raises
    ------
    SampleError
        If widths differ, or fewer than 2 distinct training rows or no held-out row is left.

    Notes
    -----
    ``z = (a - a0) / sqrt(p (1 - p) (1/n + 1/l))``, p the pooled share: given the training set, both shares are of
    independent samples (false alarms .055 to .065 at .05). The interval is Wilson's: given the
    training set, of which a generator cannot be parted, fresh generated samples are independent. Confounded by spread:
    a generator with 0.8 times the data's spread is flagged always. At equal distance to several training samples a
    sample must be authentic to each. O((n + l + m) m d) operations.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: a perfect generator, value less its null 0.0002 (0); equal
      mixtures, value less its null -0.0051 (0).
    - Coverage of 95% intervals: equal mixtures 0.8889 (72 draws, of the mean score at this n).
    - False alarms: a perfect generator, p_value at most .05 in 0.0444 (360 draws).
    - On mixture, n = 400: auth_pct rises with noise (from .8) and foreign (from .4); falls with blur (from .2), shrink
      (from .1), copies (from .2) and near copies (from .2); is blind to mode drop, imbalance, collapse, duplicates and
      label noise up to .8.
    - On digits, n = 225: auth_pct rises with noise (from .8) and foreign (from .4); falls with collapse (from .8),
      copies (from .2) and near copies (from .2); is blind to mode drop, imbalance, blur, shrink, duplicates and label
      noise up to .8.

    References
    ----------
    Alaa et al. 2022, arXiv:2102.08921, section 3.
    """
    generated, train, test = Features.of(generated), Features.of(train), Features.of(test)
    generated = apart(generated, train, test)
    sets = real_sets("auth_pct", generated, train, test)
    if sets.train.n < 2:
        raise SampleError(f"auth_pct: at least 2 distinct training rows expected, got {sets.train.n}.")
    gaps = distances_within(sets.train)
    authentic, authentic_held = (_authentic(points, sets.train, gaps) for points in (generated, sets.held_out))
    n, n_held = generated.n, sets.held_out.n
    value, null = float(authentic.mean()), float(authentic_held.mean())
    pooled = (value * n + null * n_held) / (n + n_held)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / n_held))
    z = (value - null) / spread if spread > 0 else 0.0
    low, high = share_interval(value, n)
    return Estimate(
        value=value,
        std_error=math.sqrt(value * (1 - value) / n),
        low=low,
        high=high,
        level=LEVEL,
        null=null,
        extra={"z": z, "p_value": float(ndtr(z)), **sets.counts},
        notes=sets.notes,
    )


def _authentic(points: Features, train: Features, gaps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points, (n,), are farther from their nearest training row than that is from its own nearest."""
    lists = neighbours_among(points, train, 1)
    distances, indices = lists.distances.cpu().numpy(), lists.indices.cpu().numpy()
    tied = distances == distances[:, :1]
    reach = np.where(tied, gaps[indices], -math.inf).max(axis=1)
    farther: NDArray[np.bool_] = distances[:, 0] > reach
    return farther


def c_t(*, generated: Any, train: Any, test: Any, rng: int, cells: int | None = None, fewest: int = FEWEST) -> Estimate:
    """C_T: whether generated samples lie closer to the training set than held-out samples of the same region do.

    Parameters
    ----------
    generated, train, test : Features or (n, d), (m, d), (l, d) arrays
    rng : int
        Seed of k-means.
    cells : int or None
        Regions, fitted to the training set by k-means. By default as many as leave 50 generated and held-out samples
        each, 1 to 50.
    fewest : int
        Cells with fewer generated or held-out samples are left out.

    Returns
    -------
    Estimate
        In standard deviations, standard normal for a perfect generator (``null`` = 0, exactly). Far below 0: closer
        than held-out samples. Far above 0: farther away, a poor fit. ``extra``: ``p_value``, one-sided for below;
        ``published``, the statistic of the paper; ``cells_used``; ``test_share``, the part of the held-out samples in
        them.

    Raises
    ------
    SampleError
        If widths differ, no held-out row is left, or no cell has enough samples.

    Notes
    -----
    In each cell the Mann-Whitney statistic of the distances to the cell's training samples, generated against
    held-out, standardized with the correction for ties: z. With w the cell's share of the held-out samples, the
    paper's C_T is the mean ``sum w z / sum w``, whose deviation without copying is ``sqrt(sum w^2) / sum w``, not 1:
    rejecting it at -1.645 has size .005. ``value`` is ``sum w z / sqrt(sum w^2)`` (size .055 in 2 and in 16
    dimensions). **Never call C_T << 0 alone copying**: a generator with 0.8 times the data's spread, or one that
    covers a single mode, is far below 0 without having copied anything. It has no interval: it is a test statistic.
    O(K m d) a k-means step, O((n + l) m d / K) distances.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: a perfect generator -0.071 (0, bias -0.1 to 0.1); equal mixtures,
      value less its null 0.0892 (0).
    - False alarms: a perfect generator, p_value at most .05 in 0.0667 (360 draws).
    - On mixture, n = 400: c_t rises with noise (from .4) and foreign (from .2); falls with blur (from .05), shrink
      (from .05), copies (from .1) and near copies (from .1); is blind to mode drop, imbalance, collapse, duplicates and
      label noise up to .8.
    - On digits, n = 225: c_t rises with noise (from .4) and foreign (from .2); falls with shrink (from .8), copies
      (from .4) and near copies (from .4); is blind to mode drop, imbalance, blur, collapse, duplicates and label noise
      up to .8.

    References
    ----------
    Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675, section 3.
    """
    generated, train, test = Features.of(generated), Features.of(train), Features.of(test)
    generated = apart(generated, train, test)
    sets = real_sets("c_t", generated, train, test)
    held_out = sets.held_out
    wanted = min(max(min(generated.n, held_out.n) // SAMPLES_A_CELL, 1), 50) if cells is None else cells
    if wanted < 1 or fewest < 1:
        raise SampleError(f"c_t: at least one cell and one sample in it expected, got {wanted} and {fewest}.")
    centres = fit_cells(sets.train, wanted, seed=rng)
    ours, real, theirs = (cells_of(points, centres) for points in (generated, sets.train, held_out))
    weights, scores = [], []
    for cell in range(centres.n):
        members = [part == cell for part in (ours, real, theirs)]
        if min(members[0].sum(), members[2].sum()) < fewest or not members[1].any():
            continue
        inside = sets.train.select(members[1]).values
        near, held = (
            lists_among(points.select(mine).values, inside, 1)[0].distances[:, 0].cpu().numpy()
            for points, mine in ((generated, members[0]), (held_out, members[2]))
        )
        weights.append(len(held) / held_out.n)
        scores.append(mann_whitney_z(near, held))
    if not scores:
        raise SampleError(
            f"c_t: a cell with at least {fewest} generated and held-out samples expected, got none of {centres.n}; "
            "score more samples or ask for fewer cells."
        )
    w, z = np.array(weights), np.array(scores)
    value = float(w @ z / np.sqrt(w @ w))
    return Estimate(
        value=value,
        null=0.0,
        extra={
            "p_value": float(ndtr(value)),
            "published": float(w @ z / w.sum()),
            "cells_used": float(len(z)),
            "test_share": float(w.sum()),
            **sets.counts,
        },
        notes=("a generator narrower than the data is below 0 too; only label_test tells copying apart", *sets.notes),
    )


def mann_whitney_z(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Standardized Mann-Whitney statistic, positive where the first sample is larger; 0 where all values are equal.

    ``Var U = n m / 12 (N + 1 - sum (t^3 - t) / (N (N - 1)))`` over groups of t equal values of all N.
    """
    n, m = len(first), len(second)
    total = n + m
    pooled = np.concatenate([first, second])
    u = float(mid_ranks(pooled)[:n].sum()) - n * (n + 1) / 2
    ties = np.unique(pooled, return_counts=True)[1].astype(np.float64)
    variance = n * m / 12 * (total + 1 - float((ties**3 - ties).sum()) / (total * (total - 1)))
    return (u - n * m / 2) / math.sqrt(variance) if variance > 1e-9 * n * m else 0.0


AUTH_PCT = Metric(
    name="auth_pct",
    compute=auth_pct,
    space="pool",
    unit="share",
    better="match",
    ideal=None,
    uncertainty="closed form",
    source="Alaa et al. 2022, arXiv:2102.08921, section 3; calibrated on held-out samples",
)
C_T = Metric(
    name="c_t",
    compute=c_t,
    space="pool",
    unit="standard deviations",
    better="match",
    ideal=0.0,
    uncertainty="none",
    source="Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675; unit variance by genbench",
)
