"""The Fréchet distance of features: its value, debiased value and interval, ladder: features -> moments -> distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from scipy.special import ndtri

from genbench.errors import DeclarationError, SampleError
from genbench.metrics.distances import check_widths
from genbench.metrics.feature_moments import FeatureMoments, feature_moments
from genbench.metrics.features import Features
from genbench.metrics.frechet_expansion import Expansion, expand, replicates_by_expansion
from genbench.metrics.frechet_influence import fd_influence
from genbench.metrics.gaussian_fit import Gaussian, distance, distance_and_axes, fit
from genbench.metrics.gaussian_fit import factors_to_fd as factors_to_fd
from genbench.metrics.metric import Metric
from genbench.metrics.moments import GroupedMoments, Summary
from genbench.metrics.root_trace import Axes
from genbench.records import Estimate
from genbench.stats.jackknife import LEVEL, are_values_alone, debias, group_count, jackknife_estimate, too_few

MIN_RATIO = 1.5
"""Samples per dimension below which the jackknife no longer removes the bias (at 1.0, d = 128, it leaves 7%)."""

ANALYTIC_RATIO = 10
"""Samples per dimension below which the second-order bias is not trusted (of it, 10 leave 5%, 2.3 leave 17%)."""

EXPANDED = 1_024
"""Dimensions from which replicates are expanded, where eigenvalues decide: below, all of them take a few seconds."""


def fd(*, generated: Any, reference: Any, mode: str = "jackknife") -> Estimate:
    """Fréchet distance between Gaussian fits of two sets of features.

    ``|mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2`` with unbiased covariances. Called FID only when
    the features are the pool layer of Inception-v3 with the weights of the original.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        At least 2 samples each. Or `genbench.metrics.moments.MomentSums` or `Statistics`, which say all that is needed.
    mode : {"jackknife", "analytic"}
        Where the debiased value and the interval come from: 20 replicates, or influence functions, which take one
        pass, keep no replicates, and need 10 samples a dimension.

    Returns
    -------
    Estimate
        In squared feature units, >= 0, lower is better, ideal 0. ``debiased`` may be negative; it and the interval
        speak of the distance between the two distributions, as both sets are resampled. They are None below 1.5
        samples a dimension. ``extra``: ``mean_term``, the ranks of both factors.

    Raises
    ------
    SampleError
        If a set has fewer than 2 samples or the widths differ; in analytic mode, below 10 samples a dimension.
    DeclarationError
        If there is no such mode.

    Notes
    -----
    The plug-in value is too high by about `gaussian_null_bias` for equal Gaussians. O((n + m) d^2 + G d^3) operations
    for G = 20 replicates, which are made from sums that merge, or G = 1; O(d^2) memory, or O(G d^2) up to d = 2,590,
    where the sums are remembered, and up to 1,295 the reference's fits. From d = 1,024, of features, replicates come
    from the expansion of `genbench.metrics.frechet_expansion`, with as much of each computed in full as keeps the
    debiased value to .1 standard errors by estimate: nothing for sets that differ, most for equal ones below 2 samples
    a dimension. It sees means and covariances alone: blur within classes barely moves it.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussians apart 1.362 (1.36); equal Gaussians 0.0008 (0, bias
      -0.002 to 0.002); equal Gaussians, value 0.0907 (0.09, bias -0.0045 to 0.0045).
    - Coverage of 95% intervals: Gaussians apart 0.9354 (480 draws); equal Gaussians 0.9875 (480 draws); equal mixtures
      0.9167 (72 draws).
    - On mixture, n = 400: fd rises with mode drop (from .1), imbalance (from .8), blur (from .8), shrink (from .8),
      collapse (from .8), duplicates (from .8) and foreign (from .05); is blind to noise, copies, near copies and label
      noise up to .8. fd (per class) rises with imbalance (from .8), noise (from .4), blur (from .8), collapse (from
      .05), duplicates (from .1), label noise (from .05) and foreign (from .05); falls with mode drop (from .2); moves
      both ways with shrink (from .1); is blind to copies and near copies up to .8.
    - On digits, n = 225: fd rises with mode drop (from .1), imbalance (from .8), noise (from .8), shrink (from .8),
      collapse (from .8), duplicates (from .8) and foreign (from .4); is blind to blur, copies, near copies and label
      noise up to .8. fd (per class) rises with imbalance (from .8), noise (from .4), blur (from .8), shrink (from .4),
      collapse (from .2), duplicates (from .2), label noise (from .05) and foreign (from .05); falls with mode drop
      (from .4); is blind to copies and near copies up to .8.

    References
    ----------
    Heusel et al. 2017, arXiv:1706.08500, eq. 6. For n <= d the factor is the centred data, as in Mathiasen and
    Hvilshøj 2020, arXiv:2009.14075.

    Examples
    --------
    >>> fd(generated=[[0.0], [2.0]], reference=[[3.0], [5.0]]).value
    9.0
    """
    generated, reference = (x if isinstance(x, Summary) else Features.of(x) for x in (generated, reference))
    check_widths("fd", generated, reference)
    if mode not in ("jackknife", "analytic"):
        raise DeclarationError(f"fd: mode 'jackknife' or 'analytic' expected, got {mode!r}.")
    if mode == "analytic" and min(generated.n, reference.n) < ANALYTIC_RATIO * generated.d:
        raise SampleError(
            f"fd: mode 'analytic' expects at least {ANALYTIC_RATIO} samples a dimension, got "
            f"{min(generated.n, reference.n)} for {generated.d} dimensions; use mode 'jackknife' or score more samples."
        )
    groups = fd_groups(generated.n, reference.n, generated.d)
    ours, theirs = (features_to_gaussian(x, groups) for x in (generated, reference))
    found, axes = distance_and_axes(ours, theirs)
    plain = Estimate(
        value=found.value,
        extra={
            "mean_term": float((ours.mean - theirs.mean).square().sum()),
            "rank_generated": float(_rank(ours, generated)),
            "rank_reference": float(_rank(theirs, reference)),
        },
    )
    if are_values_alone():
        return plain
    if mode == "jackknife":
        return _jackknifed(plain, generated, reference, groups, axes)
    if not (isinstance(generated, Features) and isinstance(reference, Features)):
        raise SampleError("fd: mode 'analytic' expects features, got their moments alone; use mode 'jackknife'.")
    bias, std_error = fd_influence(generated.values, reference.values, ours, theirs)
    best, width = plain.value - bias, float(ndtri(0.5 + LEVEL / 2)) * std_error
    return replace(plain, debiased=best, std_error=std_error, low=best - width, high=best + width, level=LEVEL)


def fd_groups(n: int, m: int, d: int) -> int:
    """Return the number of jackknife groups for n and m samples in d dimensions, 0 where they are too few for it."""
    return group_count(n, m) if min(n, m) >= MIN_RATIO * d else 0


def _jackknifed(
    plain: Estimate, generated: Features | Summary, reference: Features | Summary, groups: int, axes: Axes | None
) -> Estimate:
    """Add the debiased value and the interval, where there are samples enough, or the note why not."""
    sizes, d = (generated.n, reference.n), generated.d
    if min(sizes) < MIN_RATIO * d:
        note = (
            f"no debiased value or interval: the smaller set has {min(sizes)} samples for {d} dimensions, "
            f"fewer than {MIN_RATIO} a dimension; use a kernel distance instead"
        )
        return replace(plain, notes=(note,))
    if not groups:
        return replace(plain, notes=(too_few(*sizes),))
    sums = [feature_moments(x, groups) if isinstance(x, Features) else x for x in (generated, reference)]
    ours, theirs = (x if isinstance(x, GroupedMoments) and x.groups == groups else None for x in sums)
    if ours is None or theirs is None:
        known = replace(plain, null=gaussian_null_bias(sums[1].moments().covariance, *sizes))
        return replace(known, notes=("no debiased value or interval: of one set only mean and covariance are known",))
    exact = _replicates(reference, ours, theirs, try_eigenvalues=axes is not None)
    expansion = _expand(generated, reference, groups, axes)
    replicates = list(exact) if expansion is None else replicates_by_expansion(plain.value, expansion, exact)
    debiased = debias(plain.value, replicates)
    return jackknife_estimate(plain.value, replicates, sizes=sizes, debiased=debiased, extra=plain.extra)


def _expand(
    generated: Features | Summary, reference: Features | Summary, groups: int, axes: Axes | None
) -> Expansion | None:
    """Expand the distance of features that are wide enough, where eigenvalues decide it."""
    if not (isinstance(generated, Features) and isinstance(reference, Features)):
        return None
    if axes is None or generated.d < EXPANDED:
        return None
    ours, theirs = (features_to_gaussian(x, groups) for x in (generated, reference))
    return expand(feature_moments(generated, groups), feature_moments(reference, groups), ours, theirs, axes)


def _replicates(
    reference: Features | Summary, ours: GroupedMoments, theirs: GroupedMoments, *, try_eigenvalues: bool
) -> Iterator[float]:
    """Compute the replicates one by one, each in full."""
    for group in range(ours.groups):
        first, second = fit(ours.without(group)), _reference_without(reference, theirs, group)
        found = distance(first, second, try_eigenvalues=try_eigenvalues)
        yield found.value
        try_eigenvalues = found.by_eigenvalues


def _reference_without(reference: Features | Summary, sums: GroupedMoments, group: int) -> Gaussian:
    """Fit what remains of the reference without a group; remembered, because many sets are scored against it."""
    if not (isinstance(reference, Features) and isinstance(sums, FeatureMoments) and sums.light):
        return fit(sums.without(group))
    return reference.remember(("gaussian without", sums.groups, group), lambda: fit(sums.without(group)))


def _rank(gaussian: Gaussian, features: Features | Summary) -> int:
    """Return the rank that the covariance can have: of n <= d centred samples, one less than their number."""
    columns = gaussian.factor.shape[1]
    return columns - 1 if isinstance(features, Features) and features.n <= features.d else columns


def features_to_gaussian(features: Features | Summary, groups: int = 0) -> Gaussian:
    """Fit a Gaussian: mean and unbiased covariance; remembered.

    For n <= d the centred samples themselves, over sqrt(n - 1), are a factor, and no (d, d) matrix is made.

    Raises
    ------
    SampleError
        If there are fewer than 2 samples.
    """
    if not isinstance(features, Features):
        return fit(features.moments())
    if features.n > features.d or features.n < 2:
        sums = feature_moments(features, groups)
        return features.remember(("gaussian", groups), lambda: fit(sums.moments()))
    mean = features.values.mean(dim=0)
    return Gaussian(mean, factor=(features.values - mean).T / (features.n - 1) ** 0.5)


def gaussian_null_bias(covariance: Any, n: int, m: int) -> float:
    """Expected plug-in distance of n and m samples of one Gaussian, to second order.

    ``(1/n + 1/m) [1.25 tr S + 0.5 sum_ij l_i l_j / (l_i + l_j)]`` with eigenvalues l of the covariance (d, d).
    """
    values = torch.linalg.eigvalsh(torch.as_tensor(covariance, dtype=torch.float64)).clamp_min(0)
    values = values[values > 0]
    pairs = values[:, None] * values[None, :] / (values[:, None] + values[None, :])
    return (1 / n + 1 / m) * float(1.25 * values.sum() + 0.5 * pairs.sum())


FD = Metric(
    name="fd",
    compute=fd,
    space="pool",
    unit="squared feature units",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Heusel et al. 2017, arXiv:1706.08500, eq. 6",
    streams={"mode": "jackknife"},
)
FID = replace(FD, name="fid", reserved="inception-v3.pool", elsewhere="fd")
