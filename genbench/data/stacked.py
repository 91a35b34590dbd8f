"""Stacked digits: three digits as the colours of one image, a thousand modes that can be counted."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from genbench.data.digits import digits
from genbench.definitions import Dataset
from genbench.randomness import derive_seed

DIGITS = 10
TRAIN_PER_MODE = 50
TEST_PER_MODE = 26
"""26,000 test images, the sample size at which modes are counted in the literature."""


@cache
def stacked_digits() -> Dataset:
    """Stack three real 8x8 digits as red, green and blue.

    Every one of the 1,000 modes has the same number of images, each a different triple of digits. Training images are
    made of training digits and test images of test digits (see `genbench.data.digits.digits`), so that no digit is in
    both.

    Returns
    -------
    Dataset
        ``train`` (50000, 3, 8, 8) and ``test`` (26000, 3, 8, 8), uint8. Label 100 a + 10 b + c is the mode whose red,
        green and blue digits are a, b and c. The same object on every call; treat its arrays as read-only.

    References
    ----------
    L. Metz et al., Unrolled Generative Adversarial Networks, arXiv:1611.02163 (with MNIST's digits);
    A. Srivastava et al., VEEGAN, arXiv:1705.07761; Z. Lin et al., PacGAN, arXiv:1712.04086.
    """
    source = digits()
    assert source.train_labels is not None
    assert source.test_labels is not None
    train, train_labels = _stack(source.train, source.train_labels, TRAIN_PER_MODE, seed=_seed("train"))
    test, test_labels = _stack(source.test, source.test_labels, TEST_PER_MODE, seed=_seed("test"))
    return Dataset(name="stacked-digits", train=train, test=test, train_labels=train_labels, test_labels=test_labels)


def _seed(split: str) -> int:
    return derive_seed(0, "stacked-digits", split)


def _stack(
    images: NDArray[np.uint8], labels: NDArray[np.int64], each: int, *, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw ``each`` different triples for every mode, and mix the modes."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == digit) for digit in range(DIGITS)]
    triples = []
    for mode in product(range(DIGITS), repeat=3):
        sizes = tuple(len(members[digit]) for digit in mode)
        drawn = np.unravel_index(rng.choice(np.prod(sizes), each, replace=False), sizes)
        triples.append(np.stack([members[digit][rows] for digit, rows in zip(mode, drawn, strict=True)], axis=1))
    rows = np.concatenate(triples)
    order = rng.permutation(len(rows))
    return images[rows[order], 0], np.repeat(np.arange(DIGITS**3), each)[order]
