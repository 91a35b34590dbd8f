"""Whether a generator combines what it learned: combinations of factors that no training sample has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import ndtri

from genbench.definitions import Factors
from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.records import Estimate
from genbench.stats.jackknife import LEVEL
from genbench.stats.seeds import wilson_interval

TOLERANCE = 0.5


def novel_combinations(*, generated: Any, factors: Factors, tolerance: float = TOLERANCE) -> Estimate:
    r"""Share of the combinations unseen in training that the samples cover.

    Parameters
    ----------
    generated : Features or (n, d) array
        Events as they are, images as flattened pixels in [0, 1]: the space ``identity.pool``.
    factors : Factors
        Reads each event's combination, as `genbench.data.shapes.Figures`.
    tolerance : float
        In (0, 1): how far an event may be from the nearest one with exact factors, as a part of that one's norm, to
        count as valid.

    Returns
    -------
    Estimate
        In [0, 1], higher is better; 0 for a generator that repeats what it has seen. ``null``, 1 - (1 - 1/K)^n, is the
        expectation of one that makes all K combinations equally often. ``extra``: ``valid``, the share of samples that
        have a combination; ``seen``, the share of the seen combinations covered, with the same null; ``unseen_share``,
        the share of unseen ones among the valid samples, ``unseen_null`` = u/K for the equal generator; ``valid_low``,
        ``valid_high``, ``seen_low``, ``seen_high``, ``unseen_share_low``, ``unseen_share_high``, their 95% intervals.

    Raises
    ------
    SampleError
        If there are no samples, or the tolerance is out of range.

    Notes
    -----
    Shares of samples have Wilson's interval. A number S of combinations covered by n samples has the expectation at
    this n as its target. With Poisson numbers of hits, means m_i, its variance is sum e^-m_i (1 - e^-m_i), and the
    number f_1 of combinations hit once has the expectation sum m_i e^-m_i, which is at least that, as 1 - e^-m <= m:
    so ``std_error`` = sqrt(f_1) / u is on the safe side, and the interval is S +- z sqrt(f_1 + z^2 / 4), that of a
    Poisson number near zero, cut to what is possible. O(n) beside the reading, which is the factors' own.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: all combinations equally likely, value less its null -0.0009 (0);
      equal mixtures, value less its null 0 (0).
    - Coverage of 95% intervals: all combinations equally likely 0.9938 (480 draws); equal mixtures 1 (72 draws, of the
      mean score at this n).

    References
    ----------
    The number of singletons as what a sample does not show: Good 1953, Biometrika 40:237.
    """
    features = Features.of(generated)
    if not 0 < tolerance < 1:
        raise SampleError(f"novel_combinations: a tolerance in (0, 1) expected, got {tolerance}.")
    if features.n < 1:
        raise SampleError("novel_combinations: at least one sample expected, got none.")
    found = factors.read(features.values.cpu().numpy(), tolerance=tolerance)
    hits = np.bincount(found[found >= 0], minlength=factors.combinations)
    unseen = np.zeros(factors.combinations, dtype=bool)
    unseen[factors.unseen] = True
    n_valid, n_unseen = int(hits.sum()), int(hits[unseen].sum())
    value, low, high, std_error = _covered(hits[unseen])
    seen, seen_low, seen_high, _ = _covered(hits[~unseen])
    valid_low, valid_high = wilson_interval(n_valid, features.n)
    share_low, share_high = wilson_interval(n_unseen, n_valid) if n_valid else (0.0, 1.0)
    return Estimate(
        value=value,
        std_error=std_error,
        low=low,
        high=high,
        level=LEVEL,
        null=1 - (1 - 1 / factors.combinations) ** features.n,
        extra={
            "valid": n_valid / features.n,
            "valid_low": valid_low,
            "valid_high": valid_high,
            "seen": seen,
            "seen_low": seen_low,
            "seen_high": seen_high,
            "unseen_share": n_unseen / n_valid if n_valid else 0.0,
            "unseen_share_low": share_low,
            "unseen_share_high": share_high,
            "unseen_null": float(unseen.mean()),
        },
        notes=() if n_valid else ("no sample has a combination that can be read",),
    )


def _covered(hits: Any) -> tuple[float, float, float, float]:
    """Share of combinations with a hit, its interval and standard error; hits (u,)."""
    u, covered, once = len(hits), int((hits > 0).sum()), int((hits == 1).sum())
    z = float(ndtri(0.5 + LEVEL / 2))
    half = z * math.sqrt(once + z * z / 4)
    return covered / u, max(0.0, covered - half) / u, min(float(u), covered + half) / u, math.sqrt(once) / u


NOVEL_COMBINATIONS = Metric(
    name="novel_combinations",
    compute=novel_combinations,
    space="pool",
    unit="share",
    better="higher",
    ideal=None,
    uncertainty="closed form",
    source="counted; interval from the number of singletons, Good 1953",
)
