"""Expanded replicates against those that are each computed in full, in dimensions where both are quick."""

import numpy as np
import pytest
import torch

from genbench.metrics import frechet
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd, features_to_gaussian
from genbench.metrics.frechet_expansion import NOISE, Orders, expand, replicates_by_expansion
from genbench.metrics.gaussian_fit import distance_and_axes
from genbench.metrics.moments import GroupedMoments, MomentSums
from genbench.metrics.symmetric import add_gram, cholesky, paired_axes, root_trace
from genbench.stats.differences import jackknife_difference
from genbench.stats.jackknife import debias, standard_error


def normal(seed, n, d, power=0.0, stretch=0.0, heavy=False):
    """Spectrum i^-power, every other axis stretched or shrunk; heavy: Student's t with 8 degrees of freedom."""
    rng = np.random.default_rng([seed, 21])
    rows = rng.standard_normal((n, d)) * np.arange(1, d + 1) ** (-power / 2)
    if heavy:
        rows *= np.sqrt(6 / rng.chisquare(8, size=(n, 1)))
    return rows * (1 + stretch * (-1.0) ** np.arange(d))


@pytest.fixture
def expanding(monkeypatch):
    """Expand in every dimension."""
    monkeypatch.setattr(frechet, "EXPANDED", 2)


@pytest.fixture
def removed(monkeypatch):
    """Which sets had a group removed, by their size: twice for every replicate that is computed in full."""
    sizes, without = [], GroupedMoments.without

    def spy(sums, group):
        sizes.append(sums.n)
        return without(sums, group)

    monkeypatch.setattr(GroupedMoments, "without", spy)
    return sizes


def orders_of(generated, reference):
    x, y = Features(generated), Features(reference)
    ours, theirs = features_to_gaussian(x, 20), features_to_gaussian(y, 20)
    found, axes = distance_and_axes(ours, theirs)
    return found.value, expand(x.values, y.values, ours, theirs, axes, 20)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("power", [0.0, 2.0])
def test_orders_are_those_of_the_distance(power, unit):
    """What is left is of third order: with 500 samples a dimension some 3% of the second, as the groups are 5%.

    The first order is 100 times the second here, so that an error of 1e-3 in it would show. Units of 1e-12 and 1e12
    have squared squares that float32 does not hold.
    """
    x, y = unit * normal(1, 4000, 8, power, 0.3) + unit, unit * normal(2, 5000, 8, power)
    value, orders = orders_of(x, y)
    moved = np.array(fd(generated=x, reference=y).replicates) - value
    first, second = map(np.array, orders)
    assert second.min() > 0
    assert np.abs(moved - first - second).max() < 0.1 * second.max()
    assert second.max() < 0.1 * np.abs(first).max()


CASES = [
    (600, 600, 64, 0.0, 0.3, False),
    (603, 1000, 64, 1.0, 0.1, False),
    (600, 600, 64, 1.0, 0.0, False),
    (160, 160, 64, 0.0, 0.0, False),
    (600, 600, 64, 1.0, 0.3, True),
    (1200, 700, 64, 2.0, 0.0, True),
]


@pytest.mark.parametrize("case", CASES)
def test_replicates_are_nearly_those_computed_in_full(case, monkeypatch):
    """Replicate by replicate: within a fifth of their standard deviation, and their mean within what is promised.

    That is the debiased value within 3 `NOISE` standard errors, three deviations of it, and the error within 3%.
    Measured over these: .02 to .08 standard errors, .04 to 1.0%, and .15 standard deviations.
    """
    n, m, d, power, stretch, heavy = case
    x, y = normal(1, n, d, power, stretch, heavy), normal(2, m, d, power, 0.0, heavy)
    full = fd(generated=x, reference=y)
    monkeypatch.setattr(frechet, "EXPANDED", 2)
    found = fd(generated=x, reference=y)
    assert found.replicates != full.replicates
    assert found.value == full.value
    assert np.abs(np.subtract(found.replicates, full.replicates)).max() < 0.2 * np.std(full.replicates, ddof=1)
    assert abs(found.debiased - full.debiased) < 3 * NOISE * full.std_error
    assert found.std_error == pytest.approx(full.std_error, rel=0.03)


def test_difference_of_two_models_keeps_its_error(monkeypatch):
    """Two models against one reference, as a gate pairs them: the error of the difference within 3%."""
    reference = normal(3, 800, 64, 1.0)
    pair = [normal(1, 800, 64, 1.0, 0.2), normal(2, 800, 64, 1.0, 0.25)]

    def difference():
        found = [fd(generated=x, reference=reference) for x in pair]
        return jackknife_difference(found[1].best - found[0].best, *(one.replicates for one in found))

    full = difference()
    monkeypatch.setattr(frechet, "EXPANDED", 2)
    found = difference()
    assert found.std_error == pytest.approx(full.std_error, rel=0.03)
    assert abs(found.value - full.value) < NOISE * full.std_error


@pytest.mark.usefixtures("expanding")
def test_one_replicate_in_full_is_enough_for_unlike_sets(removed):
    fd(generated=normal(1, 1000, 32, 1.0, 0.5), reference=normal(2, 1100, 32, 1.0))
    assert sorted(removed) == [1000, 1100]


def made_up(share, noise):
    """Orders of 20 groups, and replicates whose higher orders are a share of the second, and noise."""
    rng = np.random.default_rng(5)
    first, second = rng.standard_normal(20), 1 + 0.1 * rng.standard_normal(20)
    return Orders(list(first), list(second)), 7 + first + (1 + share) * second + noise * rng.standard_normal(20)


def test_share_of_higher_orders_is_found_from_one_replicate():
    orders, truth = made_up(share=0.1, noise=0.0)
    asked = iter(truth)
    assert replicates_by_expansion(7.0, orders, asked) == pytest.approx(list(truth), rel=1e-12)
    assert len(list(asked)) == 19


@pytest.mark.parametrize(("share", "noise"), [(3.0, 0.0), (0.0, 0.5)])
def test_expansion_that_does_not_fit_falls_back_to_full_replicates(share, noise):
    """A share of 3 leaves half as much unknown as the replicates spread; noise shows in those that are asked for.

    The noise is seen from the second replicate on: the first alone leaves a share of its size, |.5 z| times .1.
    """
    orders, truth = made_up(share, noise)
    asked = iter(truth)
    found = replicates_by_expansion(7.0, orders, asked)
    assert len(list(asked)) < 10
    assert abs(debias(8.0, found) - debias(8.0, list(truth))) < 3 * NOISE * standard_error(list(truth))


def test_expansion_that_is_worthless_gives_the_full_replicates():
    orders, truth = made_up(share=0.0, noise=0.0)
    truth = np.random.default_rng(6).permutation(truth) * 50
    assert replicates_by_expansion(7.0, orders, iter(truth)) == list(truth)


@pytest.mark.usefixtures("expanding")
def test_axes_that_do_not_fit_are_noticed(monkeypatch, removed):
    x, y = normal(1, 600, 16, 1.0, 0.3), normal(2, 600, 16, 1.0)
    full = fd(generated=x, reference=y)

    def askew(lower, covariance):
        found = root_trace(lower, covariance)
        values, vectors = found.axes()
        return found._replace(axes=lambda: (values, vectors.roll(1, dims=1)))

    monkeypatch.setattr("genbench.metrics.gaussian_fit.root_trace", askew)
    removed.clear()
    found = fd(generated=x, reference=y)
    assert len(removed) == 40
    assert found.std_error == pytest.approx(full.std_error, rel=0.03)


def test_narrow_features_and_sums_are_computed_in_full(monkeypatch, removed):
    x, y = normal(1, 600, 16, 1.0, 0.3), normal(2, 600, 16, 1.0)
    narrow = fd(generated=x, reference=y)
    monkeypatch.setattr(frechet, "EXPANDED", 2)
    sums = MomentSums(600, 16, 20)
    sums.add(torch.from_numpy(x))
    assert fd(generated=sums, reference=y) == narrow
    assert len(removed) == 80


@pytest.mark.usefixtures("expanding")
def test_sets_whose_distance_eigenvalues_do_not_decide_are_computed_in_full(removed):
    x = normal(1, 600, 8)
    assert fd(generated=x, reference=x.copy()).value < 1e-10
    assert len(removed) == 40


@pytest.mark.usefixtures("expanding")
@pytest.mark.parametrize("stretch", [0.0, 0.3])
def test_interval_covers_the_distance_of_the_distributions(stretch):
    """Spectrum 1/i, n = 500, d = 32, truth stretch^2 times the trace. Nominal 95%.

    Measured over 200: .995 (in full .985) for equal ones, .970 (.970) for unlike ones. At 95%, 53 or fewer of 60 have
    probability .030 (the seeds are fixed).
    """
    d = 32
    truth = stretch**2 * (1 / np.arange(1, d + 1)).sum()
    covered = 0
    for seed in range(60):
        found = fd(
            generated=normal(2 * seed, 500, d, 1.0, stretch),
            reference=normal(2 * seed + 1, 500, d, 1.0),
        )
        covered += found.low <= truth <= found.high
    assert covered >= 54


@pytest.mark.parametrize("d", [1, 2, 40, 100])
def test_axes_are_eigenvectors(d):
    """In float32, whose rounding of d numbers is below d eps of the largest eigenvalue."""
    rng = np.random.default_rng(d)
    first, second = (torch.from_numpy(np.cov(rng.standard_normal((d, 3 * d))).reshape(d, d)) for _ in range(2))
    lower = cholesky(second)
    matrix = lower.T @ first @ lower
    values, vectors = root_trace(lower, first).axes()
    assert vectors.dtype == torch.float32
    assert values.numpy() == pytest.approx(np.linalg.eigvalsh(matrix.numpy()), rel=1e-10)
    allowed = d * torch.finfo(torch.float32).eps
    assert (vectors.double() * values @ vectors.double().T - matrix).abs().max() < allowed * values[-1]
    assert (vectors.T @ vectors - torch.eye(d)).abs().max() < allowed


def test_paired_axes_and_signed_products():
    """Well-conditioned and of 5 columns: float32's rounding, 6e-8, with room for the sums of 12 numbers."""
    rng = np.random.default_rng(3)
    lower = cholesky(torch.from_numpy(np.cov(rng.standard_normal((12, 99)))))
    first, second = (torch.from_numpy(rng.standard_normal((12, 5))).float() for _ in range(2))
    product, solved = paired_axes(lower, first, second)
    assert torch.allclose(product.double(), lower @ first.double(), atol=1e-5)
    assert torch.allclose(lower.T @ solved.double(), second.double(), atol=1e-5)
    half = torch.zeros(5, 5)
    add_gram(half, first, -0.5)
    assert torch.allclose(half.triu(), (-0.5 * first.T @ first).triu(), atol=1e-5)
