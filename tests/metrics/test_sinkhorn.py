import numpy as np
import ot
import pytest
import torch

from genbench.errors import ConvergenceError, SampleError, UsageError
from genbench.metrics.entropic import regularized_transport
from genbench.metrics.features import Features
from genbench.metrics.sinkhorn import median_epsilon, sinkhorn, squared_costs
from genbench.metrics.transport import wasserstein
from genbench.stats.jackknife import deletions


@pytest.fixture(autouse=True)
def one_thread():
    """Thousands of products of small matrices: threads would spend their time on waiting for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def divergence(a, b, epsilon=None):
    return sinkhorn(generated=a, reference=b, epsilon=epsilon).value


def uniform(n):
    return torch.full((n, 1), 1 / n, dtype=torch.float64)


def gaussian(d, shift, s, t, epsilon):
    """OT_eps of N(v, s^2 I) and N(0, t^2 I), Janati et al. 2020, theorem 1, with epsilon = 2 sigma^2."""
    half = epsilon / 2
    root = (4 * s**2 * t**2 + half**2) ** 0.5
    return shift**2 + d * (s**2 + t**2 - root + half * (1 - np.log(2 * half)) + half * np.log(root + half))


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 5.0])
def test_regularized_transport_is_that_of_pot(epsilon):
    """Both stop at marginal errors of 1e-6 or less, of which the dual's value shows the square."""
    a, b = torch.from_numpy(normal(40, 3, 1)), torch.from_numpy(normal(50, 3, 2) + 0.4)
    cost = squared_costs(a, b)
    value, missing = regularized_transport(cost, epsilon, uniform(40), uniform(50))
    theirs = ot.solve(cost.numpy(), reg=epsilon, reg_type="KL", method="sinkhorn_log", max_iter=100_000, tol=1e-10)
    assert float(value) == pytest.approx(theirs.value, rel=1e-8)
    assert missing < 1e-6


@pytest.mark.parametrize("epsilon", [0.05, 1.0, 50.0])
def test_symmetric_iteration_finds_what_the_general_one_does(epsilon):
    x = torch.from_numpy(normal(60, 3))
    general, _ = regularized_transport(squared_costs(x, x), epsilon, uniform(60), uniform(60))
    symmetric, _ = regularized_transport(squared_costs(x, x), epsilon, uniform(60), uniform(60), symmetric=True)
    assert float(symmetric) == pytest.approx(float(general), rel=1e-6)


def test_copies_in_another_order_are_at_divergence_zero_and_others_above():
    """The three transports are each known to 1e-8 of the mean cost, 6."""
    x = normal(80, 3)
    assert divergence(np.random.default_rng(1).permutation(x), x) < 1e-6
    for seed in range(20):
        assert divergence(normal(30, 3, seed), normal(40, 3, 100 + seed)) > 1e-3


def test_small_epsilon_tends_to_squared_w2():
    """S_eps is within eps 2 log n of W2^2, as no plan between n samples has a relative entropy above log n."""
    a, b = normal(30, 2, 1), normal(30, 2, 2) + 1
    exact = wasserstein(generated=a, reference=b, p=2).value ** 2
    gaps = [abs(divergence(a, b, epsilon) - exact) for epsilon in (0.1, 0.01)]
    assert gaps[0] < 0.1 * 2 * np.log(30)
    assert gaps[1] < 0.01 * 2 * np.log(30)
    assert gaps[1] < 0.3 * gaps[0]


def test_large_epsilon_tends_to_the_squared_gap_of_the_means():
    """The next term of the expansion is of order cost^2/eps: 100/1e7."""
    a, b = normal(50, 3, 1), normal(60, 3, 2) + 1
    gap = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    assert divergence(a, b, 1e7) == pytest.approx(gap, rel=1e-3)


def test_far_sets_do_not_underflow():
    """At 50 the kernel's largest entry is exp(-2500/.3) = 0; translation by v adds |v|^2 exactly."""
    x = normal(60, 3)
    shift = np.array([50.0, 0, 0])
    assert divergence(x + shift, x) == pytest.approx(2500.0, rel=1e-8)


def test_symmetric_moved_with_both_and_scaled_with_the_square():
    a, b = normal(50, 3, 1), normal(60, 3, 2) + 0.5
    value = divergence(a, b, 0.3)
    assert divergence(b, a, 0.3) == pytest.approx(value, rel=1e-5)
    assert divergence(a + 100, b + 100, 0.3) == pytest.approx(value, rel=1e-5)
    turn, _ = np.linalg.qr(normal(3, 3, 5))
    assert divergence(a @ turn, b @ turn, 0.3) == pytest.approx(value, rel=1e-5)
    assert divergence(2 * a, 2 * b, 1.2) == pytest.approx(4 * value, rel=1e-5)
    assert divergence(2 * a, 2 * b) == pytest.approx(4 * divergence(a, b), rel=1e-5)


def test_unequal_sizes_agree_with_repeated_samples():
    a, b = normal(30, 3, 1), normal(60, 3, 2)
    assert divergence(a, b, 0.5) == pytest.approx(divergence(np.vstack([a, a]), b, 0.5), rel=1e-5)


@pytest.mark.parametrize("n", [2, 3, 50, 51])
def test_default_epsilon_is_a_twentieth_of_the_reference_median_cost(n):
    x = normal(n, 4)
    squares = ((x[:, None] - x[None]) ** 2).sum(axis=2)[np.triu_indices(n, 1)]
    expected = 0.05 * np.sort(squares)[(len(squares) - 1) // 2]
    assert median_epsilon(Features(x)) == pytest.approx(expected, rel=1e-10)
    assert sinkhorn(generated=normal(9, 4, 1), reference=x).extra["epsilon"] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("m", [40, 53])
def test_replicates_are_the_divergences_without_each_group(m):
    a, b = normal(40, 3, 1), normal(m, 3, 2)
    found = sinkhorn(generated=a, reference=b, epsilon=0.3).replicates
    direct = [divergence(a[i], b[j], 0.3) for i, j in deletions(40, m)]
    assert found == pytest.approx(direct, rel=1e-5)


@pytest.mark.parametrize(("d", "shift", "scale"), [(2, 0.0, 1.0), (8, 1.0, 1.0), (8, 0.0, 1.5), (8, 0.0, 0.6)])
def test_interval_covers_the_closed_form(d, shift, scale):
    """Gaussians, n = 100, epsilon = 0.05 * 2 d: the centred value's interval; the plug-in is off by more than it.

    40 pairs: at a coverage of 95%, fewer than 36 have probability 4.8%; the seeds are fixed.
    """
    epsilon = 0.1 * d
    own = (gaussian(d, 0, scale, scale, epsilon) + gaussian(d, 0, 1, 1, epsilon)) / 2
    truth = gaussian(d, shift, scale, 1, epsilon) - own
    covered, far = 0, 0
    for seed in range(40):
        generated = scale * normal(100, d, 2 * seed)
        generated[:, 0] += shift
        estimate = sinkhorn(generated=generated, reference=normal(100, d, 2 * seed + 1), epsilon=epsilon)
        covered += estimate.low <= truth <= estimate.high
        far += estimate.value > truth + 2 * estimate.std_error
        assert estimate.low < estimate.extra["one_sided_low"] <= estimate.debiased
        assert estimate.debiased <= estimate.extra["one_sided_high"] < estimate.high
    assert covered >= 36
    assert far >= 30


def test_duplicates_constant_columns_and_few_samples_have_a_value():
    x = np.hstack([normal(40, 2), np.ones((40, 1))])
    assert divergence(np.vstack([x, x]), x) < 1e-6
    assert divergence([[0.0, 0.0]], [[3.0, 4.0]], 1.0) == pytest.approx(25.0, rel=1e-12)
    assert sinkhorn(generated=normal(9, 30, 1), reference=normal(9, 30, 2)).std_error is None


@pytest.mark.parametrize("reference", [np.ones((20, 2)), np.ones((1, 2))])
def test_reference_without_spread_has_no_default_epsilon(reference):
    with pytest.raises(SampleError, match="median distance of zero"):
        sinkhorn(generated=normal(20, 2), reference=reference)
    assert divergence(reference, reference, 1.0) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, np.inf, np.nan])
def test_epsilon_that_is_none_is_refused(epsilon):
    with pytest.raises(UsageError, match="epsilon > 0"):
        divergence(normal(20, 2), normal(20, 2, 1), epsilon)


def test_potentials_that_do_not_settle_are_an_error(monkeypatch):
    monkeypatch.setattr("genbench.metrics.entropic.MAX_ROUNDS", 1)
    with pytest.raises(ConvergenceError, match=r"after 20 iterations; pass a larger epsilon"):
        divergence(normal(60, 2, 1), normal(60, 2, 2) + 1, 1e-3)


def test_inputs_that_cannot_be_scored_are_refused():
    with pytest.raises(SampleError, match="equal width"):
        divergence(normal(10, 2), normal(10, 3))
    with pytest.raises(SampleError, match=r"sinkhorn: .* smaller n, such as 10"):
        sinkhorn(generated=normal(11, 2), reference=normal(10, 2), max_bytes=800)
