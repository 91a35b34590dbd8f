import math

import numpy as np
import pytest
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.birthday import birthday_support, close_neighbours, poisson_interval
from genbench.metrics.features import Features
from tests.metrics.real_sets import share_of

GRID = np.stack(np.meshgrid(*[np.arange(10.0)] * 3), axis=-1).reshape(-1, 3)
"""A discrete support of 1,000 points, 1 apart."""


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def close_reference():
    """A reference whose closest rows are .1 apart: less than the spacing of the grid."""
    return np.arange(50.0)[:, None] * np.array([0.1, 0.0, 0.0])


def from_support(size, n, seed, chances=None):
    rng = np.random.default_rng([seed, size])
    return GRID[rng.choice(size, n, p=chances)] + 0.001 * rng.standard_normal((n, 3))


@pytest.mark.parametrize("size", [100, 1000])
def test_support_of_known_size_is_found(size):
    """Pairs are Poisson with mean 44,850 / size, deviation of the mean estimate over 40 below .15 / sqrt(40) of it."""
    values = [
        birthday_support(generated=from_support(size, 300, s), reference=close_reference()).value for s in range(40)
    ]
    assert np.mean(values) == pytest.approx(size, rel=5 * 0.16 / 40**0.5)


def test_interval_covers_the_size():
    """At .95, fewer than 88 of 100 have a chance of .002."""
    found = [birthday_support(generated=from_support(1000, 200, s), reference=close_reference()) for s in range(100)]
    assert share_of(one.low <= 1000 <= one.high for one in found) >= 0.88


def test_interval_covers_the_effective_size_where_chances_are_unequal():
    """1 / sum p^2 of chances falling like 1/i is far below 1,000. As above, 88 of 100."""
    chances = 1 / np.arange(1, 1001)
    chances /= chances.sum()
    truth = 1 / (chances**2).sum()
    found = [
        birthday_support(generated=from_support(1000, 200, s, chances), reference=close_reference()) for s in range(100)
    ]
    assert share_of(one.low <= truth <= one.high for one in found) >= 0.88


def test_half_of_the_batches_of_the_stated_size_hold_a_duplicate():
    """P = 1 - exp(-s (s - 1) / 2N) at the true N. 200 batches: within 4 deviations, .14."""
    size = 1000
    batch = round(math.sqrt(2 * math.log(2) * size))
    rng = np.random.default_rng(0)
    hits = [len(np.unique(rng.integers(size, size=batch))) < batch for _ in range(200)]
    assert share_of(hits) == pytest.approx(1 - math.exp(-batch * (batch - 1) / (2 * size)), abs=0.14)
    found = birthday_support(generated=from_support(size, 300, 0), reference=close_reference())
    assert found.extra["half_batch"] == pytest.approx(math.sqrt(2 * math.log(2) * found.value), rel=1e-12)


def test_no_duplicates_give_a_lower_bound_only():
    found = birthday_support(generated=GRID[:50], reference=close_reference())
    assert (found.value, found.high, found.extra["pairs"]) == (50 * 49 / 2, None, 0.0)
    assert found.low == pytest.approx(1225 / -math.log(0.025), rel=1e-9)
    assert "no upper bound" in found.notes[1]


def test_a_collapsed_generator_has_a_support_of_about_one():
    found = birthday_support(generated=np.ones((100, 3)), reference=close_reference())
    assert found.value == pytest.approx(4950 / 4951)
    assert found.low <= 1.0 <= found.high


def test_a_narrow_generator_has_less_support_than_real_data():
    """Pairs within a small distance grow like scale^-d: 16-fold for half the spread in 4 dimensions."""
    reference = normal(600, seed=1)
    real = birthday_support(generated=normal(600, seed=2), reference=reference)
    narrow = birthday_support(generated=0.5 * normal(600, seed=3), reference=reference)
    assert narrow.high < real.low


def test_close_neighbours_are_counted_beyond_the_listed_ones():
    rows = np.concatenate([np.zeros((90, 2)), 100 + 10 * normal(30, 2)])
    expected = [89.0] * 90 + [0.0] * 30
    assert close_neighbours(Features(rows), 1e-6).tolist() == expected


@pytest.mark.parametrize("count", [1, 5, 40])
def test_interval_of_a_poisson_count_is_garwoods(count):
    low, high = poisson_interval(count)
    assert stats.poisson.sf(count - 1, low) == pytest.approx(0.025, rel=1e-9)
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025, rel=1e-9)


@pytest.mark.parametrize("change", ["shift", "scale", "order", "constant column", "repeated reference"])
def test_shift_scale_order_constants_and_repeats_change_nothing(change):
    generated, reference = from_support(100, 80, 0), close_reference() + 0.001 * normal(50, 3)
    moves = {
        "shift": lambda x: x + 8.0,
        "scale": lambda x: 0.25 * x,
        "order": lambda x: x[::-1].copy(),
        "constant column": lambda x: np.hstack([x, np.ones((len(x), 1))]),
        "repeated reference": lambda x: x,
    }
    again = moves[change](reference)
    again = np.concatenate([again, again]) if change == "repeated reference" else again
    moved = birthday_support(generated=moves[change](generated), reference=again)
    assert moved.value == birthday_support(generated=generated, reference=reference).value


def test_too_few_samples_are_refused():
    with pytest.raises(SampleError, match="at least 2 generated samples"):
        birthday_support(generated=normal(1), reference=normal(5))
    with pytest.raises(SampleError, match="2 distinct reference samples"):
        birthday_support(generated=normal(5), reference=np.ones((5, 4)))
    with pytest.raises(SampleError, match="equal width"):
        birthday_support(generated=normal(5, 3), reference=normal(5))
