"""Cells of a feature space, fitted by k-means, and NDB: in how many of them shares differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from genbench.errors import SampleError
from genbench.metrics.distances import check_widths, pairwise_distances, row_blocks
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.pools import canonical_order
from genbench.randomness import derive_seed
from genbench.records import Estimate

SAMPLES_A_BIN = 20
MOST_BINS = 100
SIGNIFICANCE = 0.05
CRITICAL = -float(special.ndtri(SIGNIFICANCE / 2))
"""Beyond so many deviations a normal number is with that probability."""


def fit_cells(features: Features, cells: int, *, seed: int) -> Features:
    """Fit k-means; the same centres in whatever order the rows come.

    Parameters
    ----------
    features : Features
    cells : int
        At least 1; no more than there are distinct rows are made.
    seed : int

    Returns
    -------
    Features
        The (cells, d) centres. Remembered with ``features``.

    Notes
    -----
    Scikit-learn's k-means on one thread, the best of 4 starts. O(cells n d) a step.
    """
    return features.remember(("cells", cells, seed), lambda: Features(_fit(features, cells, seed)))


def _fit(features: Features, cells: int, seed: int) -> NDArray[np.float64]:
    from sklearn.cluster import KMeans  # takes over a second to import
    from threadpoolctl import threadpool_limits

    rows = features.values.cpu().numpy()[canonical_order(features.values)]
    cells = min(cells, len(np.unique(rows, axis=0)))
    model = KMeans(cells, n_init=4, random_state=derive_seed(seed, "k-means") % 2**32)
    with threadpool_limits(limits=1):  # sums of several threads differ in the last bits, and with them the cells
        centres: NDArray[np.float64] = model.fit(rows).cluster_centers_
    return centres


def cells_of(points: Features, centres: Features) -> NDArray[np.int64]:
    """Return the nearest centre of every point, (n,); the first one at equal distance."""
    parts = [
        pairwise_distances(points.values[rows], centres.values).argmin(dim=1).cpu().numpy()
        for rows in row_blocks(points.n, centres.n)
    ]
    return np.concatenate(parts)


def ndb(*, generated: Any, reference: Any, rng: int, bins: int | None = None) -> Estimate:
    """Share of bins in which the generated and the reference share differ significantly, NDB/K.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        m >= 4.
    rng : int
        Seed of the split of the reference and of k-means.
    bins : int or None
        K; by default as many as leave 20 samples of the smaller set in each, 2 to 100.

    Returns
    -------
    Estimate
        In [0, 1], lower is better. ``null``: its exact expectation when both sets have one distribution, given how
        many samples each bin holds; about .04, not .05, as counts are whole numbers. ``extra``: ``p_value`` that all
        bins agree (chi-square of the 2 x K table), ``chi2``, ``degrees``; ``bins``; ``js`` between both shares, in
        nats.

    Raises
    ------
    SampleError
        If widths differ, there are fewer than 4 reference samples, or ``bins`` is below 2.

    Notes
    -----
    Bins are fitted to one half of the reference and filled with the other half: no sample is counted in a bin that
    it shaped. Each bin has a two-proportion z test at .05, as published; these have no joint level, which the
    chi-square has. It sees shares alone, neither copies nor what happens inside a bin. O(K m d) a k-means step.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: equal Gaussians, value less its null -0.0046 (0); equal mixtures,
      value less its null 0.013 (0).
    - False alarms: equal Gaussians, p_value at most .05 in 0.0472 (360 draws).
    - On mixture, n = 400: ndb rises with mode drop (from .4), imbalance (from .8) and foreign (from .4); is blind to
      noise, blur, shrink, collapse, duplicates, copies, near copies and label noise up to .8.
    - On digits, n = 225: ndb rises with mode drop (from .4) and foreign (from .8); is blind to imbalance, noise, blur,
      shrink, collapse, duplicates, copies, near copies and label noise up to .8.

    References
    ----------
    Richardson and Weiss 2018, arXiv:1805.12462, section 3.
    """
    generated, reference = Features.of(generated), Features.of(reference)
    check_widths("ndb", generated, reference)
    smaller = min(generated.n, reference.n // 2)
    wanted = min(max(smaller // SAMPLES_A_BIN, 2), MOST_BINS) if bins is None else bins
    if reference.n < 4 or wanted < 2:
        raise SampleError(
            f"ndb: at least 4 reference samples and 2 bins expected, got {reference.n} and {wanted}; "
            "score more samples or ask for more bins."
        )
    fitted, counted = _split(reference, rng)
    centres = fit_cells(fitted, wanted, seed=rng)
    ours, theirs = (np.bincount(cells_of(points, centres), minlength=centres.n) for points in (generated, counted))
    differ = np.abs(proportion_z(ours, theirs)) > CRITICAL
    chi2, degrees = chi_square(ours, theirs)
    return Estimate(
        value=float(differ.mean()),
        null=expected_ndb(ours, theirs),
        extra={
            "p_value": float(special.chdtrc(degrees, chi2)) if degrees else 1.0,
            "chi2": chi2,
            "degrees": float(degrees),
            "bins": float(centres.n),
            "js": _js(ours / ours.sum(), theirs / theirs.sum()),
        },
        notes=("not corrected: the share of bins grows with the number of samples; compare with null",),
    )


def _split(reference: Features, seed: int) -> tuple[Features, Features]:
    """Cut the reference at random into the half that shapes the bins and the half that fills them."""

    def cut() -> tuple[Features, Features]:
        order = np.random.default_rng(derive_seed(seed, "bins")).permutation(reference.n)
        first = np.zeros(reference.n, dtype=bool)
        first[canonical_order(reference.values)[order[: reference.n // 2]]] = True
        return reference.select(first), reference.select(~first)

    return reference.remember(("bins split", seed), cut)


def proportion_z(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """Two-proportion z of every bin of counts (K,), with the pooled share; 0 in a bin that holds nothing or all."""
    n, m = first.sum(), second.sum()
    pooled = (first + second) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    z: NDArray[np.float64] = np.divide(first / n - second / m, error, out=np.zeros(len(first)), where=error > 0)
    return z


def expected_ndb(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Expectation of NDB/K over permutations of the labels: each bin's count is hypergeometric given its total."""
    from scipy.stats import hypergeom  # takes most of a second to import

    n, m = int(first.sum()), int(second.sum())
    chances = []
    for total in (first + second).tolist():
        count = np.arange(max(0, total - m), min(n, total) + 1)
        pooled = total / (n + m)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        differ = np.abs(count / n - (total - count) / m) > CRITICAL * error
        chances.append(float(hypergeom.pmf(count, n + m, total, n)[differ].sum()) if error > 0 else 0.0)
    return float(np.mean(chances))


def chi_square(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[float, int]:
    """Chi-square of the 2 x K table of counts, and its degrees of freedom: bins that hold a sample, less one."""
    seen = first + second > 0
    table = np.stack([first[seen], second[seen]]).astype(np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(((table - expected) ** 2 / expected).sum()), int(seen.sum()) - 1


def _js(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    middle = (p + q) / 2
    return float(special.rel_entr(p, middle).sum() + special.rel_entr(q, middle).sum()) / 2


NDB = Metric(
    name="ndb",
    compute=ndb,
    space="pool",
    unit="share",
    better="lower",
    ideal=None,
    uncertainty="none",
    source="Richardson and Weiss 2018, arXiv:1805.12462, section 3; bins from a split, joint chi-square",
)
