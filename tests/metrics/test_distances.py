import numpy as np
import pytest
import torch

from genbench.metrics.distances import (
    NeighbourLists,
    SquaredDistances,
    distances_of_pairs,
    neighbours_among,
    neighbours_within,
    pairwise_distances,
    row_blocks,
)
from genbench.metrics.features import Features


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


@pytest.mark.parametrize("d", [1, 2, 7, 64, 515])
def test_a_pair_has_the_same_bits_in_every_shape(d):
    """What lets a radius taken from one shape be compared with a distance taken from another."""
    a, b = points(40, d), points(50, d, seed=1)
    whole = pairwise_distances(a, b)
    i, j = torch.arange(40).repeat_interleave(50), torch.arange(50).repeat(40)
    assert (distances_of_pairs(a, b, i, j) == whole.flatten()).all()
    assert (whole == pairwise_distances(b, a).T).all()
    assert len(distances_of_pairs(a, b, i[:0], j[:0])) == 0


HARD = {
    "plain": lambda n: points(n, 24),
    "duplicates": lambda n: points(n // 2, 24).repeat(2, 1),
    "lattice": lambda n: points(n, 3, ties=True),
    "offset": lambda n: points(n, 24) + 1e3,
    "small on a large offset": lambda n: 1e-6 * points(n, 24) + 1e3,
    "two far clusters": lambda n: points(n, 24) + 1e6 * (torch.arange(n) % 2)[:, None],
    "an outlier": lambda n: torch.cat([points(n - 1, 24), torch.full((1, 24), 1e9, dtype=torch.float64)]),
    "one point": lambda n: torch.ones(n, 24, dtype=torch.float64),
}


@pytest.mark.parametrize("kind", HARD)
def test_squares_by_products_are_within_their_bound(kind):
    """Compared with exact rational arithmetic, and with the square of the distance that decides."""
    from fractions import Fraction

    x = HARD[kind](20)
    y = torch.cat([x[:5], HARD[kind](10) + 0.25])
    squares = SquaredDistances(x, y)
    bound = squares.bound(squares.point_norms[:, None], squares.other_norms[None, :])
    block, decides = squares.block(slice(0, 20)), pairwise_distances(x, y)
    for i in range(20):
        for j in range(15):
            exact = sum((Fraction(float(p)) - Fraction(float(q))) ** 2 for p, q in zip(x[i], y[j], strict=True))
            allowed = Fraction(float(bound[i, j]))
            assert abs(Fraction(float(block[i, j])) - exact) <= allowed / 2
            assert abs(Fraction(float(decides[i, j])) ** 2 - exact) <= allowed / 2


@pytest.mark.parametrize("kind", HARD)
def test_lists_are_those_of_the_exact_form(kind):
    x = HARD[kind](120)
    distances = pairwise_distances(x, x).fill_diagonal_(torch.inf)
    lists = NeighbourLists(x, x, 7)
    assert (lists.distances == distances.sort(dim=1).values[:, :7]).all()
    assert (lists.distances == distances.gather(1, lists.indices)).all()
    assert all(len(set(row)) == 7 for row in lists.indices.tolist())


def test_only_points_with_many_near_equals_are_measured_against_all(monkeypatch):
    """30 copies of one point cannot be told apart by 7 + 8 candidates; the other 90 rows need no second look."""
    x = torch.cat([points(90, 24), torch.ones(30, 24, dtype=torch.float64) * 9])
    looked = []
    original = NeighbourLists._to_others
    monkeypatch.setattr(NeighbourLists, "_to_others", lambda self, rows: looked.extend(rows) or original(self, rows))
    lists = NeighbourLists(x, x, 7)
    assert sorted(int(row) for row in looked) == list(range(90, 120))
    assert (lists.distances[90:] == 0).all()


def test_lists_are_shared_between_depths_and_kept_with_both_sets():
    a, b = Features(points(60)), Features(points(70, seed=1))
    assert neighbours_within(a, 3) is neighbours_within(a, 20)
    assert neighbours_among(a, b, 3) is neighbours_among(a, b, 20)
    assert neighbours_among(a, b, 3) is not neighbours_among(b, a, 3)
    assert neighbours_within(a, 50).distances.shape == (60, 50)
