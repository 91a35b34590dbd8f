"""Whitened principal components of the reference: the few coordinates in which densities can be estimated."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.distances import check_widths, inner_products
from genbench.metrics.features import Features
from genbench.metrics.repeats import first_equal
from genbench.metrics.symmetric import add_gram, mirror

CENTRED = 512
"""So many rows are centred and moved at a time."""


def whiten(metric: str, generated: Features, reference: Features, dims: int) -> tuple[Features, Features]:
    """Move both sets to the leading principal components of the reference, each with unit variance there.

    Rows that are equal before are exactly equal after, within a set and across the two: a matrix product may round
    the same row differently at different places, so of equal rows the first is moved and copied.

    Parameters
    ----------
    metric : str
        Who asks, for messages.
    generated, reference : Features
        Of equal width d. The reference needs 2 samples.
    dims : int
        How many components at most. Those without variance are dropped; with d <= dims nothing else is, and the map
        is affine and one-to-one on the reference's span.

    Returns
    -------
    tuple of Features
        Generated and reference, (n, r) and (m, r) with 1 <= r <= min(d, dims); both remembered, so that neighbours
        within the reference are found once for all that is scored against it.

    Raises
    ------
    SampleError
        If the widths differ, the reference has fewer than 2 samples, or it has no variance.

    Notes
    -----
    O(m d^2 + d^3 + n d r).

    The components are those of the reference's own samples, which vary along them a little more than fresh samples do:
    by about d/m of the mean variance over the component's. Where the leading variances stand out that is nothing; where
    the spectrum is flat, d > dims and m is not far above d, it makes even a perfect generator look narrower (512
    equal variances, m = 10,000: 5 components by a factor of 1.5). Only the null at the same n shows it.
    """
    check_widths(metric, generated, reference)

    mean, components = reference.remember(("components", dims), lambda: _components(metric, reference, dims))

    def move_reference() -> Features:
        first = first_equal(reference)
        moved = _moved(reference, mean, components)
        repeated = torch.nonzero(first < torch.arange(reference.n, device=first.device)).squeeze(1)
        moved[repeated] = moved[first[repeated]]
        return Features(moved)

    def move_generated() -> Features:
        first = first_equal(reference, generated)[reference.n :]
        moved = _moved(generated, mean, components)
        copies = torch.nonzero(first < reference.n).squeeze(1)
        moved[copies] = moved_reference.values[first[copies]]
        own = first - reference.n
        repeated = torch.nonzero((own >= 0) & (own < torch.arange(generated.n, device=own.device))).squeeze(1)
        moved[repeated] = moved[own[repeated]]
        return Features(moved)

    moved_reference = reference.remember(("whitened", dims), move_reference)
    return generated.remember(("whitened", reference, dims), move_generated), moved_reference


def _moved(features: Features, mean: Tensor, components: Tensor) -> Tensor:
    """Return the rows' coordinates, (n, r) float64; some rows are centred at a time, which then are in the cache."""
    moved = components.new_empty((features.n, components.shape[1]))
    for rows, found in zip(torch.split(features.given, CENTRED), torch.split(moved, CENTRED), strict=True):
        found.copy_(inner_products(rows - mean, components.T))
    return moved


def _components(metric: str, reference: Features, dims: int) -> tuple[Tensor, Tensor]:
    """Return the mean (d,) and the whitening map (d, r) of the reference."""
    if reference.n < 2:
        raise SampleError(f"{metric}: at least 2 reference samples expected to find directions, got {reference.n}.")
    mean = reference.given.mean(dim=0, dtype=torch.float64)
    centred = reference.given - mean
    products = centred.new_zeros((reference.d, reference.d))
    add_gram(products, centred)
    variances, axes = torch.linalg.eigh(mirror(products) / (reference.n - 1))
    floor = reference.d * torch.finfo(torch.float64).eps * variances[-1]
    kept = torch.nonzero(variances > floor).squeeze(1).flip(0)[:dims]
    if len(kept) == 0:
        raise SampleError(f"{metric}: all {reference.n} reference samples are equal, so they have no density.")
    return mean, axes[:, kept] / variances[kept].sqrt()
