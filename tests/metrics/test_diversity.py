import math

import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.metrics.diversity import rke, unique_fraction
from genbench.stats.jackknife import deletions


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def direct(x, bandwidth):
    """n (n - 1) over the sum of squared kernel values of all pairs but a sample with itself."""
    squares = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    kernel = np.exp(-squares / (2 * bandwidth**2))
    n = len(x)
    return n * (n - 1) / ((kernel**2).sum() - n)


def test_distinct_rows_are_counted():
    x = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.5], [0.0, 2.0]])
    estimate = unique_fraction(generated=x)
    assert estimate.value == 0.75
    assert estimate.extra == {"distinct": 3.0, "largest_share": 0.5}
    assert unique_fraction(generated=normal(100, 3)).value == 1.0
    assert unique_fraction(generated=np.ones((100, 3))).value == 0.01
    assert unique_fraction(generated=[[1.0]]).value == 1.0


def test_neither_order_nor_a_shift_changes_the_share_of_distinct_rows():
    x = np.random.default_rng(0).integers(3, size=(50, 2)).astype(float)
    plain = unique_fraction(generated=x).value
    assert unique_fraction(generated=np.random.default_rng(1).permutation(x) + 4).value == plain < 0.2


def test_ratio_and_replicates_are_those_of_the_formula():
    x, y = 0.5 * normal(60, 3, 1) + 10, normal(80, 3, 2) + 10
    estimate = rke(generated=x, reference=y, bandwidth=1.3)
    assert estimate.value == pytest.approx(direct(x, 1.3) / direct(y, 1.3), rel=1e-10)
    assert estimate.extra["rke_generated"] == pytest.approx(direct(x, 1.3), rel=1e-10)
    kept = [direct(x[a], 1.3) / direct(y[b], 1.3) for a, b in deletions(60, 80)]
    assert estimate.replicates == pytest.approx(kept, rel=1e-9)


def test_bandwidth_is_the_references_median_distance():
    y = np.array([[0.0], [1.0], [3.0]])
    assert rke(generated=[[0.0], [1.0]], reference=y).extra["bandwidth"] == pytest.approx(2 / math.sqrt(2))


@pytest.mark.parametrize("n", [250, 1000])
def test_effective_number_reaches_its_population_value(n):
    """E k^2 = (1 + 4/s^2)^(-d/2) for the standard Gaussian: 2^-8 in 16 dimensions with bandwidth s = 2.

    Its relative deviation falls with n; measured over 50 draws it is 8% at 250, of which 4 are allowed (6e-5).
    """
    x = normal(n, 16, 1)
    assert rke(generated=x, reference=x, bandwidth=2.0).extra["rke_generated"] == pytest.approx(256, rel=0.32)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_interval_covers_the_true_ratio(scale):
    """Gaussians: E k^2 = (1 + 4 a^2/s^2)^(-d/2) at deviation a. d = 4, s^2 = 2, n = 200, 100 pairs.

    At 95%, fewer than 90 covered have probability .01; the seeds are fixed.
    """
    truth = ((1 + 2 * scale**2) / (1 + 2)) ** 2
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, y = scale * rng.standard_normal((200, 4)), rng.standard_normal((200, 4))
        found.append(rke(generated=x, reference=y, bandwidth=math.sqrt(2)))
    assert sum(e.low <= truth <= e.high for e in found) >= 90


def test_identical_samples_count_as_one_and_far_blocks_as_their_number():
    """b far blocks of size s: of n (n - 1) ordered pairs, b s (s - 1) are equal, so (n - 1)/(s - 1)."""
    reference = normal(50, 2)
    one = rke(generated=np.ones((50, 2)), reference=reference).extra["rke_generated"]
    assert one == pytest.approx(1.0, rel=1e-12)
    blocks = np.repeat(np.arange(5.0)[:, None] * 1000, 20, axis=0) * [1.0, 0.0]
    assert rke(generated=blocks, reference=reference).extra["rke_generated"] == pytest.approx(99 / 19, rel=1e-12)


def test_dropping_modes_shrinking_and_noise_move_the_ratio_the_right_way():
    reference, x = normal(400, 2, 1), normal(400, 2, 2)
    ratios = [rke(generated=scale * x, reference=reference).value for scale in (0.3, 0.6, 1.0, 1.5)]
    assert ratios == sorted(ratios)
    assert ratios[1] < 0.9 < ratios[2] < 1.1 < ratios[3]


def test_common_shifts_rotations_scales_and_the_order_change_nothing():
    x, y = 0.6 * normal(70, 3, 1), normal(80, 3, 2)
    rotation, rng = np.linalg.qr(normal(3, 3, 3))[0], np.random.default_rng(4)
    plain = rke(generated=x, reference=y).value
    moved = rke(generated=7 * x @ rotation + 30, reference=7 * y @ rotation + 30).value
    shuffled = rke(generated=rng.permutation(x), reference=rng.permutation(y)).value
    assert moved == pytest.approx(plain, rel=1e-9)
    assert shuffled == pytest.approx(plain, rel=1e-9)
    assert rke(generated=y, reference=y).value == 1.0
    assert rke(generated=y, reference=x, bandwidth=1.0).value == pytest.approx(
        1 / rke(generated=x, reference=y, bandwidth=1.0).value
    )


def test_constant_columns_change_nothing():
    x, y = normal(30, 2, 1), normal(30, 2, 2)
    padded = [np.hstack([side, np.full((30, 1), 5.0)]) for side in (x, y)]
    plain = rke(generated=x, reference=y).value
    assert rke(generated=padded[0], reference=padded[1]).value == pytest.approx(plain, rel=1e-12)


def test_few_samples_give_a_value_without_interval():
    estimate = rke(generated=normal(4, 2, 1), reference=normal(4, 2, 2))
    assert math.isfinite(estimate.value)
    assert estimate.std_error is None
    assert estimate.debiased is None


@pytest.mark.parametrize(
    ("generated", "reference", "bandwidth", "message"),
    [
        (np.zeros((1, 2)), normal(9, 2), None, "at least 2 samples"),
        (normal(9, 2), normal(9, 3), None, "equal width"),
        (normal(9, 2), np.ones((9, 2)), None, "median distance"),
        (normal(9, 2), normal(9, 2), 0.0, "bandwidth > 0"),
        (1e6 * normal(9, 2), normal(9, 2), None, "no two of 9"),
    ],
)
def test_what_has_no_ratio_is_refused(generated, reference, bandwidth, message):
    with pytest.raises(SampleError, match=f"rke: .*{message}"):
        rke(generated=generated, reference=reference, bandwidth=bandwidth)
