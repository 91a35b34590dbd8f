from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.kernel import mmd_rbf
from genbench.metrics.kernel_permutation import mmd_permutation_p_value, mmd_test
from genbench.metrics.kernel_sums import Cubic, Gaussian


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_p_is_uniform_under_equal_distributions():
    """300 draws, n = 20, m = 30, d = 3, 199 permutations: Kolmogorov-Smirnov fails falsely with probability 1e-3.

    p lies on multiples of 1/200; spread evenly over the step below, it is continuous.
    """
    rng = np.random.default_rng(0)
    found = [
        mmd_test(generated=normal(20, 3, 2 * i), reference=normal(30, 3, 2 * i + 1), rng=i, permutations=199)
        for i in range(300)
    ]
    p_values = np.array([estimate.extra["p_value"] for estimate in found])
    assert stats.kstest(p_values - rng.random(300) / 200, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("n", "m"), [(3, 3), (3, 5)])
def test_p_is_the_share_of_all_relabellings(n, m):
    """All 20 or 56 relabellings; 4,000 random ones within 4 standard errors (6e-5). With n = m each value comes twice,
    for a set and its complement, so that ties that rounding broke would show as p off by 1/20, 6 of those errors."""
    x, y = normal(n, 2, 1) + 0.5, normal(m, 2, 2)
    both = np.vstack([x, y])
    values = []
    for chosen in combinations(range(n + m), n):
        rest = [i for i in range(n + m) if i not in chosen]
        values.append(mmd_rbf(generated=both[list(chosen)], reference=both[rest], bandwidth=1.0).value)
    share = np.mean(np.array(values) >= values[0] - 1e-12)
    value, p = mmd_permutation_p_value(Gaussian(1.0), Features(x), Features(y), rng=0, permutations=4000)
    assert value == pytest.approx(values[0], rel=1e-10)
    assert abs(p - share) < 4 * np.sqrt(share * (1 - share) / 4000) + 1 / 4000


def test_value_is_that_of_mmd_rbf_at_the_pooled_bandwidth():
    x, y = normal(40, 3, 1) + 0.3, normal(60, 3, 2)
    estimate = mmd_test(generated=x, reference=y, rng=0)
    bandwidth = estimate.extra["bandwidth"]
    assert estimate.value == pytest.approx(mmd_rbf(generated=x, reference=y, bandwidth=bandwidth).value, rel=1e-9)


def test_bandwidth_does_not_depend_on_which_samples_are_which():
    x, y = normal(40, 3, 1) + 3, normal(60, 3, 2)
    one, other = mmd_test(generated=x, reference=y, rng=0), mmd_test(generated=y, reference=x, rng=0)
    assert one.extra["bandwidth"] == pytest.approx(other.extra["bandwidth"], rel=1e-12)
    assert one.value == pytest.approx(other.value, rel=1e-9)


def test_a_difference_gets_the_smallest_p_and_another_seed_other_permutations():
    far = mmd_test(generated=normal(60, 3, 1) + 1, reference=normal(60, 3, 2), rng=0, permutations=199)
    assert far.extra["p_value"] == 1 / 200
    near = [
        mmd_test(generated=normal(60, 3, 1), reference=normal(60, 3, 2), rng=rng).extra["p_value"] for rng in (0, 0, 1)
    ]
    assert near[0] == near[1] != near[2]


def test_copies_of_the_reference_are_no_difference():
    x = normal(50, 3)
    assert mmd_test(generated=x, reference=x.copy(), rng=0).extra["p_value"] > 0.9


def test_sets_of_one_point_have_no_smaller_relabelling():
    ones = Features(np.ones((5, 2)))
    assert mmd_permutation_p_value(Cubic(), ones, ones, rng=0) == (pytest.approx(0, abs=1e-12), 1.0)


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(SampleError, match="mmd_test: at least 2 generated"):
        mmd_test(generated=normal(1, 3), reference=normal(10, 3), rng=0)
    with pytest.raises(SampleError, match="mmd_test: at least 1 permutation"):
        mmd_test(generated=normal(10, 3), reference=normal(10, 3), rng=0, permutations=0)
    with pytest.raises(SampleError, match="mmd_test: distinct samples"):
        mmd_test(generated=np.ones((10, 3)), reference=np.ones((10, 3)), rng=0)
    with pytest.raises(SampleError, match=r"mmd_test: .* equal width"):
        mmd_test(generated=normal(10, 3), reference=normal(10, 4), rng=0)
