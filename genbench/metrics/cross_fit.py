"""Cross-fitting: each half of the samples is judged by a classifier that was fitted to the other half."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from genbench.randomness import derive_seed

Floats = NDArray[np.float64]

FOLDS = 2


def cross_fitted_log_odds(inputs: Floats, fold: NDArray[np.int64], counts: NDArray[np.int64]) -> Floats:
    """Log-odds of each distinct row under the classifier fitted without its fold.

    Parameters
    ----------
    inputs : (u, p) array
        What the classifier sees of each distinct row, in an order that does not depend on the samples'.
    fold : (u,) int array
        In [0, `FOLDS`).
    counts : (2, u) int array
        How often each row was generated, and how often it is in the reference; positive somewhere in every fold.

    Returns
    -------
    (u,) array
        Logarithm of the ratio of densities, for sets of equal weight whatever their sizes.
    """
    from sklearn.linear_model import LogisticRegression

    odds = np.empty(len(inputs))
    for judged in range(FOLDS):
        # A row that is in both sets goes in once as generated and once as reference, weighted by its counts there.
        members = [np.flatnonzero((fold != judged) & (of_set > 0)) for of_set in counts]
        shares = [of_set[rows] / of_set[rows].sum() for of_set, rows in zip(counts, members, strict=True)]
        weight = np.concatenate(shares) * counts[:, fold != judged].sum() / 2
        chosen = inputs[np.concatenate(members)]
        mean = np.average(chosen, axis=0, weights=weight)
        scale = np.sqrt(np.average((chosen - mean) ** 2, axis=0, weights=weight))
        scale[scale == 0] = 1.0
        label = np.repeat([1, 0], [len(rows) for rows in members])
        # Newton's method ends at the same optimum whatever the rounding; lbfgs stops somewhere near it.
        model = LogisticRegression(solver="newton-cholesky", tol=1e-8, max_iter=200)
        with warnings.catch_warnings():
            # Of sets that are alike the start is the optimum, to rounding: then no step leads on, and lbfgs, which
            # takes over, sees so.
            warnings.filterwarnings("ignore", "Line search of Newton solver")
            model.fit((chosen - mean) / scale, label, sample_weight=weight)
        held_out = fold == judged
        odds[held_out] = model.decision_function((inputs[held_out] - mean) / scale)
    return odds


def with_products(rows: Floats) -> Floats:
    """Return the columns and all products of two of them: (u, r) -> (u, r + r (r + 1)/2)."""
    first, second = np.triu_indices(rows.shape[1])
    return np.hstack([rows, rows[:, first] * rows[:, second]])


def deal_folds(counts: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Deal the distinct rows out to folds at random, those of each kind (one set's, the other's, both's) evenly."""
    shuffled = np.random.default_rng(derive_seed(seed, "classifier folds")).permutation(counts.shape[1])
    kind = (counts[0] > 0) + 2 * (counts[1] > 0)
    fold = np.empty(counts.shape[1], dtype=np.int64)
    for rows in (shuffled[kind[shuffled] == k] for k in (1, 2, 3)):
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold
