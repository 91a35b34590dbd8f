"""One pass over the pairs of samples, which serves all that want to know something of them.

Whoever needs the pairs of a set, or of two, says what it wants by a `Want`. The first that asks starts the pass; what
others have announced by then is found in the same pass, so that no product is computed twice, and remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from genbench.metrics.distances import SquaredDistances, row_blocks
from genbench.metrics.features import Features
from genbench.metrics.screening import SingleSquares

SINGLE = 2**31
"""Multiplications in the distances of two sets from which on single precision proposes neighbours."""

Screen = SquaredDistances | SingleSquares
T = TypeVar("T")


class Reader(Protocol):
    """What gathers the answer to a `Want` from the blocks as they come."""

    needs_products: bool
    """Whether it reads inner products, or squared distances."""

    needs_double: bool
    """Whether single precision will not do, in however large sets."""

    def read(self, screen: Screen, rows: slice, block: Tensor) -> None:
        """Take in the pairs of some rows: within a set with those from the first of them on, else with all others.

        Of float64 numbers, or of float32 ones. Squared distances may be overwritten on the diagonal, products not at
        all.
        """

    def result(self, screen: Screen) -> tuple[Any, Any]:
        """Return what was found, from the points' side and from the others': the same twice within one set."""


class Want(Protocol):
    """Something to be known of pairs; hashable and equal to its like, so that it can be remembered."""

    @property
    def mirrors(self) -> bool:
        """Whether the answer for two sets holds both that from the first's side and that from the second's."""

    def reader(self, points: Tensor, others: Tensor) -> Reader:
        """Make a reader of the pairs of points (n, d) and others (m, d); the same tensor twice for one set."""

    def __hash__(self) -> int: ...


@runtime_checkable
class SingleWant(Want, Protocol):
    """A want whose readers take the rows of points and others in float32 as well, as they came, if there are many."""

    @property
    def takes_single(self) -> bool:
        """That is so."""


def announce(want: Want, features: Features, others: Features | None = None) -> None:
    """Say that something will be asked of the pairs of a set, or of two; at no cost, and without obligation."""
    announced: dict[Want, None] = features.remember(_ANNOUNCED, dict, beside=others)
    announced.setdefault(want)


_ANNOUNCED = "announced wants"


def swept_within(features: Features, want: Want) -> Any:
    """Answer a want about one set, and with it all that were announced; remembered."""
    if (known := features.recall(("within", want))) is None:
        wants = _open(want, features.recall(_ANNOUNCED), "within", features, None)
        values, _ = _rows(features, features, wants)
        for each, found in zip(wants, sweep(values, values, wants), strict=True):
            features.remember(("within", each), partial(_same, found[0]))
        known = features.recall(("within", want))
    return known


def swept_among(features: Features, others: Features, want: Want) -> tuple[Any, Any]:
    """Answer a want about two sets, from the first's side and from the second's, and all announced; remembered."""
    key = ("among", want)
    if want.mirrors and features is not others and features.recall(key, beside=others) is None:
        reverse = others.recall(_ANNOUNCED, beside=features) or {}
        if want in reverse or others.recall(key, beside=features) is not None:
            return swept_among(others, features, want)[::-1]
    if (known := features.recall(key, beside=others)) is None:
        wants = _open(want, features.recall(_ANNOUNCED, beside=others), "among", features, others)
        ours, theirs = _rows(features, others, wants)
        # A set beside itself is two sets with equal rows: a view makes it another tensor.
        theirs = theirs if others is not features else theirs[:]
        for each, found in zip(wants, sweep(ours, theirs, wants), strict=True):
            features.remember(("among", each), partial(_same, found), beside=others)
        known = features.recall(key, beside=others)
    assert known is not None
    forward, backward = known
    return forward, backward


def _same(value: T) -> T:
    return value


def _open(
    want: Want, announced: Iterable[Want] | None, kind: str, features: Features, others: Features | None
) -> list[Want]:
    """Return the want and those announced that are not answered yet."""
    wants = dict.fromkeys([want, *(announced or ())])
    return [each for each in wants if features.recall((kind, each), beside=others) is None]


def _rows(features: Features, others: Features, wants: Sequence[Want]) -> tuple[Tensor, Tensor]:
    """Return two sets' rows, in float32 where they came so and that will do: half of the memory and of what is read."""
    if is_large(features.given, others.given, SINGLE) and all(isinstance(want, SingleWant) for want in wants):
        return features.given, others.given
    return features.values, others.values


def screen_of(points: Tensor, others: Tensor) -> Screen:
    """Choose what proposes neighbours: single precision where the sets are large, on the CPU."""
    large = is_large(points, others, SINGLE)
    return SingleSquares(points, others) if large else SquaredDistances(points, others)


def is_large(points: Tensor, others: Tensor, least: int) -> bool:
    """Return whether the distances of points (n, d) to others (m, d) take so many multiplications, on the CPU."""
    return len(points) * others.numel() >= least and points.device.type == "cpu"


def sweep(points: Tensor, others: Tensor, wants: Sequence[Want]) -> list[tuple[Any, Any]]:
    """Show all blocks of pairs to the readers of all wants, and return what these found.

    Parameters
    ----------
    points, others : (n, d), (m, d) float64 tensors
        The same tensor for the pairs within one set.
    wants : sequence of Want

    Returns
    -------
    list of tuples
        For each want what was found from the points' side and from the others'.

    Notes
    -----
    O(n m d) operations as matrix products, half of them within one set: every pair is computed once, but for those in
    the leading square of each block. Memory: one block, one centred copy of the others, and what the readers gather.
    """
    readers = [want.reader(points, others) for want in wants]
    of_products = [reader for reader in readers if reader.needs_products]
    of_squares = [reader for reader in readers if not reader.needs_products]
    double = any(reader.needs_double for reader in readers)
    screen = SquaredDistances(points, others) if double else screen_of(points, others)
    for rows in row_blocks(len(points), len(others)):
        first = rows.start if points is others else 0
        block = screen.products(rows, first)
        for reader in of_products:
            reader.read(screen, rows, block)
        if of_squares:
            screen.squares(block, rows, first)
        for reader in of_squares:
            reader.read(screen, rows, block)
    return [reader.result(screen) for reader in readers]
