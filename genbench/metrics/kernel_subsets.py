"""The kernel distance as it is published: the mean over random subsets, for comparison with old tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.kernel_forms import FormsReader, crossed_forms, squared_forms
from genbench.metrics.kernel_sums import Cubic, check_sets, squared_mmd
from genbench.metrics.metric import Metric
from genbench.metrics.sweep import announce, swept_among, swept_within
from genbench.records import Estimate

ONE_PASS = 1.5
"""One pass over all pairs may cost so much more than the subsets alone, because other metrics share it."""


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
    that costs about the same or less, all subsets are summed in one sweep over all pairs, which other metrics share:
    O(min((n + m)^2 (d + B), B s^2 d)) operations for B subsets of s.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussians apart 1.043 (1.07); equal Gaussians -0.0037 (0); equal
      mixtures, value less its null -1.343 (0).
    - On mixture, n = 400: kd_subsets rises with mode drop (from .2), imbalance (from .8), collapse (from .8),
      duplicates (from .8) and foreign (from .1); is blind to noise, blur, shrink, copies, near copies and label noise
      up to .8.
    - On digits, n = 225: kd_subsets rises with mode drop (from .2), imbalance (from .8), noise (from .8), shrink (from
      .8), duplicates (from .8) and foreign (from .4); is blind to blur, collapse, copies, near copies and label noise
      up to .8.

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
    draws = Draws(rng % 2**32, subsets, subset_size, generated.n, reference.n)
    if draws.in_one_pass(generated.d):
        forms = [
            swept_within(generated, SubsetForms(draws, (0, 0))),
            swept_within(reference, SubsetForms(draws, (1, 1))),
        ]
        across = swept_among(generated, reference, SubsetForms(draws, (0, 1)))[0]
        found = squared_mmd(forms[0][0], forms[1][0], across[0], subset_size, subset_size).tolist()
    else:
        found = [_value(generated.values[i], reference.values[j]) for i, j in zip(*draws.rows, strict=True)]
    return Estimate(
        value=float(np.mean(found)),
        null=0.0,
        extra={"subset_std": float(np.std(found))},
        notes=(
            "published protocol, for comparison only: the deviation of the subsets is not a standard error; use kd",
        ),
    )


@dataclass(frozen=True, slots=True)
class Draws:
    """Random subsets of two sets, drawn in turn as torch-fidelity draws them."""

    seed: int
    subsets: int
    size: int
    n: int
    m: int

    def in_one_pass(self, d: int) -> bool:
        """Whether all pairs cost about as much as those of the subsets, or less, at width d."""
        together = (self.n + self.m) ** 2 * (d + self.subsets)
        return together <= ONE_PASS * self.subsets * (2 * self.size) ** 2 * (d + 1)

    @property
    def rows(self) -> tuple[list[Tensor], list[Tensor]]:
        """The rows of either set that are in each subset."""
        draws = np.random.RandomState(self.seed)
        pairs = [
            [torch.from_numpy(draws.choice(n, self.size, replace=False)) for n in (self.n, self.m)]
            for _ in range(self.subsets)
        ]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def members(self, side: int, like: Tensor) -> Tensor:
        """Return (n, B): one where a sample of one set is in the subset."""
        members = torch.zeros((len(like), self.subsets), dtype=like.dtype)
        for subset, rows in enumerate(self.rows[side]):
            members[rows, subset] = 1
        return members.to(like.device)


@dataclass(frozen=True, slots=True)
class SubsetForms:
    """The wish for the kernel's sums over subsets, a `genbench.metrics.sweep.Want`; ``sides`` says whose they are."""

    mirrors: ClassVar[bool] = False
    draws: Draws
    sides: tuple[int, int]

    def reader(self, points: Tensor, others: Tensor) -> FormsReader:
        """Make a reader that sums them."""
        first, second = (self.draws.members(i, each) for i, each in zip(self.sides, (points, others), strict=True))
        return FormsReader(Cubic(), (first, second))


def announce_subsets(generated: Features, reference: Features, *, rng: int, subsets: int, subset_size: int) -> None:
    """Say that `kd_subsets` will be asked for; see `genbench.metrics.sweep`."""
    draws = Draws(rng % 2**32, subsets, subset_size, generated.n, reference.n)
    if draws.in_one_pass(generated.d):
        announce(SubsetForms(draws, (0, 0)), generated)
        announce(SubsetForms(draws, (1, 1)), reference)
        announce(SubsetForms(draws, (0, 1)), generated, reference)


def _value(ours: Tensor, theirs: Tensor) -> float:
    """Squared MMD of two subsets of one size."""
    everyone = ours.new_ones((len(ours), 1))
    within = [squared_forms(Cubic(), each, everyone)[0] for each in (ours, theirs)]
    across = crossed_forms(Cubic(), ours, theirs, everyone, everyone)
    return float(squared_mmd(within[0], within[1], across, len(ours), len(ours)))


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
