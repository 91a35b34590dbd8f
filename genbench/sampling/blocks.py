"""Drawing from a sampler so that the samples depend on the seed and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError, UsageError
from genbench.protocols import Sampler
from genbench.randomness import derive_seed
from genbench.sampling.check import check_samples

BLOCK = 256
"""Samples a sampler is asked for at a time; part of the protocol, since it decides which samples are drawn."""

_ALL = slice(None)


@runtime_checkable
class FiniteSampler(Protocol):
    """A sampler that holds a finite set, such as a file: blocks drawn one by one would repeat its samples.

    It may have a method ``decode_ahead(indices)``, which is told the rows of the next block while this one is used.
    """

    name: str

    def __len__(self) -> int: ...

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return the samples of these numbers, in this order."""
        ...


def draw_blocks(
    sampler: Sampler | FiniteSampler,
    n: int,
    *,
    seed: int,
    event_shape: tuple[int, ...],
    labels: NDArray[np.int64] | None = None,
    block: int = BLOCK,
    part: slice = _ALL,
) -> Iterator[Tensor]:
    """Draw n checked samples, block by block, from anything that can be scored.

    A finite sampler gives n different samples in an order that ``derive_seed(seed, "samples")`` decides. Every other
    sampler is asked for blocks of a fixed size, block i with the seed ``derive_seed(seed, "samples", i)``; every block
    is asked for in full and the last one cut. So sample number j is the same for every n, and blocks can be drawn on
    any device.

    Parameters
    ----------
    sampler : Sampler or FiniteSampler
        What to draw from. One with an attribute ``classes`` is conditional: its ``sample`` is given ``labels`` too.
    n : int
        How many, at least 1.
    seed : int
        Of the draw.
    event_shape : tuple of int
        (C, H, W) or (d,).
    labels : (m,) int64 array or None
        Of real data, from which those for a conditional sampler are drawn (see `draw_labels`).
    block : int
        Samples to ask for at a time.
    part : slice
        Of the numbers of the blocks: which of them to draw, as where several processes share them.

    Yields
    ------
    (at most block, *event_shape) tensor on the CPU
        Images uint8, vectors float32.

    Raises
    ------
    SampleError
        If the samples are not what was asked for, or a finite sampler holds fewer than n.
    UsageError
        If n or block is not positive, or a conditional sampler meets data without labels or with other classes.
    """
    for name, value in (("n", n), ("block", block)):
        if value < 1:
            raise UsageError(f"draw: {name} must be at least 1, got {value}.")
    if isinstance(sampler, FiniteSampler):
        drawn = _finite_blocks(sampler, n, seed=seed, block=block, part=part)
    else:
        drawn = _endless_blocks(sampler, n, seed=seed, labels=labels, block=block, part=part)
    for start, (samples, wanted) in zip(range(0, n, block)[part], drawn, strict=True):
        checked = check_samples(samples, event_shape=event_shape, n=wanted, who=sampler.name)
        yield checked[: n - start].cpu()


def _finite_blocks(
    sampler: FiniteSampler, n: int, *, seed: int, block: int, part: slice
) -> Iterator[tuple[Tensor, int]]:
    if n > len(sampler):
        raise SampleError(f"{sampler.name}: {n:,} samples expected, got {len(sampler):,}; generate more.")
    order = np.random.default_rng(derive_seed(seed, "samples")).permutation(len(sampler))[:n]
    ahead = getattr(sampler, "decode_ahead", None)
    starts = range(0, n, block)[part]
    for start, then in zip_longest(starts, starts[1:], fillvalue=n):
        rows = order[start : start + block]
        samples = sampler.rows(rows)
        if ahead is not None:  # the next block is made while this one is seen
            ahead(order[then : then + block])
        yield samples, len(rows)


def _endless_blocks(
    sampler: Sampler, n: int, *, seed: int, labels: NDArray[np.int64] | None, block: int, part: slice
) -> Iterator[tuple[Tensor, int]]:
    asked = _conditions(sampler, n, labels=labels, seed=seed, block=block)
    for index in range(-(-n // block))[part]:
        start = index * block
        given: dict[str, Any] = {}
        if asked is not None:
            given["labels"] = torch.from_numpy(asked[start : start + block].copy())
        yield sampler.sample(block, seed=derive_seed(seed, "samples", index), **given), block


def draw_samples(
    sampler: Sampler | FiniteSampler,
    n: int,
    *,
    seed: int,
    event_shape: tuple[int, ...],
    labels: NDArray[np.int64] | None = None,
    block: int = BLOCK,
) -> Tensor:
    """Draw as `draw_blocks` does, and return all n samples: (n, *event_shape)."""
    return torch.cat(list(draw_blocks(sampler, n, seed=seed, event_shape=event_shape, labels=labels, block=block)))


def classes_of(sampler: Any) -> int | None:
    """Return how many classes a conditional sampler can be asked for; None for a sampler that is not conditional."""
    classes: int | None = getattr(sampler, "classes", None)
    return classes


def draw_labels(labels: NDArray[np.int64], n: int, *, seed: int) -> NDArray[np.int64]:
    """Draw n labels from the marginal of real data, the first n of a larger draw being the same ones."""
    rng = np.random.default_rng(derive_seed(seed, "labels"))
    return labels[rng.integers(len(labels), size=n)]


def _conditions(
    sampler: Any, n: int, *, seed: int, labels: NDArray[np.int64] | None, block: int
) -> NDArray[np.int64] | None:
    """Labels for every block of a conditional sampler, each block in full; None for other samplers."""
    classes = classes_of(sampler)
    if classes is None:
        return None
    if labels is None:
        raise UsageError(
            f"{sampler.name}: a conditional generator expects data with labels to draw from, and these have none; "
            "score it on labelled data, or fix its label."
        )
    if int(labels.max()) >= classes:
        raise UsageError(
            f"{sampler.name}: labels below its {classes} classes expected, but the data's go up to "
            f"{int(labels.max())}; score it on the data it was trained on."
        )
    return draw_labels(labels, -(-n // block) * block, seed=seed)
