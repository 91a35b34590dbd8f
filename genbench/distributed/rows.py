"""Rows that are computed block by block on all ranks, and come together on rank 0 in the order of the blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from genbench.distributed.line import Line
from genbench.errors import SampleError, SetupError
from genbench.timing import measure

AHEAD = 4
"""Blocks that a rank may be ahead of what rank 0 has taken; they bound the memory that waits."""

Name = tuple[str, str]
Rows = Mapping[Name, Tensor]


class Share:
    """One pass over n samples in blocks: which are this rank's, and how the rows of all come together.

    Parameters
    ----------
    line : Line
    group : ProcessGroup
        Of gloo: rows go through the main memory, whatever the device. They are few beside what was computed to get
        them (4 KB to 8 KB a sample), and a lost peer ends a transfer in an error, not in a hang.
    call : int
        Number of this pass, the same on every rank.
    n, block : int
        Samples, and how many of them are in a block.

    Attributes
    ----------
    part : slice
        The numbers of this rank's blocks.
    main : bool
        Whether the rows come together here.
    """

    def __init__(self, line: Line, group: dist.ProcessGroup, *, call: int, n: int, block: int) -> None:
        self._line, self._group, self._call = line, group, call
        self._sizes = [min(block, n - start) for start in range(0, n, block)]
        rank, world, *_ = line.place
        self.part = slice(rank, None, world)
        self.main = rank == 0
        self._tag = message_tag(line, call)  # rows of a pass that was broken off are not taken

    def gather(self, own: Iterable[Rows]) -> Generator[Rows, None, None]:
        """Give the rows of all blocks in their order, on rank 0; elsewhere send this rank's, and give nothing.

        Parameters
        ----------
        own : iterable of {(extractor, layer): (k, width) tensor}
            Of this rank's blocks, in their order.

        Raises
        ------
        SampleError
            If a block has not as many rows as the grid says.
        SetupError
            If another rank is lost.

        Notes
        -----
        Rank 0 holds one block at a time, every other at most `AHEAD`.
        """
        return self._take_all(iter(own)) if self.main else self._send_all(own)

    def _take_all(self, own: Iterator[Rows]) -> Generator[Rows, None, None]:
        taken = -1
        try:
            for index in range(len(self._sizes)):
                owner = index % self._line.place.world
                if owner == 0:
                    rows = next(own, {})
                else:
                    with measure("rows of other ranks"):
                        rows = self._take(index, owner)
                taken = index
                self._check(index, rows)
                yield rows
        finally:  # broken off: the others are not to wait for room for what nobody wants any more
            with suppress(SetupError):  # the store is gone: nobody waits
                for index in range(taken + 1, len(self._sizes)):
                    self._line.put(self._key("taken", index), False)

    def _take(self, index: int, owner: int) -> Rows:
        what = f"block {index + 1} of {len(self._sizes)}"
        rows = {}
        for extractor, layer, dtype, shape in self._line.get(self._key("rows", index), of=owner, what=what):
            values = torch.empty(shape, dtype=getattr(torch, dtype))
            try:
                dist.recv(values, owner, group=self._group, tag=self._tag)
            except RuntimeError as error:
                raise self._line.lost(owner, what, "broke off") from error
            rows[extractor, layer] = values
        self._line.put(self._key("taken", index), True)
        return rows

    def _send_all(self, own: Iterable[Rows]) -> Generator[Rows, None, None]:
        waiting: deque[tuple[int, list[Tensor], list[Any]]] = deque()
        for index, rows in zip(range(len(self._sizes))[self.part], own, strict=True):
            self._check(index, rows)
            if len(waiting) == AHEAD and not self._settle(*waiting.popleft()):
                return
            sent = {name: values.detach().cpu().contiguous() for name, values in rows.items()}
            header = [[*name, str(v.dtype).removeprefix("torch."), list(v.shape)] for name, v in sent.items()]
            self._line.put(self._key("rows", index), header)
            waiting.append((index, list(sent.values()), self._send(index, sent)))
        for held in waiting:
            if not self._settle(*held):
                return
        yield from ()

    def _send(self, index: int, rows: Rows) -> list[Any]:
        try:
            return [dist.isend(values, 0, group=self._group, tag=self._tag) for values in rows.values()]
        except RuntimeError as error:
            raise self._line.lost(0, self._taking(index), "broke off") from error

    def _settle(self, index: int, tensors: list[Tensor], works: list[Any]) -> bool:
        """Wait until rank 0 has taken a block, up to when its tensors have to be kept; False if it wants no more."""
        if not self._line.get(self._key("taken", index), of=0, what=self._taking(index)):
            return False
        try:
            for work in works:
                work.wait()
        except RuntimeError as error:
            raise self._line.lost(0, self._taking(index), "broke off") from error
        tensors.clear()
        return True

    def _taking(self, index: int) -> str:
        return f"room for block {index + 1}"

    def _check(self, index: int, rows: Rows) -> None:
        sizes = {len(values) for values in rows.values()}
        if sizes != {self._sizes[index]}:
            raise SampleError(
                f"features: {self._sizes[index]} rows of block {index + 1} expected, got {sorted(sizes) or 'none'}."
            )

    def _key(self, kind: str, index: int) -> str:
        return f"{kind}/{self._call}/{index}"


def message_tag(line: Line, call: int) -> int:
    """Return a number for the messages of one call in one evaluation."""
    return (line.session % 2**10) * 2**20 + call % 2**20
