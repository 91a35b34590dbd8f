"""The kernel two-sample test, which asks whether the generated samples could be reference samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.kernel import median_bandwidth
from genbench.metrics.kernel_forms import squared_forms
from genbench.metrics.kernel_sums import Gaussian, Kernel, check_sets, squared_mmd
from genbench.metrics.metric import Metric
from genbench.randomness import derive_seed
from genbench.records import Estimate

TIE = 1e-10
"""Share of the spread under relabelling within which two values count as equal, because their sums are rounded."""


def mmd_test(*, generated: Any, reference: Any, rng: int, permutations: int = 999) -> Estimate:
    """Permutation test of equal distributions by squared MMD with the Gaussian kernel.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        At least 2 samples each.
    rng : int
        Seed of the permutations.
    permutations : int
        Relabellings, >= 1; the smallest p-value is 1 / (permutations + 1).

    Returns
    -------
    Estimate
        ``value`` is the unbiased squared MMD, lower is better, ideal and null 0; negative values are legitimate.
        ``extra``: ``p_value``, in (0, 1]: small where the sets differ by more than relabelling explains;
        ``bandwidth``.

    Raises
    ------
    SampleError
        If a set has fewer than 2 samples, the widths differ, or half of the pairs of samples are equal.

    Notes
    -----
    The bandwidth is the median distance over both sets together, over sqrt(2): no relabelling changes it, so that
    under equal distributions ``P(p <= alpha) <= alpha`` at every n, with no approximation. It therefore differs from
    model to model: to compare models, read `mmd_rbf`. A small p says that the sets differ, not by how much: with
    enough samples every model is rejected. Neither is this a test of whether one model scores better than another.
    No interval: that of `mmd_rbf` has one. O((n + m)^2 (d + B)) operations for B permutations, in one sweep over the
    pairs; O((n + m) B) memory.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians, value less its null 0.0006 (0); equal mixtures,
      value less its null -0.0008 (0).
    - False alarms: equal Gaussians, p_value at most .05 in 0.0467 (300 draws).
    - On mixture, n = 400: mmd_test rises with mode drop (from .1), imbalance (from .8), collapse (from .8), duplicates
      (from .8) and foreign (from .1); is blind to noise, blur, shrink, copies, near copies and label noise up to .8.
    - On digits, n = 225: mmd_test rises with mode drop (from .2), imbalance (from .8), noise (from .8), shrink (from
      .8), duplicates (from .8) and foreign (from .4); is blind to blur, collapse, copies, near copies and label noise
      up to .8.

    References
    ----------
    Gretton et al. 2012, "A kernel two-sample test", JMLR 13, section 5; Phipson and Smyth 2010 for the p-value.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((50, 2))
    >>> mmd_test(generated=x + 2, reference=-x, rng=0).extra["p_value"]
    0.001
    """
    generated, reference = Features.of(generated), Features.of(reference)
    check_sets("mmd_test", generated, reference)
    both = Features(torch.cat([generated.values, reference.values]))
    bandwidth = median_bandwidth("mmd_test", both, seed=rng)
    value, p_value = mmd_permutation_p_value(
        Gaussian(bandwidth), generated, reference, rng=rng, permutations=permutations
    )
    return Estimate(value=value, null=0.0, extra={"p_value": p_value, "bandwidth": bandwidth})


def mmd_permutation_p_value(
    kernel: Kernel, generated: Features, reference: Features, *, rng: int, permutations: int = 999
) -> tuple[float, float]:
    """Squared MMD and the share of random relabellings of the pooled samples under which it is as large.

    Parameters
    ----------
    kernel : Kernel
        The p-value is exact only if the kernel does not depend on which samples are which.
    generated, reference : Features
        At least 2 samples each.
    rng : int
        Seed of the permutations.
    permutations : int
        At least 1.

    Returns
    -------
    value : float
    p_value : float
        ``(1 + number as large) / (1 + permutations)``, ties counted, in (0, 1].

    Raises
    ------
    SampleError
        If there are fewer than 2 samples in a set, the widths differ, or there is no permutation.

    Notes
    -----
    Every kernel value is computed once, for all permutations together.
    """
    check_sets("mmd_test", generated, reference)
    if permutations < 1:
        raise SampleError(f"mmd_test: at least 1 permutation expected, got {permutations}.")
    n, m = generated.n, reference.n
    pooled = torch.cat([generated.values, reference.values])
    draws = np.random.default_rng(derive_seed(rng, "mmd permutations"))
    members = np.zeros((n + m, permutations + 1))
    members[:n, 0] = 1
    for column in range(1, permutations + 1):
        members[draws.permutation(n + m)[:n], column] = 1
    labels = torch.from_numpy(members).to(pooled.device)
    within, rows = squared_forms(kernel, pooled, labels)
    touching = labels.T @ rows  # pairs with a first sample in the subset
    values = squared_mmd(within, rows.sum() - 2 * touching + within, touching - within, n, m)
    slack = TIE * float(values.std())
    larger = int((values[1:] >= values[0] - slack).sum())
    return float(values[0]), (1 + larger) / (1 + permutations)


MMD_TEST = Metric(
    name="mmd_test",
    compute=mmd_test,
    space="pool",
    unit="squared MMD",
    better="lower",
    ideal=0.0,
    uncertainty="none",
    source="Gretton et al. 2012, JMLR 13, section 5",
)
