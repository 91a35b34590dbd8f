"""Which of how many processes this is, as torchrun says in the environment."""

from __future__ import annotations

import os
from typing import NamedTuple

from genbench.errors import SetupError


class Place(NamedTuple):
    """A process among those of one evaluation.

    Attributes
    ----------
    rank, world : int
        Its number, from 0, and how many there are.
    local, local_world : int
        The same among those of its machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    local_world: int = 1


def place() -> Place:
    """Return this process's place; the only one of one where torchrun started nothing.

    Raises
    ------
    SetupError
        If the environment contradicts itself.
    """
    size = _number("WORLD_SIZE", 1)
    if size <= 1:
        return Place()
    found = Place(
        rank=_number("RANK"),
        world=size,
        local=_number("LOCAL_RANK", _number("RANK")),
        local_world=_number("LOCAL_WORLD_SIZE", 1),
    )
    if not 0 <= found.rank < size:
        raise SetupError(f"RANK: a number from 0 to {size - 1} expected, got {found.rank}; start with torchrun.")
    return found


def world() -> int:
    """Return how many processes share this evaluation."""
    return place().world


def rank() -> int:
    """Return this process's number among them."""
    return place().rank


def is_main() -> bool:
    """Whether this process computes the metrics, prints and writes."""
    return rank() == 0


def _number(name: str, otherwise: int | None = None) -> int:
    text = os.environ.get(name, "" if otherwise is None else str(otherwise))
    try:
        return int(text)
    except ValueError as error:
        raise SetupError(
            f"{name}: a whole number expected in the environment beside WORLD_SIZE, got {text!r}; start with torchrun."
        ) from error
