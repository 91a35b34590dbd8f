"""Products, factors and root traces of symmetric matrices, each by the half that is not known from the other.

On the CPU through scipy's BLAS and LAPACK, because torch has no product of a matrix with itself that skips the mirrored
half; in as many threads as torch is told to use, as the last bits depend on their number. On other devices through
torch. A *half* matrix is one of which only the upper triangle holds numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import blas, eigh_tridiagonal, lapack, svdvals
from threadpoolctl import ThreadpoolController
from torch import Tensor

TILE = 256
"""Columns that are mirrored at a time, so that both sides of the diagonal stay near."""

COLUMNS = 32
"""LAPACK's block of columns in a reduction to tridiagonal form."""

EPSILON = torch.finfo(torch.float64).eps


Axes = Callable[[], tuple[Tensor, Tensor]]
"""Gives eigenvalues and eigenvectors when called."""


class RootTrace(NamedTuple):
    """The trace of a matrix's root, and what says how far rounding has moved it.

    Attributes
    ----------
    value : float
    worst : float
        How far that can be, by what rounding does to eigenvalues in general.
    log_determinant : float
        By the same eigenvalues.
    weight : float
        By how much the value is off, per unit that the logarithm of the determinant is.
    axes : callable
        Returns the eigenvalues of the matrix, (d,) float64, ascending, and its eigenvectors, (d, d) float32 in columns,
        from what is there already: in the time of two products of matrices.
    """

    value: float
    worst: float
    log_determinant: float
    weight: float
    axes: Axes


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
        with _threads():
            # Transposed, both are in the order of columns that BLAS works on in place, and upper becomes lower.
            add(scale, rows.numpy().T, beta=1.0, c=half.numpy().T, lower=1, overwrite_c=1)


def turn(rows: Tensor, axes: Tensor) -> Tensor:
    """Return a product of float32 matrices (k, d) and (d, r), by the BLAS that `add_gram` uses.

    Threads of two libraries that follow each other closely wait for each other's processors.
    """
    if rows.device.type != "cpu":
        return rows @ axes
    with _threads():
        # Fortran's order is that of the transpose: nothing is copied.
        return torch.from_numpy(blas.sgemm(1.0, axes.numpy().T, rows.numpy().T).T)


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
        with _threads():
            factor, failed = lapack.dpotrf(covariance.numpy().T, lower=1, clean=1)
        lower = torch.from_numpy(factor)
    else:
        lower, failed = torch.linalg.cholesky_ex(covariance)
    return None if int(failed) else lower


def root_trace(lower: Tensor, covariance: Tensor) -> RootTrace | None:
    """Trace of the root of ``L^T S L``: the sum of the singular values of ``R^T L`` for any factor R of S.

    Parameters
    ----------
    lower : (d, d) float64 tensor
        L, from `cholesky`.
    covariance : (d, d) float64 tensor
        S, symmetric.

    Returns
    -------
    RootTrace or None
        None where an eigenvalue is not positive, so that the matrix is singular to rounding.

    Notes
    -----
    7/3 d^3 operations, in time a fifth of singular values. Rounding moves eigenvalues by about ``eps`` of the largest,
    l_1, and thus the root of l by ``eps l_1 / (2 sqrt(l))``; ``worst`` is the root of the sum of their squares. It
    grows with the condition and is far from what happens: the reduction to tridiagonal form treats small eigenvalues
    with more care. ``log_determinant`` shows what did happen, if compared with that of the factors, which is as good as
    exact: shifts of one size e that are independent move it by ``e |1/l|``, and the trace of the root by
    ``e |1/sqrt(l)| / 2``. Held against singular values, in spectra ``i^-p``, p = 0 to 2.5, and of two levels 1e-4 and
    1e-6 apart, d = 8 to 1,024 and 1.6 to 10 samples a dimension, the error was at most .5 of ``worst``, and of the
    difference times ``weight`` .7 to 3 times.
    """
    values, axes = _eigenvalues(covariance, lower)
    if float(values[0]) <= 0:
        return None
    roots, inverses = values.sqrt(), 1 / values
    shift = float(torch.linalg.vector_norm(inverses.sqrt())) / 2
    return RootTrace(
        value=float(roots.sum()),
        worst=EPSILON * float(values[-1]) * shift,
        log_determinant=float(values.log().sum()),
        weight=shift / float(torch.linalg.vector_norm(inverses)),
        axes=axes,
    )


def triangle_product(lower: Tensor, matrix: Tensor) -> Tensor:
    """Return ``L^T A`` for a factor L (d, d) from `cholesky` and a matrix A (d, r). d^2 r operations on the CPU."""
    if lower.device.type != "cpu":
        return lower.T @ matrix
    with _threads():
        return torch.from_numpy(blas.dtrmm(1.0, lower.numpy(), matrix.numpy(), lower=1, trans_a=1))


def paired_axes(lower: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``L A`` and ``L^-T B`` for a factor L (d, d) from `cholesky` and float32 matrices (d, r), in float32.

    2 d^2 r operations on the CPU.
    """
    single = lower.float()
    if single.device.type != "cpu":
        return single @ first, torch.linalg.solve_triangular(single.T, second, upper=True)
    with _threads():
        product = blas.strmm(1.0, single.numpy(), first.numpy(), lower=1)
        solved = blas.strsm(1.0, single.numpy(), second.numpy(), lower=1, trans_a=1)
    return torch.from_numpy(product), torch.from_numpy(solved)


def nuclear_norm(matrix: Tensor) -> float:
    """Sum of the singular values of a matrix (r, s), which may be overwritten. 8/3 d^3 operations for r = s = d."""
    if matrix.device.type != "cpu":
        return float(torch.linalg.svdvals(matrix).sum())
    with _threads():
        return float(svdvals(matrix.numpy(), overwrite_a=True, check_finite=False).sum())


def _eigenvalues(covariance: Tensor, lower: Tensor) -> tuple[Tensor, Axes]:
    """Eigenvalues of ``L^T S L``, in ascending order, and how its eigenvectors are had.

    On the CPU by LAPACK's steps one by one, with room for whole blocks.
    """
    d = len(covariance)
    if lower.device.type != "cpu":
        turned = lower.T @ (covariance @ lower)
        return torch.linalg.eigvalsh(turned), partial(_axes, turned)
    with _threads():
        product, _ = lapack.dsygst(covariance.numpy().T, lower.numpy(), itype=2, lower=1)
        if d == 1:
            return torch.from_numpy(product[0]), partial(_axes, torch.from_numpy(product))
        reduced = lapack.dsytrd(product, lower=1, lwork=COLUMNS * d, overwrite_a=1)[:-1]
        values, _ = lapack.dsterf(*reduced[1:3])
    return torch.from_numpy(values), partial(_reduced_axes, *reduced)


def _axes(matrix: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors.float()


def _reduced_axes(
    reflectors: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    beside: NDArray[np.float64],
    sizes: NDArray[np.float64],
) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a matrix that LAPACK has reduced to tridiagonal form.

    Those of the tridiagonal matrix in float64, as eigenvalues many orders apart need it; turned back in float32.
    """
    d = len(diagonal)
    with _threads():
        values, vectors = eigh_tridiagonal(diagonal, beside, check_finite=False, lapack_driver="stemr")
        turned = vectors.astype(np.float32)
        # The reflectors lie below the subdiagonal and spare the first row: to LAPACK, those of a QR factorization.
        below = np.tril(reflectors[1:, :-1], -1).astype(np.float32)
        turned[1:], _, _ = lapack.sormqr("L", "N", below, sizes.astype(np.float32), turned[1:], COLUMNS * d)
    return torch.from_numpy(values), torch.from_numpy(turned)


def _threads() -> AbstractContextManager[Any]:
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
