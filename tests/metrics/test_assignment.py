import importlib.util
import itertools

import numpy as np
import pytest

from genbench.errors import ConvergenceError, UsageError
from genbench.metrics import assignment
from genbench.metrics.assignment import assignment_to_prices, cost_to_assignment, solver_name
from genbench.metrics.solvers import choose_solver, cost_to_transport


def costs(n, d=6, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, d)), rng.standard_normal((n, d)) + 0.3
    return ((a[:, None] - b[None]) ** 2).sum(axis=2)


def test_agrees_with_all_assignments_tried_one_by_one():
    cost = costs(6)
    best = min(cost[np.arange(6), list(order)].sum() for order in itertools.permutations(range(6)))
    assert cost[np.arange(6), cost_to_assignment(cost)].sum() == pytest.approx(best, rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 150])
@pytest.mark.parametrize("ties", [False, True])
def test_prices_are_feasible_and_tight_on_the_assignment(n, ties):
    """Prices are sums of at most n costs of size c, each rounded: 1e-12 c is above n u c for n = 150."""
    cost = np.round(costs(n)) if ties else costs(n)
    columns = cost_to_assignment(cost)
    u, v = assignment_to_prices(cost, columns)
    slack = cost - u[:, None] - v[None, :]
    assert slack.min() > -1e-12 * cost.max()
    assert np.abs(slack[np.arange(n), columns]).max() < 1e-12 * cost.max()


@pytest.mark.parametrize("d", [2, 16])
def test_certified_cost_is_that_of_the_network_simplex(d):
    cost = costs(120, d)
    solved, other = (cost_to_transport(cost, solver=solver) for solver in ("assignment", "simplex"))
    assert solved.cost == pytest.approx(other.cost, rel=1e-12)
    assert -1e-10 < solved.gap < 1e-9
    assert (solved.u[:, None] + solved.v[None, :] <= cost + 1e-12).all()


def test_assignment_that_is_not_optimal_is_caught_by_the_certificate(monkeypatch):
    monkeypatch.setattr("genbench.metrics.solvers.cost_to_assignment", lambda cost: np.arange(len(cost)))
    with pytest.raises(ConvergenceError, match="duality gap"):
        cost_to_transport(costs(40), solver="assignment")


def test_column_that_is_used_twice_is_caught(monkeypatch):
    monkeypatch.setattr("genbench.metrics.solvers.cost_to_assignment", lambda cost: np.zeros(len(cost), dtype=int))
    with pytest.raises(ConvergenceError, match="assigned twice"):
        cost_to_transport(costs(40), solver="assignment")


@pytest.mark.parametrize(
    ("solver", "sizes", "d", "chosen"),
    [
        ("auto", (50, 50), 4, "simplex"),
        ("auto", (50, 50), 5, "assignment"),
        ("auto", (50, 51), 5, "simplex"),
        ("simplex", (50, 50), 5, "simplex"),
        ("assignment", (50, 50), 2, "assignment"),
    ],
)
def test_solver_follows_size_and_dimension_unless_it_is_named(solver, sizes, d, chosen):
    assert choose_solver("w2", solver, *sizes, d) == chosen


def test_assignment_of_unequal_sizes_is_refused():
    with pytest.raises(UsageError, match="w1: equal sizes expected"):
        choose_solver("w1", "assignment", 50, 51, 8)


def test_optional_solver_is_called_only_where_it_is_installed(monkeypatch):
    """A stand-in of lapx that answers with the columns of scipy, and says that it was asked."""
    asked = []

    class Stand:
        @staticmethod
        def lapjv(cost):
            asked.append(cost.shape)
            _, columns = assignment.linear_sum_assignment(cost)
            return 0.0, columns.astype(np.int32), np.argsort(columns)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert solver_name() == "scipy"
    expected = cost_to_assignment(costs(30))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(importlib, "import_module", lambda name: Stand)
    assert solver_name() == "lapx"
    assert (cost_to_assignment(costs(30)) == expected).all()
    assert asked == [(30, 30)]
