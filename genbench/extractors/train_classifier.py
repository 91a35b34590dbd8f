"""Train a classifier as the feature space of a dataset of one's own: behind ``genbench train-extractor``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from genbench._version import __version__
from genbench.atomic import check_writable, write_atomic
from genbench.definitions import Dataset
from genbench.errors import DeclarationError, TrainingError
from genbench.extractors.classifier import Classifier, Layout, normalize, pack_classifier
from genbench.extractors.recipe import augment, descend, drop, initial_weights
from genbench.randomness import derive_seed

STEPS = 2000
"""Updates of 64 samples."""


def train_classifier(
    dataset: Dataset,
    *,
    out: str | Path,
    seed: int = 0,
    steps: int = STEPS,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """Train on the training split, score on the held-out one, and write a file for the extractor ``classifier``.

    Parameters
    ----------
    dataset : Dataset
        With labels. Images of at most 64x64, or vectors.
    out : str or Path
        The file, by custom ``.npz``; appears complete or not at all.
    seed : int
        Of the initial weights, the order, the augmentation and the dropout.
    steps : int
        Updates of 64 samples each.
    device : torch.device or None
        Where to train; None is the CPU, on which the same seed gives the same weights again.

    Returns
    -------
    dict
        Stored in the file too: ``accuracy``, the share of held-out samples that get their class, in [0, 1]; ``dataset``
        and its ``dataset_fingerprint``, ``event_shape``, ``classes``, ``n_train``, ``n_test``, ``seed``, ``steps``,
        ``genbench``; and ``fingerprint``, that of the extractor.

    Raises
    ------
    DeclarationError
        If the dataset has no labels, fewer than two classes, or events of another kind.
    TrainingError
        If the weights are not finite in the end.
    SetupError
        If the file cannot be written.

    Notes
    -----
    The network: a 3x3 convolution, then such ones of stride 2 until no side exceeds 4, a layer of 128, the classes; for
    vectors two layers of 128. Images are rotated, scaled and shifted a little and never mirrored. A thousand updates
    take about 6 s on one core at 8x8, 140 s at 28x28 and 170 s at 32x32.
    """
    train_labels, test_labels = dataset.train_labels, dataset.test_labels
    if train_labels is None or test_labels is None:
        raise DeclarationError(
            f"train-extractor: a dataset with labels on both splits expected, got {dataset.name} without; name classes."
        )
    if steps < 1:
        raise DeclarationError(f"train-extractor: steps should be at least 1, got {steps}.")
    path, place = Path(out), device or torch.device("cpu")
    check_writable(path.parent)
    names, classes = np.unique(train_labels, return_inverse=True)
    layout = Layout(event_shape=dataset.event_shape, classes=len(names))
    scaling = _scaling(dataset, layout)
    weights = _train(dataset.train, classes.astype(np.int64), layout, scaling, seed=seed, steps=steps, device=place)
    arrays = {name: tensor.cpu().numpy() for name, tensor in {**weights, **scaling}.items()}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise TrainingError(f"train-extractor: training on {dataset.name} diverged; check the data, or another seed.")
    report: dict[str, Any] = {
        "dataset": dataset.name,
        "dataset_fingerprint": dataset.fingerprint,
        "event_shape": list(dataset.event_shape),
        "classes": [int(name) for name in names],
        "n_train": len(train_labels),
        "n_test": len(test_labels),
        "seed": seed,
        "steps": steps,
        "genbench": __version__,
        "accuracy": _accuracy(layout, weights, scaling, dataset.test, names, test_labels),
    }
    write_atomic(path, pack_classifier(report, arrays))
    written = Classifier(event_shape=dataset.event_shape, device=torch.device("cpu"), weights=path)
    return {**report, "fingerprint": written.fingerprint}


def _scaling(dataset: Dataset, layout: Layout) -> dict[str, Tensor]:
    """Return what normalizes events: 127.5 for pixels, mean and deviation of the training split for vectors."""
    if layout.maps:
        return {"centre": torch.tensor(127.5), "scale": torch.tensor(127.5)}
    values = torch.from_numpy(dataset.train).to(torch.float64)
    deviation = values.std(dim=0)
    constant = deviation == 0
    return {
        "centre": values.mean(dim=0).to(torch.float32),
        "scale": torch.where(constant, torch.ones_like(deviation), deviation).to(torch.float32),
    }


def _train(
    samples: NDArray[Any],
    classes: NDArray[np.int64],
    layout: Layout,
    scaling: Mapping[str, Tensor],
    *,
    seed: int,
    steps: int,
    device: torch.device,
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(derive_seed(seed, "classifier"))
    weights = {
        name: tensor.detach().to(device).requires_grad_()
        for name, tensor in initial_weights(layout.shapes, generator).items()
    }

    def logits(rows: Tensor) -> Tensor:
        taken = torch.from_numpy(samples[rows.numpy()])
        if layout.maps:
            taken = augment(taken.to(torch.float32) / 255, generator) * 255
        x = normalize(taken, scaling["centre"], scaling["scale"], torch.float32).to(device)
        feature = drop(layout.pool(weights, x), generator)
        return functional.linear(feature, weights["logits.weight"], weights["logits.bias"])

    return descend(weights, logits, torch.from_numpy(classes).to(device), steps=steps, generator=generator)


@torch.no_grad()
def _accuracy(
    layout: Layout,
    weights: Mapping[str, Tensor],
    scaling: Mapping[str, Tensor],
    samples: NDArray[Any],
    names: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> float:
    """Share of samples whose class has the largest logit; a class that training never saw is never right."""
    right = 0
    device = weights["pool.weight"].device
    for start in range(0, len(samples), 256):
        block = torch.from_numpy(samples[start : start + 256])
        x = normalize(block, scaling["centre"], scaling["scale"], torch.float32).to(device)
        pool = layout.pool(weights, x)
        found = functional.linear(pool, weights["logits.weight"], weights["logits.bias"]).argmax(dim=1).cpu().numpy()
        right += int((names[found] == labels[start : start + 256]).sum())
    return right / len(labels)
