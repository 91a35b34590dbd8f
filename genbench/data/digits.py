"""Handwritten digits that come with scikit-learn: real images that need no download."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from genbench.data.splits import fair_quotas
from genbench.definitions import Dataset
from genbench.randomness import derive_seed

TEST_SIZE = 599
"""A third of the 1,797 images."""

LEVELS = 16
"""Grey levels go from 0 to this."""


@cache
def digits() -> Dataset:
    """Load the 1,797 handwritten digits of scikit-learn, 8x8 pixels, as uint8.

    The 17 grey levels of the source become ``round(level * 255 / 16)``. The split is random and stratified by
    class: the file is in the order of its 13 writers, so that consecutive parts of it hold other handwriting.
    No image occurs twice.

    Returns
    -------
    Dataset
        ``train`` (1198, 1, 8, 8) and ``test`` (599, 1, 8, 8), uint8 in [0, 255], with labels 0 to 9. The same
        object on every call; treat its arrays as read-only.

    References
    ----------
    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI machine learning repository, 1998
    (the test part of it), through `sklearn.datasets.load_digits`.
    """
    images, labels = load_images()
    test = stratified_choice(labels, TEST_SIZE, seed=derive_seed(0, "digits", "split"))
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[test] = True
    return Dataset(
        name="digits",
        train=images[~held_out],
        test=images[held_out],
        train_labels=labels[~held_out],
        test_labels=labels[held_out],
    )


def load_images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return all images, uint8 (1797, 1, 8, 8), and their classes, int64 (1797,), in the order of the file."""
    from sklearn.datasets import load_digits  # takes over a second to import

    levels, labels = load_digits(return_X_y=True)
    images = np.rint(levels * 255 / LEVELS).astype(np.uint8).reshape(-1, 1, 8, 8)
    return images, labels.astype(np.int64)


def stratified_choice(labels: NDArray[np.int64], size: int, *, seed: int) -> NDArray[np.int64]:
    """Choose rows at random so that every class gets its due share, and the total is exact.

    How many rows a class gets is for `genbench.data.splits.fair_quotas` to say.

    Parameters
    ----------
    labels : (n,) int64 array
        Class of each row.
    size : int
        How many rows to choose, at most n.
    seed : int
        Of the choice.

    Returns
    -------
    (size,) int64 array
        Distinct row numbers, sorted.
    """
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    quotas = fair_quotas(counts, size)
    chosen = [
        rng.choice(np.flatnonzero(labels == label), quota, replace=False)
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))
