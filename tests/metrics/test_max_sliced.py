import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.metrics import max_sliced
from genbench.metrics.features import Features
from genbench.metrics.lines import matched_ranks, projected_squares, unit_directions
from genbench.metrics.max_sliced import max_sliced_w2, widest_line
from genbench.metrics.transport import wasserstein


@pytest.fixture(autouse=True)
def one_thread():
    """Thousands of products of small matrices: threads would spend their time on waiting for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_copies_moved_by_a_vector_are_told_apart_along_it():
    """All lines move by u.v: the widest is v itself, found here from the difference of the means."""
    x, v = normal(80, 6), np.array([3.0, 0, -4.0, 0, 0, 0])
    line = widest_line(Features(x + v), Features(x), seed=0).numpy()
    assert abs(line @ v) == pytest.approx(5.0, rel=1e-6)


def test_line_of_a_difference_in_spread_is_found_without_a_difference_in_means():
    """Stretching coordinate 2 of the same samples by 3 moves them along it only: squared distance 4 u_2^2 mean(x_2^2).

    Not quite: matching by rank may undercut that on other lines, never above on this one; the found is no lower.
    """
    x = normal(200, 6)
    stretched = x.copy()
    stretched[:, 2] *= 3
    line = widest_line(Features(stretched), Features(x), seed=0)
    along = 4 * (x[:, 2] ** 2).mean()
    found = projected_squares(Features(stretched), Features(x), line[None])[0, 0]
    assert found >= along * (1 - 1e-6)
    assert abs(float(line[2])) > 0.98


def test_no_line_near_the_one_found_is_wider():
    """At a maximum, 200 lines 0.05 away are no further apart; a climb that stopped early would be beaten by half."""
    x, y = Features(normal(150, 4, 1) * [1, 2, 1, 1] + 0.3), Features(normal(120, 4, 2))
    line = widest_line(x, y, seed=0)
    around = line + 0.05 * unit_directions(200, 4, 9)
    near = projected_squares(x, y, around / around.norm(dim=1, keepdim=True))[0]
    assert near.max() <= projected_squares(x, y, line[None])[0, 0] * (1 + 1e-6)


def test_gradient_is_the_slope_of_the_square():
    """Central differences of step h err by h^2 times a third derivative of order 1, and u/h: 1e-8 for h = 1e-5."""
    x, y = (torch.from_numpy(normal(n, 5, n)) for n in (40, 60))
    line, h = unit_directions(1, 5, 0)[0], 1e-5
    ranks = matched_ranks(40, 60)
    _, gradient = max_sliced._square_and_gradient(x, y, line, ranks)
    for axis in torch.eye(5, dtype=torch.float64):
        up, down = (max_sliced._square_and_gradient(x, y, line + sign * h * axis, ranks)[0] for sign in (1, -1))
        assert float(gradient @ axis) == pytest.approx((up - down) / (2 * h), abs=1e-7)


def test_one_dimension_is_w2_of_the_held_out_half():
    a, b = normal(81, 1, 1), normal(60, 1, 2) + 2
    estimate = max_sliced_w2(generated=a, reference=b, rng=4)
    held_out = [max_sliced._cut(Features(z), 4)[1].values for z in (a, b)]
    exact = wasserstein(generated=held_out[0], reference=held_out[1], p=2).value
    assert estimate.value == pytest.approx(exact, rel=1e-10)


def test_in_sample_maximum_is_biased_up_and_the_held_out_value_is_not():
    """Null, n = 100, d = 32: the mean of 30 debiased squares is within 4 standard errors of 0 (6e-5), in-sample 2."""
    squares, in_sample = [], []
    for seed in range(30):
        inputs = {"generated": normal(100, 32, 2 * seed), "reference": normal(100, 32, 2 * seed + 1)}
        estimate = max_sliced_w2(**inputs, rng=seed)
        squares.append(np.sign(estimate.debiased) * estimate.debiased**2)
        in_sample.append(estimate.extra["in_sample"] ** 2)
    assert abs(np.mean(squares)) < 4 * np.std(squares, ddof=1) / 30**0.5 < 0.2
    assert min(in_sample) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "stretch"), [(1.0, 1.0), (0.0, 3.0)])
def test_interval_covers_the_distance_along_the_line_that_was_found(shift, stretch):
    """Along u, N(shift e_0, diag(1, stretch^2, 1, ...)) and N(0, 1) have W2^2 = (shift u_0)^2 + (sd(u) - 1)^2.

    100 pairs, n = 200, d = 8: at a coverage of 95%, fewer than 90 have probability 1.1%; the seeds are fixed.
    """
    covered = 0
    for seed in range(100):
        generated, reference = normal(200, 8, 2 * seed), normal(200, 8, 2 * seed + 1)
        generated[:, 1] *= stretch
        generated[:, 0] += shift
        fit = [max_sliced._cut(Features(z), seed)[0] for z in (generated, reference)]
        u = widest_line(*fit, seed=seed).numpy()
        truth = ((shift * u[0]) ** 2 + ((1 + (stretch**2 - 1) * u[1] ** 2) ** 0.5 - 1) ** 2) ** 0.5
        estimate = max_sliced_w2(generated=generated, reference=reference, rng=seed)
        covered += estimate.low <= truth <= estimate.high
    assert covered >= 90


def test_same_seed_same_score_and_another_seed_another():
    inputs = {"generated": normal(60, 4, 1), "reference": normal(70, 4, 2)}
    first, again, other = (max_sliced_w2(**inputs, rng=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.value != other.value


def test_order_of_the_samples_does_not_matter():
    a, b = normal(60, 4, 1), normal(70, 4, 2)
    rng = np.random.default_rng(0)
    shuffled = max_sliced_w2(generated=rng.permutation(a), reference=rng.permutation(b), rng=0)
    assert shuffled == max_sliced_w2(generated=a, reference=b, rng=0)


def test_symmetric_and_moved_with_both_sets():
    """On the same halves; the search ends at a part in 1e9 of the square, so that rounding moves the line by 1e-4."""
    a, b = (max_sliced._cut(Features(z), 0) for z in (normal(80, 3, 1) + 1, normal(80, 3, 2)))

    def held_out(move, first, second):
        (fit_x, test_x), (fit_y, test_y) = ([Features(move(half.values)) for half in z] for z in (first, second))
        return float(projected_squares(test_x, test_y, widest_line(fit_x, fit_y, seed=0)[None])[0, 0]) ** 0.5

    value = held_out(lambda z: z, a, b)
    assert held_out(lambda z: z, b, a) == pytest.approx(value, rel=1e-3)
    assert held_out(lambda z: z + 100, a, b) == pytest.approx(value, rel=1e-3)
    assert held_out(lambda z: 3 * z, a, b) == pytest.approx(3 * value, rel=1e-3)


def test_equal_points_are_at_distance_zero():
    assert max_sliced_w2(generated=np.ones((30, 2)), reference=np.ones((20, 2)), rng=0).value == 0.0


def test_small_sets_have_a_value_and_no_interval():
    estimate = max_sliced_w2(generated=normal(8, 20, 1), reference=normal(8, 20, 2), rng=0)
    assert estimate.std_error is None
    assert "too few" in estimate.notes[-1]


def test_inputs_that_cannot_be_scored_are_refused():
    with pytest.raises(SampleError, match="at least 4 samples of each set"):
        max_sliced_w2(generated=normal(3, 2), reference=normal(30, 2), rng=0)
    with pytest.raises(SampleError, match="equal width"):
        max_sliced_w2(generated=normal(10, 2), reference=normal(10, 3), rng=0)
