import numpy as np
import pytest
import torch

from genbench.metrics.distances import NeighbourLists, pairwise_distances, row_blocks


def points(n, d=3, seed=0, *, ties=False):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (n, d)) if ties else rng.standard_normal((n, d))
    return torch.from_numpy(np.asarray(values, dtype=np.float64))


def brute_kth(row, k, *, positive):
    """The k-th smallest distance and k; or, where that is zero, the first positive one and its place."""
    ordered = np.sort(row)
    while positive and k <= len(ordered) and ordered[k - 1] == 0:
        k += 1
    return (ordered[k - 1] if k <= len(ordered) else np.inf), k


def test_equal_rows_are_at_distance_exactly_zero_far_from_the_origin():
    x = points(50, 512) + 1e3
    assert (pairwise_distances(x, x.clone()).diagonal() == 0).all()


def test_blocks_cover_every_row_once(monkeypatch):
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 10 * 3)
    assert [(b.start, b.stop) for b in row_blocks(7, 10)] == [(0, 3), (3, 6), (6, 7)]
    assert len(list(row_blocks(2, 10**9))) == 2


@pytest.mark.parametrize("depth", [1, 4, 1000])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_kth_neighbour_is_exact_whatever_the_depth(depth, ties, positive, subset):
    """With ties a point has up to 3 equals in expectation, so that shallow lists must fall back to all distances."""
    a, b = points(60, ties=ties), points(80, seed=1, ties=ties)
    alive = torch.from_numpy(np.random.default_rng(2).random(80) < 0.4) if subset else None
    radius, rank = NeighbourLists(a, b, depth).kth(5, alive, positive=positive)
    distances = pairwise_distances(a, b).numpy()
    for i in range(60):
        row = distances[i] if alive is None else distances[i][alive.numpy()]
        assert (float(radius[i]), int(rank[i])) == brute_kth(row, 5, positive=positive)


@pytest.mark.parametrize("depth", [2, 1000])
def test_a_point_is_no_neighbour_of_itself_but_its_duplicate_is(depth):
    x = torch.cat([points(20), points(1)])
    radius, _ = NeighbourLists(x, x, depth).kth(1)
    assert float(radius[0]) == 0.0
    assert float(radius[20]) == 0.0
    assert (radius[1:20] > 0).all()


def test_a_neighbour_that_does_not_exist_is_infinitely_far():
    x = points(5)
    assert torch.isinf(NeighbourLists(x, x, 10).kth(5)[0]).all()
    assert torch.isinf(NeighbourLists(x * 0, x * 0, 2).kth(1, positive=True)[0]).all()


def test_blocks_change_nothing(monkeypatch):
    x = points(50)
    whole = NeighbourLists(x, x, 8)
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 50 * 7)
    blocked = NeighbourLists(x, x, 8)
    assert (whole.distances == blocked.distances).all()
    assert (whole.kth(20)[0] == blocked.kth(20)[0]).all()
