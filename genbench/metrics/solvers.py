"""Exact transport by the solver that is fastest for the problem, with a proof, ladder: cost -> plan -> certificate."""

from __future__ import annotations

import importlib.util
import math
import warnings
from typing import Literal, NamedTuple

import numpy as np

from genbench.errors import ConvergenceError, SampleError, UsageError
from genbench.metrics.assignment import Array, assignment_to_prices, cost_to_assignment, least_in_columns

MAX_ITERATIONS = 10**8
MAX_GAP = 1e-9
MIN_GAP = -1e-10
SIMPLEX_DIMENSIONS = 4
"""Up to here the network simplex is the faster solver, above it the assignment solvers are."""

AUCTION_SAMPLES = 500
"""Up to here the others are done before the auction's machine code is loaded."""

PLAIN_SAMPLES = 4000
"""The same for plain distances in few dimensions, of which the simplex makes the twenty replicates sooner."""

Choice = Literal["auto", "simplex", "assignment", "auction"]
Solver = Literal["simplex", "assignment", "auction"]


class Transport(NamedTuple):
    """An optimal transport between uniform weights, and its proof.

    ``cost`` is the mean cost; ``u`` (n,) and ``v`` (m,) are feasible prices, ``u_i + v_j <= cost_ij``, whose total
    is below every transport's cost; ``gap`` is how far below, relative to the cost.
    """

    cost: float
    u: Array
    v: Array
    gap: float


def choose_solver(metric: str, solver: Choice, n: int, m: int, d: int) -> Solver:
    """Choose the faster exact solver for n x m costs of d-dimensional samples, unless the caller has.

    Raises
    ------
    UsageError
        If an assignment or an auction is asked for of sets of unequal size, or an auction without numba.
    """
    if solver in ("assignment", "auction") and n != m:
        raise UsageError(
            f"{metric}: equal sizes expected for solver '{solver}', got {n} and {m}; use 'auto' or 'simplex'."
        )
    if solver == "auction" and not auction_available():
        raise UsageError(f"{metric}: numba expected for solver 'auction', it is not installed; pip install numba.")
    if solver != "auto":
        return solver
    least = PLAIN_SAMPLES if metric == "w1" and d <= SIMPLEX_DIMENSIONS else AUCTION_SAMPLES
    if n == m > least and auction_available():
        return "auction"
    return "simplex" if n != m or d <= SIMPLEX_DIMENSIONS else "assignment"


def auction_available() -> bool:
    """Return whether numba, which compiles the auction, is installed."""
    return importlib.util.find_spec("numba") is not None


def cost_to_transport(
    cost: Array,
    *,
    solver: Literal["simplex", "assignment"] = "simplex",
    max_iterations: int = MAX_ITERATIONS,
    scale: float = 0.0,
) -> Transport:
    """Solve and certify the transport problem between uniform weights.

    Parameters
    ----------
    cost : (n, m) float64 array
        Finite and not negative.
    solver : {"simplex", "assignment"}
        The second one for n = m.
    max_iterations : int
        Of the network simplex.
    scale : float
        Size of what the answer is added to, below whose rounding a gap says nothing; see Notes.

    Returns
    -------
    Transport

    Raises
    ------
    SampleError
        If a cost is not finite (the solver would crash the process) or negative.
    ConvergenceError
        If the solver reports anything but optimality, the plan does not carry the weights, or the certificate fails.

    Notes
    -----
    The gap is relative to the optimal cost, or to 1e-6 of the mean cost where that is larger: prices are of the order
    of the mean cost, so that their rounding would else drown the optimum of two nearly equal sets. Costs that were
    reduced by prices may be nothing but their rounding; ``scale`` is then that of the costs before.
    """
    if not np.isfinite(cost).all() or cost.min() < 0:
        raise SampleError("transport: finite costs >= 0 expected, got NaN, infinity or a negative cost.")
    total, u, v = _assignment(cost) if solver == "assignment" else _simplex(cost, max_iterations)
    v = v + np.minimum(least_in_columns(cost, -u) - v, 0.0)
    return Transport(total, u, v, check_gap(total, u, v, max(scale, gap_scale(total, cost))))


def check_gap(total: float, u: Array, v: Array, scale: float) -> float:
    """Return how far the total of feasible prices is below a mean cost, relative to ``scale``.

    Raises
    ------
    ConvergenceError
        If that proves nothing: a gap not in (`MIN_GAP`, `MAX_GAP`).
    """
    gap = (total - float(u.mean() + v.mean())) / scale if scale > 0 else 0.0
    if not MIN_GAP < gap < MAX_GAP:
        raise ConvergenceError(
            f"transport: a relative duality gap in ({MIN_GAP}, {MAX_GAP}) expected, got {gap:.3g} on {len(u)} x "
            f"{len(v)} costs; scale the features to similar sizes, or pass a smaller n."
        )
    return gap


def gap_scale(total: float, cost: Array) -> float:
    """Return what a duality gap is relative to: the optimal cost, or a small part of the mean cost."""
    return max(total, 1e-6 * float(cost.mean()))


def _assignment(cost: Array) -> tuple[float, Array, Array]:
    """Return the mean cost of the best assignment, and its prices."""
    columns = cost_to_assignment(cost)
    if len(np.unique(columns)) < len(cost):
        raise ConvergenceError("transport: a plan that carries all weight expected, a sample was assigned twice.")
    u, v = assignment_to_prices(cost, columns)
    return float(cost[np.arange(len(cost)), columns].mean()), u, v


def _simplex(cost: Array, max_iterations: int) -> tuple[float, Array, Array]:
    """Return the cost of the network simplex's plan, and its prices."""
    import ot

    n, m = cost.shape
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    # The solver takes differences below 1e-15 for none, whatever the costs: small ones are scaled up, which is exact.
    mean = float(cost.mean())
    power = 1 - math.frexp(mean)[1] if 0 < mean < 1 else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the status below says the same, and is looked at
        scaled = np.ldexp(cost, power) if power else cost
        plan, log = ot.emd(a, b, scaled, numItermax=max_iterations, log=True, numThreads=1)
    if log["warning"] is not None or log["result_code"] != 1:
        raise ConvergenceError(
            f"transport: an optimal plan expected, the solver reports {log['warning']!r} (code {log['result_code']}) "
            f"on {n} x {m} costs; pass a smaller n."
        )
    missing = max(np.abs(plan.sum(axis=1) - a).max() * n, np.abs(plan.sum(axis=0) - b).max() * m)
    if not missing < MAX_GAP:
        raise ConvergenceError(
            f"transport: a plan that carries all weight expected, a sample lacks {missing:.2g} of its."
        )
    u, v = (np.ldexp(np.asarray(log[side], np.float64), -power) for side in ("u", "v"))
    return float((plan * cost).sum()), u, v
