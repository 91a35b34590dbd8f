"""How varied the samples are: repeated rows, and the effective number of samples that a kernel tells apart.

The kernel is that of `mmd_rbf`, ``k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2))`` with the reference's median distance
over sqrt(2) as bandwidth, so that all generators are measured with one ruler. With the eigenvalues l of K/n, n
samples count as ``exp H_q(l)``, H_q the Rényi entropy of order q: order 2 needs no eigenvalues, order 1 is `vendi`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.distances import check_widths
from genbench.metrics.features import Features
from genbench.metrics.kernel import median_bandwidth
from genbench.metrics.kernel_sums import Gaussian, RowSums, members_of_groups
from genbench.metrics.metric import Metric
from genbench.metrics.sweep import swept_within
from genbench.records import Estimate
from genbench.stats.jackknife import debias, group_count, jackknife_estimate


def unique_fraction(*, generated: Any) -> Estimate:
    """Share of distinct rows among the samples.

    Parameters
    ----------
    generated : Features or (n, d) array
        Compared number by number: near-copies count as distinct.

    Returns
    -------
    Estimate
        In [1/n, 1], higher is better. 1 for any generator with a density; of discrete data, real samples repeat too:
        compare with the score of real data at the same n, as the share falls with n. No error is given, for the same
        reason. ``extra``: ``distinct``, the number of distinct rows; ``largest_share``, how often the commonest comes.

    Raises
    ------
    SampleError
        If there are no samples.

    Notes
    -----
    In the space of a classifier or another network unlike samples can have equal features, so that the share there is
    at most that of the samples themselves. O(n d log n).

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussian 1 (1).
    - On mixture, n = 400: unique_fraction falls with collapse (from .05) and duplicates (from .05); is blind to mode
      drop, imbalance, noise, blur, shrink, copies, near copies, label noise and foreign up to .8.
    - On digits, n = 225: unique_fraction falls with collapse (from .05) and duplicates (from .05); is blind to mode
      drop, imbalance, noise, blur, shrink, copies, near copies, label noise and foreign up to .8.

    Examples
    --------
    >>> unique_fraction(generated=[[0.0], [1.0], [1.0], [2.0]]).value
    0.75
    """
    features = Features.of(generated)
    _, counts = torch.unique(features.values, dim=0, return_counts=True)
    return Estimate(
        value=len(counts) / features.n,
        extra={"distinct": float(len(counts)), "largest_share": int(counts.max()) / features.n},
    )


def rke(*, generated: Any, reference: Any, bandwidth: float | None = None) -> Estimate:
    """Order-2 kernel diversity of the samples, as a ratio to that of the reference.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        At least 2 samples each.
    bandwidth : float or None
        In feature units, > 0. None is the median distance between reference samples over sqrt(2).

    Returns
    -------
    Estimate
        A ratio > 0, ideal 1, best at 1: below, the samples are less varied than the data (modes missing, spread too
        narrow); above, more (noise raises it), which is no better. ``debiased`` is the jackknife's, whose interval is
        around it. ``extra``: ``rke_generated`` and ``rke_reference``, the effective numbers of samples told apart;
        ``bandwidth``.

    Raises
    ------
    SampleError
        If the widths differ, a set has fewer than 2 samples, the bandwidth is not positive, half of the reference's
        pairs are equal, or no two samples of a set are within reach of the kernel.

    Notes
    -----
    ``n (n - 1)/sum_{i != j} k_ij^2`` for either set. Without the diagonal the mean of k^2 does not depend on n in
    expectation, so that this order, unlike `vendi`, has a population value that it reaches, and sets of unlike size can
    be compared: for a standard Gaussian in 16 dimensions and bandwidth 2 it is 256, from n = 250 on. It is dominated by
    the commonest samples and hardly sees rare modes. The jackknife's replicates come from sums over pairs of groups;
    the bandwidth is held fixed. O((n^2 + m^2) d) operations, memory in blocks.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussian of 0.6 times the width 0.5916 (0.5904, bias -0.003 to
      0.003); equal Gaussians 0.9986 (1, bias -0.005 to 0.005).
    - Coverage of 95% intervals: Gaussian of 0.6 times the width 0.9375 (480 draws); equal Gaussians 0.9458 (480 draws);
      equal mixtures 0.9861 (72 draws).
    - On mixture, n = 400: rke rises with noise (from .8); falls with mode drop (from .2), imbalance (from .8), blur
      (from .4), shrink (from .2), collapse (from .8) and foreign (from .4); is blind to duplicates, copies, near copies
      and label noise up to .8.
    - On digits, n = 225: rke falls with mode drop (from .2), imbalance (from .8), noise (from .2), blur (from .4),
      collapse (from .8), duplicates (from .8) and foreign (from .05); is blind to shrink, copies, near copies and label
      noise up to .8.

    References
    ----------
    Jalali, Li and Farnia 2023, arXiv:2306.06373 (RKE), in diagonal-free form.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    check_widths("rke", generated, reference)
    if min(generated.n, reference.n) < 2:
        raise SampleError(f"rke: at least 2 samples in each set expected, got {generated.n} and {reference.n}.")
    width = checked_bandwidth("rke", reference, bandwidth)
    groups = group_count(generated.n, reference.n)
    ours, theirs = (_order_two(side, width, groups) for side in (generated, reference))
    replicates = (ours[1:] / theirs[1:]).tolist()
    value = float(ours[0] / theirs[0])
    return jackknife_estimate(
        value,
        replicates,
        sizes=(generated.n, reference.n),
        debiased=debias(value, replicates) if replicates else None,
        extra={"rke_generated": float(ours[0]), "rke_reference": float(theirs[0]), "bandwidth": width},
    )


def checked_bandwidth(metric: str, reference: Features, bandwidth: float | None) -> float:
    """Return the bandwidth that was given, or the reference's.

    Raises
    ------
    SampleError
        If it is not positive, or the reference has none: fewer than 2 samples, or half of the pairs equal.
    """
    if bandwidth is None:
        if reference.n < 2:
            raise SampleError(f"{metric}: at least 2 reference samples expected for a bandwidth, got {reference.n}.")
        return median_bandwidth(metric, reference)
    if not (math.isfinite(bandwidth) and bandwidth > 0):
        raise SampleError(f"{metric}: a bandwidth > 0 expected, got {bandwidth}; give one, or None for the median.")
    return float(bandwidth)


def squared_kernel(bandwidth: float) -> Gaussian:
    """Return the square of the Gaussian kernel, which is one of a narrower bandwidth."""
    return Gaussian(bandwidth / math.sqrt(2))


def _order_two(features: Features, bandwidth: float, groups: int) -> Tensor:
    """Diagonal-free order-2 effective number: of all samples, and without each group; remembered. (1 + G,)."""
    rows: Tensor = swept_within(features, RowSums(squared_kernel(bandwidth), max(groups, 1)))
    members = members_of_groups(features.values, max(groups, 1))
    sums = members.T @ rows
    kept = features.n - torch.cat([torch.zeros_like(sums[0, :1]), members.sum(dim=0)])
    without = sums.sum() - 2 * sums.sum(dim=1) + sums.diagonal()
    found = (kept * (kept - 1) / torch.cat([sums.sum()[None], without]))[: 1 + groups]
    if not bool(torch.isfinite(found).all()):
        raise SampleError(
            f"rke: samples within reach of the kernel expected, but no two of {features.n} are so near (bandwidth "
            f"{bandwidth:.3g}); give a larger one."
        )
    return found


UNIQUE_FRACTION = Metric(
    name="unique_fraction",
    compute=unique_fraction,
    space="pool",
    unit="share",
    better="higher",
    ideal=None,
    uncertainty="none",
    source="distinct rows, counted",
)
RKE = Metric(
    name="rke",
    compute=rke,
    space="pool",
    unit="ratio",
    better="match",
    ideal=1.0,
    uncertainty="jackknife",
    source="Jalali, Li and Farnia 2023, arXiv:2306.06373, diagonal-free, over the reference's",
)
