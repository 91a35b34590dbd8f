"""How the weights of digits-cnn were made: ``python -m genbench.extractors.train_digits_cnn``.

Training is bit-reproducible at one thread on one machine, and other machines give slightly other weights. That
is why the weights are shipped, and why every score names them by their fingerprint.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from genbench.atomic import write_atomic
from genbench.extractors.digits_cnn import SHAPES, class_logits, pool_features
from genbench.randomness import derive_seed
from genbench.registry import DATASETS

EPOCHS = 80
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4
LABEL_SMOOTHING = 0.05
DROPOUT = 0.3
ROTATION = math.radians(12)
SCALE = 0.1
SHIFT = 1 / 4  # one of 8 pixels, where the image spans [-1, 1]
NOISE = 0.05


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
    classes = torch.from_numpy(labels)
    weights = _initial_weights(generator)
    optimizer = torch.optim.AdamW(weights.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batches = len(pixels) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LEARNING_RATE, total_steps=epochs * batches, pct_start=0.15
    )
    with _one_thread():
        for _ in range(epochs):
            order = torch.randperm(len(pixels), generator=generator)[: batches * BATCH]
            for rows in torch.split(order, BATCH):
                feature = pool_features(weights, augment(pixels[rows], generator))
                kept = torch.rand(feature.shape, generator=generator) >= DROPOUT
                logits = class_logits(weights, feature * kept / (1 - DROPOUT))
                loss = functional.cross_entropy(logits, classes[rows], label_smoothing=LABEL_SMOOTHING)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return {name: tensor.detach() for name, tensor in weights.items()}


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate by up to 12 degrees, scale by up to 10 %, shift by up to a pixel, and add noise of deviation 0.05.

    Parameters
    ----------
    pixels : (n, 1, 8, 8) tensor, float32
        In [0, 1]; the noise can leave that range.
    generator : torch.Generator
        The only source of randomness.
    """
    uniform = torch.rand(4, len(pixels), generator=generator) * 2 - 1
    angle, scale = uniform[0] * ROTATION, 1 + uniform[1] * SCALE
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    first = torch.stack([cosine, -sine, uniform[2] * SHIFT], dim=1)
    second = torch.stack([sine, cosine, uniform[3] * SHIFT], dim=1)
    grid = functional.affine_grid(torch.stack([first, second], dim=1), list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels, grid, align_corners=False)
    return moved + NOISE * torch.randn(moved.shape, generator=generator)


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


def _initial_weights(generator: torch.Generator) -> dict[str, Tensor]:
    """Draw weights and biases from +-1 / sqrt(inputs), PyTorch's default for these layers."""
    weights = {}
    for name, shape in SHAPES.items():
        bound = math.prod(SHAPES[f"{name.partition('.')[0]}.weight"][1:]) ** -0.5
        weights[name] = ((torch.rand(shape, generator=generator) * 2 - 1) * bound).requires_grad_()
    return weights


@contextmanager
def _one_thread() -> Iterator[None]:
    """More threads add in another order and end in other weights."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
    np.savez(buffer, allow_pickle=False, **{name: tensor.numpy() for name, tensor in weights.items()})
    write_atomic(options.out, buffer.getvalue())
    sys.stdout.write(
        f"{options.out}: accuracy {accuracy(weights, images, labels):.4f} on the images it was trained on\n"
    )


if __name__ == "__main__":
    main()
