"""The verdict on memorization: whether generated samples know which real samples were trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.nearest import neighbours_among
from genbench.metrics.pools import RealSets, apart, blind_neighbours, blind_priority, real_sets
from genbench.records import Estimate
from genbench.stats.permutation import LEVEL, LabelledSum, labelled_sum
from genbench.stats.seeds import share_interval

TAIL = 0.1


def label_test(*, generated: Any, train: Any, test: Any, tail: float = TAIL) -> Estimate:
    r"""Share of generated samples whose nearest real sample is a training one, against what chance gives.

    The one score here that decides whether a generator memorized. Whether a real sample was trained on or held out
    is a coin that was tossed before the generator saw it: a generator that did not memorize cannot know the outcome,
    **however bad it is**. Call it memorization when ``extra["p_value"]`` is below the level that you chose beforehand.

    Parameters
    ----------
    generated : Features or (n, d) array
        Any n >= 1.
    train, test : Features or (m, d), (l, d) arrays
        Real samples that the generator was trained on, and that it never saw, split at random. Equal sizes give the
        most power.
    tail : float
        In (0, 1]: the part of the generated samples, those closest to any real sample, that ``value`` speaks of.
        Copies are close, so that a small part shows rare ones; the choice ignores the labels and costs no validity. 1
        takes all.

    Returns
    -------
    Estimate
        ``value`` in [0, 1]; ``null``, its exact expectation without memorization, is the training share of the real
        rows. Above it: memorization. Far below it: the held-out samples were trained on. ``std_error`` is the exact
        standard deviation without memorization, and the interval leaves out ``null`` exactly where \\|z\\| > 1.96.
        ``extra``: ``p_value`` (one-sided) and ``z`` of the tail; ``share_all``, ``z_all``, ``p_all`` of all samples;
        ``lift`` = value / null; ``n_tail``, how many samples the tail has; ``largest_share``, the part of them that one
        real sample attracts; ``exact``, 1 where the tail's p-value was counted, not approximated; counts of duplicates.

    Raises
    ------
    SampleError
        If widths differ, ``tail`` is out of range, or the real sets leave nothing to tell apart.

    Notes
    -----
    With c_j generated samples nearest to real sample j, of N: T = sum of c_j over the m training ones, E T = n m / N,
    Var T = m (1 - m/N) S_c^2. That variance respects neighbours that many samples share (a collapsed generator), where
    the binomial one raises false alarms. The p-value is exact (see `genbench.stats.permutation.labelled_sum`).
    Real rows are made distinct first. A generated sample that is nearest to a row of both sets tells nothing and is
    left out; real rows at equal distance are chosen among by a random order that is blind to labels.

    Measured (d = 16; 1,000, 500 and 500 samples; level .05): false alarms .01, .035 and .00 of 200 for a perfect
    generator, one with 0.8 times the spread and a collapsed one; 2%, 5% and 10% near-copies are found with power .18,
    .79 and 1.00, and 5% with more than .99 where there are 1,000 of each set. It takes the split as
    random: near-duplicates across it (frames of one video) cost power, a split by date or source breaks it. Copies
    that the feature space does not bring close, as shifted ones in pixels, stay unseen. Repeated rows in samples of a
    discrete distribution call for equal sizes of both real sets. O(n (m + l) d) operations, and up to 2e8 for the
    p-value, which are half a second: the more, the more real rows are nearest to several samples. Memory in blocks of
    64 MiB.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: a perfect generator, value 0.6653 (0.6667); a perfect generator,
      value less its null -0.0014 (0); a narrow generator, value less its null 0.0113 (0); equal mixtures, value less
      its null 0.0278 (0).
    - Coverage of 95% intervals: a perfect generator 0.9444 (360 draws); equal mixtures 0.9583 (72 draws, of the mean
      score at this n).
    - False alarms: a perfect generator, p_value at most .05 in 0.0306 (360 draws); a narrow generator, p_value at most
      .05 in 0.0333 (360 draws).
    - On mixture, n = 400: label_test rises with copies (from .05) and near copies (from .05); falls with collapse (from
      .8); is blind to mode drop, imbalance, noise, blur, shrink, duplicates, label noise and foreign up to .8.
    - On digits, n = 225: label_test rises with collapse (from .8), copies (from .05) and near copies (from .05); is
      blind to mode drop, imbalance, noise, blur, shrink, duplicates, label noise and foreign up to .8.

    References
    ----------
    The share: Platzer and Reutterer 2021, arXiv:2104.00635. The permutation variance, the tail and the exact p-value
    are genbench's own.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.random.default_rng(0).standard_normal((400, 8))
    >>> found = label_test(generated=real[:200] + 0.01, train=real[:200], test=real[200:])
    >>> found.value, found.null, found.extra["p_value"] < 1e-6
    (1.0, 0.5, True)
    """
    generated, train, test = Features.of(generated), Features.of(train), Features.of(test)
    generated = apart(generated, train, test)
    if not 0 < tail <= 1:
        raise SampleError(f"label_test: a tail in (0, 1] expected, got {tail}.")
    sets = real_sets("label_test", generated, train, test)
    distances, nearest = nearest_real(generated, sets)
    shared = np.concatenate([sets.in_both_train, sets.in_both_test])
    labels = np.arange(len(shared)) < sets.train.n
    telling = ~shared[nearest]
    if not telling.any() or not (labels & ~shared).any():
        raise SampleError(
            "label_test: training and held-out samples that differ expected, but those nearest to the generated "
            "samples are in both sets; give it a split without common rows."
        )
    distances, nearest = distances[telling], nearest[telling]
    in_tail = distances <= np.partition(distances, (size := math.ceil(tail * len(distances))) - 1)[size - 1]
    whole, part = (_labelled_hits(hits, labels, shared) for hits in (nearest, nearest[in_tail]))
    null = float(labels[~shared].mean())
    n_tail = int(in_tail.sum())
    value = part.observed / n_tail
    low, high = share_interval(value, part.effective_n) if math.isfinite(part.effective_n) else (0.0, 1.0)
    return Estimate(
        value=value,
        std_error=math.sqrt(part.variance) / n_tail,
        low=low,
        high=high,
        level=LEVEL,
        null=null,
        extra={
            "z": part.z,
            "p_value": part.p_value,
            "share_all": whole.observed / len(nearest),
            "z_all": whole.z,
            "p_all": whole.p_value,
            "lift": value / null,
            "n_tail": float(n_tail),
            "largest_share": float(np.bincount(nearest[in_tail]).max()) / n_tail,
            "exact": float(part.exact),
            **sets.counts,
        },
        notes=("memorization is decided by p_value, not by the size of the share", *sets.notes),
    )


def nearest_real(generated: Features, sets: RealSets) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the nearest real row of each generated sample: distance, and place in train followed by test."""

    def find() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        lists = [neighbours_among(generated, real, 2) for real in (sets.train, sets.test)]
        priority = blind_priority(torch.cat([sets.train.values, sets.test.values]))
        distances, nearest = blind_neighbours(lists, 1, priority)
        return distances[:, 0].cpu().numpy(), nearest[:, 0].cpu().numpy()

    return generated.remember(("nearest real", sets.train, sets.test), find)


def _labelled_hits(nearest: NDArray[np.int64], labels: NDArray[np.bool_], shared: NDArray[np.bool_]) -> LabelledSum:
    hits = np.bincount(nearest, minlength=len(labels))
    return labelled_sum(hits[~shared], labels[~shared])


LABEL_TEST = Metric(
    name="label_test",
    compute=label_test,
    space="pool",
    unit="share",
    better="match",
    ideal=None,
    uncertainty="closed form",
    source="Platzer and Reutterer 2021, arXiv:2104.00635; exact permutation test and tail by genbench",
)
