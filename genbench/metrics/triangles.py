"""Inner products with symmetric matrices of which the upper triangle alone is kept, in float32 and in tiles."""

from __future__ import annotations

import torch
from torch import Tensor

TILE = 64
"""Rows of a tile, which reaches from the diagonal to the last column: few enough to stay in a processor's cache."""

Tiles = list[Tensor]


def tiles(half: Tensor) -> Tiles:
    """Cut a half matrix (d, d), the rest of which is zeros, into views of `TILE` rows and of the columns that count."""
    return [half[start : start + TILE, start:] for start in range(0, len(half), TILE)]


def inner(ours: Tiles, matrix: Tensor) -> float:
    """Inner product of a symmetric matrix that is in tiles with another (d, d), both float32; summed up in float64."""
    twice, once = 0.0, 0.0
    for tile, other in zip(ours, tiles(matrix), strict=True):
        twice += float(torch.linalg.vecdot(tile, other).sum(dtype=torch.float64))
        once += float(torch.dot(tile.diagonal(), other.diagonal()))
    return 2 * twice - once


class Steps:
    """What is added to a half matrix, step by step.

    Parameters
    ----------
    half : (d, d) float64 tensor
        As it is before the first step.
    count : int
        How many steps there will be.

    Attributes
    ----------
    taken : list of tiles
        What each step added, in float32.

    Notes
    -----
    2 d^2 bytes a step, and 8 d^2 beside them.
    """

    def __init__(self, half: Tensor, count: int) -> None:
        self._before = half.clone()
        self.taken: list[Tiles] = []
        sizes = [tile.numel() for tile in tiles(half)]
        # One table for all, which is had in larger pages than many small ones are.
        self._room = iter(torch.empty((count, sum(sizes)), dtype=torch.float32, device=half.device))
        self._sizes = sizes

    def take(self, half: Tensor) -> None:
        """Keep what has been added since the last step, rounded to float32 once."""
        step = []
        rooms = torch.split(next(self._room), self._sizes)
        for before, now, room in zip(tiles(self._before), tiles(half), rooms, strict=True):
            step.append(room.view(now.shape).copy_(now - before))
            before.copy_(now)
        self.taken.append(step)
