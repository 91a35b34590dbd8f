import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.projection import whiten


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_reference_has_unit_covariance_in_its_leading_components():
    reference = Features(normal(300, 12, 1) * np.arange(1, 13) + 7)
    _, moved = whiten("test", Features(normal(20, 12)), reference, 5)
    assert moved.d == 5
    assert torch.allclose(torch.cov(moved.values.T), torch.eye(5, dtype=torch.float64), atol=1e-10)
    assert torch.allclose(moved.values.mean(dim=0), torch.zeros(5, dtype=torch.float64), atol=1e-10)


def test_the_largest_components_are_kept():
    """Column 2 has 100 times the deviation of the others, and stays alone."""
    reference = normal(500, 4, 1) * np.array([1.0, 1.0, 100.0, 1.0])
    _, moved = whiten("test", Features(normal(10, 4)), Features(reference), 1)
    assert abs(np.corrcoef(moved.values[:, 0], reference[:, 2])[0, 1]) > 0.999


def test_components_without_variance_are_dropped():
    reference = np.hstack([normal(50, 2), np.ones((50, 2))])
    assert whiten("test", Features(normal(10, 4)), Features(reference), 5)[1].d == 2


@pytest.mark.parametrize("n", [6, 7, 10, 11, 101, 1003])
@pytest.mark.parametrize("d", [16, 37, 64, 512])
def test_equal_rows_stay_exactly_equal_within_and_across_sets(n, d):
    """Matrix products round the last rows of a block otherwise: in some of these shapes plain ones fail."""
    x = normal(n, d)
    generated, reference = whiten("test", Features(np.vstack([x[:2], x[::-1]])), Features(x), 5)
    assert (generated.values[2:].flip(0) == reference.values).all()
    assert (generated.values[:2] == reference.values[:2]).all()


def test_result_is_remembered():
    generated, reference = Features(normal(10, 3)), Features(normal(20, 3, 1))
    assert whiten("a", generated, reference, 5)[0] is whiten("b", generated, reference, 5)[0]


@pytest.mark.parametrize(
    ("reference", "message"),
    [(np.ones((9, 3)), "all 9 reference"), (np.ones((1, 3)), "at least 2"), (np.ones((9, 2)), "width")],
)
def test_reference_without_directions_is_refused(reference, message):
    with pytest.raises(SampleError, match=rf"entropy: .*{message}"):
        whiten("entropy", Features(normal(10, 3)), Features(reference), 5)
