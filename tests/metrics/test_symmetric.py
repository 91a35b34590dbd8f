import numpy as np
import pytest
import torch

from genbench.metrics.root_trace import root_trace
from genbench.metrics.symmetric import (
    add_gram,
    cholesky,
    mirror,
    nuclear_norm,
    triangle_product,
    turn,
)


def normal(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def covariance(d, power=0.0, seed=0, samples=5):
    """Of draws from a Gaussian with the variances ``i^-power`` in random directions."""
    axes, _ = torch.linalg.qr(normal(d, d, seed + 100))
    drawn = normal(samples * d, d, seed) * torch.arange(1, d + 1, dtype=torch.float64) ** (-power / 2) @ axes
    return torch.atleast_2d(torch.cov(drawn.T))


@pytest.mark.parametrize(("k", "d"), [(7, 1), (40, 3), (3, 40), (0, 5)])
def test_products_are_added_to_the_upper_triangle_in_place(k, d):
    rows, half = normal(k, d), normal(d, d, 1)
    expected, start = (half + rows.T @ rows).triu(), half.clone()
    add_gram(half, rows)
    assert torch.allclose(half.triu(), expected, rtol=0, atol=1e-13)
    assert torch.equal(half.tril(-1), start.tril(-1))


@pytest.mark.parametrize("d", [1, 3, 256, 300])
def test_the_other_triangle_is_filled_in(d):
    half = normal(d, d)
    expected = half.triu() + half.triu(1).T
    assert torch.equal(mirror(half), expected)
    assert torch.equal(half, expected)


def test_cholesky_factor_is_that_of_the_matrix_or_none():
    whole = covariance(20)
    assert torch.allclose(cholesky(whole), torch.linalg.cholesky(whole), rtol=0, atol=1e-14)
    assert cholesky(torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)) is None


@pytest.mark.parametrize("d", [1, 2, 31, 300, 513])
def test_root_trace_is_the_nuclear_norm_of_the_product_of_factors(d):
    first, second = covariance(d, 0.5, 1), covariance(d, 0.5, 2)
    nuclear = torch.linalg.matrix_norm(torch.linalg.cholesky(first).T @ torch.linalg.cholesky(second), "nuc")
    assert root_trace(cholesky(second), first).value == pytest.approx(float(nuclear), rel=1e-13)


@pytest.mark.parametrize(("d", "columns"), [(1, 1), (6, 6), (6, 2), (3, 9), (4, 0)])
def test_triangle_product_is_that_of_whole_matrices(d, columns):
    lower, other = cholesky(covariance(d)), normal(d, columns, 3)
    start = other.clone()
    assert torch.allclose(triangle_product(lower, other), lower.T @ other, rtol=0, atol=1e-14)
    assert torch.equal(other, start)


@pytest.mark.parametrize(("k", "d", "r"), [(7, 5, 3), (1, 4, 4), (6, 1, 2)])
def test_turned_rows_are_a_product_whichever_way_the_axes_lie(k, d, r):
    """In float32, of at most 5 terms: 1e-5 is 80 units of rounding of a number near 1."""
    rows, axes = normal(k, d).float(), normal(r, d, 1).float().T
    expected = rows.double() @ axes.double()
    for each in (axes, axes.contiguous()):
        torch.testing.assert_close(turn(rows, each).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (0, 4), (30, 30)])
def test_nuclear_norm_is_torchs(shape):
    matrix = normal(*shape)
    truth = float(torch.linalg.svdvals(matrix).sum())
    assert nuclear_norm(matrix) == pytest.approx(truth, rel=1e-14)


def test_root_trace_of_a_singular_matrix_is_refused():
    flat = torch.zeros((5, 5), dtype=torch.float64)
    assert root_trace(cholesky(covariance(5)), flat) is None


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5, 2.0, 2.5])
def test_errors_are_no_larger_than_they_are_said_to_be(power):
    """Against singular values, whose error is some eps of the trace: 1e-14 of it is allowed for them.

    Measured over d = 8 to 1,024, the general estimate is at least twice the error, and the one by the determinant at
    least a third; 20 draws at d = 60, of fixed seeds.
    """
    for seed in range(20):
        first, second = covariance(60, power, seed), covariance(60, power, seed + 50)
        lowers = cholesky(first), cholesky(second)
        found = root_trace(lowers[1], first)
        error = abs(found.value - float(torch.linalg.svdvals(lowers[0].T @ lowers[1]).sum()))
        rounding = 1e-14 * found.value
        determinant = sum(2 * float(lower.diagonal().log().sum()) for lower in lowers)
        assert error <= found.worst / 2 + rounding
        assert error <= 3 * abs(found.log_determinant - determinant) * found.weight + rounding
