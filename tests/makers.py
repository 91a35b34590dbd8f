"""Small records and samplers that many tests use."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from genbench.definitions import Benchmark, Budget, MetricSpec
from genbench.records import Estimate, Run, Score


def make_estimate(value: float = 1.0, **changes: Any) -> Estimate:
    """An estimate with every field filled."""
    fields: dict[str, Any] = {
        "value": value,
        "debiased": value - 0.25,
        "std_error": 0.125,
        "low": value - 0.5,
        "high": value,
        "null": 0.5,
        "replicates": tuple(value + 0.01 * g for g in range(20)),
        "extra": {"unique_fraction": 1.0},
        "notes": ("a note",),
    }
    return Estimate(**{**fields, **changes})


def make_score(value: float = 1.0, *, split: str | None = "test", **changes: Any) -> Score:
    """A score of fd in the digits space."""
    estimate = changes.pop("estimate", make_estimate(value))
    fields: dict[str, Any] = {
        "metric": "fd",
        "space": "digits-cnn.pool",
        "fingerprint": "ab" * 32,
        "split": split,
        "unit": "feature units squared",
        "better": "lower",
        "n_generated": 599,
        "n_reference": None if split is None else 599,
        "estimate": estimate,
        "failure": None if estimate is not None else "the solver gave up",
        "options": {},
    }
    return Score(**{**fields, **changes})


def make_run(sampler: str = "gan", seed: int | None = 0, value: float = 1.0, **changes: Any) -> Run:
    """A finished run with a score against each split."""
    fields: dict[str, Any] = {
        "benchmark": "digits@1",
        "quick": False,
        "sampler": sampler,
        "train_seed": seed,
        "step": None if seed is None else 6000,
        "final": True,
        "scores": (make_score(value - 0.1, split="train"), make_score(value)),
        "failure": None,
        "protocol": "cd" * 32,
        "seconds": 1.5,
        "recipe": {"steps": 6000, "batch": 64, "overrides": {}},
        "provenance": {"genbench": "0.1.0"},
    }
    return Run(**{**fields, **changes})


def make_benchmark(**changes: Any) -> Benchmark:
    """A tiny benchmark on ring8 that trains in a second."""
    fields: dict[str, Any] = {
        "name": "tiny",
        "version": 1,
        "quick": False,
        "dataset": "ring8",
        "n": 200,
        "seeds": (0, 1),
        "checkpoints": 2,
        "primary": "fd@identity.pool",
        "metrics": (
            MetricSpec(metric="fd", extractor="identity", layer="pool"),
            MetricSpec(metric="coverage", extractor="identity", layer="pool"),
            MetricSpec(metric="modes_share", extractor="identity", layer="pool"),
        ),
        "curve": ("fd@identity.pool",),
        "baselines": {
            "gan": Budget(steps=40, batch=32),
            "wgan-gp": Budget(steps=12, batch=60, options={"n_critic": 3}),
        },
    }
    return Benchmark(**{**fields, **changes})


class GaussianSampler:
    """Points around the origin; ``scale`` far from the data's makes every score bad."""

    def __init__(self, name: str = "gaussian", *, d: int = 2, scale: float = 1.0) -> None:
        self.name = name
        self.d = d
        self.scale = scale

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draw (n, d) points."""
        points = self.scale * np.random.default_rng(seed).standard_normal((n, self.d))
        return torch.from_numpy(points.astype(np.float32))


class ImageSampler:
    """Random 8x8 images; ``level`` limits the brightness."""

    def __init__(self, name: str = "noise", *, level: int = 256) -> None:
        self.name = name
        self.level = level

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draw (n, 1, 8, 8) images."""
        rng = np.random.default_rng(seed)
        return torch.from_numpy(rng.integers(0, self.level, (n, 1, 8, 8), dtype=np.uint8))
