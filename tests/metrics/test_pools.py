import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.nearest import lists_among, lists_within
from genbench.metrics.pools import apart, blind_neighbours, blind_priority, real_sets, subsample


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_sets_without_duplicates_are_the_given_ones():
    train, test = Features(normal(20)), Features(normal(10, seed=1))
    sets = real_sets("x", train, train, test)
    assert sets.train is train
    assert sets.held_out is test
    assert sets.notes == ()
    assert set(sets.counts.values()) == {0.0}


@pytest.mark.parametrize("repeat_train", [False, True])
def test_duplicates_are_removed_within_and_across_the_sets(repeat_train):
    train, test = normal(20), np.concatenate([normal(10, seed=1), normal(20)[3:7]])
    if repeat_train:
        train = np.concatenate([train, train[:5]])
    sets = real_sets("x", Features(train), Features(train), Features(test))
    assert sets.counts == {"train_duplicates": 5.0 * repeat_train, "test_duplicates": 0.0, "in_both": 4.0}
    assert np.array_equal(sets.held_out.values.numpy(), test[:10])
    assert len(np.unique(sets.train.values.numpy(), axis=0)) == sets.train.n == 20
    both = sets.train.values.numpy()[sets.in_both_train]
    assert {tuple(row) for row in both} == {tuple(row) for row in train[3:7]}
    assert "4 held-out rows" in sets.notes[0]


def test_a_held_out_set_of_training_rows_is_refused():
    train = Features(normal(20))
    with pytest.raises(SampleError, match="hold real samples out"):
        real_sets("x", train, train, Features(normal(20)[:5]))


def test_widths_must_agree():
    with pytest.raises(SampleError, match="equal width"):
        real_sets("x", Features(normal(5)), Features(normal(5)), Features(normal(5, 3)))


def test_a_set_played_against_itself_is_a_copy():
    features = Features(normal(5))
    copy = apart(features, features)
    assert copy is not features
    assert torch.equal(copy.values, features.values)
    assert apart(features, Features(normal(5))) is features


@pytest.mark.parametrize(("k", "depth"), [(1, 1), (1, 4), (3, 3), (5, 9)])
def test_ties_go_to_the_first_by_priority_however_short_the_lists(k, depth):
    """Points of a small grid have many neighbours at equal distance."""
    rng = np.random.default_rng(k)
    points, first, second = (torch.from_numpy(rng.integers(0, 3, (n, 2)).astype(float)) for n in (15, 30, 25))
    priority = torch.from_numpy(rng.permutation(55))
    lists = [lists_among(points, part, depth)[0] for part in (first, second)]
    distances, indices = blind_neighbours(lists, k, priority)
    everything = torch.cdist(points, torch.cat([first, second]))
    for i in range(15):
        expected = sorted(range(55), key=lambda j: (everything[i, j].item(), priority[j].item()))[:k]
        assert set(indices[i].tolist()) == set(expected)
        assert distances[i].tolist() == pytest.approx(sorted(everything[i, expected].tolist()))


def test_a_row_is_no_neighbour_of_itself():
    points = torch.zeros(6, 2, dtype=torch.float64)
    _, indices = blind_neighbours([lists_within(points, 2)], 2, torch.arange(6))
    assert all(i not in row for i, row in enumerate(indices.tolist()))


def test_priority_follows_the_rows_not_their_order():
    values = torch.from_numpy(normal(30))
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(blind_priority(values)[order], blind_priority(values[order]))


def test_priority_among_equal_rows_favours_neither_set():
    """Of 200 + 200 equal rows the mean places differ by less than 5 deviations, 400 / sqrt(12) sqrt(2 / 200)."""
    places = blind_priority(torch.zeros(400, 1, dtype=torch.float64)).double()
    assert abs(float(places[:200].mean() - places[200:].mean())) < 5 * 400 / 12**0.5 * (2 / 200) ** 0.5


def test_a_subsample_is_of_distinct_rows_and_the_same_in_any_order():
    values = normal(40)
    drawn = subsample(Features(values), 10, seed=3)
    again = subsample(Features(values[::-1].copy()), 10, seed=3)
    assert torch.equal(drawn.values, again.values)
    assert len(np.unique(drawn.values.numpy(), axis=0)) == 10
    assert {tuple(row) for row in drawn.values.tolist()} <= {tuple(row) for row in values.tolist()}
    features = Features(values)
    assert subsample(features, 40, seed=3) is features
