import numpy as np
import ot
import pytest
from scipy.optimize import linear_sum_assignment

from genbench.errors import ConvergenceError, SampleError, UsageError
from genbench.metrics.features import Features
from genbench.metrics.solvers import cost_to_transport
from genbench.metrics.transport import (
    disjoint_halves,
    samples_to_cost,
    signed_root,
    transport_to_replicates,
    wasserstein,
)
from genbench.stats.jackknife import deletions


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def cost_of(a, b, p):
    return samples_to_cost(Features(a).values, Features(b).values, p)


def distance(a, b, p):
    return wasserstein(generated=a, reference=b, p=p).value


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("d", [2, 16])
def test_agrees_with_an_exact_assignment(p, d):
    a, b = normal(150, d, 1), normal(150, d, 2) + 0.3
    cost = np.linalg.norm(a[:, None] - b[None], axis=2) ** p
    exact = cost[linear_sum_assignment(cost)].mean() ** (1 / p)
    assert distance(a, b, p) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("p", [1, 2])
def test_one_dimension_is_sorted_differences(p):
    a, b = normal(100, 1, 1), 2 * normal(100, 1, 2)
    exact = (np.abs(np.sort(a[:, 0]) - np.sort(b[:, 0])) ** p).mean() ** (1 / p)
    assert distance(a, b, p) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("p", [1, 2])
def test_translation_is_the_distance_moved(p):
    x, shift = normal(80, 5), np.array([[3.0, 0.0, -4.0, 0.0, 0.0]])
    assert distance(x + shift, x, p) == pytest.approx(5.0, rel=1e-10)


@pytest.mark.parametrize("p", [1, 2])
def test_permuted_copy_is_at_distance_zero(p):
    x = normal(80, 3)
    assert distance(np.random.default_rng(1).permutation(x), x, p) == 0.0


def test_equal_points_are_at_distance_zero():
    assert distance(np.ones((30, 2)), np.ones((20, 2)), 2) == 0.0


def test_nearly_equal_sets_are_solved_and_not_refused():
    """Prices are of the order of the spacing, 1e8 times the cost here; their rounding must not fail the certificate."""
    x = normal(100, 3)
    assert distance(x + 1e-9, x, 2) == pytest.approx(1e-9 * 3**0.5, rel=1e-6)


@pytest.mark.parametrize("p", [1, 2])
def test_unequal_sizes_agree_with_repeated_samples(p):
    a, b = normal(30, 3, 1), normal(60, 3, 2)
    assert distance(a, b, p) == pytest.approx(distance(np.vstack([a, a]), b, p), rel=1e-10)


def test_far_points_move_the_surplus_mass():
    """Weights 3/4 and 1/4 against 1/2 and 1/2 on two points 100 apart: a quarter moves by 100."""
    a, b = np.array([[0.0], [0.0], [0.0], [100.0]]), np.array([[0.0], [0.0], [100.0], [100.0]])
    assert distance(a, b, 1) == pytest.approx(25.0, rel=1e-12)
    assert distance(a, b, 2) == pytest.approx(50.0, rel=1e-12)


def test_w1_obeys_the_triangle_inequality_and_is_below_w2():
    a, b, c = (normal(60, 4, seed) * (1 + seed) for seed in range(3))
    assert distance(a, c, 1) <= distance(a, b, 1) + distance(b, c, 1) + 1e-12
    assert distance(a, c, 1) <= distance(a, c, 2)


def test_certificate_is_tight_on_the_answer():
    solved = cost_to_transport(cost_of(normal(100, 4, 1), normal(120, 4, 2), 2))
    assert -1e-10 < solved.gap < 1e-9


def test_iteration_cap_is_an_error_and_no_number():
    with pytest.raises(ConvergenceError, match="optimal plan expected"):
        cost_to_transport(cost_of(normal(100, 4, 1), normal(100, 4, 2), 2), max_iterations=5)


def test_plan_that_is_not_optimal_is_caught_by_the_certificate(monkeypatch):
    """A solver that claims success for the identity plan, with prices that are honest for the true one."""
    honest = ot.emd

    def boast(a, b, cost, **options):
        _, log = honest(a, b, cost, **options)
        return np.diag(a), log

    monkeypatch.setattr(ot, "emd", boast)
    with pytest.raises(ConvergenceError, match="duality gap"):
        cost_to_transport(cost_of(normal(50, 4, 1), normal(50, 4, 2), 2))


def test_prices_that_are_too_high_prove_nothing(monkeypatch):
    """The identity plan again, with prices raised until their total equals its cost: they are no longer feasible."""
    honest = ot.emd

    def bluff(a, b, cost, **options):
        _, log = honest(a, b, cost, **options)
        missing = a @ cost.diagonal() - (a @ log["u"] + b @ log["v"])
        return np.diag(a), {**log, "v": log["v"] + missing}

    monkeypatch.setattr(ot, "emd", bluff)
    with pytest.raises(ConvergenceError, match="duality gap"):
        cost_to_transport(cost_of(normal(50, 4, 1), normal(50, 4, 2), 2))


def test_plan_that_loses_mass_is_caught(monkeypatch):
    """An all-zero plan costs nothing and would pass for a perfect score."""
    honest = ot.emd

    def lose(a, b, cost, **options):
        plan, log = honest(a, b, cost, **options)
        return plan * 0, log

    monkeypatch.setattr(ot, "emd", lose)
    with pytest.raises(ConvergenceError, match="carries all weight"):
        cost_to_transport(cost_of(normal(50, 4, 1), normal(50, 4, 2), 2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_cost_that_is_no_cost_is_refused_before_the_solver(bad):
    cost = np.ones((4, 4))
    cost[1, 2] = bad
    with pytest.raises(SampleError, match="finite costs"):
        cost_to_transport(cost)


def test_too_large_a_problem_is_refused_with_the_n_that_fits():
    with pytest.raises(SampleError, match=r"w2: .* smaller n, such as 10"):
        wasserstein(generated=normal(11, 2), reference=normal(10, 2), p=2, max_bytes=800)


def test_larger_problem_is_subsampled_where_that_is_asked_for():
    """Of 60 x 50 samples, 20 x 20 fit into 3,200 bytes; they are scored as if they were all there is."""
    a, b = normal(60, 3, 1), normal(50, 3, 2)
    estimate = wasserstein(generated=a, reference=b, p=2, max_bytes=3200, on_budget="subsample")
    rows = [disjoint_halves(n, 20)[0] for n in (60, 50)]
    alone = wasserstein(generated=a[rows[0]], reference=b[rows[1]], p=2)
    assert estimate.extra["n_solved"] == 20
    assert "random samples of 20 from 60 generated and 50 reference" in estimate.notes[0]
    assert (estimate.value, estimate.low, estimate.high) == (alone.value, alone.low, alone.high)
    assert "n_solved" not in wasserstein(generated=a, reference=b, p=2, on_budget="subsample").extra


@pytest.mark.parametrize("solver", ["simplex", "assignment", "auction"])
def test_solvers_give_one_estimate_and_are_named_in_it(solver):
    a, b = normal(80, 6, 1), normal(80, 6, 2) + 0.3
    auto, named = (wasserstein(generated=a, reference=b, p=2, solver=choice) for choice in ("auto", solver))
    for part in ("value", "debiased", "std_error", "low", "high"):
        assert getattr(named, part) == pytest.approx(getattr(auto, part), rel=1e-9)
    assert solver in named.notes[0]


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(UsageError, match=r"w2: solver must be one of auto, simplex, assignment, auction, got 'fast'"):
        wasserstein(generated=normal(9, 2), reference=normal(9, 2), p=2, solver="fast")
    with pytest.raises(UsageError, match=r"w2: on_budget must be one of error, subsample"):
        wasserstein(generated=normal(9, 2), reference=normal(9, 2), p=2, on_budget="guess")


def test_unlike_widths_are_refused():
    with pytest.raises(SampleError, match=r"w1: .* equal width"):
        wasserstein(generated=normal(10, 3), reference=normal(10, 4), p=1)


@pytest.mark.parametrize("m", [100, 130])
def test_replicates_are_the_problems_without_each_group(m):
    cost = cost_of(normal(100, 6, 1), normal(m, 6, 2), 2)
    direct = [cost_to_transport(np.ascontiguousarray(cost[np.ix_(a, b)])).cost for a, b in deletions(100, m)]
    assert transport_to_replicates(cost, cost_to_transport(cost)) == pytest.approx(direct, rel=1e-10)


@pytest.mark.parametrize(("shift", "scale"), [(1.0, 1.0), (1.0, 1.5), (0.0, 0.6), (0.0, 1.0)])
def test_interval_encloses_the_truth_where_the_plug_in_is_far_off(shift, scale):
    """N(shift e_1, scale^2) and N(0, 1) in d = 8: W2^2 = shift^2 + 8 (scale - 1)^2; n = 100, and 100 pairs.

    At a coverage of 95%, fewer than 90 have probability 1.1% (the seeds are fixed). The plug-in is far above.
    """
    truth = (shift**2 + 8 * (scale - 1) ** 2) ** 0.5
    enclosed, plug_in_far = 0, 0
    for seed in range(100):
        generated = scale * normal(100, 8, 2 * seed)
        generated[:, 0] += shift
        estimate = wasserstein(generated=generated, reference=normal(100, 8, 2 * seed + 1), p=2)
        enclosed += estimate.low <= truth <= estimate.high
        plug_in_far += estimate.value > truth + 2 * estimate.std_error
    assert enclosed >= 90
    assert plug_in_far == 100


def test_debiased_value_is_unbiased_under_the_null():
    """The signed squares of 40 null values have mean 0: within 4 standard errors (6e-5 false failures); plug-in 3.9."""
    squares = []
    for seed in range(40):
        estimate = wasserstein(generated=normal(60, 8, 2 * seed), reference=normal(60, 8, 2 * seed + 1), p=2)
        squares.append(np.sign(estimate.debiased) * estimate.debiased**2)
    assert abs(np.mean(squares)) < 4 * np.std(squares, ddof=1) / 40**0.5 < 1.0
    assert min(squares) < 0


def test_one_sided_values_are_enclosed_by_the_interval():
    estimate = wasserstein(generated=2 * normal(60, 4, 1), reference=normal(60, 4, 2), p=2)
    assert estimate.low < estimate.extra["one_sided_low"] <= estimate.best <= estimate.extra["one_sided_high"]
    assert estimate.extra["one_sided_high"] < estimate.high


def test_single_samples_have_a_distance_and_no_interval():
    estimate = wasserstein(generated=[[0.0, 0.0]], reference=[[3.0, 4.0]], p=2)
    assert estimate.value == 5.0
    assert estimate.debiased is None


def test_signed_root_keeps_the_sign():
    assert signed_root(-9.0, 2) == -3.0
    assert signed_root(0.0, 2) == 0.0
