"""Divergences of class shares: how far the classes of the samples are from being dealt out as in the data.

Ladder: logits -> classes -> counts -> shares -> divergence, bias, replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.metrics.counts import (
    Counts,
    homogeneity_p_value,
    js_bias,
    js_of_shares,
    kl_of_shares,
    predicted_classes,
)
from genbench.metrics.distances import check_widths
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.records import Estimate
from genbench.stats.jackknife import deletions, jackknife_estimate

SAMPLES_PER_CLASS = 20
JEFFREYS = 0.5


def kl_class(*, generated: Any, reference: Any) -> Estimate:
    """Kullback-Leibler divergence of class shares, KL(generated || reference), classes by a classifier.

    Parameters
    ----------
    generated, reference : Features or (n, K), (m, K) arrays
        Logits; a sample's class is the largest.

    Returns
    -------
    Estimate
        In nats, lower is better, ideal 0. ``debiased`` subtracts the first-order bias of both sets and may be
        negative. ``null`` is the expectation for a perfect generator, (K - 1)/2 (1/n + 1/m) for K classes in
        the reference. ``extra``: ``p_value`` of a G-test of equal shares; ``classes_seen``; ``bound``, below which the
        value cannot be, given the classes seen.

    Raises
    ------
    SampleError
        If the numbers of classes differ or are below 2.

    Notes
    -----
    Where a generated class is absent from the reference, 0.5 is added to every count of the reference (Jeffreys), and a
    note says so. Bias: (K_seen - 1)/(2n) from the generated shares p and (sum p/q - 1)/(2m) from the reference's q. A
    class that was never generated costs little here, at most its share: read `kl_class_reverse` and ``bound`` beside
    it. O((n + m) K).

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: classes with unlike shares 0.3185 (0.325, bias -0.01 to 0.01);
      classes with equal shares -0.0009 (0, bias -0.003 to 0.003); classes with equal shares, value less its null
      -0.0003 (0); equal mixtures, value less its null 0.0013 (0).
    - Coverage of 95% intervals: classes with unlike shares 0.9437 (480 draws); classes with equal shares 0.9812 (480
      draws); equal mixtures 0.9722 (72 draws).
    - On mixture, n = 400: kl_class rises with mode drop (from .1), imbalance (from .8), duplicates (from .8) and
      foreign (from .1); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.
    - On digits, n = 225: kl_class rises with mode drop (from .1), imbalance (from .8), duplicates (from .8) and foreign
      (from .4); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.

    References
    ----------
    Srivastava et al. 2017 (VEEGAN), arXiv:1705.07761, section 4, "reverse KL"; bias: Miller 1955.
    """
    ours = _classes("kl_class", generated, reference)
    counts, reference_counts = ours.counts(None, None)
    p, q = _shares(counts, reference_counts)
    n, m = ours.sizes
    seen, present = int((counts > 0).sum()), int((reference_counts > 0).sum())
    value = kl_of_shares(p, q)
    bias = (seen - 1) / (2 * n) + (float((p[counts > 0] / q[counts > 0]).sum()) - 1) / (2 * m)
    notes = []
    if ((counts > 0) & (reference_counts == 0)).any():
        notes.append("a generated class is absent from the reference, whose counts are smoothed by 0.5")
    return jackknife_estimate(
        value,
        ours.replicates(lambda ours, theirs: kl_of_shares(*_shares(ours, theirs))),
        sizes=ours.sizes,
        debiased=value - bias,
        null=(present - 1) / 2 * (1 / n + 1 / m),
        extra={
            "p_value": homogeneity_p_value(counts, reference_counts),
            "classes_seen": float(seen),
            "bound": -math.log1p(-float(q[counts == 0].sum())),
        },
        notes=[*notes, *ours.doubts()],
    )


def kl_class_reverse(*, generated: Any, reference: Any) -> Estimate:
    """Kullback-Leibler divergence of class shares that punishes missing classes, KL(reference || generated).

    Without smoothing it would be infinite as soon as one class of the reference was not generated, so half a sample is
    added to every class. Its size is then set by n: compare values of the same n only.

    Parameters
    ----------
    generated, reference : Features or (n, K), (m, K) arrays
        Logits; a sample's class is the largest.

    Returns
    -------
    Estimate
        In nats, lower is better, ideal 0. ``debiased`` subtracts the first-order bias of both sets, which is the same
        for all shares, and may be negative; ``null`` is a perfect generator's expectation, (K - 1)/2 (1/n + 1/m) for K
        classes in the reference. ``extra``: ``p_value`` of a G-test of equal shares; ``classes_missed``, how many of
        the reference's were not generated.

    Raises
    ------
    SampleError
        If the numbers of classes differ or are below 2.

    Notes
    -----
    ``sum p log(p/q)`` with p = b/m from the reference's counts b and q = (a + 1/2)/(n + K/2) from the generated counts
    a, over the K classes seen in either set. Jeffreys' half is also what cancels the first-order bias of -log q in each
    class; of the sum of the shares (K - 1)/(2n) is left, and (K_reference - 1)/(2m) comes from the reference. Where
    classes are missed, the value is about their share times log(2 n q): a note says so, and the interval speaks of this
    smoothed quantity, not of the infinite one. O((n + m) K).

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: classes with unlike shares 0.3193 (0.325, bias -0.01 to 0.01);
      classes with equal shares -0.0007 (0, bias -0.003 to 0.003); classes with equal shares, value less its null
      -0.0007 (0); equal mixtures, value less its null -0.0022 (0).
    - Coverage of 95% intervals: classes with unlike shares 0.9354 (480 draws); classes with equal shares 0.9792 (480
      draws); equal mixtures 0.9722 (72 draws).
    - On mixture, n = 400: kl_class_reverse rises with mode drop (from .1), imbalance (from .8), duplicates (from .8)
      and foreign (from .2); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.
    - On digits, n = 225: kl_class_reverse rises with mode drop (from .1), imbalance (from .8), duplicates (from .8) and
      foreign (from .8); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.

    References
    ----------
    Krichevsky and Trofimov 1981, for the half; Paninski 2003, for the bias of functions of counts.
    """
    ours = _classes("kl_class_reverse", generated, reference)
    counts, reference_counts = ours.counts(None, None)
    n, m = ours.sizes
    known = counts + reference_counts > 0
    missed = int(((counts == 0) & (reference_counts > 0)).sum())
    present = int((reference_counts > 0).sum())

    def divergence(counts: Counts, reference_counts: Counts) -> float:
        smoothed = counts[known] + JEFFREYS
        return kl_of_shares(reference_counts[known] / reference_counts.sum(), smoothed / smoothed.sum())

    value = divergence(counts, reference_counts)
    bias = (int(known.sum()) - 1) / (2 * n) + (present - 1) / (2 * m)
    notes = ["generated counts are smoothed by 0.5"]
    if missed:
        notes.append(f"{missed} classes of the reference were not generated: the value is finite by smoothing alone")
    return jackknife_estimate(
        value,
        ours.replicates(divergence),
        sizes=ours.sizes,
        debiased=value - bias,
        null=(present - 1) / 2 * (1 / n + 1 / m),
        extra={"p_value": homogeneity_p_value(counts, reference_counts), "classes_missed": float(missed)},
        notes=[*notes, *ours.doubts()],
    )


def js_class(*, generated: Any, reference: Any) -> Estimate:
    """Jensen-Shannon divergence of class shares: symmetric, and finite whatever classes are missing.

    Parameters
    ----------
    generated, reference : Features or (n, K), (m, K) arrays
        Logits; a sample's class is the largest.

    Returns
    -------
    Estimate
        In nats, in [0, log 2], lower is better, ideal 0; log 2 where no class is shared. ``debiased`` subtracts the
        first-order bias of both sets and may be negative. ``null`` is the expectation for a perfect generator, (K -
        1)/8 (1/n + 1/m) for K classes in the reference. ``extra``: ``p_value`` of a G-test of equal shares.

    Raises
    ------
    SampleError
        If the numbers of classes differ or are below 2.

    Notes
    -----
    ``(KL(p || (p+q)/2) + KL(q || (p+q)/2))/2``. Bias: ``sum_c (1 - p_c) (1/2 - p_c/(2 (p_c + q_c)))/(2n)`` from the
    generated shares p, likewise from the reference's q; for equal shares that is (K - 1)/8 (1/n + 1/m), for disjoint
    ones 0. The interval is not cut off at 0 or log 2. O((n + m) K).

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: classes with unlike shares 0.0757 (0.07699, bias -0.01 to 0.01);
      classes with equal shares -0.0001 (0, bias -0.003 to 0.003); classes with equal shares, value less its null
      -0.0001 (0); equal mixtures, value less its null -0.0001 (0).
    - Coverage of 95% intervals: classes with unlike shares 0.9521 (480 draws); classes with equal shares 0.9812 (480
      draws); equal mixtures 0.9722 (72 draws).
    - On mixture, n = 400: js_class rises with mode drop (from .1), imbalance (from .8), duplicates (from .8) and
      foreign (from .1); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.
    - On digits, n = 225: js_class rises with mode drop (from .1), imbalance (from .8), duplicates (from .8) and foreign
      (from .4); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.

    References
    ----------
    Lin 1991, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37, section IV.
    """
    ours = _classes("js_class", generated, reference)
    counts, reference_counts = ours.counts(None, None)
    n, m = ours.sizes
    value = _js(counts, reference_counts)
    present = int((reference_counts > 0).sum())
    return jackknife_estimate(
        value,
        ours.replicates(_js),
        sizes=ours.sizes,
        debiased=value - js_bias(counts, reference_counts),
        null=(present - 1) / 8 * (1 / n + 1 / m),
        extra={"p_value": homogeneity_p_value(counts, reference_counts)},
        notes=ours.doubts(),
    )


class _Classes(NamedTuple):
    """The classes of both sets, and how many there can be."""

    generated: NDArray[np.int64]
    reference: NDArray[np.int64]
    classes: int

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.generated), len(self.reference)

    def counts(self, keep: NDArray[np.bool_] | None, keep_reference: NDArray[np.bool_] | None) -> tuple[Counts, Counts]:
        """Count the classes (K,) of what is kept of either set."""
        ours = self.generated if keep is None else self.generated[keep]
        theirs = self.reference if keep_reference is None else self.reference[keep_reference]
        return np.bincount(ours, minlength=self.classes), np.bincount(theirs, minlength=self.classes)

    def replicates(self, divergence: Callable[[Counts, Counts], float]) -> list[float]:
        return [divergence(*self.counts(*keep)) for keep in deletions(*self.sizes)]

    def doubts(self) -> list[str]:
        """Say where there are too few samples for the G-test: .13 false rejections at 10 a class, .035 at 26."""
        if len(self.generated) >= SAMPLES_PER_CLASS * self.classes:
            return []
        n = len(self.generated)
        return [f"p_value needs {SAMPLES_PER_CLASS} samples a class, got {n} for {self.classes} classes"]


def _classes(metric: str, generated: Any, reference: Any) -> _Classes:
    generated, reference = Features.of(generated), Features.of(reference)
    check_widths(metric, generated, reference)
    return _Classes(predicted_classes(metric, generated), predicted_classes(metric, reference), generated.d)


def _shares(counts: Counts, reference_counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both sets' shares; the reference's are smoothed where it lacks a class that was generated."""
    lacking = bool(((counts > 0) & (reference_counts == 0)).any())
    weights = reference_counts + (JEFFREYS if lacking else 0.0)
    return counts / counts.sum(), weights / weights.sum()


def _js(counts: Counts, reference_counts: Counts) -> float:
    return js_of_shares(counts / counts.sum(), reference_counts / reference_counts.sum())


KL_CLASS = Metric(
    name="kl_class",
    compute=kl_class,
    space="logits",
    unit="nats",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Srivastava et al. 2017, arXiv:1705.07761, section 4",
)
KL_CLASS_REVERSE = Metric(
    name="kl_class_reverse",
    compute=kl_class_reverse,
    space="logits",
    unit="nats",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="KL(reference || generated) of class counts, smoothed after Krichevsky and Trofimov 1981",
)
JS_CLASS = Metric(
    name="js_class",
    compute=js_class,
    space="logits",
    unit="nats",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Lin 1991, IEEE Trans. Inf. Theory 37, section IV",
)
