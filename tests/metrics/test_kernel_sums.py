import numpy as np
import pytest
import torch

from genbench.metrics.distances import SquaredDistances
from genbench.metrics.features import Features
from genbench.metrics.kernel_forms import crossed_forms, squared_forms
from genbench.metrics.kernel_sums import (
    Cubic,
    Gaussian,
    kernel_sums,
    sides,
)
from genbench.stats.jackknife import group_labels

KERNELS = {
    Cubic(): lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3,
    Gaussian(1.7): lambda x, y: np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / (2 * 1.7**2)),
}
SMALL_BLOCKS = 8 * 40 * 7
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)


def normal(n, d, seed):
    return np.random.default_rng(seed).standard_normal((n, d))


class Counting:
    """The cubic kernel, which counts how many of its values were asked for."""

    def __init__(self):
        self.values = 0

    def __call__(self, products, *given):
        self.values += products.numel()
        return Cubic()(products, *given)


def values_of(kernel, x, y):
    """The kernel matrix of two sets."""
    screen = SquaredDistances(torch.from_numpy(x), torch.from_numpy(y))
    return kernel(screen.products(slice(0, len(x))), *sides(screen), x.shape[1])


@each_kernel
def test_kernels_are_their_formulas(kernel):
    x, y = normal(11, 5, 1), normal(7, 5, 2)
    found = values_of(kernel, x, y)
    assert np.allclose(found, KERNELS[kernel](x, y), rtol=1e-13)


def test_offset_does_not_eat_the_gaussian_kernels_digits():
    """Inputs are rounded to 1e6 eps = 2e-10, and the kernel's slope is below 1."""
    x, y = normal(11, 5, 1), normal(7, 5, 2)
    kernel = Gaussian(1.7)
    found = values_of(kernel, x + 1e6, y + 1e6)
    assert np.allclose(found, KERNELS[kernel](x, y), atol=5e-9)


@each_kernel
@pytest.mark.parametrize("block_bytes", [2**26, SMALL_BLOCKS])
def test_sums_by_groups_are_those_of_the_whole_matrices(kernel, block_bytes, monkeypatch):
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", block_bytes)
    x, y = normal(40, 3, 1), normal(55, 3, 2)
    sums = kernel_sums(kernel, Features(x), Features(y))
    first, second = (np.eye(20)[group_labels(n, 20)] for n in (40, 55))
    matrix = KERNELS[kernel]
    within_x, within_y = matrix(x, x) * (1 - np.eye(40)), matrix(y, y) * (1 - np.eye(55))
    assert np.allclose(sums.generated, within_x @ first, rtol=1e-12, atol=1e-12)
    assert np.allclose(sums.reference, within_y @ second, rtol=1e-12, atol=1e-12)
    assert np.allclose(sums.across, matrix(x, y) @ second, rtol=1e-12, atol=1e-12)
    assert np.allclose(sums.columns, matrix(x, y).sum(axis=0), rtol=1e-12)


@each_kernel
@pytest.mark.parametrize("block_bytes", [2**26, SMALL_BLOCKS])
def test_forms_are_the_sums_over_each_subsets_pairs(kernel, block_bytes, monkeypatch):
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", block_bytes)
    x, y = normal(40, 3, 1), normal(30, 3, 2)
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 2, (40, 6)) * 1.0, rng.integers(0, 2, (30, 6)) * 1.0
    matrix = KERNELS[kernel]
    within = matrix(x, x) * (1 - np.eye(40))
    found, rows = squared_forms(kernel, torch.from_numpy(x), torch.from_numpy(first))
    assert np.allclose(found, np.einsum("ib,ij,jb->b", first, within, first), rtol=1e-12)
    assert np.allclose(rows, within.sum(axis=1), rtol=1e-12)
    crossed = crossed_forms(kernel, *(torch.from_numpy(z) for z in (x, y, first, second)))
    assert np.allclose(crossed, np.einsum("ib,ij,jb->b", first, matrix(x, y), second), rtol=1e-12)


def test_pairs_within_a_set_are_computed_once_and_remembered(monkeypatch):
    """In blocks of 10 of 100 rows the mirrored half of the diagonal blocks is all that is computed twice."""
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 100 * 10)
    kernel, x, y = Counting(), Features(normal(100, 3, 1)), Features(normal(100, 3, 2))
    kernel_sums(kernel, x, y)
    triangle = 100 * 100 // 2 + 10 * 100 // 2
    assert kernel.values == 2 * triangle + 100 * 100
    kernel_sums(kernel, x, y)
    assert kernel.values == 2 * triangle + 100 * 100
    kernel_sums(kernel, Features(normal(100, 3, 3)), y)
    assert kernel.values == 3 * triangle + 2 * 100 * 100
