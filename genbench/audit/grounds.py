"""The data on which the corruption ladder is climbed: a mixture whose truth is known, and real digits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.audit.corruptions import Material
from genbench.data.digits import load_images
from genbench.definitions import Dataset, Mixture
from genbench.extractors.identity import Identity
from genbench.randomness import derive_seed

CLASSES, WIDTH, SPREAD = 10, 24, 3.0
"""Of the mixture: ten normal distributions of deviation 1 in 24 dimensions, whose centres are 3 times as wide."""

POOL = 8
"""Of mixture samples, as a multiple of n: two classes of ten still have n where the others are dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """A kind of data, drawn anew for every draw of the ladder.

    Attributes
    ----------
    extractor : str
        In whose ``pool`` and ``logits`` layers metrics are scored.
    n : int
        Generated, training and held-out samples, as many of each.
    draw : callable
        (n, seed) to the data, with n samples in either split, and what generated samples are made of. Nothing is shared
        between the three sets.
    """

    about: str
    extractor: str
    n: int
    draw: Callable[[int, int], tuple[Dataset, Material]]


def draw_mixture(n: int, seed: int) -> tuple[Dataset, Material]:
    """Draw ten normal distributions in 24 dimensions; an eleventh is foreign."""
    rng = np.random.default_rng(derive_seed(seed, "audit", "mixture"))
    centres = _centres()

    def points(m: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        labels = rng.integers(CLASSES, size=m)
        return (centres[labels] + rng.standard_normal((m, WIDTH))).astype(np.float32), labels

    train, test, pool = points(n), points(n), points(POOL * n)
    foreign = (centres[CLASSES] + rng.standard_normal((n, WIDTH))).astype(np.float32)
    data = Dataset(
        name="mixture",
        train=train[0],
        train_labels=train[1],
        test=test[0],
        test_labels=test[1],
        density=Mixture(centres=centres[:CLASSES], std=1.0),
    )
    return data, Material(samples=pool[0], labels=pool[1], train=train[0], train_labels=train[1], foreign=foreign, n=n)


def draw_digits(n: int, seed: int) -> tuple[Dataset, Material]:
    """Deal all 1,797 digits anew into two splits of n and what is left; digits with shuffled pixels are foreign."""
    rng = np.random.default_rng(derive_seed(seed, "audit", "digits"))
    images, labels = load_images()
    order = rng.permutation(len(images))
    train, test, pool = order[:n], order[n : 2 * n], order[2 * n :]
    # One permutation for all draws: another kind of thing, with the grey levels of digits.
    shuffle = np.random.default_rng(derive_seed(0, "audit", "foreign")).permutation(images[0].size)
    strange = images[pool[-n:]]
    data = Dataset(
        name="digits",
        train=images[train],
        train_labels=labels[train],
        test=images[test],
        test_labels=labels[test],
    )
    return data, Material(
        samples=images[pool],
        labels=labels[pool],
        train=images[train],
        train_labels=labels[train],
        foreign=strange.reshape(n, -1)[:, shuffle].reshape(strange.shape),
        n=n,
    )


class Modes(Identity):
    """The mixture's vectors as they are, and the log posterior odds of its ten classes as logits."""

    name = "modes"
    fingerprint = hashlib.sha256(
        b"genbench audit, mixture: vectors unchanged; log posterior odds, version 1"
    ).hexdigest()

    def __init__(self, *, event_shape: tuple[int, ...], device: torch.device) -> None:
        super().__init__(event_shape=event_shape, device=device)
        self.layers: Mapping[str, int] = {"pool": WIDTH, "logits": CLASSES}

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Return ``{"pool": (n, 24), "logits": (n, 10)}``, float64."""
        pool = super().extract(samples)["pool"]
        centres = torch.from_numpy(_centres()[:CLASSES]).to(pool)
        return {"pool": pool, "logits": -0.5 * torch.cdist(pool, centres) ** 2}


TERRAINS: Mapping[str, Terrain] = {
    "mixture": Terrain(
        about="ten normal distributions of equal weight in 24 dimensions, scored as they are",
        extractor=f"{__name__}:Modes",
        n=400,
        draw=draw_mixture,
    ),
    "digits": Terrain(
        about="handwritten digits of 8x8 pixels, scored in the features of digits-cnn",
        extractor="digits-cnn",
        n=225,
        draw=draw_digits,
    ),
}
"""By name. 225 of 1,797 digits: two classes of ten, where the others are dropped, still have as many different ones."""


@cache
def _centres() -> NDArray[Any]:
    """Return the eleven centres, (11, 24); the last is foreign."""
    rng = np.random.default_rng(derive_seed(0, "audit", "centres"))
    return SPREAD * rng.standard_normal((CLASSES + 1, WIDTH))
