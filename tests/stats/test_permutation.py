import itertools
import math

import numpy as np
import pytest
from scipy import stats

from genbench.stats.permutation import (
    exceedance_p_value,
    labelled_sum,
    same_label_moments,
    subset_sum_tail,
)
from genbench.stats.seeds import share_interval, wilson_interval

VALUES = np.array([3, 1, 1, 0, 2, 0, 5, 1])


def all_sums(values, draws):
    return np.array([sum(subset) for subset in itertools.combinations(values.tolist(), draws)])


@pytest.mark.parametrize("draws", range(9))
def test_tail_of_a_subset_sum_is_what_counting_all_subsets_gives(draws):
    sums = all_sums(VALUES, draws)
    for threshold in range(-1, 15):
        expected = (sums >= threshold).mean()
        assert subset_sum_tail(VALUES, draws, threshold) == pytest.approx(expected, abs=1e-14)


def test_labelled_sum_has_the_moments_of_all_permutations():
    sums = all_sums(VALUES, 3)
    found = labelled_sum(VALUES, np.array([1, 0, 0, 0, 1, 0, 1, 0], dtype=bool))
    assert (found.observed, found.exact) == (10, True)
    assert found.mean == pytest.approx(sums.mean(), rel=1e-12)
    assert found.variance == pytest.approx(sums.var(), rel=1e-12)
    assert found.z == pytest.approx((10 - sums.mean()) / sums.std(), rel=1e-12)
    assert found.p_value == pytest.approx((sums >= 10).mean(), rel=1e-12)


def test_hits_on_rows_of_their_own_are_hypergeometric():
    values = np.array([1] * 40 + [0] * 60)
    labels = np.arange(100) % 2 == 0
    labels[:10] = True
    found = labelled_sum(values, labels)
    expected = stats.hypergeom.sf(found.observed - 1, 100, 40, labels.sum())
    assert found.p_value == pytest.approx(expected, rel=1e-10)


def test_effective_number_is_one_where_one_row_takes_all():
    found = labelled_sum(np.array([500, 0, 0, 0]), np.array([True, True, False, False]))
    assert found.effective_n == pytest.approx(1.0)
    assert found.p_value == 0.5


def test_equal_values_tell_nothing():
    found = labelled_sum(np.array([2, 2, 2]), np.array([True, False, False]))
    assert (found.z, found.p_value, found.effective_n) == (0.0, 1.0, math.inf)


def test_a_table_too_large_is_refused_and_the_normal_tail_taken():
    """Exact and normal agree to the Edgeworth term, of the order of 1 / sqrt(1000) of the tail around z = 2."""
    rng = np.random.default_rng(0)
    values = rng.poisson(1.0, 4000)
    labels = np.zeros(4000, dtype=bool)
    labels[np.argsort(-values + 60 * rng.random(4000))[:2000]] = True
    assert subset_sum_tail(values, 2000, 10) is None
    found = labelled_sum(values, labels)
    assert not found.exact
    assert found.p_value == pytest.approx(stats.norm.sf(found.z), rel=1e-12)


@pytest.mark.parametrize("sizes", [(3, 3), (2, 4), (4, 3)])
def test_moments_of_edges_between_equal_labels_are_those_of_all_permutations(sizes):
    n = sum(sizes)
    rng = np.random.default_rng(n)
    sources = np.repeat(np.arange(n), 2)
    targets = np.concatenate([rng.permutation([j for j in range(n) if j != i])[:2] for i in range(n)])
    counts = []
    for first in itertools.combinations(range(n), sizes[0]):
        label = np.isin(np.arange(n), first)
        counts.append((label[sources] == label[targets]).sum())
    mean, variance = same_label_moments(sources, targets, *sizes)
    assert mean == pytest.approx(np.mean(counts), rel=1e-12)
    assert variance == pytest.approx(np.var(counts), rel=1e-9)


@pytest.mark.parametrize("rank", [1, 3])
def test_exceedances_are_what_counting_all_orders_gives(rank):
    n, m = 4, 5
    below = []
    for places in itertools.combinations(range(n + m), n):
        others = [place for place in range(n + m) if place not in places]
        below.append(sum(place < others[rank - 1] for place in places))
    for least in range(n + 1):
        expected = np.mean(np.array(below) >= least)
        assert exceedance_p_value(least, n, rank, m) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10)])
def test_share_interval_of_whole_trials_is_wilsons(hits, n):
    assert share_interval(hits / n, n) == pytest.approx(wilson_interval(hits, n), abs=1e-15)


def test_share_interval_leaves_out_what_the_z_test_rejects():
    """Wilson's interval inverts the score test: its ends are the shares at which |z| is 1.96."""
    low, high = share_interval(0.6, 37.5)
    for end in (low, high):
        assert abs(0.6 - end) / math.sqrt(end * (1 - end) / 37.5) == pytest.approx(1.959964, abs=1e-6)
