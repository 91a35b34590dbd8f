"""Two-sample tests: can generated and reference samples be told apart, and in which direction."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr

from genbench.errors import ConvergenceError, SampleError
from genbench.metrics.distances import check_widths
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.nearest import neighbours_among, neighbours_within
from genbench.metrics.pools import apart, blind_neighbours, blind_priority, canonical_order
from genbench.randomness import derive_seed
from genbench.records import Estimate
from genbench.stats.permutation import LEVEL, same_label_moments
from genbench.stats.seeds import share_interval

K = 3
FOLDS = 5


def knn_two_sample(*, generated: Any, reference: Any, k: int = K) -> Estimate:
    """Share of the k nearest neighbours, in the pool of both sets, that come from the sample's own set.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        n, m >= 2 and n + m > k + 1.
    k : int
        At least 1.

    Returns
    -------
    Estimate
        In [0, 1]. ``null`` = [n (n - 1) + m (m - 1)] / [N (N - 1)], about 1/2 at equal sizes, is exact when both sets
        have one distribution. Above it: the sets lie apart. **Below it: the sets are interleaved more finely than
        chance allows; against the training set that is copying.** ``extra``: ``z``; ``p_apart`` and ``p_copies``,
        one-sided; ``p_value``, two-sided.

    Raises
    ------
    SampleError
        If widths differ, or a set is too small.

    Notes
    -----
    z is standardized by the exact permutation variance, which knows how often each sample is a neighbour and how many
    pairs are mutual; its normal p-values have size .055 to .065 at .05. Equidistant neighbours are chosen among by a
    random order that is blind to labels. It has no interval: its population value depends on n.
    O((n + m)^2 d) operations, which it shares with precision, recall and the divergences; memory in blocks of 64 MiB.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians, value less its null -0.0001 (0); equal mixtures,
      value less its null -0.0059 (0).
    - False alarms: equal Gaussians, p_value at most .05 in 0.0354 (480 draws).
    - On mixture, n = 400: knn_two_sample rises with mode drop (from .1), imbalance (from .8), noise (from .8), blur
      (from .4), shrink (from .2), collapse (from .1), duplicates (from .1) and foreign (from .05); is blind to copies,
      near copies and label noise up to .8.
    - On digits, n = 225: knn_two_sample rises with mode drop (from .4), noise (from .8), blur (from .8), shrink (from
      .4), collapse (from .2), duplicates (from .4) and foreign (from .4); is blind to imbalance, copies, near copies
      and label noise up to .8.

    References
    ----------
    Schilling 1986, JASA 81:799; Henze 1988, Annals of Statistics 16:772.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    generated = apart(generated, reference)
    check_widths("knn_two_sample", generated, reference)
    n, m = generated.n, reference.n
    if k < 1 or min(n, m) < 2 or n + m <= k + 1 or n + m < 4:
        raise SampleError(
            f"knn_two_sample: at least 2 samples of each set and more than k + 1 in all expected, got k = {k} for "
            f"{n} generated and {m} reference samples; score more samples or lower k."
        )
    priority = blind_priority(torch.cat([generated.values, reference.values]))
    sides = [
        [neighbours_within(generated, k + 1), neighbours_among(generated, reference, k + 1)],
        [neighbours_among(reference, generated, k + 1), neighbours_within(reference, k + 1)],
    ]
    targets = torch.cat([blind_neighbours(lists, k, priority)[1] for lists in sides]).cpu().numpy().ravel()
    sources = np.repeat(np.arange(n + m), k)
    same = int(((sources < n) == (targets < n)).sum())
    mean, variance = same_label_moments(sources, targets, n, m)
    z = (same - mean) / math.sqrt(variance) if variance > 1e-9 * mean else 0.0
    edges = len(sources)
    return Estimate(
        value=same / edges,
        null=mean / edges,
        extra={
            "z": z,
            "p_value": float(2 * ndtr(-abs(z))),
            "p_apart": float(ndtr(-z)),
            "p_copies": float(ndtr(z)),
            "sd": math.sqrt(variance) / edges,
        },
        notes=("not corrected: the population score depends on the number of samples",),
    )


def c2st(*, generated: Any, reference: Any, rng: int) -> Estimate:
    """Accuracy of a logistic regression that tells generated from reference samples it was not fitted to.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        At least 5 of each; the larger set is cut down at random to the size of the smaller.
    rng : int
        Seed of that choice and of the folds.

    Returns
    -------
    Estimate
        In [0, 1], lower is better down to ``null`` = 0.5, where nothing tells them apart. ``extra``: ``p_value``,
        one-sided binomial for accuracies above 1/2; ``p_copies``, for below: a classifier that fails more often than a
        coin has met in one fold near-copies of what it knows from the others, with the other label; ``n_each``.

    Raises
    ------
    SampleError
        If widths differ, or a set has fewer than 5 samples.
    ConvergenceError
        If the regression was not fitted within 1,000 steps.

    Notes
    -----
    Five folds with equal numbers of both sets; the features are standardized and the weights penalized (L2, C = 1),
    within each fit. Every sample is judged once by a regression that has not seen it. A linear classifier sees
    differences of means in the feature space and hardly any others; see `knn_two_sample` for those. The folds share
    what they are fitted to, and any two judge each other: the linear part of the accuracy has twice the variance of
    independent trials, so that 2 n answers are counted as n. That is enough in every case (size at most .05 in 1 to 64
    dimensions); counted as 2 n, the size is .08. Wilson's interval is for the accuracy of such a fit at this n, not of
    the best classifier. O(n d) a step.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussians 1 apart 0.6912 (0.6915, bias -0.03 to 0); equal Gaussians
      0.5006 (0.5, bias -0.02 to 0); equal mixtures, value less its null -0.0013 (0).
    - Coverage of 95% intervals: equal mixtures 0.9722 (72 draws, of the mean score at this n).
    - False alarms: equal Gaussians, p_value at most .05 in 0.0056 (360 draws).
    - On mixture, n = 400: c2st rises with mode drop (from .2), imbalance (from .8), collapse (from .4), duplicates
      (from .8) and foreign (from .2); is blind to noise, blur, shrink, copies, near copies and label noise up to .8.
    - On digits, n = 225: c2st rises with mode drop (from .4), imbalance (from .8), noise (from .4), blur (from .8),
      shrink (from .4), collapse (from .4), duplicates (from .8) and foreign (from .4); is blind to copies, near copies
      and label noise up to .8.

    References
    ----------
    Lopez-Paz and Oquab 2017, arXiv:1610.06545, section 3; cross-fitted.
    """
    from scipy.stats import binom  # takes most of a second to import

    generated, reference = Features.of(generated), Features.of(reference)
    check_widths("c2st", generated, reference)
    n = min(generated.n, reference.n)
    if n < FOLDS:
        raise SampleError(f"c2st: at least {FOLDS} samples of each set expected, got {n}; score more samples.")
    rows, folds = zip(
        *(
            _folded(side, n, derive_seed(rng, name))
            for side, name in ((generated, "generated"), (reference, "reference"))
        ),
        strict=True,
    )
    x, fold, label = np.concatenate(rows), np.concatenate(folds), np.repeat([1, 0], n)
    correct = sum(_correct(x, label, fold == held) for held in range(FOLDS))
    accuracy = correct / (2 * n)
    low, high = share_interval(accuracy, n)
    return Estimate(
        value=accuracy,
        std_error=math.sqrt(accuracy * (1 - accuracy) / n),
        low=low,
        high=high,
        level=LEVEL,
        null=0.5,
        extra={
            "p_value": float(binom.sf(math.floor(correct / 2) - 1, n, 0.5)),
            "p_copies": float(binom.cdf(math.ceil(correct / 2), n, 0.5)),
            "n_each": float(n),
        },
        notes=("a linear classifier: an accuracy of 1/2 does not prove that the sets are alike",),
    )


def _folded(features: Features, n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw n rows in random order, whatever order they came in, and deal them out to the folds."""
    order = np.random.default_rng(derive_seed(seed, "folds")).permutation(features.n)[:n]
    rows = features.values.cpu().numpy()[canonical_order(features.values)[order]]
    return rows, np.arange(n) % FOLDS


def _correct(x: NDArray[np.float64], label: NDArray[np.int64], held: NDArray[np.bool_]) -> float:
    """Fit without the held rows and count those that are told right; a score on the boundary is half right."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, scale = x[~held].mean(axis=0), x[~held].std(axis=0)
    scaled = (x - mean) / np.where(scale > 0, scale, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model = LogisticRegression(C=1.0, max_iter=1000).fit(scaled[~held], label[~held])
        except ConvergenceWarning as warning:
            raise ConvergenceError(f"c2st: the regression was not fitted within 1,000 steps ({warning}).") from warning
    score = model.decision_function(scaled[held]) * np.where(label[held] == 1, 1.0, -1.0)
    return float((score > 0).sum() + (score == 0).sum() / 2)


KNN_TWO_SAMPLE = Metric(
    name="knn_two_sample",
    compute=knn_two_sample,
    space="pool",
    unit="share",
    better="match",
    ideal=None,
    uncertainty="none",
    source="Schilling 1986, JASA 81:799; Henze 1988, Annals of Statistics 16:772",
)
C2ST = Metric(
    name="c2st",
    compute=c2st,
    space="pool",
    unit="share",
    better="match",
    ideal=0.5,
    uncertainty="closed form",
    source="Lopez-Paz and Oquab 2017, arXiv:1610.06545, section 3",
)
