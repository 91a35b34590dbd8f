import itertools

import numpy as np
import pytest
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.bins import cells_of, chi_square, expected_ndb, fit_cells, ndb, proportion_z
from genbench.metrics.features import Features
from tests.metrics.real_sets import mixture, share_of


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_cells_find_the_clusters_in_any_order():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    rows = np.repeat(centres, 40, axis=0) + 0.1 * rng.standard_normal((120, 2))
    found = fit_cells(Features(rows), 3, seed=1)
    again = fit_cells(Features(rng.permutation(rows)), 3, seed=1)
    assert np.array_equal(found.values, again.values)
    cells = cells_of(Features(rows), found).reshape(3, 40)
    assert (cells == cells[:, :1]).all()
    assert len(np.unique(cells[:, 0])) == 3


def test_no_more_cells_than_distinct_rows():
    rows = np.repeat(normal(3), 5, axis=0)
    assert fit_cells(Features(rows), 10, seed=0).n == 3


def test_proportions_and_chi_square_agree_with_scipy():
    first, second = np.array([10, 30, 0, 20]), np.array([25, 35, 0, 10])
    chi2, degrees = chi_square(first, second)
    seen = np.stack([first, second])[:, [0, 1, 3]]
    expected = stats.chi2_contingency(seen, correction=False)
    assert (chi2, degrees) == (pytest.approx(expected.statistic, rel=1e-12), expected.dof)
    table = np.array([[10, 50], [25, 45]])
    single = stats.chi2_contingency(table, correction=False).statistic
    assert proportion_z(first, second)[0] ** 2 == pytest.approx(single, rel=1e-12)
    assert proportion_z(first, second)[2] == 0.0


def test_expected_ndb_is_the_mean_over_all_permutations():
    bins = np.array([0] * 6 + [1] * 3 + [2] * 3)
    shares = []
    for chosen in itertools.combinations(range(12), 5):
        ours = np.isin(np.arange(12), chosen)
        counts = [np.bincount(bins[side], minlength=3) for side in (ours, ~ours)]
        shares.append((np.abs(proportion_z(*counts)) > stats.norm.isf(0.025)).mean())
    assert np.mean(shares) > 0
    first = np.bincount(bins[:5], minlength=3)
    assert expected_ndb(first, np.bincount(bins, minlength=3) - first) == pytest.approx(np.mean(shares), rel=1e-9)


def test_level_of_the_chi_square_and_null_of_the_share():
    """More than 10 alarms of 60 at .05: below .001. The mean share lies within 5 deviations of the null."""
    found = [ndb(generated=normal(300, seed=s), reference=normal(400, seed=1000 + s), rng=s) for s in range(60)]
    assert share_of(one.extra["p_value"] <= 0.05 for one in found) <= 10 / 60
    gaps = np.array([one.value - one.null for one in found])
    assert abs(gaps.mean()) < 5 * gaps.std() / 60**0.5


def test_a_lost_mode_is_a_different_bin():
    rng = np.random.default_rng(0)
    real = mixture(4000, rng, modes=10)
    lost = mixture(8000, rng, modes=10)
    centres = fit_cells(Features(real), 10, seed=0)
    lost = lost[cells_of(Features(lost), centres) != 0][:2000]
    found = ndb(generated=lost, reference=real, rng=0, bins=10)
    assert found.value >= 0.1
    assert found.extra["p_value"] < 1e-9
    clear = ndb(generated=mixture(2000, rng, modes=10), reference=real, rng=0, bins=10)
    assert clear.extra["p_value"] > 0.001
    assert clear.extra["js"] < found.extra["js"]


@pytest.mark.parametrize("change", ["shift", "scale", "order"])
def test_shift_scale_and_order_change_nothing(change):
    moves = {"shift": lambda x: x + 8.0, "scale": lambda x: 0.25 * x, "order": lambda x: x[::-1].copy()}
    generated, reference = normal(200), normal(300, seed=1)
    moved = ndb(generated=moves[change](generated), reference=moves[change](reference), rng=0)
    assert moved.value == ndb(generated=generated, reference=reference, rng=0).value


def test_sets_of_equal_rows_do_not_differ():
    found = ndb(generated=np.ones((30, 2)), reference=np.ones((40, 2)), rng=0)
    assert (found.value, found.extra["p_value"]) == (0.0, 1.0)


def test_too_few_samples_or_bins_are_refused():
    with pytest.raises(SampleError, match="at least 4 reference samples"):
        ndb(generated=normal(10), reference=normal(3), rng=0)
    with pytest.raises(SampleError, match="2 bins"):
        ndb(generated=normal(10), reference=normal(30), rng=0, bins=1)
    assert ndb(generated=normal(1), reference=normal(4), rng=0).value == 0.0
