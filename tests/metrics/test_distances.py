import pytest
import torch

from genbench.metrics.distances import SquaredDistances, distances_of_pairs, pairwise_distances, row_blocks
from tests.metrics.hard_points import HARD, points


def test_equal_rows_are_at_distance_exactly_zero_far_from_the_origin():
    x = points(50, 512) + 1e3
    assert (pairwise_distances(x, x.clone()).diagonal() == 0).all()


def test_blocks_cover_every_row_once(monkeypatch):
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 10 * 3)
    assert [(b.start, b.stop) for b in row_blocks(7, 10)] == [(0, 3), (3, 6), (6, 7)]
    assert len(list(row_blocks(2, 10**9))) == 2


@pytest.mark.parametrize("d", [1, 2, 7, 64, 515])
def test_a_pair_has_the_same_bits_in_every_shape(d):
    """What lets a radius taken from one shape be compared with a distance taken from another."""
    a, b = points(40, d), points(50, d, seed=1)
    whole = pairwise_distances(a, b)
    i, j = torch.arange(40).repeat_interleave(50), torch.arange(50).repeat(40)
    assert (distances_of_pairs(a, b, i, j) == whole.flatten()).all()
    assert (whole == pairwise_distances(b, a).T).all()
    assert len(distances_of_pairs(a, b, i[:0], j[:0])) == 0


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
