"""The few smallest entries of every row and column of a matrix that is only ever seen in blocks of rows."""

from __future__ import annotations

import torch
from torch import Tensor

GROUP = 16
"""Of so many entries the least is found first: only in the groups with the smallest of these is looked further."""

TALL = 8
"""The same for columns, of which a block has few entries each."""

COPIED = 2**19
"""So many numbers of a block are copied at a time."""


class Smallest:
    """For each of n points the ``width`` smallest values so far, and where they were.

    Parameters
    ----------
    n : int
    width : int
    like : tensor
        Of the dtype and on the device of the values.

    Attributes
    ----------
    values : (n, width) tensor
        In no order. NaN where there were no more; NaN comes last, behind the infinite distance of a point to itself.
    indices : (n, width) int64 tensor
    """

    def __init__(self, n: int, width: int, like: Tensor) -> None:
        self.values = torch.full((n, width), torch.nan, dtype=like.dtype, device=like.device)
        self.indices = torch.full((n, width), -1, dtype=torch.int64, device=like.device)

    def add_rows(self, rows: slice, block: Tensor, first: int) -> None:
        """Take in the values (rows, columns) of some points for the columns numbered from ``first`` on."""
        width, columns = self.values.shape[1], block.shape[1]
        groups = columns // GROUP
        if groups < 2 * width or block.device.type != "cpu":
            near = block.contiguous().topk(min(width, columns), dim=1, largest=False, sorted=False)
            self._merge(rows, near.values, near.indices + first)
            return
        # The width smallest lie in the width groups with the smallest least values. Group g: g, g + groups, ...
        least = block[:, : groups * GROUP].reshape(len(block), GROUP, groups).amin(dim=1)
        best = least.topk(width, dim=1, largest=False, sorted=False).indices
        places = (best[:, :, None] + groups * torch.arange(GROUP, device=block.device)).flatten(1)
        rest = torch.arange(groups * GROUP, columns, device=block.device).expand(len(block), -1)
        places = torch.cat([places, rest], dim=1)
        values = block.gather(1, places)
        near = values.topk(width, dim=1, largest=False, sorted=False)
        self._merge(rows, near.values, places.gather(1, near.indices) + first)

    def add_columns(self, columns: slice, block: Tensor, first: int) -> None:
        """Take in the values (rows, columns) of some points, here the columns, for rows numbered from ``first`` on."""
        tall = len(block) // TALL
        worst = self.values[columns].amax(dim=1)
        # amax gives NaN where one is NaN: there everything is still welcome.
        if block.device.type != "cpu" or tall < 2 or bool(worst.isnan().any()):
            self._add_all_columns(columns, block, first)
            return
        least = block[: tall * TALL].reshape(tall, TALL, -1).amin(dim=1)
        group, column = torch.nonzero(least < worst, as_tuple=True)
        if len(group) * TALL > block.numel() // 4:
            self._add_all_columns(columns, block, first)
            return
        rows = group[:, None] * TALL + torch.arange(TALL)
        rest, rest_column = torch.nonzero(block[tall * TALL :] < worst, as_tuple=True)
        hit, place = torch.nonzero(block[rows, column[:, None]] < worst[column, None], as_tuple=True)
        row = torch.cat([rows[hit, place], rest + tall * TALL])
        column = torch.cat([column[hit], rest_column])
        self._merge_ragged(columns, column, block[row, column], row + first)

    def _add_all_columns(self, columns: slice, block: Tensor, first: int) -> None:
        """Take in columns whatever is known of them, some at a time: they are copied."""
        step = max(1, COPIED // len(block))
        for start in range(0, block.shape[1], step):
            some = block[:, start : start + step].T.contiguous()
            near = some.topk(min(self.values.shape[1], len(block)), dim=1, largest=False, sorted=False)
            own = slice(columns.start + start, columns.start + start + len(some))
            self._merge(own, near.values, near.indices + first)

    def _merge(self, rows: slice, values: Tensor, indices: Tensor) -> None:
        width = self.values.shape[1]
        values = torch.cat([self.values[rows], values], dim=1)
        best = values.topk(width, dim=1, largest=False, sorted=False)
        self.values[rows] = best.values
        self.indices[rows] = torch.cat([self.indices[rows], indices], dim=1).gather(1, best.indices)

    def _merge_ragged(self, rows: slice, of: Tensor, values: Tensor, indices: Tensor) -> None:
        """Merge values that come with the number of the row, within ``rows``, which they belong to."""
        if not len(of):
            return
        order = of.argsort(stable=True)
        which, counts = torch.unique_consecutive(of[order], return_counts=True)
        starts = counts.cumsum(0) - counts
        place = torch.arange(len(order)) - starts.repeat_interleave(counts)
        line = torch.arange(len(which)).repeat_interleave(counts)
        more = torch.full((len(which), int(counts.max())), torch.nan, dtype=values.dtype)
        where = torch.full(more.shape, -1, dtype=torch.int64)
        more[line, place], where[line, place] = values[order], indices[order]
        own = which + rows.start
        found = torch.cat([self.values[own], more], dim=1)
        best = found.topk(self.values.shape[1], dim=1, largest=False, sorted=False)
        self.values[own] = best.values
        self.indices[own] = torch.cat([self.indices[own], where], dim=1).gather(1, best.indices)
