"""Less to train on: a few rows of a training split, the rest of it put aside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from genbench.definitions import Dataset
from genbench.errors import UsageError
from genbench.randomness import derive_seed


def with_fewer(data: Dataset, size: int) -> Dataset:
    """Return the data with a training split of so many rows.

    Parameters
    ----------
    data : Dataset
    size : int
        At least 2, and less than the training split has.

    Returns
    -------
    Dataset
        Its training split is a part of the given one, the same on every call; ``spare`` is the rest of it, ``test`` is
        untouched. Where there are labels, every prefix of the order in which rows are taken has the classes' shares as
        nearly as whole numbers allow. Nested: the rows of a smaller size are among those of a larger one.

    Raises
    ------
    UsageError
        If the training split has no such part.

    Notes
    -----
    Row j of the m of a class, in a random order, stands at (j + u)/m with one random u for each class: the first k of
    all rows hold k m/n of that class, give or take one. O(n log n).
    """
    n = len(data.train)
    if not 2 <= size < n:
        raise UsageError(
            f"train size: at least 2 and fewer than the {n} training samples of {data.name} expected, got {size}; "
            "leave it out to train on all of them."
        )
    order = even_order(np.zeros(n, dtype=np.int64) if data.train_labels is None else data.train_labels)
    taken, left = order[:size], np.sort(order[size:])
    labels = None if data.train_labels is None else data.train_labels[taken]
    return replace(data, train=data.train[taken], train_labels=labels, spare=data.train[left])


def even_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order rows at random, but with the classes spread evenly: labels (n,) to row numbers (n,)."""
    rng = np.random.default_rng(derive_seed(0, "train size"))
    places = np.empty(len(labels))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        places[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return np.argsort(places, kind="stable")
