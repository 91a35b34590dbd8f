"""Inputs of the benchmarks, as a feature extractor would give them: float32, drawn with a fixed seed."""

from __future__ import annotations

import numpy as np
import torch

from tests.performance.case import Inputs, Sizes

SEED = 0
LATENT = 48
"""Dimensions in which features vary most, as those of networks do; in the others they are noise."""


def _rows(rng: np.random.Generator, n: int, d: int, stretch: float) -> np.ndarray:
    latent = min(LATENT, d)
    turn = np.random.default_rng(SEED).standard_normal((latent, d), dtype=np.float32) / np.float32(latent**0.5)
    drawn = np.float32(stretch) * rng.standard_normal((n, latent), dtype=np.float32) @ turn
    return drawn + np.float32(0.2) * rng.standard_normal((n, d), dtype=np.float32)


def features(sizes: Sizes) -> Inputs:
    """Generated, reference and held-out features, each (n, d) float32 tensors."""
    n, d = sizes["n"], sizes["d"]
    stretches = {"generated": 1.1, "reference": 1.0, "held_out": 1.0}
    return {
        name: torch.from_numpy(_rows(np.random.default_rng([SEED, i]), n, d, stretch))
        for i, (name, stretch) in enumerate(stretches.items())
    }


def logits(sizes: Sizes) -> Inputs:
    """Answers of a classifier that is mostly sure, (n, classes) float32."""
    rng = np.random.default_rng([SEED, 9])
    drawn = 2 * rng.standard_normal((sizes["n"], sizes["classes"]), dtype=np.float32)
    return {"logits": torch.from_numpy(drawn)}


def everything(sizes: Sizes) -> Inputs:
    """Features and logits."""
    return {**features(sizes), **logits(sizes)}
