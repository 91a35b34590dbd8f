import itertools
import math

import numpy as np
import pytest

from genbench.errors import SampleError, UsageError
from genbench.metrics.vendi import vendi, vendi_score

ORDERS = [0.0, 0.5, 1.0, 2.0, math.inf]


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def blocks(*sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return (labels[:, None] == labels).astype(float)


@pytest.mark.parametrize("q", ORDERS)
def test_anchors_of_every_order(q):
    """Identical samples are one, orthogonal ones n, b equal blocks b."""
    assert vendi_score(np.ones((7, 7)), q=q) == pytest.approx(1.0)
    assert vendi_score(np.eye(7), q=q) == pytest.approx(7.0)
    assert vendi_score(blocks(4, 4, 4), q=q) == pytest.approx(3.0)


def test_unequal_blocks_are_the_exponential_of_their_entropy():
    shares = np.array([6, 3, 1]) / 10
    assert vendi_score(blocks(6, 3, 1)) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()))
    assert vendi_score(blocks(6, 3, 1), q=2) == pytest.approx(1 / (shares**2).sum())
    assert vendi_score(blocks(6, 3, 1), q=math.inf) == pytest.approx(1 / 0.6)


def test_the_score_falls_with_the_order_and_is_the_same_for_a_doubled_sample():
    """A peer's implementation ignores the order: its scores of all orders were equal."""
    x = normal(30, 2)
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=2) / 2)
    scores = [vendi_score(kernel, q=q) for q in ORDERS]
    assert all(a > b + 0.1 for a, b in itertools.pairwise(scores))
    for q in ORDERS[1:]:
        assert vendi_score(np.tile(kernel, (2, 2)), q=q) == pytest.approx(vendi_score(kernel, q=q), rel=1e-6)


def test_the_metric_is_the_score_of_its_kernel():
    x, y = normal(40, 3, 1), normal(50, 3, 2)
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=2) / (2 * 0.9**2))
    assert vendi(generated=x, reference=y, bandwidth=0.9).value == pytest.approx(vendi_score(kernel), rel=1e-10)


def test_anchors_of_the_metric():
    reference = normal(50, 2)
    assert vendi(generated=np.ones((20, 2)), reference=reference).value == pytest.approx(1.0, abs=1e-9)
    far = np.arange(20.0)[:, None] * [1e4, 0.0]
    assert vendi(generated=far, reference=reference).value == pytest.approx(20.0)
    doubled = np.vstack([far, far])
    assert vendi(generated=doubled, reference=reference).value == pytest.approx(20.0)


def test_only_n_samples_are_used_and_fewer_are_announced():
    x, y = normal(60, 2, 1), normal(50, 2, 2)
    first = vendi(generated=x, reference=y, n=40)
    assert first.value == pytest.approx(vendi(generated=x[:40], reference=y, n=40).value, rel=1e-12)
    assert first.extra["n"] == 40.0
    assert len(first.notes) == 1
    fewer = vendi(generated=x, reference=y)
    assert fewer.extra["n"] == 60.0
    assert "n = 2000 expected, got 60" in fewer.notes[-1]


def test_common_shifts_rotations_scales_and_the_order_change_nothing():
    x, y = 0.6 * normal(40, 3, 1), normal(80, 3, 2)
    rotation, rng = np.linalg.qr(normal(3, 3, 3))[0], np.random.default_rng(4)
    plain = vendi(generated=x, reference=y).value
    assert vendi(generated=7 * x @ rotation + 30, reference=7 * y @ rotation + 30).value == pytest.approx(
        plain, rel=1e-8
    )
    assert vendi(generated=rng.permutation(x), reference=y).value == pytest.approx(plain, rel=1e-9)


@pytest.mark.slow
def test_interval_covers_the_expected_score_at_this_n():
    """d = 2, n = 200, 200 draws, whose mean stands for the expectation: .91 to .945 measured; .90 asked for."""
    reference = normal(500, 2, 99)
    found = [vendi(generated=normal(200, 2, seed), reference=reference) for seed in range(200)]
    values = np.array([e.value for e in found])
    assert sum(e.low <= values.mean() <= e.high for e in found) >= 180
    assert np.mean([e.std_error for e in found]) == pytest.approx(values.std(ddof=1), rel=0.2)


@pytest.mark.parametrize(
    ("generated", "reference", "options", "message"),
    [
        (np.zeros((1, 2)), normal(9, 2), {}, "n >= 2"),
        (normal(9, 2), normal(9, 2), {"n": 1}, "n >= 2"),
        (normal(9, 2), normal(9, 3), {}, "equal width"),
        (normal(9, 2), np.ones((9, 2)), {}, "median distance"),
        (normal(9, 2), normal(9, 2)[:1], {}, "at least 2 reference"),
        (normal(9, 2), normal(9, 2), {"bandwidth": -1.0}, "bandwidth > 0"),
    ],
)
def test_what_has_no_score_is_refused(generated, reference, options, message):
    with pytest.raises(SampleError, match=f"vendi: .*{message}"):
        vendi(generated=generated, reference=reference, **options)


@pytest.mark.parametrize(("kernel", "q"), [(np.ones((2, 3)), 1.0), (np.eye(3), -1.0), (np.ones(3), 1.0)])
def test_what_is_no_kernel_is_refused(kernel, q):
    with pytest.raises(UsageError, match="square matrix"):
        vendi_score(kernel, q=q)
