import numpy as np
import ot
import pytest
import torch

from genbench.errors import SampleError, UsageError
from genbench.metrics.features import Features
from genbench.metrics.lines import matched_ranks, projected_squares, select, sort_rows, unit_directions
from genbench.metrics.sliced import mind, sliced_squares, sliced_w2
from genbench.metrics.transport import wasserstein
from genbench.stats.jackknife import deletions


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def distance(a, b, **options):
    return sliced_w2(generated=a, reference=b, rng=0, **options)


def signed_square(x):
    return np.sign(x) * x**2


@pytest.mark.parametrize(("n", "m"), [(60, 60), (60, 45), (7, 50)])
def test_agrees_with_pot_on_the_same_directions(n, m):
    """POT's quantiles for unequal sizes come from cumulated weights, rounded at 1e-16: 1e-10 of a unit value."""
    a, b = normal(n, 6, 1), 1.3 * normal(m, 6, 2) + 0.2
    lines = unit_directions(300, 6, 0)
    theirs = ot.sliced_wasserstein_distance(a, b, projections=lines.numpy().T)
    ours = projected_squares(Features(a), Features(b), lines)[0].mean() ** 0.5
    assert ours == pytest.approx(theirs, rel=1e-10)
    assert distance(a, b, directions=300).value == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(80, 80), (80, 60)])
def test_one_dimension_is_w2(n, m):
    a, b = normal(n, 1, 1), 2 * normal(m, 1, 2)
    assert distance(a, b).value == pytest.approx(wasserstein(generated=a, reference=b, p=2).value, rel=1e-10)


def test_shift_is_the_mean_square_of_its_projections():
    """On line u a shift by v moves every sample by u.v; over the sphere its square has mean |v|^2/d.

    Its relative deviation is below sqrt(2); over 4,000 lines 2.2%: five of those (6e-7) are 11%, of the root 6%.
    """
    x, v = normal(50, 5), np.array([3.0, 0, -4.0, 0, 0])
    lines = unit_directions(4000, 5, 0).numpy()
    value = distance(x + v, x, directions=4000).value
    assert value == pytest.approx(((lines @ v) ** 2).mean() ** 0.5, rel=1e-10)
    assert value == pytest.approx(5 / 5**0.5, rel=0.06)


def test_scaling_one_set_is_its_mean_square_times_the_square_of_the_stretch():
    """Sorted projections of s x are s times those of x, s > 0: the mean of (s - 1)^2 (u.x)^2 over samples and lines."""
    x = normal(70, 4)
    lines = unit_directions(1000, 4, 0).numpy()
    exact = 0.5 * ((x @ lines.T) ** 2).mean() ** 0.5
    assert distance(1.5 * x, x).value == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("metric", [sliced_w2, mind])
def test_copies_in_another_order_are_at_distance_zero(metric):
    """Products of a permuted matrix may differ in the last bit: squares of 1e-15."""
    x = normal(60, 5)
    shuffled = np.random.default_rng(1).permutation(x)
    assert metric(generated=shuffled, reference=x, rng=0).value < 1e-13
    assert metric(generated=np.ones((30, 2)), reference=np.ones((20, 2)), rng=0).value == 0.0


def test_symmetric_and_moved_with_both_sets():
    """Centring on another mean of size 1e3 costs 1e-13 of each coordinate."""
    a, b = normal(60, 3, 1), normal(50, 3, 2) + 1
    value = distance(a, b).value
    assert distance(b, a).value == pytest.approx(value, rel=1e-12)
    assert distance(a + 1e3, b + 1e3).value == pytest.approx(value, rel=1e-10)
    assert distance(3 * a, 3 * b).value == pytest.approx(3 * value, rel=1e-12)


def test_unequal_sizes_agree_with_repeated_samples():
    a, b = normal(30, 3, 1), normal(60, 3, 2)
    assert distance(a, b).value == pytest.approx(distance(np.vstack([a, a]), b).value, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 6), (5, 7), (1000, 999)])
def test_matched_ranks_carry_all_weight_of_both(n, m):
    i, j, weights = matched_ranks(n, m)
    assert len(weights) == n + m - np.gcd(n, m)
    assert np.bincount(i.numpy(), weights.numpy()) == pytest.approx(np.full(n, 1 / n), rel=1e-12)
    assert np.bincount(j.numpy(), weights.numpy()) == pytest.approx(np.full(m, 1 / m), rel=1e-12)
    assert (np.diff(i.numpy()) >= 0).all()
    assert (np.diff(j.numpy()) >= 0).all()


@pytest.mark.parametrize("m", [100, 130])
def test_replicates_are_the_distances_without_each_group(m):
    a, b = normal(100, 4, 1), normal(m, 4, 2)
    found = sliced_squares("sliced_w2", Features(a), Features(b), 50, 3)
    lines = unit_directions(50, 4, 3)
    for group, (ours, theirs) in enumerate(deletions(100, m)):
        part = projected_squares(Features(a[ours]), Features(b[theirs]), lines)[0]
        assert found[1 + group] == pytest.approx(part, rel=1e-9)


def test_squares_of_all_samples_are_the_first_row_with_or_without_replicates():
    a, b, lines = Features(normal(60, 3, 1)), Features(normal(50, 3, 2)), unit_directions(7, 3, 0)
    alone = projected_squares(a, b, lines, replicates=False)
    assert alone.shape == (1, 7)
    assert (alone[0] == projected_squares(a, b, lines)[0]).all()


def test_labels_move_with_the_numbers_they_are_sorted_with():
    values, labels = torch.from_numpy(normal(3, 40)), torch.arange(40, dtype=torch.uint8)
    ordered, moved = sort_rows(values, labels)
    assert (ordered == values.sort(dim=1).values).all()
    assert (values.gather(1, moved.long()) == ordered).all()
    kept = select(ordered, moved % 4 != 1)
    assert kept.shape == (3, 30)
    assert (kept[2] == ordered[2][moved[2] % 4 != 1]).all()


def test_equal_projections_of_several_groups_leave_the_replicates_what_they_are():
    """Sorting may put equal numbers in any order; without a group, the same numbers are left."""
    a, b = normal(100, 2, 1).round(), normal(100, 2, 2).round()
    line = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    found = projected_squares(Features(a), Features(b), line)[1:, 0]
    direct = [((np.sort(a[i, 0]) - np.sort(b[j, 0])) ** 2).mean() for i, j in deletions(100, 100)]
    assert found == pytest.approx(direct, rel=1e-12)


def test_blocks_of_directions_change_nothing(monkeypatch):
    a, b = Features(normal(50, 3, 1)), Features(normal(60, 3, 2))
    lines = unit_directions(40, 3, 0)
    whole = projected_squares(a, b, lines)
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 220 * 7)
    assert projected_squares(a, b, lines) == pytest.approx(whole, rel=1e-12)


def test_mind_is_the_published_formula():
    """alpha/(n M) sum_i sum_j |sort(u_i X)_j - sort(u_i Y)_j|^2 with alpha = 3 d."""
    x, y = normal(80, 6, 1), normal(80, 6, 2) + 0.4
    lines = unit_directions(1000, 6, 0).numpy()
    published = 18 * ((np.sort(x @ lines.T, axis=0) - np.sort(y @ lines.T, axis=0)) ** 2).mean()
    assert mind(generated=x, reference=y, rng=0).value == pytest.approx(published, rel=1e-10)


def test_mind_is_a_multiple_of_the_squared_sliced_distance_and_shares_its_computation(monkeypatch):
    calls = []
    original = projected_squares
    monkeypatch.setattr(
        "genbench.metrics.sliced.projected_squares", lambda *inputs: calls.append(1) or original(*inputs)
    )
    x, y = Features(normal(60, 5, 1)), Features(normal(60, 5, 2))
    first, second = mind(generated=x, reference=y, rng=0), sliced_w2(generated=x, reference=y, rng=0)
    assert first.value == pytest.approx(15 * second.value**2, rel=1e-12)
    assert first.debiased == pytest.approx(15 * signed_square(second.debiased), rel=1e-12)
    assert first.std_error > 0
    assert calls == [1]


def test_mind_of_unequal_sizes_uses_all_samples():
    x, y = normal(60, 3, 1), normal(120, 3, 2)
    assert mind(generated=x, reference=y, rng=0).value == pytest.approx(
        mind(generated=np.vstack([x, x]), reference=y, rng=0).value, rel=1e-12
    )


def test_share_of_the_directions_in_the_error_falls_as_their_number_grows():
    """A pure shift has no other error than that of the directions; their variance falls as 1/L."""
    x = normal(100, 4)
    few, many = (distance(x + 1, x, directions=count) for count in (50, 5000))
    assert few.extra["direction_share"] > 0.99
    assert few.std_error / many.std_error == pytest.approx(10, rel=0.5)
    mixed = [distance(normal(100, 4, 1) + 1, x, directions=count).extra["direction_share"] for count in (50, 5000)]
    assert mixed[1] < 0.2 < mixed[0]


CASES = [(0.0, 1.0), (1.0, 1.0), (0.0, 1.5), (0.5, 0.6)]


@pytest.mark.parametrize(("shift", "scale"), CASES)
def test_interval_covers_the_closed_form(shift, scale):
    """d SW2^2 = |v|^2 + d (s - 1)^2 for N(v, s^2) and N(0, 1), as every projection has W2^2 = (u.v)^2 + (s - 1)^2.

    150 pairs, n = 100, d = 8, fresh directions each. At a coverage of 95%, fewer than 135 have probability 0.6%; the
    seeds are fixed.
    """
    truth = shift**2 / 8 + (scale - 1) ** 2
    covered = 0
    for seed in range(150):
        generated = scale * normal(100, 8, 2 * seed)
        generated[:, 0] += shift
        estimate = sliced_w2(generated=generated, reference=normal(100, 8, 2 * seed + 1), rng=seed, directions=256)
        covered += estimate.low <= truth**0.5 <= estimate.high
    assert covered >= 135


def test_jackknife_removes_most_of_the_bias():
    """Null, n = 100, d = 8: the plug-in's square is about .057 for a truth of 0, the debiased one a tenth of it."""
    plain, debiased = [], []
    for seed in range(40):
        estimate = distance(normal(100, 8, 2 * seed), normal(100, 8, 2 * seed + 1), directions=256)
        plain.append(estimate.value**2)
        debiased.append(signed_square(estimate.debiased))
    assert np.mean(plain) > 0.04
    assert abs(np.mean(debiased)) < 0.2 * np.mean(plain)
    assert min(debiased) < 0


def test_small_and_degenerate_sets_have_a_value():
    assert distance([[0.0, 0.0]], [[3.0, 4.0]]).std_error is None
    estimate = distance(np.hstack([normal(40, 2), np.ones((40, 1))]), np.hstack([normal(40, 2, 1), np.ones((40, 1))]))
    assert estimate.low < estimate.high
    assert distance(normal(12, 50, 1), normal(12, 50, 2)).std_error > 0


@pytest.mark.parametrize("metric", [sliced_w2, mind])
def test_inputs_that_cannot_be_scored_are_refused(metric):
    with pytest.raises(SampleError, match="equal width"):
        metric(generated=normal(10, 3), reference=normal(10, 4), rng=0)
    with pytest.raises(UsageError, match="at least 2 directions expected, got 1"):
        metric(generated=normal(10, 3), reference=normal(10, 3), rng=0, directions=1)


def test_directions_are_unit_vectors_of_their_seed():
    lines = unit_directions(100, 7, 5)
    assert torch.allclose(lines.norm(dim=1), torch.ones(100, dtype=torch.float64), rtol=0, atol=1e-14)
    assert (lines == unit_directions(100, 7, 5)).all()
    assert (lines != unit_directions(100, 7, 6)).any()
