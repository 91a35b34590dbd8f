"""Influence functions of the Fréchet distance: its bias and standard error from one pass, without resampling.

With ``R1^T R2 = U diag(s) V^T`` for the factors of the covariances, the optimal map from the first Gaussian to the
second is ``T = R2 V diag(1/s) V^T R2^T``. In the coordinates ``a = V^T R2^T (x - mu1)``, whose variances are ``s^2``,
the distance moves with a sample x by ``2 (mu1 - mu2).(x - mu1) + |x - mu1|^2 - sum_i a_i^2 / s_i``, and the second
order is a sum of squares with the weights ``1 / (s_i s_j (s_i + s_j))``. The other side is the same with U and R1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.distances import row_blocks
from genbench.metrics.gaussian_fit import Gaussian
from genbench.randomness import derive_seed

PAIRS = 4_000
"""Pairs of samples that the second-order variance is averaged over, to the next multiple of n where that is less."""


class Influence(NamedTuple):
    """What the samples say of the plug-in distance: its bias, and its standard error."""

    bias: float
    std_error: float


class _Side(NamedTuple):
    """One sample set's part: bias, first-order variance, and root of the second-order one, all at its n."""

    bias: float
    variance: float
    second: float


def fd_influence(generated: Tensor, reference: Tensor, ours: Gaussian, theirs: Gaussian) -> Influence:
    """Bias and standard error of the plug-in Fréchet distance, to second order.

    Parameters
    ----------
    generated, reference : (n, d), (m, d) float64 tensors
    ours, theirs : Gaussian
        Their fits.

    Returns
    -------
    Influence
        In the unit of the distance. The bias is to be subtracted.

    Notes
    -----
    The error adds to the delta method's variance that of the quadratic term, ``2 (sqrt(t1)/n + sqrt(t2)/m)^2`` with
    t the trace of the squared covariance of that term's features: exact where the distributions are equal, and, by
    the Cauchy-Schwarz inequality, no less than the truth elsewhere. Where they are equal the first-order variance, of
    the fitted map, is not zero either, so that the sum is too wide. O((n + m) d^2 + d^3) operations.
    """
    left: Tensor
    right: Tensor
    left, scales, right = torch.linalg.svd(ours.factor.T @ theirs.factor, full_matrices=False)
    kept = scales > len(scales) * torch.finfo(scales.dtype).eps * scales[:1]  # in descending order, and perhaps none
    scales, gap = scales[kept], ours.mean - theirs.mean
    first = _side(generated, ours.mean, gap, theirs.factor @ right.T[:, kept], scales)
    second = _side(reference, theirs.mean, -gap, ours.factor @ left[:, kept], scales)
    quadratic = 2 * (first.second + second.second) ** 2
    return Influence(first.bias + second.bias, math.sqrt(first.variance + second.variance + quadratic))


def _side(values: Tensor, mean: Tensor, gap: Tensor, axes: Tensor, scales: Tensor) -> _Side:
    """Sum up one set in blocks of rows. ``axes`` (d, r) turn a centred sample into the coordinates a."""
    n = len(values)
    weights = 1 / (scales[:, None] * scales * (scales[:, None] + scales))
    fourth = torch.zeros_like(weights)
    influence, lengths = [], torch.zeros((), dtype=values.dtype, device=values.device)
    for rows in row_blocks(*values.shape):
        centred = values[rows] - mean
        squares = (centred @ axes).square()
        fourth += squares.T @ squares
        length = centred.square().sum(dim=1)
        lengths += length.sum()
        influence.append(2 * centred @ gap + length - squares @ (1 / scales))
    excess = fourth / n - torch.diag(scales**4)
    bias = float(lengths / (n - 1) + 0.5 * (weights * excess).sum()) / n
    variance = float(torch.cat(influence).var()) / n
    return _Side(bias, variance, math.sqrt(_squared_products(values, mean, axes, scales, weights)) / n)


def _squared_products(values: Tensor, mean: Tensor, axes: Tensor, scales: Tensor, weights: Tensor) -> float:
    """Mean of ``(g(x).g(x'))^2`` over pairs of samples: the trace of the squared covariance of the features g.

    ``|mean of g|^2`` is the distance's second-order term, so g holds the centred sample and, weighted, the products
    ``a_i a_j`` less their means. It is never formed: ``g.g'`` follows from ``a * a'``.
    """
    n = len(values)
    order = np.random.default_rng(derive_seed(0, "pairs of samples", n)).permutation(n)
    diagonal = weights.diagonal() * scales.square()
    total, size, shifts = 0.0, min(n, PAIRS), range(1, 1 + min(n - 1, math.ceil(PAIRS / n)))
    for shift in shifts:
        for rows in row_blocks(size, values.shape[1]):
            x, y = (
                values[torch.from_numpy(index[rows]).to(values.device)] - mean
                for index in (order[:size], np.roll(order, shift)[:size])
            )
            a, b = x @ axes, y @ axes
            both = a * b
            means = (a.square() + b.square()) @ diagonal - (diagonal * scales.square()).sum()
            products = (x * y).sum(dim=1) + 0.5 * (((both @ weights) * both).sum(dim=1) - means)
            total += float(products.square().sum())
    return total / (size * len(shifts))
