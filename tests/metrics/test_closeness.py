import numpy as np
import pytest
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.closeness import auth_pct, c_t, mann_whitney_z
from tests.metrics.real_sets import gaussian_case, mixture, share_of


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def sets(n=200, n_train=150, n_test=180):
    return {"generated": normal(n, seed=1), "train": normal(n_train, seed=2), "test": normal(n_test, seed=3)}


def distances(a, b):
    return np.sqrt(((a[:, None] - b) ** 2).sum(axis=2))


def ct(**given):
    return c_t(**given, rng=0)


def test_authenticity_agrees_with_brute_force():
    given = sets()
    within = distances(given["train"], given["train"]) + np.diag([np.inf] * 150)
    expected = {}
    for side in ("generated", "test"):
        across = distances(given[side], given["train"])
        expected[side] = (across.min(axis=1) > within.min(axis=1)[across.argmin(axis=1)]).mean()
    found = auth_pct(**given)
    assert found.value == pytest.approx(expected["generated"], rel=1e-12)
    assert found.null == pytest.approx(expected["test"], rel=1e-12)


@pytest.mark.parametrize(("d", "published"), [(2, 0.385), (8, 0.59), (16, 0.692)])
def test_a_perfect_generator_is_not_half_authentic(d, published):
    """Mean over 4 of deviation .024 and of .002 in the source: within 5 deviations, .06."""
    values = [auth_pct(**gaussian_case("perfect", seed, d=d)).value for seed in range(4)]
    assert np.mean(values) == pytest.approx(published, abs=0.06)


@pytest.mark.parametrize("d", [2, 16])
@pytest.mark.parametrize("score", [auth_pct, ct], ids=["auth_pct", "c_t"])
def test_false_alarms_are_as_rare_as_they_should_be(score, d):
    """Size .05 to .06: of 60, more than 10 alarms have a chance below .002."""
    cases = (gaussian_case("perfect", seed, d=d, sizes=(300, 300, 300)) for seed in range(60))
    assert share_of(score(**case).extra["p_value"] <= 0.05 for case in cases) <= 10 / 60


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 16])
def test_c_t_has_unit_variance_and_the_published_statistic_has_not(d):
    """The variance of 60 standard normals has deviation .18: within .72. With 6 cells the mean's is about 1/6."""
    found = [ct(**gaussian_case("perfect", seed, d=d, sizes=(300, 300, 300))) for seed in range(60)]
    assert np.var([one.value for one in found]) == pytest.approx(1.0, abs=0.72)
    assert abs(np.mean([one.value for one in found])) < 4 / 60**0.5
    assert np.var([one.extra["published"] for one in found]) < 0.4


def test_interval_of_authenticity_covers_the_share_of_this_training_set():
    """The truth from 20,000 further samples, error .0035 (widens by .005). Below 88 of 100 at .95: .001."""
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal((150, 4)), rng.standard_normal((100, 4))
    truth = auth_pct(generated=0.9 * rng.standard_normal((20000, 4)), train=train, test=test).value
    covered = []
    for _ in range(100):
        found = auth_pct(generated=0.9 * rng.standard_normal((200, 4)), train=train, test=test)
        covered.append(found.low - 0.005 <= truth <= found.high + 0.005)
    assert share_of(covered) >= 0.88


def test_a_narrow_generator_is_far_below_the_null_without_any_copy():
    """The documented confound: C_T is -12.5 +- .8 over 200 seeds, AuthPct .50 against .69."""
    case = gaussian_case("narrow", 1)
    assert ct(**case).value < -8
    assert auth_pct(**case).extra["z"] < -3


def test_controls_move_as_documented():
    rng = np.random.default_rng(1)
    real = mixture(900, rng)
    train, test, fresh = real[:300], real[300:600], real[600:]
    noisy = train + 0.1 * rng.standard_normal(train.shape)
    for replay in (train, noisy):
        given = {"generated": replay, "train": train, "test": test}
        assert ct(**given).value < -8
        assert auth_pct(**given).value < 0.05
    given = {"generated": fresh, "train": train, "test": test}
    assert ct(**given).extra["p_value"] > 0.001
    assert auth_pct(**given).extra["p_value"] > 0.001
    far = {"generated": 2 * fresh, "train": train, "test": test}
    assert auth_pct(**far).extra["z"] > 5


def test_mann_whitney_agrees_with_scipy_with_and_without_ties():
    rng = np.random.default_rng(0)
    for first, second in ((rng.random(40), rng.random(30)), (rng.integers(0, 5, 40), rng.integers(0, 6, 30))):
        result = stats.mannwhitneyu(first, second, use_continuity=False, method="asymptotic", alternative="less")
        assert stats.norm.cdf(mann_whitney_z(first, second)) == pytest.approx(result.pvalue, rel=1e-9)
    assert mann_whitney_z(np.zeros(5), np.zeros(7)) == 0.0


def test_c_t_of_a_single_cell_is_the_mann_whitney_statistic():
    given = sets()
    ours, theirs = (distances(given[side], given["train"]).min(axis=1) for side in ("generated", "test"))
    found = c_t(**given, rng=0, cells=1)
    assert found.value == pytest.approx(mann_whitney_z(ours, theirs), rel=1e-9)
    assert found.extra["published"] == pytest.approx(found.value)


def test_exact_copies_have_tied_distances():
    given = sets()
    found = ct(generated=given["train"], train=given["train"], test=given["test"])
    assert -50 < found.value < -5


@pytest.mark.parametrize("score", [auth_pct, ct], ids=["auth_pct", "c_t"])
@pytest.mark.parametrize("change", ["shift", "scale", "order"])
def test_shift_scale_and_order_change_nothing(score, change):
    moves = {"shift": lambda x: x + 7.25, "scale": lambda x: 0.25 * x, "order": lambda x: x[::-1].copy()}
    given = sets()
    moved = score(**{side: moves[change](values) for side, values in given.items()})
    assert moved.value == pytest.approx(score(**given).value, rel=1e-9)


def test_authenticity_of_a_repeated_training_row_is_judged_by_distinct_rows():
    given = sets()
    repeated = {**given, "train": np.concatenate([given["train"]] * 2)}
    found = auth_pct(**repeated)
    assert found.extra["train_duplicates"] == 150.0
    assert found.value == auth_pct(**given).value


def test_too_few_samples_are_refused():
    with pytest.raises(SampleError, match="at least 2 distinct training rows"):
        auth_pct(generated=normal(5), train=normal(1, seed=1), test=normal(5, seed=2))
    with pytest.raises(SampleError, match="a cell with at least 10"):
        ct(generated=normal(9), train=normal(20, seed=1), test=normal(20, seed=2))
    with pytest.raises(SampleError, match="at least one cell"):
        c_t(**sets(), rng=0, cells=0)
    assert auth_pct(generated=normal(1), train=normal(20, seed=1), test=normal(1, seed=2)).value in (0.0, 1.0)
