"""The spaces that a benchmark measures in: its extractors, and the real data seen through them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor

from genbench.cache import FeatureCache
from genbench.definitions import Dataset, Split
from genbench.devices import metric_device
from genbench.metrics.features import Features
from genbench.protocols import FeatureExtractor
from genbench.randomness import derive_seed
from genbench.registry import EXTRACTORS


class Spaces:
    """Extractors for one kind of events, each run once over anything.

    Parameters
    ----------
    names : iterable of str
        Of the extractors.
    dataset : Dataset
        Whose events they read.
    device : torch.device
        Where they compute.
    cache : FeatureCache
        Where the real data's features are kept between processes.
    """

    def __init__(self, names: Iterable[str], dataset: Dataset, *, device: torch.device, cache: FeatureCache) -> None:
        self.dataset = dataset
        self.device = device
        self.cache = cache
        self.extractors: dict[str, FeatureExtractor] = {
            name: cast(FeatureExtractor, EXTRACTORS.load(name)(event_shape=dataset.event_shape, device=device))
            for name in dict.fromkeys(names)
        }
        self._real: dict[tuple[str, Split], Mapping[str, Features]] = {}

    def features(self, samples: Tensor, extractor: str) -> Mapping[str, Features]:
        """Extract every layer of checked samples, in one pass."""
        return self._wrap(self.extractors[extractor].extract(samples.to(self.device)))

    def real(self, extractor: str, split: Split) -> Mapping[str, Features]:
        """Features of a split of the real data, in a fixed random order, so that its first n are a fair subset."""
        if (extractor, split) not in self._real:
            array = self.dataset.split(split)
            order = np.random.default_rng(derive_seed(0, "reference", split)).permutation(len(array))
            samples = torch.from_numpy(np.ascontiguousarray(array[order])).to(self.device)
            self._real[extractor, split] = self._wrap(self.cache.extract(self.extractors[extractor], samples))
        return self._real[extractor, split]

    def _wrap(self, layers: Mapping[str, Tensor]) -> Mapping[str, Features]:
        place = metric_device(self.device)
        return {layer: Features(values.to(place)) for layer, values in layers.items()}
