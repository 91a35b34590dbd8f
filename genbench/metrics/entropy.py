"""Entropies of the samples: differential entropy from nearest neighbours, and the entropy of their classes.

Neither is the "sample entropy" of time series.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.counts import entropy_of_counts, grassberger_entropy, predicted_classes
from genbench.metrics.distances import NeighbourLists, neighbours_within
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.projection import whiten
from genbench.records import Estimate
from genbench.stats.jackknife import deletions, jackknife_estimate


def entropy_knn(*, generated: Any, reference: Any, k: int = 5, dims: int = 5) -> Estimate:
    """Differential entropy of the generated samples, in the reference's whitened principal components.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        More than k distinct generated samples. The reference only sets the coordinates.
    k : int
        Which neighbour, >= 1.
    dims : int
        How many components at most. At 10 the bias is +0.3 nats, at 20 +2 (n = 2,000).

    Returns
    -------
    Estimate
        In nats, in those coordinates; best where held-out real samples score. ``debiased`` is None: the bias depends
        on the density, and mostly cancels against a real set of the same size. ``extra``: ``unique_fraction``,
        ``dimensions``.

    Raises
    ------
    SampleError
        If the widths differ or too few distinct samples are left.

    Notes
    -----
    Kozachenko-Leonenko: ``psi(n) - psi(k) + log c_r + r mean log rho_k`` with c_r the volume of the unit ball. Equal
    samples would make it minus infinity: they are counted, then each is used once. The standard error is the group
    jackknife's with the components held fixed. O(n^2 r) operations for r components, memory in blocks.

    References
    ----------
    Kozachenko and Leonenko 1987; Kraskov et al. 2004, arXiv:cond-mat/0305641, eq. 20.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    moved, _ = whiten("entropy_knn", generated, reference, dims)
    rows, which = torch.unique(moved.values, dim=0, return_inverse=True)
    if k < 1 or len(rows) <= k:
        raise SampleError(
            f"entropy_knn: k >= 1 and more than k distinct samples expected, got k = {k} for {len(rows)} distinct of "
            f"{generated.n} samples; score more samples or lower k."
        )
    lists = neighbours_within(Features(rows), 2 * k + 16)
    value = _knn_entropy(lists, k, None)
    replicates: list[float] = []
    for (keep,) in deletions(generated.n):
        alive = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        alive[which[torch.from_numpy(keep).to(rows.device)]] = True
        if int(alive.sum()) <= k:
            replicates = []
            break
        replicates.append(_knn_entropy(lists, k, alive))
    return jackknife_estimate(
        value,
        replicates,
        sizes=(len(rows),),
        extra={"unique_fraction": len(rows) / generated.n, "dimensions": float(moved.d)},
        notes=["not corrected: the bias of nearest-neighbour entropies depends on the density"],
    )


def entropy_class(*, generated: Any) -> Estimate:
    """Entropy of the classes that a classifier sees in the samples.

    Parameters
    ----------
    generated : Features or (n, K) array
        Logits; a sample's class is the largest.

    Returns
    -------
    Estimate
        In nats, in [0, log K]; best where held-out real samples score. ``value`` is the plug-in, which is too low by
        about (K - 1)/(2n); ``debiased`` is Grassberger's estimate, with its jackknife interval. ``extra``:
        ``effective_classes``, the exponential of the debiased entropy, and ``classes_seen``.

    Raises
    ------
    SampleError
        With fewer than 2 classes.

    References
    ----------
    Grassberger 2003, arXiv:physics/0307138, eq. 28.

    Examples
    --------
    >>> estimate = entropy_class(generated=[[1.0, 0.0], [0.0, 1.0]] * 500)
    >>> round(estimate.extra["effective_classes"], 2)
    2.0
    """
    features = Features.of(generated)
    classes = predicted_classes("entropy_class", features)
    counts = np.bincount(classes, minlength=features.d)
    parts = [np.bincount(classes[keep], minlength=features.d) for (keep,) in deletions(features.n)]
    debiased = grassberger_entropy(counts)
    return jackknife_estimate(
        entropy_of_counts(counts),
        [entropy_of_counts(part) for part in parts],
        sizes=(features.n,),
        debiased=debiased,
        spread=[grassberger_entropy(part) for part in parts],
        extra={"effective_classes": math.exp(debiased), "classes_seen": float((counts > 0).sum())},
    )


def _knn_entropy(lists: NeighbourLists, k: int, alive: Tensor | None) -> float:
    """Kozachenko-Leonenko estimate of the points that are alive; all are distinct."""
    radius, _ = lists.kth(k, alive)
    radius = radius if alive is None else radius[alive]
    n, d = len(radius), lists.points.shape[1]
    log_ball = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
    psi_n, psi_k = torch.digamma(torch.tensor([n, k], dtype=torch.float64)).tolist()
    return float(psi_n - psi_k + log_ball + d * radius.log().mean())


ENTROPY_KNN = Metric(
    name="entropy_knn",
    compute=entropy_knn,
    space="pool",
    unit="nats",
    better="match",
    ideal=None,
    uncertainty="jackknife",
    source="Kozachenko and Leonenko 1987; Kraskov et al. 2004, arXiv:cond-mat/0305641, eq. 20",
)
ENTROPY_CLASS = Metric(
    name="entropy_class",
    compute=entropy_class,
    space="logits",
    unit="nats",
    better="match",
    ideal=None,
    uncertainty="jackknife",
    source="Grassberger 2003, arXiv:physics/0307138, eq. 28",
)
