import numpy as np
import pytest
import torch
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd, features_to_gaussian, gaussian_null_bias
from genbench.metrics.gaussian_fit import factors_to_fd
from genbench.metrics.moments import GroupedMoments, MomentSums, Statistics
from genbench.stats.jackknife import deletions


def normal(n, d, seed=0, scale=1.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * scale


def spd(d, rng, smallest=0.1):
    axes, _ = np.linalg.qr(rng.standard_normal((d, d)))
    return axes * np.geomspace(smallest, 1.0, d) @ axes.T


def statistics_to_fd(mean_a, covariance_a, mean_b, covariance_b):
    return fd(generated=Statistics(99, mean_a, covariance_a), reference=Statistics(99, mean_b, covariance_b)).value


@pytest.mark.parametrize("rank", [24, 20, 3])
@pytest.mark.parametrize("smallest", [0.1, 1e-12])
def test_exact_for_gaussians_that_do_not_commute(rank, smallest):
    """For S2 = T S1 T with T positive definite, the optimal map is T, so that the trace term is tr(T S1)."""
    rng = np.random.default_rng(rank)
    axes, _ = np.linalg.qr(rng.standard_normal((24, 24)))
    variances = np.geomspace(smallest, 1.0, 24) * (np.arange(24) < rank)
    first = axes * variances @ axes.T
    transport = spd(24, rng)
    second = transport @ first @ transport
    second = (second + second.T) / 2
    mean = rng.standard_normal(24)
    truth = mean @ mean + np.trace(first) + np.trace(second) - 2 * np.trace(transport @ first)
    assert statistics_to_fd(np.zeros(24), first, mean, second) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 400, 16), (1000, 200, 64)])
def test_agrees_with_torch_fidelity(n, m, d):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    generated, reference = normal(n, d, 1, 1.3) + 0.2, normal(m, d, 2)
    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(torch.from_numpy(generated)),
        fid_features_to_statistics(torch.from_numpy(reference)),
        verbose=False,
    )["frechet_inception_distance"]
    assert fd(generated=generated, reference=reference).value == pytest.approx(theirs, rel=1e-11)


@pytest.mark.parametrize(("n", "d"), [(200, 8), (20, 64), (64, 64)])
def test_distance_to_itself_is_zero(n, d):
    x = normal(n, d)
    assert fd(generated=x, reference=x.copy()).value < 1e-10


@pytest.mark.parametrize(("n", "d"), [(200, 8), (20, 64)])
def test_shift_adds_its_squared_length(n, d):
    x, shift = normal(n, d), normal(1, d, 9)
    assert fd(generated=x + shift, reference=x).value == pytest.approx(float((shift**2).sum()), rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(200, 8), (20, 64)])
def test_scaling_by_c_adds_c_minus_one_squared_times_the_variance(n, d):
    x = normal(n, d)
    x -= x.mean(axis=0)
    assert fd(generated=1.5 * x, reference=x).value == pytest.approx(0.25 * x.var(axis=0, ddof=1).sum(), rel=1e-10)


def test_rotation_and_order_of_sets_do_not_matter():
    a, b = normal(100, 8, 1, 2.0), normal(150, 8, 2)
    turn, _ = np.linalg.qr(normal(8, 8, 3))
    value = fd(generated=a, reference=b).value
    assert fd(generated=a @ turn, reference=b @ turn).value == pytest.approx(value, rel=1e-10)
    assert fd(generated=b, reference=a).value == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (20, 200), (200, 25)])
def test_few_samples_agree_with_the_way_over_covariances(n, m):
    """Fewer samples than dimensions go by centred data; the singular covariances must give the same distance.

    Relative 1e-7: rounding of size d eps in a null direction of the covariance enters through its square root.
    """
    a, b = normal(n, 32, 1), normal(m, 32, 2, 1.5)
    moments = [x for s in (a, b) for x in (s.mean(axis=0), np.cov(s, rowvar=False))]
    assert fd(generated=a, reference=b).value == pytest.approx(statistics_to_fd(*moments), rel=1e-7)


def test_constant_and_repeated_columns_are_no_trouble():
    a, b = normal(100, 4, 1), normal(100, 4, 2)
    padded = [np.hstack([x, np.full((100, 2), 3.0)]) for x in (a, b)]
    value = fd(generated=a, reference=b).value
    assert fd(generated=padded[0], reference=padded[1]).value == pytest.approx(value, rel=1e-10)
    doubled = fd(generated=np.hstack([a, a]), reference=np.hstack([b, b]))
    assert doubled.value == pytest.approx(2 * value, rel=1e-7)
    assert doubled.extra["rank_generated"] == 4.0


def test_sets_that_are_one_point_each_differ_by_their_means():
    assert fd(generated=np.ones((10, 3)), reference=np.zeros((10, 3))).value == pytest.approx(3.0)


def test_offset_does_not_eat_the_digits():
    a, b = normal(500, 4, 1), normal(500, 4, 2)
    value = fd(generated=a, reference=b).value
    assert fd(generated=a + 1e4, reference=b + 1e4).value == pytest.approx(value, rel=1e-7)


def test_replicates_are_those_computed_from_the_kept_rows():
    a, b = Features(normal(200, 6, 1) + 5), Features(normal(301, 6, 2))
    direct = [
        factors_to_fd(
            features_to_gaussian(Features(a.values[torch.from_numpy(ka)])),
            features_to_gaussian(Features(b.values[torch.from_numpy(kb)])),
        )
        for ka, kb in deletions(200, 301)
    ]
    assert fd(generated=a, reference=b).replicates == pytest.approx(direct, rel=1e-9)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_replicates_are_those_by_singular_values_to_a_millionth_of_their_spread(power):
    """The rows that are kept, their covariance by numpy, its factor, and singular values. Measured: 1e-10 of it."""
    deviations = np.arange(1, 33) ** (-power / 2)
    a, b = normal(400, 32, 1, 1.1 * deviations), normal(500, 32, 2, deviations)

    def direct(x, y):
        first, second = (np.linalg.cholesky(np.cov(rows, rowvar=False)) for rows in (x, y))
        traces = (first**2).sum() + (second**2).sum()
        apart = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
        return apart + traces - 2 * np.linalg.svd(first.T @ second, compute_uv=False).sum()

    truth = np.array([direct(a[ka], b[kb]) for ka, kb in deletions(400, 500)])
    found = np.array(fd(generated=a, reference=b).replicates)
    assert np.abs(found - truth).max() < 1e-6 * truth.std(ddof=1)


def test_sums_too_large_to_be_remembered_give_the_same_score(monkeypatch):
    """But for the order of sums: n 2^-53 = 4e-14 of the traces, which the jackknife multiplies by 20."""
    x, y = normal(300, 6, 1), normal(400, 6, 2)
    found = fd(generated=x, reference=y)
    monkeypatch.setattr("genbench.metrics.feature_moments.KEPT_BYTES", 0)
    again = fd(generated=x, reference=y)
    room = 20 * 400 * 2.0**-53 * (np.var(x, axis=0).sum() + np.var(y, axis=0).sum())
    for name in ("value", "debiased", "std_error", "low", "high"):
        assert abs(getattr(again, name) - getattr(found, name)) < 4 * room  # an interval's end is 3 errors away


def test_reference_without_its_groups_is_fitted_once(monkeypatch):
    x, y, reference = Features(normal(300, 6, 1)), Features(normal(300, 6, 3)), Features(normal(400, 6, 2))
    first = fd(generated=x, reference=reference)
    removed, without = [], GroupedMoments.without

    def spy(sums, group):
        removed.append(sums.n)
        return without(sums, group)

    monkeypatch.setattr(GroupedMoments, "without", spy)
    second = fd(generated=y, reference=reference)
    assert removed == [300] * 20
    assert second == fd(generated=y, reference=Features(reference.values))
    assert second.replicates != first.replicates


def test_null_bias_formula_for_the_unit_gaussian():
    assert gaussian_null_bias(np.eye(8), 500, 250) == pytest.approx((1 / 500 + 1 / 250) * (8 + 8 * 9 / 4))


def test_null_bias_formula_predicts_the_mean_plug_in():
    """Mean of 200 null distances against the formula: 4 standard errors (6e-5 false failures) and its own next order.

    The next order is relative 1/n times a number near d: 3% at n = 300, d = 8.
    """
    variances = 1.0 / np.arange(1, 9)
    values = [
        factors_to_fd(*(features_to_gaussian(Features(normal(300, 8, 2 * i + s, np.sqrt(variances)))) for s in (0, 1)))
        for i in range(200)
    ]
    error = np.std(values, ddof=1) / np.sqrt(200)
    expected = gaussian_null_bias(np.diag(variances), 300, 300)
    assert abs(np.mean(values) - expected) < 4 * error + 0.03 * expected


@pytest.mark.parametrize("d", [8, 32])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_interval_covers_the_distance_of_the_distributions(shift, d):
    """Gaussians with spectrum 1/i, n = 500, truth shift^2. Nominal 95%, measured .965 to .99.

    At 95%, 89 or fewer of 100 have probability .012 (the seeds are fixed). The plug-in's bias of 0.03 at d = 8 and 0.10
    at d = 32 is several standard errors, so that an interval around it covers none of the null ones.
    """
    assert stats.binom.cdf(89, 100, 0.95) < 0.012
    deviations = np.sqrt(1.0 / np.arange(1, d + 1))
    covered = 0
    for i in range(100):
        generated = normal(500, d, 1000 + 2 * i, deviations)
        generated[:, 0] += shift
        estimate = fd(generated=generated, reference=normal(500, d, 1001 + 2 * i, deviations))
        covered += estimate.low <= shift**2 <= estimate.high
    assert covered >= 90


def test_few_samples_a_dimension_get_no_debiased_value():
    few = fd(generated=normal(47, 32, 1), reference=normal(100, 32, 2))
    assert few.debiased is None
    assert few.low is None
    assert "kernel distance" in few.notes[0]
    assert fd(generated=normal(48, 32, 1), reference=normal(100, 32, 2)).debiased is not None


@pytest.mark.parametrize(("n", "m"), [(1, 10), (10, 1)])
def test_one_sample_is_refused(n, m):
    with pytest.raises(SampleError, match="fd: at least 2 samples"):
        fd(generated=normal(n, 3), reference=normal(m, 3))


def test_unlike_widths_are_refused():
    with pytest.raises(SampleError, match=r"fd: .* equal width"):
        fd(generated=normal(10, 3), reference=normal(10, 4))


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.array([[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "positive semi-definite"),
        (np.array([[np.nan, 0.0], [0.0, 1.0]]), "finite"),
        (np.eye(3), "shapes"),
    ],
)
def test_moments_that_no_samples_have_are_refused(covariance, message):
    with pytest.raises(SampleError, match=message):
        statistics_to_fd(np.zeros(2), covariance, np.zeros(2), np.eye(2))


def test_known_statistics_give_the_value_and_a_null_but_no_interval():
    x, y = normal(400, 6, 1), normal(500, 6, 2)
    known = Statistics(500, y.mean(axis=0), np.cov(y, rowvar=False))
    whole, found = fd(generated=x, reference=y), fd(generated=x, reference=known)
    assert found.value == pytest.approx(whole.value, rel=1e-10)
    assert found.null == gaussian_null_bias(np.cov(y, rowvar=False), 400, 500)
    assert found.debiased is found.low is found.std_error is None
    assert "only mean and covariance are known" in found.notes[0]
    with pytest.raises(SampleError, match="mode 'analytic' expects features"):
        fd(generated=x, reference=known, mode="analytic")


@pytest.mark.parametrize("block", [1, 100, 5000])
def test_samples_that_stream_by_give_the_same_bits(block, monkeypatch):
    monkeypatch.setattr("genbench.metrics.moments.FOLD", 300)
    x, y = normal(1000, 6, 1) + 9, normal(1100, 6, 2)
    sums = MomentSums(1000, 6, 20)
    for start in range(0, 1000, block):
        sums.add(torch.from_numpy(x[start : start + block]))
    assert fd(generated=sums, reference=y) == fd(generated=x, reference=y)
