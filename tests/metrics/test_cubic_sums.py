import numpy as np
import pytest
import torch

from genbench.metrics.cubic_sums import TILE, CubicSums
from genbench.metrics.features import Features
from genbench.metrics.kernel import kd
from genbench.metrics.kernel_sums import Cubic, Gaussian, RowSums, SumsReader, members_of_groups
from genbench.metrics.screening import CHUNK
from genbench.metrics.sweep import sweep
from tests.metrics.hard_points import HARD, points


@pytest.fixture(autouse=True)
def _single_precision_at_any_size(monkeypatch):
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", 0)
    monkeypatch.setattr("genbench.metrics.kernel_sums.VAST", 0)


def pieces(x, y, centre):
    """What the module's docstring names: p and t of every pair, and the largest error of t, in float64."""
    a, b, d = x - centre, y - centre, x.shape[1]
    t = a @ b.T / d
    p = 1 + (x @ centre)[:, None] / d + b @ centre / d
    chunks = -(-d // CHUNK)
    return p, t, (CHUNK + chunks + 2) * 2.0**-24 * a.norm(dim=1)[:, None] * b.norm(dim=1) / d


def allowed(x, y, centre):
    """How far a pair's value may be off: by the derived bound, and by 1e-13 of its terms for float64 sums."""
    p, t, error = pieces(x, y, centre)
    single = t.square() * (t.abs() + 3 * p.abs())
    moved = (3 * t.square() + 6 * t.abs() * p.abs()) * error + 3 * (t.abs() + p.abs()) * error**2 + error**3
    return moved + (max(TILE) + 6) * 2.0**-24 * single + 1e-13 * (p.abs() + t.abs()) ** 3


def exactly(x, y, centre):
    p, t, _ = pieces(x, y, centre)
    return (p + t) ** 3


@pytest.mark.parametrize("block_bytes", [2**26, 8 * 50 * 13])
@pytest.mark.parametrize("kind", [*HARD, "600 columns"])
def test_sums_by_groups_are_within_the_derived_bound(kind, block_bytes, monkeypatch):
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", block_bytes)
    monkeypatch.setattr("genbench.metrics.cubic_sums.TILE", (7, 11))
    make = HARD.get(kind, lambda n: points(n, 600))
    x, y = make(40), make(52)[2:] * 1.25
    mine, theirs = members_of_groups(x, 20), members_of_groups(y, 20)
    (forward, backward), (within, _) = sweep(x, y, [RowSums(Cubic(), 20)])[0], sweep(x, x, [RowSums(Cubic(), 20)])[0]
    for found, (a, b, groups), centre in (
        (forward, (x, y, theirs), y.mean(dim=0)),
        (backward, (y, x, mine), y.mean(dim=0)),
    ):
        assert ((found - exactly(a, b, centre) @ groups).abs() <= allowed(a, b, centre) @ groups).all()
    others = 1 - torch.eye(40, dtype=torch.float64)
    expected, limit = (form(x, x, x.mean(dim=0)) for form in (exactly, allowed))
    # What a sample has with itself is taken off again, at a rounding of the sum with it.
    error = (limit * others) @ mine + 1e-13 * expected.abs() @ mine
    assert ((within - (expected * others) @ mine).abs() <= error).all()


@pytest.mark.parametrize("scale", [1e-200, 1e-20, 1e20, 1e30])
def test_numbers_of_any_size_neither_overflow_nor_vanish(scale):
    """Three times the largest error of t, 260 * 2^-24 of |x| |y| / d, is 5e-5 of the largest kernel value."""
    x, y = scale * points(30, 9), scale * points(20, 9, seed=1)
    ours, theirs = members_of_groups(x, 5), members_of_groups(y, 5)
    exact = sweep(x, y, [_Double(5)])[0]
    for found, expected, groups in zip(sweep(x, y, [RowSums(Cubic(), 5)])[0], exact, (theirs, ours), strict=True):
        size = expected.abs().max() + groups.sum(dim=0).max()
        assert torch.isfinite(found).all()
        assert ((found - expected).abs() <= 1e-4 * size).all()


class _Double:
    """The same sums in float64, for other passes."""

    def __init__(self, groups):
        self.groups = groups

    def reader(self, x, y):
        return SumsReader(Cubic(), (members_of_groups(x, self.groups), members_of_groups(y, self.groups)))


def test_products_in_float64_are_summed_in_float64():
    """Beside a kernel that needs them the cubic one reads the same products."""
    x, y = points(60, 8), points(50, 8, seed=1) + 0.5
    (found, _), _ = sweep(x, y, [RowSums(Cubic(), 10), RowSums(Gaussian(2.0), 10)])
    expected = ((x @ y.T / 8 + 1) ** 3) @ members_of_groups(y, 10)
    assert torch.allclose(found, expected, rtol=1e-12)


def test_single_precision_serves_large_sets_alone(monkeypatch):
    monkeypatch.setattr("genbench.metrics.kernel_sums.VAST", 30 * 40 * 6)
    want, y = RowSums(Cubic(), 10), points(40, 6)
    assert isinstance(want.reader(points(30, 6), y), CubicSums)
    assert isinstance(want.reader(points(29, 6), y), SumsReader)
    assert isinstance(RowSums(Gaussian(1.0), 10).reader(points(30, 6), y), SumsReader)


@pytest.mark.parametrize("kind", ["normal", "offset", "rectified"])
def test_kernel_distance_moves_by_a_thousandth_of_its_error_at_most(kind, monkeypatch):
    """At the size of features in use. Measured: 2e-8 of the error (3e-10 shifted), 2e-12 of the kernel's mean."""
    change = {"normal": lambda z: z, "offset": lambda z: z + 3, "rectified": lambda z: z.clip(0)}[kind]
    rng = np.random.default_rng(0)
    x, y = (change(stretch * rng.standard_normal((3000, 2048))) for stretch in (1.02, 1.0))
    found = kd(generated=x, reference=y)
    monkeypatch.setattr("genbench.metrics.kernel_sums.VAST", 2**60)
    exact = kd(generated=x, reference=y)
    # By Jensen the mean of (x.y / d + 1)^3, x.y / d being above -1 here, is at least the cube of its mean.
    mean = (x.mean(axis=0) @ y.mean(axis=0) / 2048 + 1) ** 3
    assert abs(found.value - exact.value) < 1e-8 * mean
    assert abs(found.value - exact.value) < 1e-3 * exact.std_error
    assert found.std_error == pytest.approx(exact.std_error, rel=1e-6)
    assert np.abs(np.subtract(found.replicates, exact.replicates)).max() < 1e-3 * exact.std_error


def test_a_set_beside_itself_counts_every_pair():
    x = points(30, 4)
    found = kd(generated=Features(x), reference=Features(x.clone())).value
    kernel = (x @ x.T / 4 + 1) ** 3
    within = float((kernel.sum() - kernel.diagonal().sum()) / (30 * 29))
    assert found == pytest.approx(2 * within - 2 * float(kernel.mean()), rel=1e-5)
