"""Expanded replicates against those that are each computed in full, in dimensions where both are quick."""

import numpy as np
import pytest
import torch

from genbench.metrics import feature_moments as held
from genbench.metrics import frechet
from genbench.metrics.feature_moments import feature_moments
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd, features_to_gaussian
from genbench.metrics.frechet_expansion import MUTUAL, NOISE, OWN, Expansion, expand, replicates_by_expansion
from genbench.metrics.frechet_orders import Share, Usual
from genbench.metrics.gaussian_fit import distance_and_axes
from genbench.metrics.moments import GroupedMoments, MomentSums
from genbench.metrics.root_trace import root_trace
from genbench.metrics.symmetric import add_gram, cholesky, paired_axes
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


def expanded(generated, reference):
    """Value, expansion, and all replicates in full."""
    x, y = Features(generated), Features(reference)
    ours, theirs = features_to_gaussian(x, 20), features_to_gaussian(y, 20)
    found, axes = distance_and_axes(ours, theirs)
    expansion = expand(feature_moments(x, 20), feature_moments(y, 20), ours, theirs, axes)
    return found.value, expansion, np.array(fd(generated=x, reference=y).replicates)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("power", [0.0, 2.0])
def test_orders_are_those_of_the_distance(power, unit):
    """What is left is of third order: with 500 samples a dimension some 3% of the second, as the groups are 5%.

    The first order is 100 times the second here, so that an error of 1e-3 in it would show. Units of 1e-12 and 1e12
    have squared squares that float32 does not hold.
    """
    x, y = unit * normal(1, 4000, 8, power, 0.3) + unit, unit * normal(2, 5000, 8, power)
    value, expansion, replicates = expanded(x, y)
    second = np.array([expansion.second(group) for group in range(20)])
    assert second.min() > 0
    assert np.abs(replicates - value - expansion.first - second).max() < 0.1 * second.max()
    assert second.max() < 0.1 * np.abs(expansion.first).max()
    # Each set's part is all of it but for what both means do together, which is of second order.
    assert np.abs(expansion.sides.sum(axis=0) - expansion.first).max() < 4 * second.max()


@pytest.mark.parametrize(("n", "d", "power"), [(64, 32, 0.0), (160, 32, 1.0), (96, 64, 0.0), (300, 300, 0.0)])
def test_all_orders_above_the_second_are_found_for_the_first_group(n, d, power):
    """To what is asked for: a hundredth of the second order, of which they are 5 to 50%."""
    n = max(n, 2 * d)
    value, expansion, replicates = expanded(normal(1, n, d, power, 0.1), normal(2, n + 7, d, power))
    rest = replicates[0] - value - expansion.first[0]
    found = expansion.share(0.01)
    assert 0.05 < rest / expansion.second(0) - 1 < 0.6
    assert expansion.second(0) * (1 + found.value) == pytest.approx(rest, rel=0.01)
    # Asked for less, a product of matrices less is made, and what is left is in doubt.
    rough = expansion.share(1.0)
    assert 0 < rough.doubt < 1
    assert abs(rough.value - found.value) < 2 * rough.doubt


@pytest.mark.parametrize(
    ("n", "m", "d", "power", "heavy"),
    [(600, 600, 64, 0.0, False), (1200, 700, 64, 1.0, False), (600, 600, 32, 0.0, True), (200, 1000, 64, 1.0, False)],
)
def test_usual_second_order_is_that_of_groups_at_large(n, m, d, power, heavy):
    """The mean of 20 groups is off by its standard error, their deviation by 16%: both within 4 of them (6e-5 each).

    Without replacement groups spread .97 of what is said, and what goes with the first order is taken from it.
    """
    _, expansion, _ = expanded(normal(1, n, d, power, 0.1, heavy), normal(2, m, d, power, 0.0, heavy))
    second = np.array([expansion.second(group) for group in range(20)])
    usual = expansion.usual(0.0, np.inf)
    assert usual.error < 1e-3 * usual.mean  # all rows
    assert abs(second.mean() - usual.mean) < 4 * second.std(ddof=1) / 20**0.5
    apart = second - np.array(usual.slopes) @ expansion.sides
    spread = (usual.own**2 + usual.mutual**2) ** 0.5
    assert 0.36 < apart.std(ddof=1) / spread < 1.64
    if heavy:  # rows that are far out add to both orders
        assert usual.own > 2 * usual.mutual
        assert apart.std(ddof=1) < 0.8 * second.std(ddof=1)


def test_fewer_rows_tell_what_is_usual_to_the_error_that_is_said():
    """1,152 and 1,000 rows of 4,000 and 1,000; within 4 standard errors, the chance of 6e-5."""
    _, expansion, _ = expanded(normal(1, 4000, 16, 1.0, 0.3, heavy=True), normal(2, 1000, 16, 1.0))
    all_rows = expansion.usual(0.0, np.inf)
    some = expansion.usual(1.5 * all_rows.error + 0.01 * all_rows.mean, np.inf)
    assert some.error > all_rows.error
    assert abs(some.mean - all_rows.mean) < 4 * some.error
    assert expansion.usual(0.0, some.mutual / 2).error > some.error  # of no use, it is not asked further


CASES = [
    (600, 600, 64, 0.0, 0.3, False),
    (603, 1000, 64, 1.0, 0.3, False),
    (600, 600, 64, 1.0, 0.0, False),
    (160, 160, 64, 0.0, 0.0, False),
    (600, 600, 64, 1.0, 0.3, True),
    (1200, 700, 64, 2.0, 0.2, False),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kept", [True, False])
def test_replicates_are_nearly_those_computed_in_full(case, kept, monkeypatch):
    """Replicate by replicate: within a third of their standard deviation, and their mean within what is promised.

    That is the debiased value within 2 `NOISE` standard errors, and the error within 5%. Measured over these: .15
    standard errors, 2.5%, and a quarter of a standard deviation at most.
    """
    n, m, d, power, stretch, heavy = case
    x, y = normal(1, n, d, power, stretch, heavy), normal(2, m, d, power, 0.0, heavy)
    full = fd(generated=x, reference=y)
    monkeypatch.setattr(frechet, "EXPANDED", 2)
    # Groups' sums in float32, or none.
    monkeypatch.setattr(held, "KEPT_BYTES", 2 * 20 * d**2 if kept else 0)
    found = fd(generated=x, reference=y)
    assert found.replicates != full.replicates
    assert found.value == pytest.approx(full.value, rel=1e-11)
    assert np.abs(np.subtract(found.replicates, full.replicates)).max() < 0.33 * np.std(full.replicates, ddof=1)
    assert abs(found.debiased - full.debiased) < 2 * NOISE * full.std_error
    assert found.std_error == pytest.approx(full.std_error, rel=0.05)


def test_difference_of_two_models_keeps_its_error(monkeypatch):
    """Two models against one reference, as a gate pairs them: the error of the difference within 5%."""
    reference = normal(3, 800, 64, 1.0)
    pair = [normal(1, 800, 64, 1.0, 0.3), normal(2, 800, 64, 1.0, 0.35)]

    def difference():
        found = [fd(generated=x, reference=reference) for x in pair]
        return jackknife_difference(found[1].best - found[0].best, *(one.replicates for one in found))

    full = difference()
    monkeypatch.setattr(frechet, "EXPANDED", 2)
    found = difference()
    assert found.std_error == pytest.approx(full.std_error, rel=0.05)
    assert abs(found.value - full.value) < 2 * NOISE * full.std_error


@pytest.mark.usefixtures("expanding")
def test_no_replicate_is_computed_in_full_for_unlike_sets(removed):
    found = fd(generated=normal(1, 1000, 32, 1.0, 0.5), reference=normal(2, 1100, 32, 1.0))
    assert removed == []
    assert len(found.replicates) == 20


def made_up(share=0.1, noise=0.0, error=0.0, doubt=0.0, own=0.0, mutual=0.0):
    """An expansion of 20 groups, and replicates whose higher orders are a share of the second, and noise.

    The first order spreads by .9, and one group's second by .1 unless ``mutual`` is small.
    """
    rng = np.random.default_rng(5)
    sides = rng.standard_normal((2, 20)) * 0.7
    second = 1 + (mutual or 0.1) * rng.standard_normal(20)
    asked = []

    def one(group):
        asked.append(group)
        return float(second[group])

    usual = Usual(mean=float(second.mean()), error=error, slopes=(0.0, 0.0), own=own, mutual=mutual)
    expansion = Expansion(
        sides.sum(axis=0), sides, one, lambda allowed, most: usual, lambda allowed: Share(share, doubt)
    )
    truth = 7 + sides.sum(axis=0) + (1 + share) * second + noise * rng.standard_normal(20)
    return expansion, truth, asked


def test_small_second_order_is_taken_to_be_the_same_in_every_group():
    expansion, truth, asked = made_up(mutual=0.01)
    found = replicates_by_expansion(7.0, expansion, iter(()))
    assert asked == []
    assert debias(8.0, found) == pytest.approx(debias(8.0, list(truth)), rel=1e-12)
    assert standard_error(found) == pytest.approx(standard_error(list(truth)), rel=0.01)


def test_second_order_follows_the_first_by_its_slopes():
    expansion, _, _ = made_up(share=0.0, mutual=0.01)
    usual = expansion.usual(0.0, np.inf)._replace(slopes=(0.5, -0.25))
    found = replicates_by_expansion(7.0, expansion._replace(usual=lambda allowed, most: usual), iter(()))
    ours, theirs = expansion.sides - expansion.sides.mean(axis=1, keepdims=True)
    assert found == pytest.approx(list(7 + expansion.first + usual.mean + 0.5 * ours - 0.25 * theirs), rel=1e-12)


@pytest.mark.parametrize(
    "unsure",
    [{"own": 2 * OWN}, {"mutual": 2 * MUTUAL}, {"mutual": 0.01, "error": 0.1}, {"mutual": 0.01, "doubt": 0.1}],
)
def test_usual_that_is_not_sure_enough_is_not_used(unsure):
    """The first order spreads by .9, so that 2 `OWN` is more than is allowed; and .1 of 1 is 20 times that."""
    expansion, truth, asked = made_up(**unsure)
    found = replicates_by_expansion(7.0, expansion, iter(truth))
    assert asked == list(range(20))
    assert found == pytest.approx(list(truth), rel=1e-12)


def test_share_of_higher_orders_is_found_from_one_replicate():
    expansion, truth, _ = made_up(share=0.05, own=1.0)
    asked = iter(truth)
    assert replicates_by_expansion(7.0, expansion, asked) == pytest.approx(list(truth), rel=1e-12)
    assert len(list(asked)) == 19


@pytest.mark.parametrize(("share", "noise"), [(3.0, 0.0), (0.0, 0.5)])
def test_expansion_that_does_not_fit_falls_back_to_full_replicates(share, noise):
    """A share of 3 leaves half as much unknown as the replicates spread; noise shows in those that are asked for.

    The noise is seen from the second replicate on: the first alone leaves a share of its size, |.5 z| times .1.
    """
    expansion, truth, _ = made_up(share, noise, own=1.0)
    asked = iter(truth)
    found = replicates_by_expansion(7.0, expansion, asked)
    assert len(list(asked)) < 10
    assert abs(debias(8.0, found) - debias(8.0, list(truth))) < 2 * NOISE * standard_error(list(truth))


def test_expansion_that_is_worthless_gives_the_full_replicates():
    expansion, truth, _ = made_up(share=0.0, own=1.0)
    truth = np.random.default_rng(6).permutation(truth) * 50
    assert replicates_by_expansion(7.0, expansion, iter(truth)) == list(truth)


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


@pytest.mark.parametrize("d", [1, 2, 40, 300])
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
