"""Exact transport between two sets of one size from their samples, ladder: samples -> ground -> prices -> proof."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import ConvergenceError
from genbench.metrics.assignment import Array, Columns
from genbench.metrics.distances import SquaredDistances, pairwise_distances
from genbench.metrics.solvers import Transport, check_gap

if TYPE_CHECKING:
    from genbench.metrics.auction_kernels import Ground, State

BOX_DIMENSIONS = 4
"""Up to here boxes of samples rule out nearly all pairs, and no matrix is kept."""
LIST_SIZE = 24
FIRST_STEP = 0.05
FIRST_STEP_AGAIN = 0.005
LAST_STEP = 1e-15
"""Of the bids, as parts of the costs' spread; the last is added to the rounding of the mean cost."""
MAX_BIDS = 400
"""Per sample, some tens of times what the hardest of tried sets took; then another solver is asked."""
SAMPLED_ROWS = 256
BLOCK_COSTS = 2**20


def matrix_bytes(n: int, d: int) -> int:
    """Return the bytes that the auction's largest table takes: 4 n^2, or none in `BOX_DIMENSIONS` and fewer."""
    return 4 * n * n if d > BOX_DIMENSIONS else 0


def repeats(samples: Tensor) -> bool:
    """Return whether over a tenth of the samples are copies of others: ties that make bids many. O(n d)."""
    rows = samples.cpu().numpy()
    return len({row.tobytes() for row in rows}) < 0.9 * len(rows)


class Auction:
    """The transport problem between two sets of n samples, and all that was learned of it.

    Parameters
    ----------
    points, others : (n, d) float64 tensors
    p : {1, 2}
        Costs are Euclidean distances to this power.

    Notes
    -----
    Forward auction (Bertsekas 1988, "The auction algorithm: a distributed relaxation method for the assignment
    problem"; scaling of the step: Bertsekas and Eckstein 1988). A row that has no column bids for the one of the
    least cost plus price, and raises its price to where the second best is as good, plus a step. Prices only
    rise, so that a row's list of its `LIST_SIZE` best columns serves until its best is worse than all others were when
    the list was made. In more than `BOX_DIMENSIONS` dimensions lists are made from lower bounds of all costs, which
    are taken in float64 and rounded down to float32: 4 n^2 bytes; below, from boxes of neighbouring samples: O(n)
    bytes. What is compared are costs in float64, sums of squared differences.

    The last step is 1e-15 of the costs' spread plus 2^-51 of their mean, and so is the gap: no assignment is cheaper by
    more.
    """

    def __init__(self, points: Tensor, others: Tensor, p: int) -> None:
        points, others = points.cpu(), others.cpu()
        self._points, self._others, self._p = points, others, p
        centre = others.mean(dim=0)
        largest = max(float((part - centre).abs().max()) for part in (points, others))
        # A power of two changes no digit, and keeps float32 in its range.
        self._exponent = math.frexp(largest)[1] if largest > 0 else 0
        boxed = points.shape[1] <= BOX_DIMENSIONS
        self._rows, self._columns = (box_order(x.numpy()) if boxed else np.arange(len(x)) for x in (points, others))
        power = torch.tensor(-self._exponent)
        points, others = (torch.ldexp(x, power) for x in (points[self._rows], others[self._columns]))
        self._ground, self._least_of = _ground(points, others, p)
        self._state, self._spread, self._mean = self._start()

    def _start(self) -> tuple[State, float, float]:
        """Begin with prices that make columns equally dear on average, and measure the spread of what is left."""
        from genbench.metrics.auction_kernels import State

        n = len(self._ground.points)
        rows = torch.from_numpy(self._ground.points[:: max(1, n // SAMPLED_ROWS)].copy())
        columns = torch.from_numpy(np.ascontiguousarray(self._ground.others_t.T))
        costs = pairwise_distances(rows, columns).pow_(self._p)
        mean, most = float(costs.mean()), float(costs.max())
        prices = mean - costs.mean(dim=0).numpy()
        size = min(LIST_SIZE, n)
        state = State(
            columns=np.zeros((n, size), np.int64),
            costs=np.full((n, size), np.inf),
            limits=np.full(n, -np.inf),
            prices=prices,
            least=self._least_of(prices),
            owner=np.full(n, -1, np.int64),
            held=np.full(n, -1, np.int64),
        )
        # In place, as the costs take a twentieth of what the bounds do.
        spread = float(costs.add_(torch.from_numpy(prices)).std(correction=0))
        return state, spread or most or 1.0, mean

    def solve(self) -> Transport:
        """Solve and certify the problem; O(n^2 d) operations to begin with, some n^2 to n^2.5 in practice.

        Returns
        -------
        Transport
            Its prices are those of the samples in the order given.

        Raises
        ------
        ConvergenceError
            If the bids run out, or the certificate, for which every list is made again, fails.
        """
        from genbench.metrics.auction_kernels import least_values

        n = len(self._rows)
        rows = np.arange(n)
        self._bid(self._state, rows, FIRST_STEP)
        self._state.least[:] = self._least_of(self._state.prices)
        least = least_values(self._ground, self._state, rows, True)
        u, v = np.empty(n), np.empty(n)
        u[self._rows], v[self._columns] = self._unscaled(least), -self._unscaled(self._state.prices)
        total = self._total(self._state, rows)
        return Transport(total, u, v, check_gap(total, u, v, self._gap_scale(total)))

    def without(self, kept: Iterable[tuple[NDArray[np.bool_], ...]]) -> list[float]:
        """Return the optimal costs of parts of the solved problem, each certified; one at a time per thread of torch.

        Parameters
        ----------
        kept : iterable of pairs of (n,) bool arrays
            Which points and others remain, as many of the one as of the other.
        """
        with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
            return list(pool.map(lambda pair: self._without(*pair), kept))

    def _without(self, points: NDArray[np.bool_], others: NDArray[np.bool_]) -> float:
        from genbench.metrics.auction_kernels import State, least_values

        solved = self._state
        state = State(
            columns=solved.columns.copy(),
            costs=solved.costs.copy(),
            limits=solved.limits.copy(),
            prices=solved.prices.copy(),
            least=solved.least.copy(),
            owner=solved.owner.copy(),
            held=solved.held.copy(),
        )
        rows, gone = np.flatnonzero(points[self._rows]), ~others[self._columns]
        state.prices[gone] = np.inf
        self._bid(state, rows, FIRST_STEP_AGAIN)
        least = self._unscaled(least_values(self._ground, state, rows, False))
        total = self._total(state, rows)
        check_gap(total, least, -self._unscaled(state.prices[~gone]), self._gap_scale(total))
        return total

    def _bid(self, state: State, rows: Columns, first: float) -> None:
        from genbench.metrics.auction_kernels import bid

        budget = MAX_BIDS * len(rows)
        # A step below the rounding of a cost plus price would be lost in it.
        last = LAST_STEP * self._spread + 2.0**-51 * self._mean
        if not bid(self._ground, state, rows, max(first * self._spread, last), last, budget):
            raise ConvergenceError(
                f"transport: an assignment within {budget} bids expected, got none of {len(rows)} samples; "
                "pass a smaller n, or solver='simplex'."
            )

    def _total(self, state: State, rows: Columns) -> float:
        """Return the mean cost of the assignment, from the samples as they were given."""
        columns = state.held[rows]
        if len(np.unique(columns)) < len(rows) or np.isinf(state.prices[columns]).any():
            raise ConvergenceError("transport: a plan that carries all weight expected, a sample was assigned twice.")
        gaps = self._points[self._rows[rows]] - self._others[self._columns[columns]]
        squares = gaps.square().sum(dim=1)
        return float((squares.sqrt() if self._p == 1 else squares).mean())

    def _unscaled(self, costs: Array) -> Array:
        unscaled: Array = np.ldexp(costs, self._exponent * self._p)
        return unscaled

    def _gap_scale(self, total: float) -> float:
        # Prices are of the order of the mean cost, and their rounding would drown the cost of two nearly equal sets.
        return max(total, 1e-5 * math.ldexp(self._mean, self._exponent * self._p))


def _ground(points: Tensor, others: Tensor, p: int) -> tuple[Ground, Callable[[Array], Array]]:
    """Prepare scaled samples in their boxes' order, and return how the least price of each box is taken."""
    from genbench.metrics.auction_kernels import BLOCK, Ground

    n, d = points.shape
    starts = np.arange(0, n, BLOCK)
    corners = np.zeros((2, d, 0))
    floor = np.zeros((0, 0), np.float32)
    if d <= BOX_DIMENSIONS:
        y = others.numpy()
        corners = np.stack([np.ascontiguousarray(end.reduceat(y, starts).T) for end in (np.minimum, np.maximum)])
    else:
        floor = _floor(points, others, p)
    ground = Ground(
        np.ascontiguousarray(points.numpy()), np.ascontiguousarray(others.numpy().T), floor, corners[0], corners[1], p
    )
    return ground, lambda prices: np.minimum.reduceat(prices, starts)


def _floor(points: Tensor, others: Tensor, p: int) -> NDArray[np.float32]:
    """Lower bounds of all costs, (n, n): by matrix products in float64, less their error and that of float32."""
    n = len(points)
    squares = SquaredDistances(points, others)
    floor = torch.empty(n, n, dtype=torch.float32)
    step = max(1, BLOCK_COSTS // n)
    farthest = squares.other_norms.max()
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        part = squares.block(rows)
        part.sub_(squares.bound(squares.point_norms[rows], farthest)[:, None]).clamp_(min=0)
        # 2^-22 is four times what rounding to float32 and the root add; below 2^-100 float32 has fewer digits.
        part = part.sqrt_() if p == 1 else part
        floor[rows] = part.mul_(1 - 2.0**-22).sub_(2.0**-100).clamp_(min=0)
    bounds: NDArray[np.float32] = floor.numpy()
    return bounds


def box_order(samples: Array, size: int = 32) -> Columns:
    """Order samples so that each ``size`` successive ones are near each other, by halving the widest side in turn."""
    order = np.arange(len(samples))
    parts = [(0, len(samples))]
    while parts:
        start, stop = parts.pop()
        if stop - start <= size:
            continue
        rows = samples[order[start:stop]]
        axis = int(np.argmax(np.ptp(rows, axis=0)))
        boxes = math.ceil((stop - start) / size)
        half = size * (boxes // 2)
        order[start:stop] = order[start:stop][np.argpartition(rows[:, axis], half, kind="introselect")]
        parts += [(start, start + half), (start + half, stop)]
    return order
