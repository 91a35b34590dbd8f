"""Counts of classes and modes, and what is computed from counts alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from genbench.errors import SampleError
from genbench.metrics.features import Features

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def predicted_classes(metric: str, features: Features) -> NDArray[np.int64]:
    """Return the class with the largest logit for each row (n, C); the first one on a tie.

    Raises
    ------
    SampleError
        If there are fewer than 2 classes.
    """
    if features.d < 2:
        raise SampleError(f"{metric}: logits of at least 2 classes expected, got width {features.d}.")
    classes: NDArray[np.int64] = features.values.argmax(dim=1).cpu().numpy()
    return classes


def kl_of_shares(p: Floats, q: Floats) -> float:
    """``sum p log(p / q)`` in nats over shares (K,) that sum to one; infinite where q is 0 and p is not."""
    return float(special.rel_entr(p, q).sum())


def js_of_shares(p: Floats, q: Floats) -> float:
    """Jensen-Shannon divergence in nats of shares (K,) that sum to one; in [0, log 2]."""
    middle = (p + q) / 2
    return min(max(0.0, (kl_of_shares(p, middle) + kl_of_shares(q, middle)) / 2), math.log(2))


def js_bias(first: Counts, second: Counts) -> float:
    """First-order bias in nats of `js_of_shares` at the shares of two samples of counts (K,).

    The second derivative by a share p is ``1/(2p) - 1/(2(p + q))`` and there are no mixed ones, so with the variance
    p(1 - p)/n the bias is ``sum (1 - p) (1/2 - p/(2(p + q))) / (2n)``, and likewise for the other sample. Equal shares
    make it ``(K - 1)/8 (1/n + 1/m)``.
    """
    shares = first / first.sum(), second / second.sum()
    total = shares[0] + shares[1]
    bias = 0.0
    for counts, share in zip((first, second), shares, strict=True):
        seen = counts > 0
        bend = (1 - share[seen]) * (0.5 - share[seen] / (2 * total[seen]))
        bias += float(bend.sum()) / (2 * int(counts.sum()))
    return bias


def entropy_of_counts(counts: Counts) -> float:
    """Plug-in entropy ``-sum (c/n) log(c/n)`` in nats of counts (K,). Biased down by about (K - 1)/(2n)."""
    return float(special.entr(counts / counts.sum()).sum())


def grassberger_entropy(counts: Counts) -> float:
    """Entropy in nats of counts (K,), bias-corrected: ``log n - (1/n) sum c G(c)``.

    ``G(c) = psi(c) + (-1)^c / 2 [psi((c + 1)/2) - psi(c/2)]`` (Grassberger 2003, arXiv:physics/0307138, eq. 28).
    With 2 samples a class the bias that is left is about 0.002 nats, where the plug-in's is 0.29.
    """
    seen = counts[counts > 0]
    sign = np.where(seen % 2 == 0, 1.0, -1.0)
    corrected = special.digamma(seen) + sign / 2 * (special.digamma((seen + 1) / 2) - special.digamma(seen / 2))
    n = int(counts.sum())
    return math.log(n) - float((seen * corrected).sum()) / n


def homogeneity_p_value(first: Counts, second: Counts) -> float:
    """G-test that two samples of counts (K,) have the same shares; chi-square with (classes seen - 1) degrees.

    Reliable from about 20 samples a class. Returns 1.0 where only one class was seen.
    """
    both = first + second
    total = both.sum()
    statistic = 2.0 * sum(
        float(special.rel_entr(counts.astype(float), counts.sum() * both / total).sum()) for counts in (first, second)
    )
    degrees = int((both > 0).sum()) - 1
    return float(special.chdtrc(degrees, max(statistic, 0.0))) if degrees else 1.0
