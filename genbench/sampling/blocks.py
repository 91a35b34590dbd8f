"""Drawing from a sampler so that the samples depend on the seed and on nothing else."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from genbench.errors import UsageError
from genbench.protocols import Sampler
from genbench.randomness import derive_seed
from genbench.sampling.check import check_samples

BLOCK = 256
"""Samples a sampler is asked for at a time; part of the protocol, since it decides which samples are drawn."""


@runtime_checkable
class FiniteSampler(Protocol):
    """A sampler that holds a finite set, such as a file: blocks drawn one by one would repeat its samples."""

    name: str

    def take(self, n: int, *, seed: int) -> Tensor:
        """Return n different samples, chosen by the seed, in the order of the choice."""
        ...


def draw_samples(
    sampler: Sampler | FiniteSampler, n: int, *, seed: int, event_shape: tuple[int, ...], block: int = BLOCK
) -> Tensor:
    """Draw n checked samples from anything that can be scored.

    A sampler with a ``take`` (see `FiniteSampler`) is asked once, for n different samples, with the seed
    ``derive_seed(seed, "samples")``. Every other sampler goes through `draw`. In both cases the first n samples
    are the same for every larger n.

    Parameters
    ----------
    sampler : Sampler or FiniteSampler
        What to draw from.
    n : int
        How many, at least 1.
    seed : int
        Of the draw.
    event_shape : tuple of int
        (C, H, W) or (d,).
    block : int
        Samples to ask for at a time.

    Returns
    -------
    (n, *event_shape) tensor on the CPU
        Images uint8, vectors float32.

    Raises
    ------
    SampleError
        If the samples are not what was asked for, or a finite sampler holds fewer than n.
    UsageError
        If n or block is not positive.
    """
    if not isinstance(sampler, FiniteSampler):
        return draw(sampler, n, seed=seed, event_shape=event_shape, block=block)
    _check_positive("n", n)
    taken = sampler.take(n, seed=derive_seed(seed, "samples"))
    return check_samples(taken, event_shape=event_shape, n=n, who=sampler.name).cpu()


def draw(sampler: Sampler, n: int, *, seed: int, event_shape: tuple[int, ...], block: int = BLOCK) -> Tensor:
    """Draw n samples in blocks of a fixed size, block i with the seed ``derive_seed(seed, "samples", i)``.

    Every block is asked for in full and the last one cut, so that sample number j is the same for every n, and
    blocks can be drawn in any order and on any device.

    Parameters, return value and errors are those of `draw_samples`.
    """
    _check_positive("n", n)
    _check_positive("block", block)
    drawn = []
    for index in range(-(-n // block)):
        samples = sampler.sample(block, seed=derive_seed(seed, "samples", index))
        drawn.append(check_samples(samples, event_shape=event_shape, n=block, who=sampler.name).cpu())
    return torch.cat(drawn)[:n]


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"draw: {name} must be at least 1, got {value}.")
