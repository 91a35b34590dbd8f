"""Every registered baseline in a size for tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from genbench.definitions import Dataset
from genbench.registry import BASELINES

SIZES = {"width": 4, "latent": 3, "depth": 1, "couplings": 2, "levels": 4, "n_critic": 2, "dropout": 0.2}
IMAGES_ONLY = ("conv-vae", "pixelcnn")


def small(name: str, **options: Any) -> Any:
    """Make a registered recipe small, with as much of what is random or counted as it has."""
    factory = BASELINES.load(name)
    known = {field.name for field in dataclasses.fields(factory)}
    return factory(**{option: value for option, value in {**SIZES, **options}.items() if option in known})


def with_labels(data: Dataset, classes: int = 3) -> Dataset:
    """Give every row of a data set a label."""
    numbers = np.arange(len(data.train) + len(data.test)) % classes
    labels = {"train_labels": numbers[: len(data.train)], "test_labels": numbers[len(data.train) :]}
    return dataclasses.replace(data, **labels)
