"""Mixtures of Gaussians in the plane: data whose density, modes and entropy are known exactly."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from genbench.definitions import Dataset, Mixture
from genbench.randomness import derive_seed

TRAIN_SIZE = 20_000
TEST_SIZE = 5_000


@cache
def ring8() -> Dataset:
    """Draw from eight Gaussians on a ring of radius 2, standard deviation 0.02.

    Returns
    -------
    Dataset
        ``train`` (20000, 2) and ``test`` (5000, 2), float32, labelled by component, with the exact ``mixture``.
        The same object on every call; treat its arrays as read-only.

    References
    ----------
    L. Metz et al., Unrolled Generative Adversarial Networks, arXiv:1611.02163; I. Gulrajani et al., Improved
    Training of Wasserstein GANs, arXiv:1704.00028 (``gan_toy.py``). PacGAN's ring has radius 1 and deviation 0.01.
    """
    angles = 2 * math.pi * np.arange(8) / 8
    return _dataset("ring8", Mixture(centres=2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), std=0.02))


@cache
def grid25() -> Dataset:
    """Draw from 25 Gaussians at {-4, -2, 0, 2, 4} x {-4, -2, 0, 2, 4}, standard deviation 0.05.

    Returns
    -------
    Dataset
        ``train`` (20000, 2) and ``test`` (5000, 2), float32, labelled by component, with the exact ``mixture``.
        The same object on every call; treat its arrays as read-only.

    References
    ----------
    Z. Lin et al., PacGAN: The Power of Two Samples in Generative Adversarial Networks, arXiv:1712.04086, section 4.1.
    """
    ticks = np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
    centres = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    return _dataset("grid25", Mixture(centres=centres, std=0.05))


def _dataset(name: str, mixture: Mixture) -> Dataset:
    train, train_labels = _draw(mixture, TRAIN_SIZE, seed=derive_seed(0, name, "train"))
    test, test_labels = _draw(mixture, TEST_SIZE, seed=derive_seed(0, name, "test"))
    return Dataset(
        name=name, train=train, test=test, train_labels=train_labels, test_labels=test_labels, density=mixture
    )


def _draw(mixture: Mixture, n: int, *, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw what `Mixture.sample` draws from the same seed, and say which component each point came from."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(mixture.centres), size=n)
    points = mixture.centres[labels] + mixture.std * rng.standard_normal((n, mixture.centres.shape[1]))
    return points.astype(np.float32), labels
