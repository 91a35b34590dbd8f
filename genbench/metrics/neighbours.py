"""Precision, recall, density and coverage: who lies within whose neighbourhood, from one pass over the distances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.distances import check_widths, neighbours_within, pairwise_distances, row_blocks
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.randomness import derive_seed
from genbench.records import Estimate
from genbench.stats.half_sampling import DRAWS, LEVEL, halves, interval, standard_error
from genbench.stats.seeds import wilson_interval

MANIFOLD_K = 3
BALL_K = 5

Scores = Mapping[str, NDArray[np.float64]]


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

    References
    ----------
    Kynkäänniemi et al. 2019, arXiv:1904.06991, eqs. 1-2.
    """
    return _estimate("precision", generated, reference, rng, k, highest=1.0)


def recall(*, generated: Any, reference: Any, rng: int, k: int = MANIFOLD_K) -> Estimate:
    """Share of reference samples that lie within the k-th neighbour's distance of some generated sample.

    Parameters, errors, cost and source are those of `precision`, with the sets' roles swapped.

    Returns
    -------
    Estimate
        In [0, 1], higher is better; compare with held-out real samples.
    """
    return _estimate("recall", generated, reference, rng, k, highest=1.0)


def density(*, generated: Any, reference: Any, rng: int, k: int = BALL_K) -> Estimate:
    """Mean number of reference neighbourhoods that hold a generated sample, over k.

    Parameters, errors and cost are those of `precision`.

    Returns
    -------
    Estimate
        At least 0, higher is better, with no upper end; expectation 1 for a perfect generator (``null``). Distances
        on the edge count (<=).

    References
    ----------
    Naeem et al. 2020, arXiv:2002.09797, eq. 4.
    """
    return _estimate("density", generated, reference, rng, k, highest=math.inf, null=1.0)


def coverage(*, generated: Any, reference: Any, rng: int, k: int = BALL_K) -> Estimate:
    """Share of reference samples whose neighbourhood holds a generated sample.

    Parameters, errors and cost are those of `precision`.

    Returns
    -------
    Estimate
        In [0, 1], higher is better; ``null`` is a perfect generator's exact expectation at these n and m.

    Notes
    -----
    Distances on the edge do not count (<), as in the authors' code, except that a ball of radius zero (around a
    reference sample with k duplicates) is covered by a sample that equals it.

    References
    ----------
    Naeem et al. 2020, arXiv:2002.09797, eqs. 5 and 8.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    estimate = _estimate("coverage", generated, reference, rng, k, highest=1.0)
    return replace(estimate, null=expected_coverage(generated.n, reference.n, k))


def expected_coverage(n_generated: int, n_reference: int, k: int) -> float:
    """Exact expectation of coverage when both sets have one continuous distribution.

    ``1 - prod_{j=1..k} (N - j)/(N + M - j)`` for N reference and M generated samples: the k nearest of all N + M - 1
    other samples are all from the reference with that product's chance.
    """
    missed = [(n_reference - j) / (n_reference + n_generated - j) for j in range(1, k + 1)]
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
    shared = k == (MANIFOLD_K if name in ("precision", "recall") else BALL_K) and smaller // 2 > BALL_K
    ks = (MANIFOLD_K, BALL_K) if shared else (k, k)
    draws = DRAWS if smaller // 2 > max(ks) else 0
    scores = generated.remember(
        ("neighbourhood scores", reference, ks, rng, draws),
        lambda: neighbourhood_scores(generated, reference, ks=ks, seed=rng, draws=draws),
    )[name]
    value = float(scores[0])
    notes = ["not corrected: the population score itself depends on the number of samples"]
    if not draws:
        notes.append(f"no interval: half-sampling needs more than {2 * max(ks) + 1} samples of each set, got {smaller}")
        return Estimate(value=value, null=null, notes=tuple(notes))
    error = standard_error(scores[1:])
    low, high = interval(value, error, highest=highest)
    if name != "density":
        # At 0 or 1 all halves agree, and their spread is zero; yet no finite number of samples proves a share of 0.
        trials = generated.n if name == "precision" else reference.n
        least, most = wilson_interval(round(value * trials), trials, level=LEVEL)
        low, high = min(low, least), max(high, most)
    return Estimate(value=value, std_error=error, low=low, high=high, level=LEVEL, null=null, notes=tuple(notes))


@dataclass(frozen=True, slots=True)
class _Side:
    """One set and its random parts: who is in each (parts, n), and radii (parts, n), -1 for who is not."""

    alive: Tensor
    manifold: Tensor
    ball: Tensor


def neighbourhood_scores(
    generated: Features, reference: Features, *, ks: tuple[int, int], seed: int, draws: int = DRAWS
) -> Scores:
    """Compute the four scores of all samples and of random halves of both sets, from one pass over the distances.

    Parameters
    ----------
    generated, reference : Features
        (n, d) and (m, d); halves must have more samples than the larger k.
    ks : tuple of int
        Neighbour for precision and recall, and for density and coverage.
    seed : int
        Of the halves.
    draws : int
        Number of halves; 0 for none.

    Returns
    -------
    mapping of str to (1 + draws,) float64 array
        ``precision``, ``recall``, ``density``, ``coverage``; the first entry is of all samples.

    Notes
    -----
    Only pairs closer than the largest radius of any part are looked at for the halves, a few for each sample.
    """
    ours = _side(generated, ks, derive_seed(seed, "generated halves"), draws)
    theirs = _side(reference, ks, derive_seed(seed, "reference halves"), draws)
    parts = 1 + draws
    in_manifold = torch.zeros_like(ours.alive)
    in_generated = torch.zeros_like(theirs.alive)
    covered = torch.zeros_like(theirs.alive)
    held = torch.zeros(parts, dtype=torch.int64, device=ours.alive.device)
    reach = torch.maximum(theirs.manifold, theirs.ball).amax(dim=0)
    our_reach = ours.manifold.amax(dim=0)
    for rows in row_blocks(reference.n, generated.n):
        distances = pairwise_distances(reference.values[rows], generated.values)
        i, j = torch.nonzero((distances <= reach[rows, None]) | (distances <= our_reach[None, :]), as_tuple=True)
        near = distances[i, j]
        i = i + rows.start
        for part in range(parts):
            there = ours.alive[part][j]
            ball = theirs.ball[part][i]
            in_manifold[part, j[there & (near <= theirs.manifold[part][i])]] = True
            in_generated[part, i[theirs.alive[part][i] & (near <= ours.manifold[part][j])]] = True
            held[part] += (there & (near <= ball)).sum()
            covered[part, i[there & ((near < ball) | ((near == 0) & (ball == 0)))]] = True
    n, m = ours.alive.sum(dim=1).double(), theirs.alive.sum(dim=1).double()
    scores = {
        "precision": in_manifold.sum(dim=1) / n,
        "recall": in_generated.sum(dim=1) / m,
        "density": held / (ks[1] * n),
        "coverage": covered.sum(dim=1) / m,
    }
    return {name: score.cpu().numpy() for name, score in scores.items()}


def _side(features: Features, ks: tuple[int, int], seed: int, draws: int) -> _Side:
    """Draw the halves of one set and find the radii within each."""
    members = np.ones((1, features.n), dtype=bool)
    if draws:
        members = np.concatenate([members, halves(features.n, seed=seed, draws=draws)])
    alive = torch.from_numpy(members).to(features.values.device)
    # Deep enough that the k-th neighbour in a half is practically always among the listed ones.
    lists = neighbours_within(features, 8 * max(ks) + 24)
    radii = [torch.stack([torch.where(part, lists.kth(k, part)[0], -1.0) for part in alive]) for k in dict.fromkeys(ks)]
    return _Side(alive, radii[0], radii[-1])


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
