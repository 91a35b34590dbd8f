"""Every registered baseline, dataset and extractor keeps the contract that plug-ins are held to; and samplers do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genbench.registry import BASELINES, DATASETS
from genbench.testing import BaselineContract, DatasetContract, ExtractorContract, SamplerContract

# They need files that somebody has to fetch or to name.
NEED_FILES = {
    "mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "svhn", "stl10", "celeba", "folder", "array",
}  # fmt: skip


@pytest.mark.parametrize("recipe", sorted(BASELINES.entries()), indirect=True)
class TestEveryBaseline(BaselineContract):
    """From GAN to flow matching."""


@pytest.mark.parametrize("name", sorted(set(DATASETS.entries()) - NEED_FILES), indirect=True)
class TestEveryDataset(DatasetContract):
    """Those that come along."""


@pytest.mark.parametrize("named", ["digits-cnn", "identity", "pca", "random-projection"], indirect=True)
class TestEveryExtractor(ExtractorContract):
    """Those that need no file."""


class Discs:
    """Points in discs, one a class."""

    name = "discs"
    classes = 3

    def sample(self, n: int, *, seed: int, labels: Tensor) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return labels[:, None] + 0.1 * torch.randn(n, 2, generator=rng)


class TestASampler(SamplerContract):
    part = Discs
