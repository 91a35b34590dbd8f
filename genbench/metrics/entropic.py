"""Entropic optimal transport in float64, on any device, ladder: cost -> potentials -> value."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genbench.errors import ConvergenceError
from genbench.metrics.distances import row_blocks

MAX_MARGINAL_ERROR = 1e-6
STAGE_ERROR = 1e-3
MAX_RELAXATION = 1.95
MAX_LOG_SCALING = 50.0
STEPS = 19
MAX_ROUNDS = 2500
"""A round is as many over-relaxed steps, and a plain one, before the error is looked at."""


def regularized_transport(
    cost: Tensor, epsilon: float, a: Tensor, b: Tensor, *, symmetric: bool = False
) -> tuple[Tensor, float]:
    """Solve entropic transport between several pairs of weights on the same samples.

    Parameters
    ----------
    cost : (n, m) float64 tensor
        Not negative.
    epsilon : float
        > 0.
    a, b : (n, B), (m, B) float64 tensors
        Columns sum to 1; those of the first column are positive. B problems; the first one's potentials start the
        others.
    symmetric : bool
        Whether cost is symmetric and a equals b, which allows for a faster iteration.

    Returns
    -------
    values : (B,) float64 tensor
        The dual's value, <a, f> + <b, g> - epsilon (sum P - 1): never above the optimum.
    missing : float
        Largest sum of absolute deviations of a plan's row sums from ``a``.

    Raises
    ------
    ConvergenceError
        If a sum stays off by more than 1e-6.
    """
    # Prices of the unregularized problem that are tight in every row and column: no row of the kernel underflows.
    f = cost.min(dim=1).values[:, None]
    g = f if symmetric else _least_in_columns(cost, f)[:, None]
    stronger = float(cost.mean())
    while stronger > 2 * epsilon:
        # Down to epsilon by fours: each stage starts from the last one's potentials, which spares thousands of steps.
        f, g, _ = _Problem(cost, stronger, a[:, :1], b[:, :1], symmetric).solve(f, g, STAGE_ERROR)
        stronger /= 4
    values, missing = [], 0.0
    for part in (slice(0, 1), slice(1, None)):
        if a[:, part].shape[1]:
            problem = _Problem(cost, epsilon, a[:, part], b[:, part], symmetric)
            f, g, error = problem.solve(f, g)
            values.append(problem.value(f, g))
            missing = max(missing, error)
    return torch.cat(values), missing


class _Problem:
    """Entropic transport problems that share a cost, solved by stabilized Sinkhorn iterations.

    A step solves for one side's potentials with the other's held fixed. Where one set is moved to itself, a step goes
    half of the way, which halves the error each time (Feydy et al. 2019, eq. 25). Else steps go beyond their goal by
    the factor that is best for the rate observed, 2/(1 + sqrt(1 - rate)), as in successive over-relaxation (Thibault
    et al. 2017, arXiv:1711.01851): outliers would else take ten thousands of steps.
    """

    def __init__(self, cost: Tensor, epsilon: float, a: Tensor, b: Tensor, symmetric: bool) -> None:
        self._cost, self._epsilon, self._a, self._b, self._symmetric = cost, epsilon, a, b, symmetric

    def solve(self, f: Tensor, g: Tensor, tolerance: float = MAX_MARGINAL_ERROR) -> tuple[Tensor, Tensor, float]:
        """Iterate from potentials (n, 1), (m, 1) to those of each problem, (n, B), (m, B), and their error."""
        kernel = self._kernel(f, g)
        u, v = torch.zeros_like(self._a), torch.zeros_like(self._b)  # Logarithms of the scalings.
        errors, beyond = [np.inf], 1.0
        for _ in range(MAX_ROUNDS):
            before = u, v
            for _ in range(STEPS):
                u, v = self._step(kernel, u, v, beyond)
            u, v = self._step(kernel, u, v, 1.0)
            errors.append(self._missing(kernel, u, v))
            if beyond > 1 and not errors[-1] < errors[-2]:
                # Going too far did harm: take the round back, and do it again with plain steps, which never diverge.
                (u, v), beyond = before, 1.0
                errors.pop()
                continue
            if not np.isfinite(errors[-1]):
                break
            if errors[-1] < tolerance:
                return f + self._epsilon * u, g + self._epsilon * v, errors[-1]
            beyond = _relaxation(beyond, errors[-1] / errors[-2])
            if self._a.shape[1] == 1 and float(torch.cat([u, v]).abs().max()) > MAX_LOG_SCALING:
                f, g = f + self._epsilon * u, g + self._epsilon * v
                del kernel  # before the next one takes its memory
                kernel, u, v = self._kernel(f, g), torch.zeros_like(u), torch.zeros_like(v)
        raise ConvergenceError(
            f"sinkhorn: a marginal error below {tolerance} expected, got {errors[-1]:.2g} after "
            f"{MAX_ROUNDS * (STEPS + 1)} iterations; pass a larger epsilon."
        )

    def _step(self, kernel: Tensor, u: Tensor, v: Tensor, beyond: float) -> tuple[Tensor, Tensor]:
        if self._symmetric:
            u = (u - (kernel @ (self._a * u.exp())).log()) / 2
            return u, u
        u = (1 - beyond) * u - beyond * (kernel @ (self._b * v.exp())).log()
        return u, (1 - beyond) * v - beyond * (kernel.T @ (self._a * u.exp())).log()

    def _missing(self, kernel: Tensor, u: Tensor, v: Tensor) -> float:
        sums = self._a * u.exp() * (kernel @ (self._b * v.exp()))
        return float((sums - self._a).abs().sum(dim=0).max())

    def _kernel(self, f: Tensor, g: Tensor) -> Tensor:
        return (f + g.T).sub_(self._cost).div_(self._epsilon).exp_()

    def value(self, f: Tensor, g: Tensor) -> Tensor:
        """Return the dual's value for potentials whose plans have a total of 1, to the square of their error."""
        return (self._a * f).sum(dim=0) + (self._b * g).sum(dim=0)


def _least_in_columns(cost: Tensor, f: Tensor) -> Tensor:
    """Return the least of each column of ``cost - f``, without a second matrix of its size: (m,)."""
    rows = row_blocks(len(cost), cost.shape[1])
    return torch.stack([(cost[part] - f[part]).amin(dim=0) for part in rows]).amin(dim=0)


def _relaxation(beyond: float, ratio: float) -> float:
    """Choose how far the next round's steps go, from how the error changed over the last one."""
    if not ratio < 1:
        return 1.0
    rate = ratio ** (1 / (STEPS + 1))
    if beyond > 1:
        # Over-relaxed, the slowest part of the error has rate^2 -> (rate + w - 1)^2 / (w^2 rate), Young's relation.
        rate = min(rate, 1.0)
        rate = (rate + beyond - 1) ** 2 / (beyond**2 * rate)
    best: float = 2 / (1 + (1 - min(rate, 1.0)) ** 0.5)
    return min(best, MAX_RELAXATION)
