"""Blocks of features that outlive a broken run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from genbench.cache import FeatureCache, feature_key
from genbench.protocols import FeatureExtractor


class Blocks:
    """Features of blocks on disk, until the evaluation that they are for is done.

    A generator's samples have no name that could be trusted, so a block's key is its samples' bytes with the
    extractor's fingerprint: after a restart, on as many ranks as there are then, blocks are drawn again, and only what
    is not on disk is extracted.

    Parameters
    ----------
    cache : FeatureCache
        One without a folder keeps nothing.
    """

    def __init__(self, cache: FeatureCache) -> None:
        self._cache = cache
        self._keys: set[str] = set()

    def fetch(
        self, extractor: FeatureExtractor, samples: Tensor, compute: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Return every layer's rows for a block of samples, from disk where they are known; on the CPU."""
        if self._cache.folder is None or getattr(extractor, "cheap", False):
            return dict(compute())
        key = feature_key(extractor, [samples])
        self._keys.add(key)
        found = self._cache.fetch(key, lambda: {layer: v.detach().cpu().numpy() for layer, v in compute().items()})
        return {layer: torch.from_numpy(values) for layer, values in found.items()}

    def forget(self) -> None:
        """Remove what was kept: the scores are there."""
        for key in self._keys if self._cache.folder is not None else ():
            (self._cache.folder / f"{key}.npz").unlink(missing_ok=True)  # type: ignore[operator]
        self._keys.clear()
