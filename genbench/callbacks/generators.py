"""The generator in a model that a framework trains."""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn


class Sample(Protocol):
    """Draws samples from a model."""

    def __call__(self, module: Any, n: int, *, seed: int) -> Any:
        """Return n samples; torch's global generator is seeded."""


def generator_of(module: nn.Module, sample: Sample | None) -> Any:
    """Return what `genbench.callbacks.Evaluator` is called with: the module, or a function that draws from it."""
    if sample is None:
        return module

    def generator(n: int, *, seed: int) -> Any:
        return sample(module, n, seed=seed)

    return generator
