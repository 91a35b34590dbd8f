"""Entropies of samples, of their density or of their classes; neither is the "sample entropy" of time series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.counts import entropy_of_counts, grassberger_entropy, predicted_classes
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.nearest import jackknife_depth, lists_within, neighbours_within
from genbench.metrics.neighbour_lists import NeighbourLists
from genbench.metrics.projection import whiten
from genbench.metrics.repeats import first_equal
from genbench.randomness import derive_seed
from genbench.records import Estimate
from genbench.stats.jackknife import are_values_alone, deletions, jackknife_estimate


def entropy_knn(*, generated: Any, reference: Any, k: int = 5, dims: int = 5) -> Estimate:
    """Differential entropy of the generated samples, in the reference's whitened principal components.

    Of repeated samples one is kept, so that many of them raise it: read `unique_fraction` beside it.

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
    jackknife's with the components held fixed. O(n^2 r + (n + m) d^2 + d^3) operations for r components, memory in
    blocks.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussian of half the reference's width 1.415 (1.452, bias -0.06 to
      0.06).
    - Coverage of 95% intervals: Gaussian of half the reference's width 0.9611 (180 draws, of the mean score at this n);
      equal mixtures 0.9444 (72 draws, of the mean score at this n).
    - On mixture, n = 400: entropy_knn rises with noise (from .4), collapse (from .8) and duplicates (from .8); falls
      with mode drop (from .1), imbalance (from .8), shrink (from .05) and foreign (from .4); is blind to blur, copies,
      near copies and label noise up to .8.
    - On digits, n = 225: entropy_knn rises with noise (from .8), collapse (from .4), duplicates (from .4) and foreign
      (from .1); falls with mode drop (from .1), imbalance (from .8) and shrink (from .1); is blind to blur, copies,
      near copies and label noise up to .8.

    References
    ----------
    Kozachenko and Leonenko 1987; Kraskov et al. 2004, arXiv:cond-mat/0305641, eq. 20.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    moved, _ = whiten("entropy_knn", generated, reference, dims)
    points = distinct_points("entropy_knn", moved, k)
    kept = [] if are_values_alone() else [keep for (keep,) in deletions(generated.n)]
    replicates = points.entropies(k, kept)
    return jackknife_estimate(
        points.entropy(k),
        complete(replicates),
        sizes=(points.n,),
        extra={"unique_fraction": points.n / generated.n, "dimensions": float(moved.d)},
        notes=["not corrected: the bias of nearest-neighbour entropies depends on the density"],
    )


def entropy_gap_knn(*, generated: Any, reference: Any, k: int = 5, dims: int = 5) -> Estimate:
    """Difference of differential entropies, h(generated) - h(reference), at equal n in the same coordinates.

    Below 0 the samples are more concentrated than the data, above 0 more spread out.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        More than k distinct samples each.
    k : int
        Which neighbour, >= 1.
    dims : int
        How many whitened principal components of the reference at most.

    Returns
    -------
    Estimate
        In nats, best at 0; the sign says which is wider. Scaling the samples by a adds r log a for r components.
        ``debiased`` is None: the biases of the two entropies, which depend on the densities, cancel where those are
        alike and n is equal, and nowhere exactly. ``extra``: ``entropy_generated``, ``entropy_reference``,
        ``unique_fraction`` of the generated samples, ``n``, the distinct samples used of each set, ``dimensions``.

    Raises
    ------
    SampleError
        If the widths differ, the reference is one point, or a set has too few distinct samples.

    Notes
    -----
    Both entropies are those of `entropy_knn`. Where one set has more distinct samples, as many of them as the other has
    are picked, by a fixed seed and whatever their order. An affine map of both sets changes nothing but rounding as
    long as all directions are kept. Jackknife error with the components held fixed. Where d > dims, compare with the
    null: a flat spectrum lets the reference's own noise choose its components (`whiten`), which at 512 equal variances
    and n = 10,000 gives a perfect generator -1.0 nats and no interval tells. O((n^2 + m^2) r + (n + m) d^2 + d^3)
    operations for r components, memory in blocks.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussians, the first narrower -0.7036 (-0.7133, bias -0.03 to
      0.03); equal Gaussians -0.0007 (0, bias -0.02 to 0.02).
    - Coverage of 95% intervals: Gaussians, the first narrower 0.9611 (180 draws); equal Gaussians 0.9611 (180 draws);
      equal mixtures 0.9583 (72 draws, of the mean score at this n).
    - On mixture, n = 400: entropy_gap_knn rises with noise (from .4); falls with mode drop (from .2), shrink (from .05)
      and foreign (from .4); is blind to imbalance, blur, collapse, duplicates, copies, near copies and label noise up
      to .8.
    - On digits, n = 225: entropy_gap_knn rises with noise (from .8) and foreign (from .4); falls with mode drop (from
      .4) and shrink (from .1); is blind to imbalance, blur, collapse, duplicates, copies, near copies and label noise
      up to .8.

    References
    ----------
    Kozachenko and Leonenko 1987; Kraskov et al. 2004, arXiv:cond-mat/0305641, eq. 20.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    moved = whiten("entropy_gap_knn", generated, reference, dims)
    found = [distinct_points("entropy_gap_knn", side, k) for side in moved]
    n = min(points.n for points in found)
    ours, theirs = (points.thinned(n, k) for points in found)
    kept = [] if are_values_alone() else list(deletions(generated.n, reference.n))
    replicates = zip(
        *(side.entropies(k, [keep[i] for keep in kept]) for i, side in enumerate((ours, theirs))), strict=True
    )
    entropies = ours.entropy(k), theirs.entropy(k)
    return jackknife_estimate(
        entropies[0] - entropies[1],
        complete([a - b for a, b in replicates]),
        sizes=(n, n),
        extra={
            "entropy_generated": entropies[0],
            "entropy_reference": entropies[1],
            "unique_fraction": found[0].n / generated.n,
            "n": float(n),
            "dimensions": float(moved[0].d),
        },
        notes=["not corrected: the biases of the two entropies cancel only where the densities are alike"],
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

    Notes
    -----
    O(n K) operations.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: ten even classes 2.306 (2.303, bias -0.004 to 0.004); ten even
      classes, value 2.281 (2.28, bias -0.003 to 0.003); ten uneven classes 2.226 (2.226, bias -0.004 to 0.004).
    - Coverage of 95% intervals: ten uneven classes 0.9896 (480 draws); equal mixtures 1 (72 draws, of the mean score at
      this n).
    - On mixture, n = 400: entropy_class falls with mode drop (from .1), imbalance (from .4), duplicates (from .8) and
      foreign (from .1); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.
    - On digits, n = 225: entropy_class falls with mode drop (from .1), imbalance (from .4), duplicates (from .8) and
      foreign (from .4); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.

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


class DistinctPoints(NamedTuple):
    """The distinct rows of a set with their neighbours, and ``which`` each sample is; -1: none that is used."""

    lists: NeighbourLists
    which: Tensor

    @property
    def n(self) -> int:
        """Number of distinct points."""
        return len(self.lists.points)

    def alive(self, keep: NDArray[np.bool_]) -> Tensor:
        """Return which points are left, (n,) bool, when only the samples in ``keep`` are."""
        left = self.which[torch.from_numpy(keep).to(self.which.device)]
        alive = torch.zeros(self.n, dtype=torch.bool, device=left.device)
        alive[left[left >= 0]] = True
        return alive

    def entropy(self, k: int, keep: NDArray[np.bool_] | None = None) -> float:
        """Kozachenko-Leonenko estimate in nats of the points that are left; NaN where they are k or fewer."""
        return self._entropy(k, self.lists.kth(k)[0]) if keep is None else self.entropies(k, [keep])[0]

    def entropies(self, k: int, kept: Sequence[NDArray[np.bool_]]) -> list[float]:
        """Estimate the entropy of what is left when only the samples in ``kept`` are, for each of these at once."""
        if not kept:
            return []
        alive = torch.stack([self.alive(keep) for keep in kept])
        radii = self.lists.kth_in_parts([k], alive)[0]
        return [self._entropy(k, radii[left, part]) for part, left in enumerate(alive)]

    def _entropy(self, k: int, radius: Tensor) -> float:
        n, d = len(radius), self.lists.points.shape[1]
        if n <= k:
            return math.nan
        log_ball = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
        psi_n, psi_k = torch.digamma(torch.tensor([n, k], dtype=torch.float64)).tolist()
        return float(psi_n - psi_k + log_ball + d * radius.log().mean())

    def thinned(self, n: int, k: int) -> DistinctPoints:
        """Keep n of the points, picked by a fixed seed from their sorted order."""
        if n >= self.n:
            return self
        chosen = np.random.default_rng(derive_seed(0, "thinned points", n, self.n)).permutation(self.n)[:n]
        order = torch.unique(self.lists.points, dim=0, return_inverse=True)[1].argsort()
        kept = order[torch.from_numpy(np.sort(chosen)).to(order.device)]
        place = torch.full((self.n,), -1, dtype=torch.int64, device=kept.device)
        place[kept] = torch.arange(n, device=kept.device)
        return DistinctPoints(lists_within(self.lists.points[kept], jackknife_depth(k)), place[self.which])


def distinct_points(metric: str, features: Features, k: int) -> DistinctPoints:
    """Sort out repeated rows, which would make the entropy minus infinity, and find neighbours; remembered.

    Raises
    ------
    SampleError
        If k is below 1 or there are not more than k distinct rows.
    """

    def compute() -> DistinctPoints:
        first = first_equal(features)
        used, which = torch.unique(first, return_inverse=True)
        if len(used) == features.n:
            # Nothing is repeated: the set's own lists serve, which other metrics ask as well.
            return DistinctPoints(neighbours_within(features, jackknife_depth(k), shared=False), which)
        return DistinctPoints(lists_within(features.values[used], jackknife_depth(k)), which)

    if k < 1:
        raise SampleError(f"{metric}: k >= 1 expected, got {k}.")
    points = features.remember(("distinct points", k), compute)
    if points.n <= k:
        raise SampleError(
            f"{metric}: more than k distinct samples expected, got k = {k} for {points.n} distinct of {features.n} "
            "samples; score more samples or lower k."
        )
    return points


def complete(replicates: Sequence[float]) -> list[float]:
    """Return the replicates, or none where a set was too small for one of them."""
    return list(replicates) if all(map(math.isfinite, replicates)) else []


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
ENTROPY_GAP_KNN = Metric(
    name="entropy_gap_knn",
    compute=entropy_gap_knn,
    space="pool",
    unit="nats",
    better="match",
    ideal=0.0,
    uncertainty="jackknife",
    source="difference of two entropy_knn at equal n",
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
