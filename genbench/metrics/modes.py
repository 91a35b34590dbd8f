"""How many modes of a known mixture the samples reach, how well, and how evenly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaincinv

from genbench.definitions import Mixture
from genbench.errors import SampleError
from genbench.metrics.counts import entropy_of_counts
from genbench.metrics.distances import pairwise_distances, row_blocks
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.records import Estimate
from genbench.stats.jackknife import LEVEL, deletions, jackknife_estimate
from genbench.stats.seeds import wilson_interval

WITHIN = 1.0 - math.exp(-4.5)
"""Share of a component's samples that count as high quality: three deviations in two dimensions, 98.89%."""

DUE_SHARE = 0.2


def modes(*, generated: Any, mixture: Mixture) -> Estimate:
    """Count the modes of the mixture that got at least one high-quality sample.

    One stray sample a mode is enough for the full count: read `modes_share` and `kl_modes` beside it.

    Parameters
    ----------
    generated : Features or (n, d) array
        Raw coordinates.
    mixture : Mixture
        The truth: K equally weighted components.

    Returns
    -------
    Estimate
        In [0, K], higher is better; ``null`` is the expectation of a perfect generator at this n. No error is given.

    Raises
    ------
    SampleError
        If the width is not the mixture's.

    Notes
    -----
    A sample is of high quality within the 98.89% quantile of the distance to the nearest centre, |z|^2 <=
    chi2_d(0.9889), which in two dimensions is the customary three deviations, and unlike them means the same in
    every dimension. O(n K d).

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: the whole ring, few samples, value less its null 0.0396 (0); the
      whole ring, few samples, value 7.071 (7.031); equal mixtures, value less its null 0 (0).
    - On mixture, n = 400: modes falls with mode drop (from .1); is blind to imbalance, noise, blur, shrink, collapse,
      duplicates, copies, near copies, label noise and foreign up to .8.

    References
    ----------
    Srivastava et al. 2017 (VEEGAN), arXiv:1705.07761, section 4; Lin et al. 2018 (PacGAN), arXiv:1712.04086.
    """
    counts = _counts("modes", Features.of(generated), mixture)
    k, n = len(mixture.centres), Features.of(generated).n
    return Estimate(value=float((counts > 0).sum()), null=k * (1 - (1 - WITHIN / k) ** n))


def modes_share(*, generated: Any, mixture: Mixture) -> Estimate:
    """Count the modes that got at least a fifth of the high-quality samples that are their due, n/K.

    Parameters, errors and cost are those of `modes`.

    Returns
    -------
    Estimate
        In [0, K], higher is better; ``null`` is the expectation of a perfect generator at this n. No error is given.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: the whole ring, few samples, value less its null 0.0396 (0); equal
      mixtures, value less its null 0.0002 (0).
    - On mixture, n = 400: modes_share falls with mode drop (from .1) and foreign (from .8); is blind to imbalance,
      noise, blur, shrink, collapse, duplicates, copies, near copies and label noise up to .8.
    """
    from scipy.stats import binom  # takes most of a second to import

    counts = _counts("modes_share", Features.of(generated), mixture)
    k, n = len(mixture.centres), Features.of(generated).n
    due = math.ceil(DUE_SHARE * n / k)
    return Estimate(value=float((counts >= due).sum()), null=k * float(binom.sf(due - 1, n, WITHIN / k)))


def high_quality(*, generated: Any, mixture: Mixture) -> Estimate:
    """Share of the samples that are of high quality, as `modes` defines it.

    Parameters, errors and cost are those of `modes`.

    Returns
    -------
    Estimate
        In [0, 1]. A perfect generator scores 98.89%, in every dimension; more than that means components that are
        too narrow. Binomial standard error, Wilson interval.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: the whole ring, value 0.989 (0.9889); equal mixtures, value less
      its null 0.0018 (0).
    - Coverage of 95% intervals: the whole ring 0.935 (600 draws); equal mixtures 1 (72 draws, of the mean score at this
      n).
    - On mixture, n = 400: high_quality rises with blur (from .2), shrink (from .1) and collapse (from .8); falls with
      noise (from .4) and foreign (from .05); is blind to mode drop, imbalance, duplicates, copies, near copies and
      label noise up to .8.
    """
    features = Features.of(generated)
    inside = _assign("high_quality", features, mixture) >= 0
    share = float(inside.mean())
    low, high = wilson_interval(int(inside.sum()), features.n, level=LEVEL)
    return Estimate(
        value=share,
        std_error=math.sqrt(share * (1 - share) / features.n),
        low=low,
        high=high,
        level=LEVEL,
        null=WITHIN,
        replicates=tuple(float(inside[keep].mean()) for (keep,) in deletions(features.n)),
    )


def kl_modes(*, generated: Any, mixture: Mixture) -> Estimate:
    """Kullback-Leibler divergence of the modes' shares of high-quality samples from the uniform distribution.

    Parameters and cost are those of `modes`.

    Returns
    -------
    Estimate
        In nats, in [0, log K], lower is better, ideal 0. ``debiased`` subtracts (modes seen - 1)/(2n) and may be
        negative; ``null`` is a perfect generator's (K - 1)/(2n), n counting high-quality samples. ``extra``:
        ``p_value`` of a G-test of equal shares (reliable from 20 samples a mode), and ``bound``, log(K/modes seen).

    Raises
    ------
    SampleError
        If the width is not the mixture's, or no sample is of high quality.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: four of eight modes 0.6933 (0.6931, bias -0.003 to 0.003); the
      whole ring -0.0001 (0, bias -0.002 to 0.002); the whole ring, value less its null -0.0001 (0); equal mixtures,
      value less its null 0.0003 (0).
    - Coverage of 95% intervals: the whole ring 0.9812 (480 draws); equal mixtures 0.9861 (72 draws).
    - On mixture, n = 400: kl_modes rises with mode drop (from .1), imbalance (from .4), duplicates (from .8) and
      foreign (from .8); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.
    """
    features = Features.of(generated)
    assigned = _assign("kl_modes", features, mixture)
    k = len(mixture.centres)
    counts = _bincount(assigned, k)
    n, seen = int(counts.sum()), int((counts > 0).sum())
    if n == 0:
        raise SampleError(f"kl_modes: samples near a mode expected, but all {features.n} are far from every one.")
    value = math.log(k) - entropy_of_counts(counts)
    parts = [_bincount(assigned[keep], k) for (keep,) in deletions(features.n)]
    if any(part.sum() == 0 for part in parts):
        parts = []
    return jackknife_estimate(
        value,
        [math.log(k) - entropy_of_counts(part) for part in parts],
        sizes=(n,),
        debiased=value - (seen - 1) / (2 * n),
        null=(k - 1) / (2 * n),
        extra={
            "p_value": float(chdtrc(k - 1, max(0.0, 2 * n * value))) if k > 1 else 1.0,
            "bound": math.log(k / seen),
        },
    )


def _assign(metric: str, features: Features, mixture: Mixture) -> NDArray[np.int64]:
    """Nearest mode of every high-quality sample, -1 for the others; remembered."""
    if features.d != mixture.centres.shape[1]:
        raise SampleError(
            f"{metric}: samples of width {mixture.centres.shape[1]}, as the mixture has, expected, got {features.d}; "
            "score the raw samples (identity.pool)."
        )

    def compute() -> NDArray[np.int64]:
        centres = torch.as_tensor(mixture.centres, dtype=torch.float64, device=features.values.device)
        radius = mixture.std * math.sqrt(float(2 * gammaincinv(features.d / 2, WITHIN)))
        found = []
        for rows in row_blocks(features.n, len(centres)):
            nearest = pairwise_distances(features.values[rows], centres).min(dim=1)
            found.append(torch.where(nearest.values <= radius, nearest.indices, -1))
        return np.asarray(torch.cat(found).cpu().numpy(), dtype=np.int64)

    return features.remember(("modes", mixture), compute)


def _counts(metric: str, features: Features, mixture: Mixture) -> NDArray[np.int64]:
    return _bincount(_assign(metric, features, mixture), len(mixture.centres))


def _bincount(assigned: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    return np.bincount(assigned[assigned >= 0], minlength=k)


MODES = Metric(
    name="modes",
    compute=modes,
    space="pool",
    unit="modes",
    better="higher",
    ideal=None,
    uncertainty="none",
    source="Srivastava et al. 2017, arXiv:1705.07761, section 4",
)
MODES_SHARE = Metric(
    name="modes_share",
    compute=modes_share,
    space="pool",
    unit="modes",
    better="higher",
    ideal=None,
    uncertainty="none",
    source="as modes, with a share of the expected count as threshold",
)
HIGH_QUALITY = Metric(
    name="high_quality",
    compute=high_quality,
    space="pool",
    unit="share",
    better="match",
    ideal=WITHIN,
    uncertainty="closed form",
    source="Srivastava et al. 2017, arXiv:1705.07761, section 4, with a chi-square quantile as radius",
)
KL_MODES = Metric(
    name="kl_modes",
    compute=kl_modes,
    space="pool",
    unit="nats",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Lin et al. 2018 (PacGAN), arXiv:1712.04086, section 4",
)
