import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.metrics.frechet import fd, gaussian_null_bias
from genbench.metrics.frechet_infinity import fd_infinity


def normal(n, d, seed=0, scale=1.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * scale


def test_removes_the_generated_sides_bias_and_leaves_the_references():
    """Equal Gaussians, n = m = 400, d = 8: half of the plug-in's bias stays. 100 draws: 4 standard errors (6e-5).

    The next order of the bias is a tenth of it in the smallest subsets, and bends the line by less than that.
    """
    half = gaussian_null_bias(np.eye(8), 400, 10**9)
    found = np.array(
        [
            fd_infinity(generated=normal(400, 8, 2 * i), reference=normal(400, 8, 2 * i + 1), rng=i).value
            for i in range(100)
        ]
    )
    error = found.std(ddof=1) / 10
    assert abs(found.mean() - half) < 4 * error + 0.1 * half
    assert found.mean() > 4 * error


def test_a_large_reference_leaves_the_truth():
    """Shift 1 in one of 4 dimensions, m = 20,000: 60 draws within 4 standard errors (6e-5) of 1, plus 1% for m."""
    reference = normal(20000, 4, 10**6)
    shift = np.array([1.0, 0, 0, 0])
    found = [fd_infinity(generated=normal(300, 4, i) + shift, reference=reference, rng=i) for i in range(60)]
    values, plain = np.array([e.value for e in found]), np.array([e.extra["plain"] for e in found])
    error = values.std(ddof=1) / 60**0.5
    centre = fd(generated=normal(20000, 4, 10**6 + 1) + shift, reference=reference).debiased
    assert abs(values.mean() - centre) < 4 * error + 0.05
    assert values.mean() < plain.mean()


def test_line_ends_at_the_value_and_passes_near_the_whole():
    x, y = normal(500, 4, 1) + 1, normal(500, 4, 2)
    estimate = fd_infinity(generated=x, reference=y, rng=0)
    assert estimate.extra["plain"] == pytest.approx(fd(generated=x, reference=y).value, rel=1e-10)
    assert estimate.value + estimate.extra["slope"] / 500 == pytest.approx(estimate.extra["plain"], rel=0.1)


def test_sells_no_interval_and_says_why():
    estimate = fd_infinity(generated=normal(100, 3, 1), reference=normal(100, 3, 2), rng=0)
    assert estimate.std_error is None
    assert estimate.low is None
    assert "half of the bias" in estimate.notes[0]
    assert "no interval" in estimate.notes[1]


def test_seed_chooses_the_subsets():
    x, y = normal(100, 3, 1), normal(120, 3, 2)
    found = [fd_infinity(generated=x, reference=y, rng=rng).value for rng in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_is_blind_to_translation_and_rotation_and_scales_with_the_square():
    x, y = normal(100, 4, 1), normal(120, 4, 2)
    turn, _ = np.linalg.qr(normal(4, 4, 3))
    value = fd_infinity(generated=x, reference=y, rng=0).value
    moved = fd_infinity(generated=3 * x @ turn + 5, reference=3 * y @ turn + 5, rng=0).value
    assert moved == pytest.approx(9 * value, rel=1e-7)


def test_smallest_subset_can_be_chosen():
    x, y = normal(100, 3, 1), normal(120, 3, 2)
    default = fd_infinity(generated=x, reference=y, rng=0).value
    assert fd_infinity(generated=x, reference=y, rng=0, smallest=10).value == default
    assert fd_infinity(generated=x, reference=y, rng=0, smallest=50).value != default


@pytest.mark.parametrize(("n", "options"), [(18, {}), (100, {"smallest": 4}), (100, {"smallest": 87}), (1, {})])
def test_too_few_samples_for_a_line_are_refused(n, options):
    """15 subsets from 1.5 x 4 = 6 to n take n >= 20."""
    with pytest.raises(SampleError, match="fd_infinity: 15 subsets of 6"):
        fd_infinity(generated=normal(n, 4), reference=normal(100, 4, 1), rng=0, **options)
    assert np.isfinite(fd_infinity(generated=normal(20, 4), reference=normal(100, 4, 1), rng=0).value)


def test_unlike_widths_and_a_reference_of_one_are_refused():
    with pytest.raises(SampleError, match=r"fd_infinity: .* equal width"):
        fd_infinity(generated=normal(100, 3), reference=normal(100, 4), rng=0)
    with pytest.raises(SampleError, match="at least 2 samples"):
        fd_infinity(generated=normal(100, 3), reference=normal(1, 3), rng=0)
