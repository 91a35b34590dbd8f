"""How close generated samples come to the training set, beside how close held-out samples do.

These describe; `genbench.metrics.memorization.label_test` decides. A generator that is merely narrower than the data
lies closer to the training set without any copying, and every score of this file then moves as copying would move it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import ndtri

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.memorization import nearest_real
from genbench.metrics.metric import Metric
from genbench.metrics.pools import apart, distances_to, real_sets, subsample
from genbench.records import Estimate
from genbench.stats.permutation import LEVEL, effective_labels, exceedance_p_value
from genbench.stats.seeds import share_interval

SMALLEST = 0.02
CLOSE = 0.01


def lower_tail_copies(*, generated: Any, train: Any, test: Any, smallest: float = SMALLEST) -> Estimate:
    """Share of generated samples among the pooled samples that come closest to the training set.

    Strong noise and collapse lower it: it looks for copies, and says nothing of quality.

    Parameters
    ----------
    generated, train, test : Features or (n, d), (m, d), (l, d) arrays
    smallest : float
        In (0, 1): the part of the n + l distances to the nearest training sample that is looked at.

    Returns
    -------
    Estimate
        In [0, 1]; ``null`` = n / (n + l) is exact for a perfect generator. More: some generated samples are closer to
        the training set than held-out ones ever are. ``extra``: ``p_value``, one-sided and exact (hypergeometric);
        ``lift`` = value / null; ``n_tail``; ``distance``, the largest one looked at.

    Raises
    ------
    SampleError
        If widths differ, no held-out row is left, or ``smallest`` is out of range.

    Notes
    -----
    The most sensitive to rare copies (2% near-copies are found with power .6, where the label test has .2), and the
    easiest to fool: a generator with 0.8 times the data's spread is flagged in 8 of 10 cases.
    Distances equal to the largest one all belong, which keeps the test exact. Interval: Wilson's.
    O((n + l) m d) operations.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: a perfect generator, value less its null -0.0014 (0); equal
      mixtures, value less its null 0.0361 (0).
    - Coverage of 95% intervals: a perfect generator 0.9361 (360 draws); equal mixtures 0.9167 (72 draws, of the mean
      score at this n).
    - False alarms: a perfect generator, p_value at most .05 in 0.0222 (360 draws).
    - On mixture, n = 400: lower_tail_copies rises with blur (from .4), shrink (from .2), copies (from .05) and near
      copies (from .05); falls with noise (from .8), collapse (from .8) and foreign (from .8); is blind to mode drop,
      imbalance, duplicates and label noise up to .8.
    - On digits, n = 225: lower_tail_copies rises with copies (from .05) and near copies (from .05); falls with noise
      (from .8); is blind to mode drop, imbalance, blur, shrink, collapse, duplicates, label noise and foreign up to .8.

    References
    ----------
    Fisher's exact test; the choice of the lower tail of the distances to training is genbench's own.
    """
    from scipy.stats import hypergeom  # takes most of a second to import

    generated, train, test = Features.of(generated), Features.of(train), Features.of(test)
    generated = apart(generated, train, test)
    if not 0 < smallest < 1:
        raise SampleError(f"lower_tail_copies: a part in (0, 1) expected, got {smallest}.")
    sets = real_sets("lower_tail_copies", generated, train, test)
    ours, theirs = distances_to(generated, sets.train), distances_to(sets.held_out, sets.train)
    total = len(ours) + len(theirs)
    rank = math.ceil(smallest * total)
    cut = float(np.partition(np.concatenate([ours, theirs]), rank - 1)[rank - 1])
    hits = int((ours <= cut).sum())
    n_tail = hits + int((theirs <= cut).sum())
    value, null = hits / n_tail, len(ours) / total
    low, high = share_interval(value, n_tail)
    return Estimate(
        value=value,
        std_error=math.sqrt(value * (1 - value) / n_tail),
        low=low,
        high=high,
        level=LEVEL,
        null=null,
        extra={
            "p_value": float(hypergeom.sf(hits - 1, total, len(ours), n_tail)),
            "lift": value / null,
            "n_tail": float(n_tail),
            "distance": cut,
            **sets.counts,
        },
        notes=sets.notes,
    )


def nn_distance_ratio(*, generated: Any, train: Any, test: Any, rng: int) -> Estimate:
    """Median over generated samples of the distance to train over the distance to held-out, at equal sizes.

    Parameters
    ----------
    generated, train, test : Features or (n, d), (m, d), (l, d) arrays
        Distances shrink as a set grows: the larger real set is cut down to the size of the smaller one.
    rng : int
        Seed of that choice.

    Returns
    -------
    Estimate
        At least 0. ``null`` = 1 is exact without memorization, whatever the generator's quality. Below 1: closer to
        what it was trained on; 0 where most samples are exact copies. ``extra``: ``share_closer``, the part of the
        samples that are closer to train; ``n_real``, the size of both real sets.

    Raises
    ------
    SampleError
        If widths differ, no held-out row is left, or the median is infinite because half of the generated samples
        equal held-out rows.

    Notes
    -----
    The median of the logarithm: symmetric, so that its null is exactly 0. No ratio is 0/0, as no row is in both
    real sets. The interval is that of order statistics, with as many trials as the shared real neighbours leave (see
    `label_test`). O(n (m + l) d) operations.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: a perfect generator, value less its null -0.001 (0); a narrow
      generator, value less its null -0.0019 (0); equal mixtures, value less its null 0.0123 (0).
    - Coverage of 95% intervals: a perfect generator 0.9639 (360 draws); a narrow generator 0.9556 (360 draws); equal
      mixtures 0.9444 (72 draws, of the mean score at this n).
    - On mixture, n = 400: nn_distance_ratio falls with copies (from .2), near copies (from .2) and foreign (from .4);
      is blind to mode drop, imbalance, noise, blur, shrink, collapse, duplicates and label noise up to .8.
    - On digits, n = 225: nn_distance_ratio falls with collapse (from .2), copies (from .2) and near copies (from .2);
      is blind to mode drop, imbalance, noise, blur, shrink, duplicates, label noise and foreign up to .8.

    References
    ----------
    The nearest-neighbour distance ratio of synthetic-data privacy reports, as in Platzer and Reutterer 2021,
    arXiv:2104.00635.
    """
    generated, train, test = Features.of(generated), Features.of(train), Features.of(test)
    generated = apart(generated, train, test)
    sets = real_sets("nn_distance_ratio", generated, train, test)
    n_real = min(sets.train.n - int(sets.counts["in_both"]), sets.held_out.n)
    if n_real < 1:
        raise SampleError("nn_distance_ratio: a training row that is not held out expected, got none.")
    own = sets.train.select(~sets.in_both_train) if sets.in_both_train.any() else sets.train
    equal = real_sets(
        "nn_distance_ratio", generated, subsample(own, n_real, seed=rng), subsample(sets.held_out, n_real, seed=rng)
    )
    with np.errstate(divide="ignore"):
        to_train, to_held = (np.log(distances_to(generated, side)) for side in (equal.train, equal.test))
    ratios = np.sort(to_train - to_held)
    n = len(ratios)
    middle = ratios[(n - 1) // 2], ratios[n // 2]
    if not middle[1] < math.inf:
        raise SampleError(
            "nn_distance_ratio: the median ratio is infinite, as half of the generated samples equal held-out rows; "
            "check what the generator was trained on."
        )
    hits = np.bincount(nearest_real(generated, equal)[1], minlength=2 * n_real)
    trials = max(1.0, min(float(n), effective_labels(hits, n_real)))
    reach = float(ndtri(0.5 + LEVEL / 2)) * 0.5 / math.sqrt(trials)
    first, last = math.floor(n * (0.5 - reach)) - 1, math.ceil(n * (0.5 + reach))
    value = math.exp((middle[0] + middle[1]) / 2)
    low = math.exp(ratios[first]) if first >= 0 else 0.0
    high = math.exp(ratios[last]) if last < n and ratios[last] < math.inf else None
    return Estimate(
        value=value,
        std_error=None if high is None else (high - low) / (2 * float(ndtri(0.5 + LEVEL / 2))),
        low=low,
        high=high,
        level=LEVEL,
        null=1.0,
        extra={"share_closer": float((ratios < 0).mean()), "n_real": float(n_real), **sets.counts},
        notes=sets.notes,
    )


def copy_rate(*, generated: Any, train: Any, test: Any, close: float = CLOSE) -> Estimate:
    """Share of generated samples that come closer to the training set than nearly all held-out samples do.

    Parameters
    ----------
    generated, train, test : Features or (n, d), (m, d), (l, d) arrays
    close : float
        In (0, 1): the part of the held-out samples that counts as close; 0.01 is known as copy@1%. With fewer than
        1 / close held-out samples the closest one is the cut.

    Returns
    -------
    Estimate
        In [0, 1]. ``null`` = r / (l + 1), with r the rank of the held-out distance that is the cut, is exact for a
        perfect generator. ``extra``: ``p_value``, one-sided and exact; ``distance``, the cut.

    Raises
    ------
    SampleError
        If widths differ, no held-out row is left, or ``close`` is out of range.

    Notes
    -----
    Counts copies that are too rare to move a median; 10% copies give about 0.1. The cut itself is uncertain, a few
    held-out samples decide it: the interval combines that (ranks of the cut) with Wilson's for the share. Confounded by
    spread, as all scores of this file. O((n + l) m d) operations.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: a tenth are copies, value 0.1089 (0.109); a perfect generator,
      value less its null -0.0002 (0); equal mixtures, value less its null 0.0015 (0).
    - Coverage of 95% intervals: a perfect generator 1 (360 draws, of the mean score at this n); equal mixtures 1 (72
      draws, of the mean score at this n).
    - False alarms: a perfect generator, p_value at most .05 in 0.0222 (360 draws).
    - On mixture, n = 400: copy_rate rises with blur (from .4), shrink (from .1), copies (from .05) and near copies
      (from .05); is blind to mode drop, imbalance, noise, collapse, duplicates, label noise and foreign up to .8.
    - On digits, n = 225: copy_rate rises with copies (from .05) and near copies (from .05); is blind to mode drop,
      imbalance, noise, blur, shrink, collapse, duplicates, label noise and foreign up to .8.

    References
    ----------
    The exact p-value is that of exceedances, Gumbel and von Schelling 1950. Interval: Zou and Donner 2008 (MOVER).
    """
    from scipy.stats import binom  # takes most of a second to import

    generated, train, test = Features.of(generated), Features.of(train), Features.of(test)
    generated = apart(generated, train, test)
    if not 0 < close < 1:
        raise SampleError(f"copy_rate: a part in (0, 1) expected, got {close}.")
    sets = real_sets("copy_rate", generated, train, test)
    ours, theirs = distances_to(generated, sets.train), np.sort(distances_to(sets.held_out, sets.train))
    n, n_held = len(ours), len(theirs)
    rank = max(1, math.floor(close * (n_held + 1)))

    def below(which: int) -> float:
        """Share of generated samples below the held-out distance of that rank."""
        if which < 1:
            return 0.0
        return 1.0 if which > n_held else float((ours < theirs[which - 1]).mean())

    value, null = below(rank), rank / (n_held + 1)
    least, most = (int(binom.ppf(0.5 + side * LEVEL / 2, n_held, null)) for side in (-1, 1))
    low, high = share_interval(value, n)
    low = max(0.0, value - math.hypot(value - low, value - below(least)))
    high = min(1.0, value + math.hypot(high - value, below(most + 1) - value))
    return Estimate(
        value=value,
        std_error=(high - low) / (2 * float(ndtri(0.5 + LEVEL / 2))),
        low=low,
        high=high,
        level=LEVEL,
        null=null,
        extra={
            "p_value": exceedance_p_value(round(value * n), n, rank, n_held),
            "distance": float(theirs[rank - 1]),
            **sets.counts,
        },
        notes=sets.notes,
    )


def _declare(name: str, compute: Any, source: str, *, ideal: float | None = None, unit: str = "share") -> Metric:
    return Metric(
        name=name,
        compute=compute,
        space="pool",
        unit=unit,
        better="match",
        ideal=ideal,
        uncertainty="closed form",
        source=source,
    )


LOWER_TAIL_COPIES = _declare("lower_tail_copies", lower_tail_copies, "Fisher's exact test on the closest 2%")
NN_DISTANCE_RATIO = _declare(
    "nn_distance_ratio", nn_distance_ratio, "Platzer and Reutterer 2021, arXiv:2104.00635", ideal=1.0, unit="ratio"
)
COPY_RATE = _declare("copy_rate", copy_rate, "share closer to train than 99% of held-out samples; exact exceedances")
