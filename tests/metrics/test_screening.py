import pytest
import torch

from genbench.metrics.distances import pairwise_distances
from genbench.metrics.nearest import lists_among, lists_within
from genbench.metrics.screening import CHUNK, SingleSquares
from tests.metrics.hard_points import HARD, points

WIDE = {
    **HARD,
    "600 columns": lambda n: points(n, 600),
    "huge": lambda n: 1e30 * points(n, 24).clamp(-1, 1),
    "tiny": lambda n: 1e-200 * points(n, 24),
    # Every product is the same, and so is the way in which every step of its sum is rounded.
    "one number": lambda n: 1.1 * torch.where(points(n, 1) > 0, 1.0, -1.0).double().expand(n, 700).contiguous(),
}


def exactly(a, b):
    """Squared distances in rational arithmetic, rounded once."""
    from fractions import Fraction

    rows, columns = ([[Fraction(v) for v in row] for row in each.tolist()] for each in (a, b))
    return torch.tensor([[float(sum((p - q) ** 2 for p, q in zip(x, y, strict=True))) for y in columns] for x in rows])


@pytest.mark.parametrize("kind", WIDE)
def test_single_precision_is_within_its_bound(kind):
    """Rational sums are rounded to 2^-24 of their size, far below the bound of some 140 times that."""
    x = WIDE[kind](12)
    y = torch.cat([x[:4], WIDE[kind](8) + 0.25 * x.abs().max()])
    screen = SingleSquares(x, y)
    scaled = screen.scale
    exact = exactly(x / scaled, y / scaled).double()
    allowed = screen.slack * (screen.point_norms[:, None] + screen.other_norms).square() + screen.floor
    assert ((screen.block(slice(0, 12)).double() - exact).abs() <= allowed).all()
    assert (screen.block(slice(3, 7), 5) == screen.block(slice(0, 12))[3:7, 5:]).all()


@pytest.mark.parametrize("kind", WIDE)
def test_lists_proposed_in_single_precision_are_exact(kind, monkeypatch):
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", 0)
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 90 * 50)
    x, y = WIDE[kind](60), torch.cat([WIDE[kind](60), points(30, WIDE[kind](60).shape[1])])
    within = pairwise_distances(x, x).fill_diagonal_(torch.inf)
    forward, backward = lists_among(x, y, 7)
    for lists, distances in (
        (lists_within(x, 7), within),
        (forward, pairwise_distances(x, y)),
        (backward, pairwise_distances(y, x)),
    ):
        assert (lists.distances == distances.sort(dim=1).values[:, :7]).all()
        assert (lists.distances == distances.gather(1, lists.indices)).all()


def test_an_outlier_does_not_send_everyone_back_to_all_distances(monkeypatch):
    """The error of the largest norm would hide all other distances."""
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", 0)
    looked = []
    monkeypatch.setattr(
        "genbench.metrics.neighbour_lists.NeighbourLists._relist", lambda self, rows: looked.extend(rows)
    )
    x = torch.cat([points(300, 24), torch.full((1, 24), 1e3, dtype=torch.float64)])
    lists = lists_within(x, 7)
    assert len(lists.distances) == 301
    assert len(looked) <= 1


def test_duplicates_far_from_the_origin_are_at_distance_zero(monkeypatch):
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", 0)
    x = points(40, 2048) + 1000
    forward, _ = lists_among(x, x.clone(), 3)
    assert (forward.nearest(1)[0] == 0).all()
    assert (forward.nearest(1)[1][:, 0] == torch.arange(40)).all()


@pytest.mark.parametrize(("d", "chunks"), [(24, 1), (2048, 8)])
def test_the_bound_is_hardly_more_than_half_of_the_roundings_of_a_product(d, chunks):
    """A wide one costs time: what it leaves open is measured. Six roundings and a fiftieth are beside the products'."""
    x = points(4, d)
    roundings = (CHUNK + chunks) / 2
    assert roundings < 2**24 * SingleSquares(x, x).slack < 1.02 * roundings + 6.1


def test_rows_in_single_precision_are_the_double_ones_that_they_are(monkeypatch):
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", 0)
    x, y = (points(n, 300, seed=n).float() for n in (50, 60))
    for single, double in zip(lists_among(x, y, 7), lists_among(x.double(), y.double(), 7), strict=True):
        assert (single.distances == double.distances).all()
        assert (single.indices == double.indices).all()
        assert single.distances.dtype == torch.float64
