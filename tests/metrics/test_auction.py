"""The auction against POT's network simplex and scipy's assignment, on points that are hard for one or the other.

Tolerance: the last step is 1e-15 of the costs' spread plus 2^-51 of their mean, and the mean cost is within it of the
optimum; sums of n = 400 costs add 400 u = 5e-14. All of it is below 1e-12 of the optimum where that is not
far below the spread, and below 1e-12 of the spread always.
"""

import importlib.util

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from genbench.errors import ConvergenceError, SampleError, UsageError
from genbench.metrics import auction
from genbench.metrics.auction import Auction, box_order
from genbench.metrics.features import Features
from genbench.metrics.solvers import choose_solver, cost_to_transport
from genbench.metrics.transport import samples_to_cost, wasserstein
from genbench.stats.jackknife import deletions

numba = pytest.importorskip("numba")


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def pair_of(kind, n=300):
    """Two sets of n points each."""
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, n, 6))
    centres = 5 * rng.standard_normal((4, 6))
    return {
        "plane": (x[:, :2], 1.5 * y[:, :2] + 0.3),
        "wide": (x, 4 * y - 1),
        "clusters": (0.01 * x + centres[rng.integers(4, size=n)], 0.01 * y + centres[rng.integers(3, size=n)]),
        "duplicates": (np.repeat(x[: n // 20], 20, axis=0), np.repeat(y[: n // 10], 10, axis=0)),
        "line": (x[:, :1], 1.3 * y[:, :1] + 0.2),
        "collinear": (x[:, :1] * np.ones((1, 6)), (1.3 * y[:, :1] + 0.2) * np.ones((1, 6))),
        "grid": (np.round(2 * x[:, :2]), np.round(2 * y[:, :2])),
        "lattice": (np.round(x), np.round(y)),
        "one point": (np.ones((n, 3)), np.ones((n, 3))),
        "two points": (np.ones((n, 6)), np.zeros((n, 6))),
        "copy": (x, rng.permutation(x)),
        "nearly a copy": (x + 1e-9, rng.permutation(x)),
        "offset": (1e6 + x, 1e6 + y),
        "far apart": (x, y + 1e4),
        "outlier": (np.vstack([x[1:], [[1e5] * 6]]), y),
    }[kind]


KINDS = [
    "plane",
    "wide",
    "clusters",
    "duplicates",
    "line",
    "collinear",
    "grid",
    "lattice",
    "one point",
    "two points",
    "copy",
    "nearly a copy",
    "offset",
    "far apart",
    "outlier",
]


def solve(x, y, p):
    return Auction(Features(x).values, Features(y).values, p).solve()


def cost_of(x, y, p):
    return samples_to_cost(Features(x).values, Features(y).values, p)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_an_exact_assignment(kind, p):
    x, y = pair_of(kind)
    cost = cost_of(x, y, p)
    rows, columns = linear_sum_assignment(cost)
    assert solve(x, y, p).cost == pytest.approx(cost[rows, columns].mean(), rel=1e-12, abs=1e-12 * cost.std())


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("d", [2, 40])
def test_agrees_with_the_network_simplex(d, p):
    x, y = normal(400, d, 1), 1.2 * normal(400, d, 2) + 0.3
    exact = ot.emd2([], [], cost_of(x, y, p), numItermax=10**8)
    assert solve(x, y, p).cost == pytest.approx(exact, rel=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 60), st.integers(1, 7), st.integers(0, 4), st.sampled_from([1, 2]), st.integers(0, 10**6))
def test_agrees_on_small_lattices_full_of_ties(n, d, side, p, seed):
    x, y = np.random.default_rng(seed).integers(0, side + 1, size=(2, n, d)).astype(float)
    cost = cost_of(x, y, p)
    exact = cost[linear_sum_assignment(cost)].mean()
    assert solve(x, y, p).cost == pytest.approx(exact, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e12, 1e28])
def test_scale_of_the_samples_only_scales_the_cost(scale):
    """The exponent is taken out, so that only the scaling of the samples itself rounds: 2 (d + 2) u < 1e-14."""
    x, y = pair_of("wide")
    assert solve(scale * x, scale * y, 2).cost == pytest.approx(scale**2 * solve(x, y, 2).cost, rel=1e-13)


@pytest.mark.parametrize("kind", ["plane", "wide", "lattice"])
@pytest.mark.parametrize("p", [1, 2])
def test_prices_are_feasible_for_all_pairs_and_prove_the_cost(kind, p):
    x, y = pair_of(kind)
    cost, solved = cost_of(x, y, p), solve(x, y, p)
    assert (cost - solved.u[:, None] - solved.v[None, :]).min() > -1e-13 * cost.max()
    assert solved.u.mean() + solved.v.mean() == pytest.approx(solved.cost, rel=1e-12)
    assert -1e-10 < solved.gap < 1e-12


@pytest.mark.parametrize("d", [2, 6])
def test_assignment_that_is_not_optimal_is_refused(monkeypatch, d):
    """Two samples swap what they hold after the last bid; the prices are those of the optimum."""
    from genbench.metrics import auction_kernels

    honest = auction_kernels.bid

    def swap(ground, state, rows, first, last, budget):
        done = honest(ground, state, rows, first, last, budget)
        state.held[[0, 150]] = state.held[[150, 0]]
        return done

    monkeypatch.setattr(auction_kernels, "bid", swap)
    with pytest.raises(ConvergenceError, match="duality gap"):
        solve(normal(300, d, 1), normal(300, d, 2), 2)


@pytest.mark.parametrize("d", [2, 6])
def test_bids_that_stay_coarse_are_refused(monkeypatch, d):
    """Steps of a hundredth of the spread leave assignments that far from the optimum, and prices that say so."""
    monkeypatch.setattr(auction, "LAST_STEP", 0.01)
    with pytest.raises(ConvergenceError, match="duality gap"):
        solve(normal(300, d, 1), normal(300, d, 2), 2)


@pytest.mark.parametrize("d", [2, 6])
def test_certificate_looks_beyond_the_lists(monkeypatch, d):
    """Another assignment with lists that hold nothing better and claim to be whole: new lists find what is better."""
    from genbench.metrics import auction_kernels

    honest = auction_kernels.bid

    def conceal(ground, state, rows, first, last, budget):
        done = honest(ground, state, rows, first, last, budget)
        state.held[:] = np.roll(state.held, 1)
        state.columns[:] = state.held[:, None]
        state.costs[:] = 1e3
        state.limits[:] = np.inf
        return done

    monkeypatch.setattr(auction_kernels, "bid", conceal)
    with pytest.raises(ConvergenceError, match="duality gap"):
        solve(normal(300, d, 1), normal(300, d, 2), 2)


def test_sample_that_is_assigned_twice_is_refused(monkeypatch):
    from genbench.metrics import auction_kernels

    def twice(ground, state, rows, first, last, budget):
        state.held[:] = 0
        return True

    monkeypatch.setattr(auction_kernels, "bid", twice)
    with pytest.raises(ConvergenceError, match="assigned twice"):
        solve(normal(50, 6, 1), normal(50, 6, 2), 2)


@pytest.mark.parametrize("d", [2, 6])
@pytest.mark.parametrize("p", [1, 2])
def test_replicates_are_the_problems_without_each_group(d, p):
    x, y = normal(200, d, 1), normal(200, d, 2) + 0.3
    problem = Auction(Features(x).values, Features(y).values, p)
    problem.solve()
    direct = [cost_to_transport(cost_of(x[rows], y[columns], p)).cost for rows, columns in deletions(200, 200)]
    assert problem.without(deletions(200, 200)) == pytest.approx(direct, rel=1e-12)


def test_threads_and_repetition_change_no_bit(monkeypatch):
    x, y = (Features(normal(200, 6, seed)).values for seed in (1, 2))
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        problem = Auction(x, y, 2)
        found.append((problem.solve().cost, problem.without(deletions(200, 200))))
    assert found[0] == found[1]


def test_bids_that_run_out_are_an_error_and_no_number(monkeypatch):
    monkeypatch.setattr(auction, "MAX_BIDS", 1)
    with pytest.raises(ConvergenceError, match=r"assignment within 80 bids expected"):
        solve(normal(80, 3, 1), normal(80, 3, 2), 2)


def test_another_solver_takes_over_where_none_was_named(monkeypatch):
    x, y = normal(520, 6, 1), normal(520, 6, 2)
    estimate = wasserstein(generated=x, reference=y, p=2)
    assert "solver: auction" in estimate.notes
    monkeypatch.setattr(auction, "MAX_BIDS", 1)
    other = wasserstein(generated=x, reference=y, p=2)
    assert "solver: network simplex of POT" in other.notes
    for part in ("value", "debiased", "std_error", "low", "high"):
        assert getattr(other, part) == pytest.approx(getattr(estimate, part), rel=1e-9)
    with pytest.raises(ConvergenceError, match="bids"):
        wasserstein(generated=x, reference=y, p=2, solver="auction")


def test_larger_sets_are_auctioned_and_smaller_or_unequal_ones_are_not():
    assert choose_solver("w2", "auto", 501, 501, 2) == choose_solver("w2", "auto", 501, 501, 64) == "auction"
    assert choose_solver("w2", "auto", 500, 500, 64) == "assignment"
    assert choose_solver("w2", "auto", 501, 502, 64) == "simplex"
    with pytest.raises(UsageError, match="equal sizes expected for solver 'auction', got 5 and 6"):
        choose_solver("w2", "auction", 5, 6, 2)


def test_nothing_of_it_is_used_where_numba_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert choose_solver("w2", "auto", 600, 600, 2) == "simplex"
    with pytest.raises(UsageError, match="numba expected"):
        choose_solver("w2", "auction", 600, 600, 2)


@pytest.mark.parametrize(("d", "solver"), [(2, "network simplex"), (6, "assignment")])
def test_collapsed_samples_go_to_another_solver(d, solver):
    """Ten samples repeated sixty times tie in every list."""
    estimate = wasserstein(generated=np.repeat(normal(10, d, 1), 60, axis=0), reference=normal(600, d, 2), p=2)
    assert f"solver: {solver}" in estimate.notes[0]


def test_memory_that_is_asked_for_is_that_of_the_solver():
    """600 x 600 costs take 2.88 MB, the auction's bounds 1.44 MB, and in the plane there are none."""
    wide, flat = (normal(600, d, 1) for d in (6, 2))
    estimate = wasserstein(generated=wide, reference=wide + 1, p=2, max_bytes=4 * 600**2)
    assert estimate.value == pytest.approx(6**0.5, rel=1e-12)
    with pytest.raises(SampleError, match="smaller n, such as 599"):
        wasserstein(generated=wide, reference=wide + 1, p=2, max_bytes=4 * 600**2 - 1)
    assert wasserstein(generated=flat, reference=flat + 1, p=2, max_bytes=1).value == pytest.approx(2**0.5, rel=1e-12)


def test_subsample_is_as_large_as_the_auction_allows():
    a, b = normal(700, 6, 1), normal(650, 6, 2)
    estimate = wasserstein(generated=a, reference=b, p=2, max_bytes=4 * 550**2, on_budget="subsample")
    assert estimate.extra["n_solved"] == 550
    assert "solver: auction" in estimate.notes


def test_order_of_boxes_is_a_permutation_that_keeps_neighbours_together():
    """Boxes of 32 of 1,024 points in the unit square have a diagonal of about 0.25; of random ones about 1.3."""
    points = np.random.default_rng(0).random((1024, 2))
    order = box_order(points)
    assert (np.sort(order) == np.arange(1024)).all()
    diagonals = np.linalg.norm(np.ptp(points[order].reshape(32, 32, 2), axis=1), axis=1)
    assert diagonals.max() < 0.5
