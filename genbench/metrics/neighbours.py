"""Fidelity and diversity by neighbourhoods: precision and recall, their symmetric forms, density and coverage."""

from __future__ import annotations

import math
from typing import Any

from genbench.errors import SampleError
from genbench.metrics.distances import check_widths
from genbench.metrics.features import Features
from genbench.metrics.membership import announce_scores, neighbourhood_scores
from genbench.metrics.metric import Metric
from genbench.records import Estimate
from genbench.stats.half_sampling import DRAWS, LEVEL, interval, standard_error
from genbench.stats.jackknife import are_values_alone
from genbench.stats.seeds import wilson_interval

MANIFOLD_K = 3
BALL_K = 5


def precision(*, generated: Any, reference: Any, rng: int, k: int = MANIFOLD_K) -> Estimate:
    """Share of generated samples that lie within the k-th neighbour's distance of some reference sample.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        More than k samples each; use equal sizes, as the score depends on them.
    rng : int
        Seed of the half-samples; with the same one the four scores of this module share one computation.
    k : int
        Which neighbour, >= 1; the point itself is not counted.

    Returns
    -------
    Estimate
        In [0, 1], higher is better. A perfect generator does NOT score 1 (0.99 in 2 dimensions, 0.73 in 64 at
        n = 1,000): compare with held-out real samples. ``debiased`` is None, as the population score depends on n.

    Raises
    ------
    SampleError
        If the widths differ or a set has no k-th neighbour.

    Notes
    -----
    Distances on the edge count (<=). The standard error is the deviation over 50 random halves of both sets, 1.2 to
    1.3 times the true one; the interval holds the Wilson interval of the share; none below 2 (k + 1) samples. A few
    outliers in the reference lift the score.
    O((n + m)^2 d) operations, memory in blocks of 64 MiB.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians, value 0.9331 (1, bias -0.25 to 0).
    - Coverage of 95% intervals: equal Gaussians 0.9944 (180 draws, of the mean score at this n); equal mixtures 0.9861
      (72 draws, of the mean score at this n).
    - On mixture, n = 400: precision rises with blur (from .1) and shrink (from .05); falls with noise (from .4) and
      foreign (from .1); is blind to mode drop, imbalance, collapse, duplicates, copies, near copies and label noise up
      to .8.
    - On digits, n = 225: precision rises with shrink (from .4); falls with noise (from .8) and foreign (from .1); is
      blind to mode drop, imbalance, blur, collapse, duplicates, copies, near copies and label noise up to .8.

    References
    ----------
    Kynkäänniemi et al. 2019, arXiv:1904.06991, eqs. 1-2.
    """
    return _estimate("precision", generated, reference, rng, k, highest=1.0)


def recall(*, generated: Any, reference: Any, rng: int, k: int = MANIFOLD_K) -> Estimate:
    """Share of reference samples that lie within the k-th neighbour's distance of some generated sample.

    Noise raises it, and so do foreign samples where they are most: their wide neighbourhoods take in everything. For
    the same reason collapse within classes moves it either way.

    Parameters, errors, cost and source are those of `precision`, with the sets' roles swapped.

    Returns
    -------
    Estimate
        In [0, 1], higher is better; compare with held-out real samples.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians, value 0.9347 (1, bias -0.25 to 0).
    - Coverage of 95% intervals: equal Gaussians 0.9944 (180 draws, of the mean score at this n); equal mixtures 0.9583
      (72 draws, of the mean score at this n).
    - On mixture, n = 400: recall rises with noise (from .4), collapse (from .8) and foreign (from .8); falls with mode
      drop (from .1), blur (from .05), shrink (from .05) and duplicates (from .2); is blind to imbalance, copies, near
      copies and label noise up to .8.
    - On digits, n = 225: recall rises with foreign (from .8); falls with mode drop (from .1), noise (from .8), blur
      (from .8), shrink (from .2), collapse (from .8) and duplicates (from .4); is blind to imbalance, copies, near
      copies and label noise up to .8.
    """
    return _estimate("recall", generated, reference, rng, k, highest=1.0)


def density(*, generated: Any, reference: Any, rng: int, k: int = BALL_K) -> Estimate:
    """Mean number of reference neighbourhoods that hold a generated sample, over k.

    Parameters, errors and cost are those of `precision`.

    Returns
    -------
    Estimate
        At least 0, higher is better, with no upper end; expectation 1 for a perfect generator (``null``). Distances
        on the edge count (<=). ``extra["ratio"]`` is value / null.

    Notes
    -----
    Above 1 it says that generated samples crowd where the reference is dense: cap it at 1 for display.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians 1.004 (1); equal Gaussians, value less its null
      0.0039 (0); equal mixtures, value less its null 0.016 (0).
    - Coverage of 95% intervals: equal Gaussians 0.9722 (180 draws, of the mean score at this n); equal mixtures 0.9167
      (72 draws, of the mean score at this n).
    - On mixture, n = 400: density rises with blur (from .1) and shrink (from .05); falls with noise (from .4), collapse
      (from .8) and foreign (from .2); is blind to mode drop, imbalance, duplicates, copies, near copies and label noise
      up to .8.
    - On digits, n = 225: density rises with shrink (from .2); falls with noise (from .8) and foreign (from .2); is
      blind to mode drop, imbalance, blur, collapse, duplicates, copies, near copies and label noise up to .8.

    References
    ----------
    Naeem et al. 2020, arXiv:2002.09797, eq. 4.
    """
    return _estimate("density", generated, reference, rng, k, highest=math.inf, null=1.0)


def coverage(*, generated: Any, reference: Any, rng: int, k: int = BALL_K) -> Estimate:
    """Share of reference samples whose neighbourhood holds a generated sample.

    Truncation and blur can raise it, as both move samples to where the reference is dense.

    Parameters, errors and cost are those of `precision`.

    Returns
    -------
    Estimate
        In [0, 1], higher is better; ``null`` is a perfect generator's exact expectation at these n and m, and
        ``extra["ratio"]`` is value / null.

    Notes
    -----
    Distances on the edge do not count (<), as in the authors' code, except that a ball of radius zero (around a
    reference sample with k duplicates) is covered by a sample that equals it.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians 0.9697 (0.9699); equal Gaussians, value less its
      null -0.0002 (0); equal mixtures, value less its null 0.0025 (0).
    - Coverage of 95% intervals: equal Gaussians 0.9944 (180 draws, of the mean score at this n); equal mixtures 1 (72
      draws, of the mean score at this n).
    - On mixture, n = 400: coverage rises with blur (from .1) and shrink (from .1); falls with mode drop (from .1),
      imbalance (from .8), noise (from .4), collapse (from .4), duplicates (from .4) and foreign (from .4); is blind to
      copies, near copies and label noise up to .8.
    - On digits, n = 225: coverage falls with mode drop (from .1), imbalance (from .8), noise (from .8), blur (from .8),
      shrink (from .4), collapse (from .4), duplicates (from .4) and foreign (from .4); is blind to copies, near copies
      and label noise up to .8.

    References
    ----------
    Naeem et al. 2020, arXiv:2002.09797, eqs. 5 and 8.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    null = expected_coverage(generated.n, reference.n, k)
    return _estimate("coverage", generated, reference, rng, k, highest=1.0, null=null)


def precision_symmetric(*, generated: Any, reference: Any, rng: int, k: int = MANIFOLD_K) -> Estimate:
    """Take the smaller of precision and its complement: the generated samples whose own ball holds a reference one.

    Parameters, errors and cost are those of `precision`, with which it shares one computation.

    Returns
    -------
    Estimate
        In [0, 1], higher is better; compare with held-out real samples. ``debiased`` is None.

    Notes
    -----
    In high dimensions precision alone is near 1 for samples that lie a little inside the data's shell, and near 0 a
    little outside; its complement does the opposite. In 256 dimensions (n = 1,000) generated samples of 0.9 times the
    radius have precision .99 and recall .04, of 1.1 times .04 and .99. The symmetric forms are then .04 to .06, and
    .54 for a perfect generator.
    The complement asks for each generated sample whether a reference sample lies within the k-th neighbour's distance
    in the generated set. Edges count (<=). The interval is that of `precision`.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians, value 0.8779 (1, bias -0.25 to 0).
    - Coverage of 95% intervals: equal Gaussians 0.9889 (180 draws, of the mean score at this n); equal mixtures 0.9861
      (72 draws, of the mean score at this n).
    - On mixture, n = 400: precision_symmetric falls with mode drop (from .4), noise (from .4), blur (from .2), shrink
      (from .1), collapse (from .2), duplicates (from .4) and foreign (from .1); is blind to imbalance, copies, near
      copies and label noise up to .8.
    - On digits, n = 225: precision_symmetric falls with mode drop (from .4), imbalance (from .8), noise (from .8), blur
      (from .8), shrink (from .2), collapse (from .2), duplicates (from .4) and foreign (from .2); is blind to copies,
      near copies and label noise up to .8.

    References
    ----------
    Khayatkhoei and AbdAlmageed 2023, arXiv:2306.09618.
    """
    return _estimate("precision_symmetric", generated, reference, rng, k, highest=1.0)


def recall_symmetric(*, generated: Any, reference: Any, rng: int, k: int = MANIFOLD_K) -> Estimate:
    """Take the smaller of recall and its complement: the reference samples whose own ball holds a generated one.

    Parameters, errors, cost, notes and source are those of `precision_symmetric`, with the sets' roles swapped.

    Returns
    -------
    Estimate
        In [0, 1], higher is better; compare with held-out real samples. ``debiased`` is None.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians, value 0.8793 (1, bias -0.25 to 0).
    - Coverage of 95% intervals: equal Gaussians 0.9778 (180 draws, of the mean score at this n); equal mixtures 1 (72
      draws, of the mean score at this n).
    - On mixture, n = 400: recall_symmetric falls with mode drop (from .1), imbalance (from .8), noise (from .8), blur
      (from .05), shrink (from .05), collapse (from .8), duplicates (from .2) and foreign (from .8); is blind to copies,
      near copies and label noise up to .8.
    - On digits, n = 225: recall_symmetric falls with mode drop (from .1), imbalance (from .8), noise (from .8), blur
      (from .8), shrink (from .2), collapse (from .4), duplicates (from .4) and foreign (from .4); is blind to copies,
      near copies and label noise up to .8.
    """
    return _estimate("recall_symmetric", generated, reference, rng, k, highest=1.0)


def expected_coverage(n_generated: int, n_reference: int, k: int) -> float:
    """Exact expectation of coverage when both sets have one continuous distribution.

    ``1 - prod_{j=1..k} (N - j)/(N + M - j)`` for N reference and M generated samples: the k nearest of all N + M - 1
    other samples are all from the reference with that product's chance.
    """
    missed = [(n_reference - j) / max(1, n_reference + n_generated - j) for j in range(1, k + 1)]
    return 1.0 - math.prod(max(0.0, factor) for factor in missed)


def _estimate(
    name: str, generated: Any, reference: Any, rng: int, k: int, *, highest: float, null: float | None = None
) -> Estimate:
    generated, reference = Features.of(generated), Features.of(reference)
    check_widths(name, generated, reference)
    smaller = min(generated.n, reference.n)
    if k < 1 or smaller <= k:
        raise SampleError(
            f"{name}: k >= 1 and more than k samples of each set expected, got k = {k} for {generated.n} generated and "
            f"{reference.n} reference samples; score more samples or lower k."
        )
    ks, draws = _plan(name, smaller, k)
    scores = generated.remember(
        ("neighbourhood scores", reference, ks, rng, draws),
        lambda: neighbourhood_scores(generated, reference, ks=ks, seed=rng, draws=draws),
    )[name]
    value = float(scores[0])
    notes = ["not corrected: the population score itself depends on the number of samples"]
    extra = {} if null is None else {"ratio": value / null}
    if not draws:
        if smaller // 2 <= max(ks):
            fewest = 2 * max(ks) + 1
            notes.append(f"no interval: half-sampling needs more than {fewest} samples of each set, got {smaller}")
        return Estimate(value=value, null=null, extra=extra, notes=tuple(notes))
    error = standard_error(scores[1:])
    low, high = interval(value, error, highest=highest)
    if name != "density":
        # At 0 or 1 all halves agree, and their spread is zero; yet no finite number of samples proves a share of 0.
        trials = generated.n if name.startswith("precision") else reference.n
        least, most = wilson_interval(round(value * trials), trials, level=LEVEL)
        low, high = min(low, least), max(high, most)
    return Estimate(
        value=value, std_error=error, low=low, high=high, level=LEVEL, null=null, extra=extra, notes=tuple(notes)
    )


def _plan(name: str, smaller: int, k: int) -> tuple[tuple[int, int], int]:
    """Return the two k that are computed together, and how many half-samples the smaller set allows."""
    shared = k == (BALL_K if name in ("density", "coverage") else MANIFOLD_K) and smaller // 2 > BALL_K
    ks = (MANIFOLD_K, BALL_K) if shared else (k, k)
    return ks, DRAWS if smaller // 2 > max(ks) and not are_values_alone() else 0


def announce_neighbourhoods(name: str, generated: Features, reference: Features, *, rng: int, k: int) -> None:
    """Say that one of these metrics will be asked for; see `genbench.metrics.sweep`."""
    smaller = min(generated.n, reference.n)
    if 1 <= k < smaller:
        ks, draws = _plan(name, smaller, k)
        announce_scores(generated, reference, ks=ks, seed=rng, draws=draws)


PRECISION = Metric(
    name="precision",
    compute=precision,
    space="pool",
    unit="share",
    better="higher",
    ideal=None,
    uncertainty="half-sampling",
    source="Kynkäänniemi et al. 2019, arXiv:1904.06991, eqs. 1-2",
)
RECALL = Metric(
    name="recall",
    compute=recall,
    space="pool",
    unit="share",
    better="higher",
    ideal=None,
    uncertainty="half-sampling",
    source="Kynkäänniemi et al. 2019, arXiv:1904.06991, eqs. 1-2",
)
DENSITY = Metric(
    name="density",
    compute=density,
    space="pool",
    unit="neighbourhoods / k",
    better="higher",
    ideal=1.0,
    uncertainty="half-sampling",
    source="Naeem et al. 2020, arXiv:2002.09797, eq. 4",
)
COVERAGE = Metric(
    name="coverage",
    compute=coverage,
    space="pool",
    unit="share",
    better="higher",
    ideal=None,
    uncertainty="half-sampling",
    source="Naeem et al. 2020, arXiv:2002.09797, eq. 5",
)
PRECISION_SYMMETRIC = Metric(
    name="precision_symmetric",
    compute=precision_symmetric,
    space="pool",
    unit="share",
    better="higher",
    ideal=None,
    uncertainty="half-sampling",
    source="Khayatkhoei and AbdAlmageed 2023, arXiv:2306.09618",
)
RECALL_SYMMETRIC = Metric(
    name="recall_symmetric",
    compute=recall_symmetric,
    space="pool",
    unit="share",
    better="higher",
    ideal=None,
    uncertainty="half-sampling",
    source="Khayatkhoei and AbdAlmageed 2023, arXiv:2306.09618",
)
