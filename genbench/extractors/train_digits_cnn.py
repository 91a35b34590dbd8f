"""How the weights of digits-cnn were made: ``python -m genbench.extractors.train_digits_cnn``.

Training is bit-reproducible at one thread on one machine, and other machines give slightly other weights. That
is why the weights are shipped, and why every score names them by their fingerprint.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.atomic import write_atomic
from genbench.extractors.digits_cnn import SHAPES, class_logits, pool_features
from genbench.extractors.recipe import BATCH, augment, descend, drop, initial_weights
from genbench.randomness import derive_seed
from genbench.registry import DATASETS

EPOCHS = 80


def train(
    images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, epochs: int = EPOCHS
) -> dict[str, Tensor]:
    """Train the classifier: AdamW, one-cycle rate, label smoothing, dropout on the feature, augmentation.

    Runs on one thread, and draws only from its own generator.

    Parameters
    ----------
    images : (n, 1, 8, 8) array, uint8
        In [0, 255].
    labels : (n,) array, int64
        Classes 0 to 9.
    seed : int
        Of the initial weights, the order, the augmentation and the dropout.
    epochs : int
        Passes over the images, each O(n); an epoch of the digits takes about 0.1 s on one core.

    Returns
    -------
    dict of str to Tensor
        Float32 weights, as `genbench.extractors.digits_cnn.SHAPES`.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "digits-cnn"))
    pixels = torch.from_numpy(images).to(torch.float32) / 255
    weights = initial_weights(SHAPES, generator)

    def logits(rows: Tensor) -> Tensor:
        feature = pool_features(weights, augment(pixels[rows], generator))
        return class_logits(weights, drop(feature, generator))

    steps = epochs * (len(pixels) // BATCH)
    return descend(weights, logits, torch.from_numpy(labels), steps=steps, generator=generator)


def accuracy(weights: dict[str, Tensor], images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Return the share of images whose class has the largest logit, in [0, 1]."""
    pixels = torch.from_numpy(images).to(torch.float32) / 255
    predicted = class_logits(weights, pool_features(weights, pixels)).argmax(dim=1)
    return float((predicted == torch.from_numpy(labels)).to(torch.float64).mean())


def all_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images of both splits of the digits, (1797, 1, 8, 8), and their classes."""
    data = DATASETS.load("digits")()
    return np.concatenate([data.train, data.test]), np.concatenate([data.train_labels, data.test_labels])


def folds(n: int, *, k: int = 5, seed: int = 0) -> list[NDArray[np.int64]]:
    """Return k disjoint random sets of rows that together are all n, as sorted row numbers."""
    order = np.random.default_rng(derive_seed(seed, "folds")).permutation(n)
    return [np.sort(part) for part in np.array_split(order, k)]


def main(argv: Sequence[str] | None = None) -> None:
    """Train on all images and write the weights; with ``--check``, cross-validate the recipe instead."""
    parser = argparse.ArgumentParser(prog="python -m genbench.extractors.train_digits_cnn", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights" / "digits-cnn.npz")
    parser.add_argument("--check", action="store_true", help="print the held-out accuracy of 5 folds; write nothing")
    options = parser.parse_args(argv)
    images, labels = all_digits()
    if options.check:
        right = 0
        for fold, held_out in enumerate(folds(len(labels))):
            kept = np.setdiff1d(np.arange(len(labels)), held_out)
            share = accuracy(train(images[kept], labels[kept], seed=fold), images[held_out], labels[held_out])
            right += round(share * len(held_out))
            sys.stdout.write(f"fold {fold}: {share:.4f}\n")
        sys.stdout.write(f"held-out accuracy: {right / len(labels):.4f}\n")
        return
    weights = train(images, labels, seed=0)
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in weights.items()}
    np.savez(buffer, **arrays)
    write_atomic(options.out, buffer.getvalue())
    sys.stdout.write(
        f"{options.out}: accuracy {accuracy(weights, images, labels):.4f} on the images it was trained on\n"
    )


if __name__ == "__main__":
    main()
