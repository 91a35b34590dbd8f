import numpy as np
import pytest
import torch
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.kernel import kd, median_bandwidth, mmd_rbf
from genbench.stats.jackknife import deletions

BANDWIDTH = 1.5


def normal(n, d, seed=0, deviations=1.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * deviations


def rbf(*, generated, reference):
    return mmd_rbf(generated=generated, reference=reference, bandwidth=BANDWIDTH)


def direct(kernel, x, y, keep_diagonal=False):
    """The double sums as they are written."""
    n, m = len(x), len(y)
    within_x, within_y = (kernel(z, z) * (1 - (not keep_diagonal) * np.eye(len(z))) for z in (x, y))
    pairs = (n * n, m * m) if keep_diagonal else (n * (n - 1), m * (m - 1))
    return within_x.sum() / pairs[0] + within_y.sum() / pairs[1] - 2 * kernel(x, y).mean()


def cubic_kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def rbf_kernel(x, y):
    return np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / (2 * BANDWIDTH**2))


METRICS = {"kd": (kd, cubic_kernel), "mmd_rbf": (rbf, rbf_kernel)}
each_metric = pytest.mark.parametrize(("metric", "kernel"), METRICS.values(), ids=METRICS)


def third_moments(mean, variances):
    """First three raw moments of N(mean, diag(variances))."""
    spread = np.diag(variances)
    mixed = np.einsum("i,jk->ijk", mean, spread)
    third = np.einsum("i,j,k->ijk", mean, mean, mean) + mixed + mixed.transpose(1, 0, 2) + mixed.transpose(1, 2, 0)
    return mean, spread + np.outer(mean, mean), third


def cubic_truth(mean, variances, other_variances):
    """``sum_k C(3, k) d^-k |M_k(P) - M_k(Q)|^2`` for P = N(mean, .), Q = N(0, .): the powers of the inner product."""
    d = len(mean)
    pairs = zip(third_moments(mean, variances), third_moments(0 * mean, other_variances), strict=True)
    return sum(c / d**k * ((a - b) ** 2).sum() for c, k, (a, b) in zip((3, 3, 1), (1, 2, 3), pairs, strict=True))


def rbf_truth(mean, variances, other_variances):
    """``E k(x, y) = prod s / sqrt(s^2 + v) exp(-m^2 / (2 (s^2 + v)))`` where x - y has mean m and variances v."""

    def expected(difference, spread):
        total = BANDWIDTH**2 + spread
        return np.prod(BANDWIDTH / np.sqrt(total) * np.exp(-(difference**2) / (2 * total)))

    return (
        expected(0, 2 * variances) + expected(0, 2 * other_variances) - 2 * expected(mean, variances + other_variances)
    )


TRUTHS = {"kd": cubic_truth, "mmd_rbf": rbf_truth}


@each_metric
@pytest.mark.parametrize(("n", "m", "d"), [(30, 30, 4), (12, 45, 4), (15, 11, 40)])
def test_equals_the_double_sums(metric, kernel, n, m, d):
    x, y = normal(n, d, 1) + 0.3, normal(m, d, 2)
    assert metric(generated=x, reference=y).value == pytest.approx(direct(kernel, x, y), rel=1e-10)


@pytest.mark.parametrize("name", METRICS)
def test_mean_over_draws_is_the_closed_form_distance(name):
    """400 draws of n = 20 and m = 30: within 4 standard errors (6e-5 false failures).

    Keeping the diagonal, as the V-statistic does, adds mean(k(x, x) - k(x, x'))/n a set: more than 10 of those errors.
    """
    metric, kernel = METRICS[name]
    mean, variances, others = np.array([0.5, 0.0, -0.2, 0.0]), np.array([1.5, 1.0, 0.6, 0.3]), np.ones(4)
    truth = TRUTHS[name](mean, variances, others)
    draws = [(normal(20, 4, 2 * i, variances**0.5) + mean, normal(30, 4, 2 * i + 1)) for i in range(400)]
    found = np.array([metric(generated=x, reference=y).value for x, y in draws])
    error = found.std(ddof=1) / 20
    assert abs(found.mean() - truth) < 4 * error
    assert np.mean([direct(kernel, x, y, keep_diagonal=True) for x, y in draws]) - truth > 10 * error


@each_metric
def test_mean_over_draws_of_equal_distributions_is_zero(metric, kernel):
    """400 draws of n = 15 and m = 20: within 4 standard errors (6e-5 false failures)."""
    found = np.array(
        [metric(generated=normal(15, 3, 2 * i), reference=normal(20, 3, 2 * i + 1)).value for i in range(400)]
    )
    assert abs(found.mean()) < 4 * found.std(ddof=1) / 20
    assert (found < 0).mean() > 0.3, "negative values are not clipped"
    assert metric(generated=normal(15, 3), reference=normal(20, 3)).null == 0.0


def test_the_median_bandwidth_moves_the_null_by_far_less_than_a_standard_error():
    """It is a function of the reference, so that the mean is zero to order 1/n^2 only. n = 20: 2000 draws put the mean
    within 4/sqrt(2000) = 0.09 deviations of itself (6e-5 false failures), and 0.02 is left for the bias."""
    found = np.array(
        [mmd_rbf(generated=normal(20, 4, 2 * i), reference=normal(20, 4, 2 * i + 1)).value for i in range(2000)]
    )
    assert abs(found.mean()) < 0.11 * found.std(ddof=1)


@each_metric
def test_error_is_the_delete_one_jackknife(metric, kernel):
    x, y = normal(14, 3, 1) + 0.5, normal(17, 3, 2)
    variance = 0.0
    for side, size in ((0, 14), (1, 17)):
        values = []
        for i in range(size):
            kept = [x, y]
            kept[side] = np.delete(kept[side], i, axis=0)
            values.append(direct(kernel, *kept))
        variance += (size - 1) * np.var(values)
    assert metric(generated=x, reference=y).std_error == pytest.approx(variance**0.5, rel=1e-8)


@each_metric
def test_replicates_are_those_computed_from_the_kept_rows(metric, kernel):
    x, y = normal(90, 3, 1) + 0.5, normal(107, 3, 2)
    expected = [direct(kernel, x[a], y[b]) for a, b in deletions(90, 107)]
    assert metric(generated=x, reference=y).replicates == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("d", [8, 32])
@pytest.mark.parametrize("alike", [False, True])
def test_interval_covers_the_closed_form_distance(name, d, alike):
    """Gaussians with spectrum 1/i, n = 500 and 400: of 100 intervals at 95%, 89 or fewer have probability .012.

    Measured over 400: kd .93 and more, where that probability is 9% (the seeds are fixed); mmd_rbf .96. Equal
    distributions are covered more often, because the jackknife's error is too large there.
    """
    assert stats.binom.cdf(89, 100, 0.95) < 0.012
    others = 1.0 / np.arange(1, d + 1)
    variances, mean = others * (1.0 if alike else 1.4), np.zeros(d)
    mean[0] = 0.0 if alike else 0.4
    truth = TRUTHS[name](mean, variances, others)
    covered = 0
    for i in range(100):
        generated = normal(500, d, 5000 + 2 * i, variances**0.5) + mean
        estimate = METRICS[name][0](generated=generated, reference=normal(400, d, 5001 + 2 * i, others**0.5))
        covered += estimate.low <= truth <= estimate.high
    assert covered >= 90


@each_metric
def test_is_symmetric_and_blind_to_order_and_rotation(metric, kernel):
    x, y = normal(40, 5, 1, 1.3), normal(60, 5, 2)
    turn, _ = np.linalg.qr(normal(5, 5, 3))
    value = metric(generated=x, reference=y).value
    assert metric(generated=y, reference=x).value == pytest.approx(value, rel=1e-10)
    assert metric(generated=x[::-1].copy(), reference=y).value == pytest.approx(value, rel=1e-10)
    assert metric(generated=x @ turn, reference=y @ turn).value == pytest.approx(value, rel=1e-10)


def test_rbf_at_the_median_bandwidth_is_blind_to_translation_and_scale():
    x, y = normal(40, 5, 1, 1.3), normal(60, 5, 2)
    value = mmd_rbf(generated=x, reference=y).value
    assert mmd_rbf(generated=3 * x + 7, reference=3 * y + 7).value == pytest.approx(value, rel=1e-9)


def test_a_constant_column_changes_neither_rbf_nor_its_bandwidth():
    x, y = normal(40, 5, 1), normal(60, 5, 2) * 1.5
    padded = [np.hstack([z, np.full((len(z), 2), 3.0)]) for z in (x, y)]
    plain, wide = mmd_rbf(generated=x, reference=y), mmd_rbf(generated=padded[0], reference=padded[1])
    assert wide.value == pytest.approx(plain.value, rel=1e-10)
    assert wide.extra["bandwidth"] == pytest.approx(plain.extra["bandwidth"], rel=1e-12)


@each_metric
def test_repeating_every_sample_adds_the_pairs_of_equal_ones(metric, kernel):
    """With every sample twice, n(n-1) pairs become 4n(n-1) plus 2n of equal samples, of 2n(2n-1)."""
    x, y = normal(20, 3, 1), normal(25, 3, 2)
    within = (kernel(x, x) * (1 - np.eye(20))).sum()
    own = np.diag(kernel(x, x)).sum()
    change = (4 * within + 2 * own) / (40 * 39) - within / (20 * 19)
    doubled = metric(generated=np.vstack([x, x]), reference=y).value
    assert doubled == pytest.approx(metric(generated=x, reference=y).value + change, rel=1e-9)


@each_metric
def test_a_set_against_itself_is_below_zero_by_its_diagonal(metric, kernel):
    """Copies make the cross term hold the pairs (x, x), which the unbiased form leaves out within the sets."""
    x = normal(30, 3, 1)
    matrix = kernel(x, x)
    truth = 2 * (matrix.sum() - np.trace(matrix)) / (30 * 29) - 2 * matrix.mean()
    value = metric(generated=x, reference=x.copy()).value
    assert value == pytest.approx(truth, rel=1e-10)
    assert value < 0


@each_metric
def test_sets_that_are_one_point_each_differ_by_their_kernel_values(metric, kernel):
    a, b = np.full((12, 3), 1.0), np.full((14, 3), -0.5)
    estimate = metric(generated=a, reference=b)
    assert estimate.value == pytest.approx(kernel(a, a)[0, 0] + kernel(b, b)[0, 0] - 2 * kernel(a, b)[0, 0], rel=1e-12)
    assert estimate.std_error == pytest.approx(0, abs=1e-12)


def test_grows_with_a_shift():
    x, y = normal(200, 4, 1), normal(200, 4, 2)
    for metric in (kd, mmd_rbf):
        values = [metric(generated=x + shift, reference=y).value for shift in (0.0, 0.3, 0.6, 1.2)]
        assert values == sorted(values)


def test_bandwidth_is_the_references_median_distance_alone():
    """15 samples have 105 distances, an odd number, so that the median is one of them."""
    x, y = normal(40, 3, 1), normal(15, 3, 2)
    distances = np.sqrt(((y[:, None] - y[None]) ** 2).sum(-1))[np.triu_indices(15, 1)]
    for generated in (x, 100 * x):
        found = mmd_rbf(generated=generated, reference=y).extra["bandwidth"]
        assert found == pytest.approx(np.median(distances) / 2**0.5, rel=1e-12)


def test_bandwidth_of_many_samples_is_that_of_a_fixed_part(monkeypatch):
    """300 of 900 samples: their median distance is within 5% of the whole's, 6 deviations of about 0.8%."""
    y = normal(900, 3, 2)
    whole = median_bandwidth("mmd_rbf", Features(y))
    monkeypatch.setattr("genbench.metrics.kernel.MEDIAN_SAMPLES", 300)
    part = median_bandwidth("mmd_rbf", Features(y))
    assert part != whole
    assert part == pytest.approx(whole, rel=0.05)
    assert part == median_bandwidth("mmd_rbf", Features(y))


def test_no_distance_no_bandwidth():
    with pytest.raises(SampleError, match="mmd_rbf: distinct samples expected"):
        mmd_rbf(generated=normal(10, 2), reference=np.ones((10, 2)))
    assert mmd_rbf(generated=np.ones((10, 2)), reference=np.ones((10, 2)), bandwidth=1.0).value == 0.0


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, np.nan, np.inf])
def test_a_bandwidth_that_is_not_positive_is_refused(bandwidth):
    with pytest.raises(SampleError, match="positive bandwidth"):
        mmd_rbf(generated=normal(10, 2), reference=normal(10, 2, 1), bandwidth=bandwidth)


@each_metric
def test_few_samples_get_a_value_without_an_interval(metric, kernel):
    x, y = normal(2, 3, 1), normal(9, 3, 2)
    estimate = metric(generated=x, reference=y)
    assert estimate.value == pytest.approx(direct(kernel, x, y), rel=1e-10)
    assert estimate.std_error is None
    assert "too few" in estimate.notes[0]
    assert metric(generated=normal(10, 3, 1), reference=normal(10, 3, 2)).std_error > 0


@pytest.mark.parametrize("metric", [kd, mmd_rbf], ids=["kd", "mmd_rbf"])
@pytest.mark.parametrize(("n", "m"), [(1, 10), (10, 1)])
def test_one_sample_is_refused(metric, n, m):
    with pytest.raises(SampleError, match=r"(kd|mmd_rbf): at least 2 generated and 2 reference"):
        metric(generated=normal(n, 3), reference=normal(m, 3))


@pytest.mark.parametrize("metric", [kd, mmd_rbf], ids=["kd", "mmd_rbf"])
def test_unlike_widths_are_refused(metric):
    with pytest.raises(SampleError, match=r"(kd|mmd_rbf): .* equal width"):
        metric(generated=normal(10, 3), reference=normal(10, 4))


def test_kd_agrees_with_torch_fidelity_on_one_subset_of_everything():
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = normal(80, 6, 1) + 0.2, normal(80, 6, 2)
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=1, kid_subset_size=80, verbose=False
    )
    assert kd(generated=x, reference=y).value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-10)
