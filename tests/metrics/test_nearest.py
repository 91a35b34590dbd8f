import gc
import weakref

import numpy as np
import pytest
import torch

from genbench.metrics.distances import pairwise_distances
from genbench.metrics.features import Features
from genbench.metrics.nearest import lists_among, lists_within, neighbours_among, neighbours_within
from genbench.metrics.neighbour_lists import NeighbourLists
from tests.metrics.hard_points import HARD, points


def brute_kth(row, k, *, positive):
    """The k-th smallest distance and k; or, where that is zero, the first positive one and its place."""
    ordered = np.sort(row)
    while positive and k <= len(ordered) and ordered[k - 1] == 0:
        k += 1
    return (ordered[k - 1] if k <= len(ordered) else np.inf), k


@pytest.mark.parametrize("depth", [1, 4, 1000])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_kth_neighbour_is_exact_whatever_the_depth(depth, ties, positive, subset):
    """With ties a point has up to 3 equals in expectation, so that shallow lists must fall back to all distances."""
    a, b = points(60, ties=ties), points(80, seed=1, ties=ties)
    alive = torch.from_numpy(np.random.default_rng(2).random(80) < 0.4) if subset else None
    radius, rank = lists_among(a, b, depth)[0].kth(5, alive, positive=positive)
    distances = pairwise_distances(a, b).numpy()
    for i in range(60):
        row = distances[i] if alive is None else distances[i][alive.numpy()]
        assert (float(radius[i]), int(rank[i])) == brute_kth(row, 5, positive=positive)


@pytest.mark.parametrize("depth", [1, 4, 1000])
@pytest.mark.parametrize("d", [3, 24])
@pytest.mark.parametrize("single", [0, 2**31])
@pytest.mark.parametrize("ties", [False, True])
def test_many_parts_are_answered_as_each_by_itself(depth, d, single, ties, monkeypatch):
    """Of a part that is one point of many copies there is no positive neighbour; of a small one none at all."""
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", single)
    a = points(60, d, ties=ties)
    b = torch.cat([points(80, d, seed=1, ties=ties), a[:1].repeat(9, 1)])
    parts = torch.from_numpy(np.random.default_rng(2).random((70, 89)) < 0.4)
    parts[1], parts[2], parts[3] = torch.arange(89) >= 80, torch.arange(89) < 4, True
    radius, rank = lists_among(a, b, depth)[0].positive_kth_in_parts(5, parts)
    for number, alive in enumerate(parts):
        expected, place = lists_among(a, b, 1000)[0].kth(5, alive, positive=True)
        assert (radius[:, number] == expected).all()
        assert (rank[:, number] == place).all()


@pytest.mark.parametrize("single", [0, 2**31])
@pytest.mark.parametrize("ties", [False, True])
def test_radii_that_were_not_measured_are_within_their_errors(single, ties, monkeypatch):
    """And what is measured near a distance says on which side of it the exact radii are. Depth 12 is short for some."""
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", single)
    a = 1000 + points(60, 24, ties=ties)
    b = 1000 + torch.cat([points(80, 24, seed=1, ties=ties), points(60, 24, ties=ties)[:20]])
    parts = torch.from_numpy(np.random.default_rng(2).random((9, 100)) < 0.5)
    exact = lists_among(a, b, 12)[0].kth_in_parts([3, 5], parts)
    lists, rows = lists_among(a, b, 12)[0], torch.arange(60)
    radii, errors = lists.about_kth_in_parts([3, 5], parts, rows)
    for found, expected in zip(radii, exact, strict=True):
        assert ((found.square() - expected.square()).abs() <= errors[:, None]).all()
    for distances in (exact[0][:, 0], exact[1][:, 4], pairwise_distances(a, b)[:, 7]):
        lists.measure_near(rows, distances)
        for found, expected in zip(lists.about_kth_in_parts([3, 5], parts, rows)[0], exact, strict=True):
            assert ((found < distances[:, None]) == (expected < distances[:, None])).all()
            assert ((found > distances[:, None]) == (expected > distances[:, None])).all()


@pytest.mark.parametrize("depth", [2, 1000])
def test_a_point_is_no_neighbour_of_itself_but_its_duplicate_is(depth):
    x = torch.cat([points(20), points(1)])
    radius, _ = lists_within(x, depth).kth(1)
    assert float(radius[0]) == 0.0
    assert float(radius[20]) == 0.0
    assert (radius[1:20] > 0).all()


def test_a_neighbour_that_does_not_exist_is_infinitely_far():
    x = points(5)
    assert torch.isinf(lists_within(x, 10).kth(5)[0]).all()
    assert torch.isinf(lists_within(x * 0, 2).kth(1, positive=True)[0]).all()


def test_blocks_change_nothing(monkeypatch):
    x = points(50)
    whole = lists_within(x, 8)
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 50 * 7)
    blocked = lists_within(x, 8)
    assert (whole.distances == blocked.distances).all()
    assert (whole.kth(20)[0] == blocked.kth(20)[0]).all()


@pytest.mark.parametrize("kind", HARD)
def test_lists_are_those_of_the_exact_form(kind):
    x = HARD[kind](120)
    distances = pairwise_distances(x, x).fill_diagonal_(torch.inf)
    lists = lists_within(x, 7)
    assert (lists.distances == distances.sort(dim=1).values[:, :7]).all()
    assert (lists.distances == distances.gather(1, lists.indices)).all()
    assert all(len(set(row)) == 7 for row in lists.indices.tolist())


def test_only_points_with_many_near_equals_are_measured_against_all(monkeypatch):
    """30 points so near each other that products cannot tell them apart; the other 90 rows need no second look."""
    x = torch.cat([points(90, 24), 9 + 1e-8 * points(30, 24, seed=1)])
    looked = []
    original = NeighbourLists.to_others
    monkeypatch.setattr(NeighbourLists, "to_others", lambda self, rows: looked.extend(rows) or original(self, rows))
    lists = lists_within(x, 7)
    assert (lists.distances == pairwise_distances(x, x).fill_diagonal_(torch.inf).sort(dim=1).values[:, :7]).all()
    assert sorted(int(row) for row in looked) == list(range(90, 120))


def test_lists_are_shared_between_depths():
    a = Features(points(60, 24))
    assert neighbours_within(a, 3) is neighbours_within(a, 20)
    assert neighbours_within(a, 50).distances.shape == (60, 50)


@pytest.mark.parametrize("kind", HARD)
def test_one_sweep_lists_both_directions(kind, monkeypatch):
    """Blocks of 11 rows, so that the second direction is gathered from many of them."""
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 90 * 11)
    x, y = HARD[kind](60), torch.cat([HARD[kind](60), points(30, HARD[kind](60).shape[1])])
    forward, backward = lists_among(x, y, 7)
    for lists, distances in ((forward, pairwise_distances(x, y)), (backward, pairwise_distances(y, x))):
        assert (lists.distances == distances.sort(dim=1).values[:, :7]).all()
        assert (lists.distances == distances.gather(1, lists.indices)).all()
        assert all(len(set(row)) == 7 for row in lists.indices.tolist())


@pytest.mark.parametrize("kind", HARD)
def test_a_set_in_blocks_is_listed_as_in_one(kind, monkeypatch):
    x = HARD[kind](60)
    whole = lists_within(x, 7)
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 60 * 11)
    assert (lists_within(x, 7).distances == whole.distances).all()


def test_both_directions_are_remembered_from_either():
    a, b = Features(points(60, 24)), Features(points(70, 24, seed=1))
    forward, backward = neighbours_among(a, b, 3), neighbours_among(b, a, 3)
    assert forward is neighbours_among(a, b, 20)
    assert backward is neighbours_among(b, a, 20)
    assert forward.points is backward.others
    assert forward.others is backward.points


def test_a_reference_does_not_keep_what_was_scored_against_it():
    a, b = Features(points(60)), Features(points(70, seed=1))
    neighbours_among(b, a, 3)
    gone = weakref.ref(a)
    del a
    gc.collect()
    assert gone() is None
