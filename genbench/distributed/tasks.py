"""Tasks that the ranks take one after the other: each has all tables, and begins the next that nobody has begun.

Which rank computes what depends on their speed, what comes out does not: a task is done whole, by one rank, from the
same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from genbench.timing import measure

if TYPE_CHECKING:
    from genbench.distributed.team import Team

PIECE = 2**24
"""Bytes that are sent at a time: a piece must arrive within the patience that ranks have with each other."""

Header = tuple[str, list[int]]
"""Of a table: its dtype and shape."""


def headers_of(tables: Sequence[Tensor]) -> list[Header]:
    """Return what the other ranks have to know of tables before they can take them."""
    return [(str(table.dtype).removeprefix("torch."), list(table.shape)) for table in tables]


def send_tables(team: Team, tables: Sequence[Tensor]) -> None:
    """Give tables to all other ranks, which call `take_tables`; on rank 0.

    Raises
    ------
    SetupError
        If one of them is lost.
    """
    group, tag = team.group, team.tag
    with measure("features to other ranks"):
        for table in tables:
            for piece in _pieces(table.detach().cpu().contiguous()):
                sent = {}
                for rank in team.others:
                    try:
                        sent[rank] = dist.isend(piece, rank, group=group, tag=tag)
                    except RuntimeError as error:
                        raise team.line.lost(rank, "room for features", "broke off") from error
                for rank, work in sent.items():
                    try:
                        work.wait()  # type: ignore[union-attr]
                    except RuntimeError as error:
                        raise team.line.lost(rank, "room for features", "broke off") from error


def take_tables(team: Team, headers: Sequence[Header]) -> list[Tensor]:
    """Take the tables that rank 0 gives; on the other ranks.

    Raises
    ------
    SetupError
        If rank 0 is lost.
    """
    group, tag = team.group, team.tag
    tables = [torch.empty(shape, dtype=getattr(torch, dtype)) for dtype, shape in headers]
    for table in tables:
        for piece in _pieces(table):
            try:
                dist.recv(piece, 0, group=group, tag=tag)
            except RuntimeError as error:
                raise team.line.lost(0, "features", "broke off") from error
    return tables


def take_tasks(team: Team, count: int, compute: Callable[[int], Any]) -> dict[int, Any]:
    """Do tasks of a common list until none is left, and return what came out, by their numbers.

    Parameters
    ----------
    team : Team
    count : int
        How many tasks there are.
    compute : callable
        From a task's number to what it gives.
    """
    found = {}
    while (task := team.next_number()) < count:
        found[task] = compute(task)
    return found


def all_tasks(team: Team, count: int, compute: Callable[[int], Any]) -> list[Any]:
    """Do a rank's part of tasks, and wait for those of the others; on rank 0.

    Returns
    -------
    list
        What came out, JSON of it where another rank found it, in the order of the tasks.
    """
    found = take_tasks(team, count, compute)
    with measure("metrics of other ranks"):
        for answer in team.answers("its scores").values():
            found.update({int(task): result for task, result in answer.items()})
    return [found[task] for task in range(count)]


def _pieces(table: Tensor) -> Iterator[Tensor]:
    flat = table.flatten()
    return iter(torch.split(flat, max(1, PIECE // max(1, flat.element_size()))))
