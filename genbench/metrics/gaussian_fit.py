"""Gaussian fits and the Fréchet distance of two of them, ladder: covariance -> factor -> distance.

The trace term ``tr (S1^1/2 S2 S1^1/2)^1/2`` equals the nuclear norm of ``R1^T R2`` for any factors ``S = R R^T``.
Computed so it needs no square root of a product of covariances, is real and never negative, is defined for singular
covariances, and keeps full precision where ``sqrtm`` and ``eigvals(S1 S2)`` keep half of it. For the Cholesky factor
``S2 = L L^T`` it is also the sum of the roots of the eigenvalues of ``L^T S1 L``, in a fifth of the time; these decide
where they are as good as exact.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.moments import Moments
from genbench.metrics.root_trace import Axes, RootTrace, root_trace
from genbench.metrics.symmetric import EPSILON, cholesky, nuclear_norm, triangle_product

WELL_CONDITIONED = 1e-8
"""Ratio of the squared Cholesky pivots above which a Cholesky factor is as exact here as an eigenvalue factor."""

ROUNDING = 1e-11
"""Estimated relative error of a distance up to which eigenvalues decide.

It is 8e-14 of the distance's terms, where they are 130 times as large as it, as those of 10,000 samples in 2,048
dimensions are, and far below a jackknife's spread, which is some 1e-3 of the distance or more.
"""


class Gaussian:
    """Mean and covariance, of which a factor is computed when it is first asked for.

    Parameters
    ----------
    mean : (d,) float64 tensor
    covariance : (d, d) float64 tensor or None
        Symmetric.
    factor : (d, r) float64 tensor or None
        R of ``S = R R^T``, in place of the covariance.
    """

    def __init__(self, mean: Tensor, *, covariance: Tensor | None = None, factor: Tensor | None = None) -> None:
        self.mean, self.covariance, self._factor = mean, covariance, factor

    @cached_property
    def lower(self) -> Tensor | None:
        """The Cholesky factor, (d, d), where the covariance is known and well-conditioned."""
        lower = None if self.covariance is None else cholesky(self.covariance)
        if lower is None:
            return None
        pivots = lower.diagonal().square()
        return lower if float(pivots.min()) > WELL_CONDITIONED * float(pivots.max()) else None

    @cached_property
    def factor(self) -> Tensor:
        """R (d, rank) of ``S = R R^T``.

        Eigenvalues below ``d * eps`` of the largest are rounding and are set to exactly zero: no ridge is added.
        O(d^3): Cholesky where the pivots show it to be as exact, about ten times faster, else eigenvalues.

        Raises
        ------
        SampleError
            If an eigenvalue is negative by more than rounding can make it.
        """
        if self.lower is not None:
            return self.lower
        if self.covariance is None:
            assert self._factor is not None
            return self._factor
        return _eigenvalue_factor(self.covariance)

    @cached_property
    def trace(self) -> float:
        """Of the covariance."""
        return float(self.factor.square().sum() if self.covariance is None else self.covariance.diagonal().sum())


def fit(moments: Moments) -> Gaussian:
    """Return the Gaussian of these moments."""
    return Gaussian(moments.mean, covariance=moments.covariance)


def covariance_to_factor(covariance: Tensor) -> Tensor:
    """Factor a covariance (d, d), ``S = R R^T``, into R (d, rank), as `Gaussian.factor` does."""
    return Gaussian(covariance.new_zeros(len(covariance)), covariance=covariance).factor


class Distance(NamedTuple):
    """The Fréchet distance of two Gaussians, and whether eigenvalues were good enough to decide it."""

    value: float
    by_eigenvalues: bool


def factors_to_fd(a: Gaussian, b: Gaussian) -> float:
    """Fréchet distance of two Gaussians, as `distance` computes it."""
    return distance(a, b).value


def distance(a: Gaussian, b: Gaussian, *, try_eigenvalues: bool = True) -> Distance:
    """Fréchet distance of two Gaussians.

    Parameters
    ----------
    a, b : Gaussian
        Of one dimension.
    try_eigenvalues : bool
        False where it is known that they will not do, which saves the attempt.

    Notes
    -----
    O(d^3), by eigenvalues where they err by `ROUNDING` at most by estimate; the true error was 5 times that at most, in
    the spectra that `root_trace` names. Else by singular values of the product of factors,
    O(d r s + min(r, s)^2 max(r, s)) for ranks r and s, three to five times slower.
    """
    return distance_and_axes(a, b, try_eigenvalues=try_eigenvalues)[0]


def distance_and_axes(a: Gaussian, b: Gaussian, *, try_eigenvalues: bool = True) -> tuple[Distance, Axes | None]:
    """Return what `distance` does, and how eigenvectors are had, where eigenvalues decided.

    They are those of ``L^T S L``, for the covariance S of a and the Cholesky factor L of b's; see
    `genbench.metrics.root_trace.RootTrace`.
    """
    known = float((a.mean - b.mean).square().sum()) + a.trace + b.trace
    if try_eigenvalues and a.covariance is not None and b.lower is not None:
        found = root_trace(b.lower, a.covariance)
        if found is not None and _is_exact(found, ROUNDING * (known / 2 - found.value), a, b):
            return Distance(known - 2 * found.value, True), found.axes
    product = a.factor.T @ b.factor if a.lower is None else triangle_product(a.lower, b.factor)
    return Distance(max(0.0, known - 2 * nuclear_norm(product)), False), None


def _is_exact(found: RootTrace, allowed: float, a: Gaussian, b: Gaussian) -> bool:
    if found.worst <= allowed:
        return True
    if a.lower is None or b.lower is None:
        return False
    truth = 2 * sum(float(lower.diagonal().log().sum()) for lower in (a.lower, b.lower))
    return abs(found.log_determinant - truth) * found.weight <= allowed


def _eigenvalue_factor(covariance: Tensor) -> Tensor:
    values: Tensor
    vectors: Tensor
    values, vectors = torch.linalg.eigh(covariance)
    largest = float(values[-1])
    if float(values[0]) < -1e-8 * max(largest, 0.0) or largest < 0.0:
        raise SampleError(
            f"fd: a positive semi-definite covariance expected, got eigenvalues from {float(values[0]):.3g} to "
            f"{largest:.3g}; compute it anew in float64."
        )
    kept = values > len(values) * EPSILON * largest
    return vectors[:, kept] * values[kept].sqrt()
