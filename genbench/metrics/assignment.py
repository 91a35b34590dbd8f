"""Optimal assignments and the prices that prove them, ladder: cost -> assignment -> prices."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]
Columns = NDArray[np.int64]

BLOCK = 2**20
"""Costs that are gone through at a time."""


def solver_name() -> str:
    """Name the package whose solver is used: ``lapx`` where it is installed, else ``scipy``."""
    return "scipy" if importlib.util.find_spec("lap") is None else "lapx"


def cost_to_assignment(cost: Array) -> Columns:
    """Assign every row its own column at the smallest total cost.

    Parameters
    ----------
    cost : (n, n) float64 array
        Finite.

    Returns
    -------
    (n,) int64 array
        The column of each row.

    Notes
    -----
    O(n^3) at worst and about n^2.5 in practice. `genbench.metrics.transport.cost_to_transport` checks the answer.

    References
    ----------
    Jonker and Volgenant 1987, by lapx where it is installed; Crouse 2016, by scipy.
    """
    if solver_name() == "lapx":
        _, columns, _ = importlib.import_module("lap").lapjv(np.ascontiguousarray(cost))
    else:
        _, columns = linear_sum_assignment(cost)
    return np.asarray(columns, dtype=np.int64)


def assignment_to_prices(cost: Array, columns: Columns) -> tuple[Array, Array]:
    """Find prices that prove an optimal assignment: u_i + v_j <= cost_ij, with equality on what is assigned.

    Parameters
    ----------
    cost : (n, n) float64 array
    columns : (n,) int64 array
        An optimal assignment. For another one no such prices exist, and those returned break the inequality.

    Returns
    -------
    u, v : (n,) float64 arrays

    Notes
    -----
    Equality gives u_i = cost_is - v_s with s the column of i; the inequality is then v_j <= v_s + (cost_ij - cost_is),
    which shortest paths from anywhere obey, over edges from s to j of the length in brackets. There is a
    cycle of negative length exactly if the assignment is not optimal. Bellman and Ford's passes, O(n^2) each, stop
    after n at the latest, or where no price falls by more than 1e-14 of the largest cost: some tens in practice.
    """
    n = len(cost)
    assigned = cost[np.arange(n), columns]
    v: Array = least_in_columns(cost, -assigned)
    for _ in range(n):
        shorter = least_in_columns(cost, v[columns] - assigned)
        fall = float((v - shorter).max())
        np.minimum(v, shorter, out=v)
        if fall <= 1e-14 * float(assigned.max()):
            break
    return assigned - v[columns], v


def least_in_columns(cost: Array, shift: Array) -> Array:
    """Return the least of each column of ``cost + shift[:, None]``, without a second matrix of its size: (m,)."""
    step = max(1, BLOCK // cost.shape[1])
    starts = range(0, len(cost), step)
    least = [(cost[s : s + step] + shift[s : s + step, None]).min(axis=0) for s in starts]
    return np.asarray(np.min(least, axis=0), dtype=np.float64)
