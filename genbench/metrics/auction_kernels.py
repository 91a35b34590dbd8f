"""The compiled loops of the auction, ladder: row -> list of its best columns -> bid -> assignment -> least values.

Only `genbench.metrics.auction` imports this module, and only when a problem is large enough: it needs numba. All loops
are in one file, because numba looks for changes only in the file of the function whose machine code it has kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Columns = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., object])

BLOCK = 32
"""Columns that share a box, and that are gone through at a time."""


class Ground(NamedTuple):
    """What the costs are made of.

    ``points`` (n, d) and ``others_t`` (d, n) hold the samples; ``floor`` (n, n) float32 holds lower bounds of all
    costs, or is (0, 0); ``low`` and ``high`` (d, boxes) hold the corners of the boxes of `BLOCK` columns each, or
    are (d, 0); ``power`` is 1 or 2.
    """

    points: Array
    others_t: Array
    floor: NDArray[np.float32]
    low: Array
    high: Array
    power: int


class State(NamedTuple):
    """What an auction knows: the lists of the rows, the prices, and who holds what.

    Row i's list is ``columns[i]`` with their exact ``costs[i]``, both (n, k). Every column that is not on it has a
    cost plus price of at least ``limits[i]``, and will have, because prices only rise: that is why a list
    serves until its best is beyond the limit. ``least`` (boxes,) is below the prices in each box; ``owner`` and
    ``held`` (n,) are the assignment and its inverse, -1 for nothing.
    """

    columns: Columns
    costs: Array
    limits: Array
    prices: Array
    least: Array
    owner: Columns
    held: Columns


class Room(NamedTuple):
    """Memory for one scan: the best values and their columns so far, the costs of a block, the bounds of the boxes."""

    values: Array
    columns: Columns
    costs: Array
    bounds: Array


def compiled(function: F, fastmath: bool | set[str] = False) -> F:
    """Compile a function at its first call, and keep the machine code where there is a place to keep it."""
    compiler: Any = numba.njit
    try:
        kept: F = compiler(cache=True, nogil=True, fastmath=fastmath)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        kept = compiler(nogil=True, fastmath=fastmath)(function)
    return kept


def _vectorized(function: F) -> F:
    """Compile with the freedom to take minima in any order: there is no NaN, and the sign of zero does not matter."""
    return compiled(function, fastmath={"nnan", "nsz"})


@compiled
def pair_cost(ground: Ground, i: int, j: int) -> float:
    """Return the cost of a row and a column."""
    # The same order of the sum as in `_block_costs`, hence the same bits: ties and limits depend on that.
    total = 0.0
    for k in range(ground.points.shape[1]):
        gap = ground.points[i, k] - ground.others_t[k, j]
        total += gap * gap
    return np.sqrt(total) if ground.power == 1 else total


@compiled
def _block_costs(ground: Ground, i: int, start: int, stop: int, costs: Array) -> None:
    for j in range(stop - start):
        costs[j] = 0.0
    for k in range(ground.points.shape[1]):
        for j in range(stop - start):
            gap = ground.points[i, k] - ground.others_t[k, start + j]
            costs[j] += gap * gap
    if ground.power == 1:
        for j in range(stop - start):
            costs[j] = np.sqrt(costs[j])


@_vectorized
def _box_bounds(ground: Ground, least: Array, i: int, bounds: Array) -> None:
    # Rounding keeps order, so that a box is never farther than a column in it, bit by bit.
    boxes = len(bounds)
    for b in range(boxes):
        bounds[b] = 0.0
    for k in range(ground.points.shape[1]):
        at = ground.points[i, k]
        for b in range(boxes):
            gap = max(max(ground.low[k, b] - at, at - ground.high[k, b]), 0.0)
            bounds[b] += gap * gap
    for b in range(boxes):
        bounds[b] = least[b] + (np.sqrt(bounds[b]) if ground.power == 1 else bounds[b])


@_vectorized
def _least_value(floor: NDArray[np.float32], prices: Array, i: int, start: int, stop: int) -> float:
    least = np.inf
    for j in range(start, stop):
        least = min(least, floor[i, j] + prices[j])
    return least


@compiled
def _insert(values: Array, columns: Columns, count: int, value: float, column: int) -> int:
    size = len(values)
    at = min(count, size - 1)
    while at > 0 and values[at - 1] > value:
        values[at] = values[at - 1]
        columns[at] = columns[at - 1]
        at -= 1
    values[at] = value
    columns[at] = column
    return min(count + 1, size)


@compiled
def _cut(ground: Ground, state: State, i: int) -> float:
    # As many columns as a list has are known to lie below this: those of the row's old list, or of its neighbour's.
    row = i
    if state.limits[i] == -np.inf:
        if len(ground.floor) > 0 or i == 0 or state.limits[i - 1] == -np.inf:
            return np.inf
        row = i - 1
    cut = -np.inf
    for k in range(state.columns.shape[1]):
        j = state.columns[row, k]
        cost = state.costs[i, k] if row == i else pair_cost(ground, i, j)
        cut = max(cut, cost + state.prices[j])
    return cut


@compiled
def _scan_costs(ground: Ground, state: State, room: Room, i: int) -> tuple[int, float]:
    count, size, n = 0, len(room.values), len(state.prices)
    cut = _cut(ground, state, i)
    boxed = ground.low.shape[1] > 0
    if boxed:
        _box_bounds(ground, state.least, i, room.bounds)
    for b in range(len(room.bounds)):
        if boxed and room.bounds[b] > cut:
            continue
        start, stop = b * BLOCK, min(b * BLOCK + BLOCK, n)
        _block_costs(ground, i, start, stop, room.costs)
        least = np.inf
        for j in range(start, stop):
            least = min(least, state.prices[j])
            value = room.costs[j - start] + state.prices[j]
            if value <= cut:
                count = _insert(room.values, room.columns, count, value, j)
                if count == size:
                    cut = room.values[size - 1]
        state.least[b] = least
    return count, cut


@compiled
def _scan_floor(ground: Ground, state: State, room: Room, i: int) -> tuple[int, float]:
    count, size, n = 0, len(room.values), len(state.prices)
    cut = _cut(ground, state, i)
    for start in range(0, n, 2 * BLOCK):
        stop = min(start + 2 * BLOCK, n)
        if _least_value(ground.floor, state.prices, i, start, stop) > cut:
            continue
        for j in range(start, stop):
            value = ground.floor[i, j] + state.prices[j]
            if value <= cut:
                count = _insert(room.values, room.columns, count, value, j)
                if count == size:
                    cut = room.values[size - 1]
    return count, cut


@compiled
def best_two(state: State, i: int) -> tuple[float, float, int]:
    """Return the least and second least cost plus price of a row's list, and the place of the least."""
    best, second, at = np.inf, np.inf, 0
    for k in range(state.columns.shape[1]):
        value = state.costs[i, k] + state.prices[state.columns[i, k]]
        if value < best:
            best, second, at = value, best, k
        elif value < second:
            second = value
    return best, second, at


@compiled
def _write_list(ground: Ground, state: State, room: Room, i: int, found: tuple[int, float]) -> float:
    count, limit = found
    for k in range(state.columns.shape[1]):
        state.columns[i, k] = room.columns[k] if k < count else room.columns[0]
        state.costs[i, k] = pair_cost(ground, i, room.columns[k]) if k < count else np.inf
    state.limits[i] = limit
    return best_two(state, i)[0]


@compiled
def scan(ground: Ground, state: State, room: Room, i: int) -> None:
    """Make a row's list again."""
    # Lower bounds decide unless ties are closer than they are; then the exact costs do.
    if len(ground.floor) > 0:
        found = _scan_floor(ground, state, room, i)
        if _write_list(ground, state, room, i, found) <= state.limits[i]:
            return
    _write_list(ground, state, room, i, _scan_costs(ground, state, room, i))


@compiled
def new_room(state: State) -> Room:
    """Take the memory for scans."""
    size, n = state.columns.shape[1] + 1, len(state.prices)
    return Room(np.empty(size), np.empty(size, np.int64), np.empty(BLOCK), np.zeros((n + BLOCK - 1) // BLOCK))


@compiled
def bid(ground: Ground, state: State, rows: Columns, first: float, last: float, budget: int) -> bool:
    """Assign each of some rows a column of finite price, by rounds of bids whose step falls fivefold to ``last``.

    Returns whether it was done within ``budget`` bids and a quarter as many scans. On return every row is
    within the last step of its best column at the prices reached.
    """
    room = new_room(state)
    count, step, bids, scans = len(rows), first, 0, 0
    queue = np.empty_like(rows)
    while True:
        state.owner[:] = -1
        queue[:] = rows
        head, waiting = 0, count
        while waiting > 0:
            i = queue[head]
            head = head + 1 if head + 1 < count else 0
            waiting -= 1
            best, second, at = best_two(state, i)
            if best > state.limits[i]:
                scan(ground, state, room, i)
                scans += 1
                best, second, at = best_two(state, i)
            second = min(second, state.limits[i])
            j = state.columns[i, at]
            state.prices[j] += step + (second - best if second < np.inf else 0.0)
            if state.owner[j] >= 0:
                tail = head + waiting
                queue[tail if tail < count else tail - count] = state.owner[j]
                waiting += 1
            state.owner[j] = i
            state.held[i] = j
            bids += 1
            if bids > budget or 4 * scans > budget:
                return False
        if step <= last:
            return True
        step = max(step / 5, last)


@compiled
def least_values(ground: Ground, state: State, rows: Columns, anew: bool) -> Array:
    """Return the least cost plus price of each row, over all columns; ``anew`` makes every list again."""
    room = new_room(state)
    least = np.empty(len(rows))
    for t in range(len(rows)):
        i = rows[t]
        if anew:
            scan(ground, state, room, i)
        least[t] = best_two(state, i)[0]
        if least[t] > state.limits[i]:
            scan(ground, state, room, i)
            least[t] = best_two(state, i)[0]
    return least
