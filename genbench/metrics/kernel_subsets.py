"""The kernel distance as it is published: the mean over random subsets, for comparison with old tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.kernel_sums import Cubic, check_sets, crossed_forms, squared_forms, squared_mmd
from genbench.metrics.metric import Metric
from genbench.records import Estimate


def kd_subsets(*, generated: Any, reference: Any, rng: int, subsets: int = 100, subset_size: int = 1000) -> Estimate:
    """Kernel distance by the published protocol: the mean over random subsets of each set, for comparison only.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        At least ``subset_size`` samples each.
    rng : int
        Seed of the subsets, as numpy's ``RandomState`` takes it, modulo 2^32; 2020 is torch-fidelity's.
    subsets : int
        How many, >= 1.
    subset_size : int
        Samples in each, drawn without replacement, >= 2.

    Returns
    -------
    Estimate
        As `kd`: in units of the kernel, lower is better, ideal and null 0, negative values legitimate. ``extra``:
        ``subset_std``, the deviation between subsets that papers print after the value.

    Raises
    ------
    SampleError
        If a set is smaller than a subset, or a number is out of range.

    Notes
    -----
    Unbiased like `kd`, whose target it shares, but it discards pairs and has no interval: the deviation between subsets
    scales with the size of the subsets, not with n (at half-size subsets it was 1.20 times the true standard error
    for unlike pairs and 1.56 times for equal ones). The subsets are those of torch-fidelity at the same seed. Where
    that is cheaper, all subsets are summed in one sweep over all pairs: O(min((n + m)^2 (d + B), B s^2 d)) operations
    for B subsets of s.

    References
    ----------
    Bińkowski et al. 2018, arXiv:1801.01401, section 4; checked against ``kid_features_to_metric`` of torch-fidelity
    0.4.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    check_sets("kd_subsets", generated, reference)
    smaller = min(generated.n, reference.n)
    if subsets < 1 or not 2 <= subset_size <= smaller:
        raise SampleError(
            f"kd_subsets: subsets >= 1 and subset_size in [2, {smaller}], the size of the smaller set, expected, got "
            f"{subsets} of {subset_size}; lower subset_size, score more samples, or use kd, which needs no subsets."
        )
    draws = np.random.RandomState(rng % 2**32)
    chosen = [
        tuple(draws.choice(features.n, subset_size, replace=False) for features in (generated, reference))
        for _ in range(subsets)
    ]
    together = (generated.n + reference.n) ** 2 * (generated.d + subsets)
    one_sweep = together <= subsets * (2 * subset_size) ** 2 * (generated.d + 1)
    step = subsets if one_sweep else 1
    found: list[float] = []
    for start in range(0, subsets, step):
        part = chosen[start : start + step]
        found += _values(*(_picked(f.values, [c[i] for c in part]) for i, f in enumerate((generated, reference))))
    return Estimate(
        value=float(np.mean(found)),
        null=0.0,
        extra={"subset_std": float(np.std(found))},
        notes=(
            "published protocol, for comparison only: the deviation of the subsets is not a standard error; use kd",
        ),
    )


def _picked(values: Tensor, subsets: list[np.ndarray[Any, Any]]) -> tuple[Tensor, Tensor]:
    """Return the samples that are in some subset, (n', d), and who is in which, (n', B)."""
    rows, index = np.unique(np.concatenate(subsets), return_inverse=True)
    members = torch.zeros((len(rows), len(subsets)), dtype=values.dtype)
    columns = np.repeat(np.arange(len(subsets)), [len(subset) for subset in subsets])
    members[torch.from_numpy(index), torch.from_numpy(columns)] = 1
    return values[torch.from_numpy(rows).to(values.device)], members.to(values.device)


def _values(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> list[float]:
    """Squared MMD of each pair of subsets."""
    kernel, size = Cubic(), int(ours[1][:, 0].sum())
    within = [squared_forms(kernel, *side)[0] for side in (ours, theirs)]
    across = crossed_forms(kernel, ours[0], theirs[0], ours[1], theirs[1])
    values: list[float] = squared_mmd(within[0], within[1], across, size, size).tolist()
    return values


KD_SUBSETS = Metric(
    name="kd_subsets",
    compute=kd_subsets,
    space="pool",
    unit="squared MMD",
    better="lower",
    ideal=0.0,
    uncertainty="none",
    source="Bińkowski et al. 2018, arXiv:1801.01401, section 4",
)
