"""Products and factors of symmetric matrices, each by the half that is not known from the other.

On the CPU through scipy's BLAS and LAPACK, because torch has no product of a matrix with itself that skips the mirrored
half; in as many threads as torch is told to use, as the last bits depend on their number. On other devices through
torch. A *half* matrix is one of which only the upper triangle holds numbers.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import torch
from scipy.linalg import blas, lapack, svdvals
from threadpoolctl import ThreadpoolController
from torch import Tensor

TILE = 256
"""Columns that are mirrored at a time, so that both sides of the diagonal stay near."""

EPSILON = torch.finfo(torch.float64).eps


def add_gram(half: Tensor, rows: Tensor, scale: float = 1.0) -> None:
    """Add ``scale rows^T rows`` to a half matrix, in place.

    Parameters
    ----------
    half : (d, d) float64 or float32 tensor, contiguous
    rows : (k, d) tensor of the same dtype, contiguous
    scale : float

    Notes
    -----
    k d^2 operations on the CPU, half of what a product of two matrices takes.
    """
    if half.device.type != "cpu":
        half.addmm_(rows.T, rows, alpha=scale)
    elif len(rows):
        add = blas.dsyrk if half.dtype == torch.float64 else blas.ssyrk
        with blas_threads():
            # Transposed, both are in the order of columns that BLAS works on in place, and upper becomes lower.
            add(scale, rows.numpy().T, beta=1.0, c=half.numpy().T, lower=1, overwrite_c=1)


def turn(rows: Tensor, axes: Tensor) -> Tensor:
    """Return a product of float32 matrices (k, d) and (d, r), by the BLAS that `add_gram` uses.

    Threads of two libraries that follow each other closely wait for each other's processors.
    """
    if rows.device.type != "cpu":
        return rows @ axes
    with blas_threads():
        # Fortran's order is that of the transpose: nothing is copied, in whichever order the axes are.
        if axes.is_contiguous():
            return torch.from_numpy(blas.sgemm(1.0, axes.numpy().T, rows.numpy().T).T)
        return torch.from_numpy(blas.sgemm(1.0, axes.numpy(), rows.numpy().T, trans_a=1).T)


def mirror(half: Tensor) -> Tensor:
    """Fill in the other triangle of a half matrix (d, d), in place, and return it."""
    for start in range(0, len(half), TILE):
        tile, stop = half[start : start + TILE, start : start + TILE], start + TILE
        tile.copy_(tile.triu() + tile.triu(1).T)
        half[stop:, start:stop] = half[start:stop, stop:].T
    return half


def cholesky(covariance: Tensor) -> Tensor | None:
    """Return the lower Cholesky factor of a symmetric matrix (d, d), or None where it is not positive definite."""
    if covariance.device.type == "cpu":
        with blas_threads():
            factor, failed = lapack.dpotrf(covariance.numpy().T, lower=1, clean=1)
        lower = torch.from_numpy(factor)
    else:
        lower, failed = torch.linalg.cholesky_ex(covariance)
    return None if int(failed) else lower


def triangle_product(lower: Tensor, matrix: Tensor) -> Tensor:
    """Return ``L^T A`` for a factor L (d, d) from `cholesky` and a matrix A (d, r). d^2 r operations on the CPU."""
    if lower.device.type != "cpu":
        return lower.T @ matrix
    with blas_threads():
        return torch.from_numpy(blas.dtrmm(1.0, lower.numpy(), matrix.numpy(), lower=1, trans_a=1))


def paired_axes(lower: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``L A`` and ``L^-T B`` for a factor L (d, d) from `cholesky` and float32 matrices (d, r), in float32.

    2 d^2 r operations on the CPU.
    """
    single = lower.float()
    if single.device.type != "cpu":
        return single @ first, torch.linalg.solve_triangular(single.T, second, upper=True)
    with blas_threads():
        product = blas.strmm(1.0, single.numpy(), first.numpy(), lower=1)
        solved = blas.strsm(1.0, single.numpy(), second.numpy(), lower=1, trans_a=1)
    return torch.from_numpy(product), torch.from_numpy(solved)


def nuclear_norm(matrix: Tensor) -> float:
    """Sum of the singular values of a matrix (r, s), which may be overwritten. 8/3 d^3 operations for r = s = d."""
    if matrix.device.type != "cpu":
        return float(torch.linalg.svdvals(matrix).sum())
    with blas_threads():
        return float(svdvals(matrix.numpy(), overwrite_a=True, check_finite=False).sum())


def blas_threads() -> AbstractContextManager[Any]:
    """Limit scipy's threads to torch's, at the price of some 20 microseconds, where they are not as many already."""
    controller, threads = _controller(), torch.get_num_threads()
    if all(library.num_threads == threads for library in controller.lib_controllers):
        return nullcontext()
    limited: AbstractContextManager[Any] = controller.limit(limits=threads)
    return limited


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """Return what controls the BLAS libraries that are loaded; finding them takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")
