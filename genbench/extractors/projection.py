"""Linear maps that need no weights file: principal components of the training split, and a random projection.

Both are frozen, and exact for images: the matrix is rounded to multiples of 2**-20, pixels are whole numbers, and
float64 adds their products without any rounding, so that a row's features are the same bits in every batch, on every
machine, on any number of threads.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from torch import Tensor

from genbench.devices import metric_device
from genbench.errors import DeclarationError, SampleError
from genbench.extractors.images import check_samples
from genbench.randomness import derive_seed

DIMS = 64
"""Unless other ``dims`` are asked for, or the data have fewer."""

STEPS = 2.0**20
"""Steps per unit of the matrix."""

MIDDLE = 128
"""Pixels less this are whole numbers of at most 8 bits, whose products float32 adds exactly in blocks of 1024."""

BLOCK = 1024
"""Samples, or columns, in one product: 1024 * 128**2 = 2**24, the largest whole number up to which float32 has all."""

MAX_SIDE = 8192
"""Where samples and dimensions both exceed it, components are fitted on so many samples: 0.5 GiB for their products."""


class LinearProjection:
    """A frozen linear map to a few dimensions: ``pool``, (x - centre) @ matrix, with pixels in [0, 1].

    Parameters
    ----------
    name : str
    event_shape : tuple of int
    device : torch.device
        Where to compute; the CPU in place of MPS, which has no float64.
    matrix : (d, dims) array, float64
        Rounded to multiples of 2**-20, with columns of length about 1.
    centre : (d,) array, float64
        In the units of the samples: [0, 255] for images.
    preprocessing : str
        How the matrix was made.
    """

    def __init__(
        self,
        name: str,
        *,
        event_shape: tuple[int, ...],
        device: torch.device,
        matrix: NDArray[np.float64],
        centre: NDArray[np.float64],
        preprocessing: str,
    ) -> None:
        self.name = name
        self.event_shape = tuple(event_shape)
        self.device = metric_device(device)
        self.unit = 255.0 if len(self.event_shape) == 3 else 1.0
        whole = np.rint(matrix * STEPS)
        offset = np.rint(centre @ whole) / STEPS
        self.matrix = torch.from_numpy(whole / STEPS).to(self.device)
        self.offset = torch.from_numpy(offset).to(self.device)
        self.layers: Mapping[str, int] = {"pool": matrix.shape[1]}
        digest = hashlib.sha256(f"{preprocessing}; {matrix.shape}; over {self.unit}".encode())
        digest.update(np.ascontiguousarray(whole, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(offset, dtype="<f8").tobytes())
        self.fingerprint = digest.hexdigest()

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Return ``{"pool": (n, dims) float64}`` on the samples' device (the CPU if that is MPS).

        O(n d dims), in blocks of 1024 rows. For images the same bits in any batch: partial sums are multiples of
        2**-20 below 255 sqrt(d), well under 2**33. For vectors equal to about 1e-15 of a row's length.

        Raises
        ------
        SampleError
            If the samples are of another shape or dtype.
        """
        check_samples(self.name, samples, self.event_shape)
        place = metric_device(samples.device)
        pool = torch.empty(len(samples), self.layers["pool"], dtype=torch.float64, device=place)
        for start in range(0, len(samples), BLOCK):
            rows = samples[start : start + BLOCK].to(self.device).to(torch.float64).flatten(start_dim=1)
            pool[start : start + BLOCK] = ((rows @ self.matrix - self.offset) / self.unit).to(place)
        return {"pool": pool}


def pca(
    *, event_shape: tuple[int, ...], device: torch.device, reference: Any, dims: int | None = None
) -> LinearProjection:
    """Fit principal components on the training split.

    Parameters
    ----------
    event_shape : tuple of int
    device : torch.device
    reference : (n, *event) tensor or array
        uint8 images or floating-point vectors.
    dims : int or None
        How many components; None takes 64, or as many as the data have.

    Returns
    -------
    LinearProjection
        Directions of the largest variance, each with its largest entry positive.

    Raises
    ------
    DeclarationError
        If ``dims`` exceeds the dimensions that the samples span: at most d and n - 1.
    SampleError
        If the samples are not finite.

    Notes
    -----
    O(n d min(n, d)) operations and O(min(n, d)^2) memory beyond the samples, which are never copied whole. Products of
    pixels are added exactly, so that only the eigenvectors, rounded to 2**-20 afterwards, could differ from one machine
    to another. Where n and d both exceed 8192, a fixed random choice of 8192 samples is used.
    """
    data = _flat("pca", reference, event_shape)
    n, d = data.shape
    if n > MAX_SIDE and d > MAX_SIDE:
        chosen = np.random.default_rng(derive_seed(0, "pca", "rows")).permutation(n)[:MAX_SIDE]
        data = data[np.sort(chosen)]
    centre = _mean(data)
    vectors = _components(data, centre, dims if dims is not None else DIMS, strict=dims is not None)
    return LinearProjection(
        "pca",
        event_shape=event_shape,
        device=device,
        matrix=vectors,
        centre=centre,
        preprocessing="pca, version 1",
    )


def random_projection(
    *, event_shape: tuple[int, ...], device: torch.device, dims: int | None = None
) -> LinearProjection:
    """Project on random directions that depend on the shape alone: nothing is fitted, no data are preferred.

    Parameters
    ----------
    event_shape : tuple of int
    device : torch.device
    dims : int or None
        How many directions; None takes 64, or d if that is less.

    Returns
    -------
    LinearProjection
        Entries normal with variance 1 / d, from a fixed seed: columns have length about 1.

    Raises
    ------
    DeclarationError
        If ``dims`` is more than d.

    References
    ----------
    Johnson and Lindenstrauss 1984: distances between n points survive to a factor 1 +- e in O(log n / e^2) dimensions.
    """
    d = math.prod(event_shape)
    dims = min(DIMS, d) if dims is None else _checked("random-projection", dims, d, f"the data have {d} dimensions")
    draws = np.random.default_rng(derive_seed(0, "random-projection", d)).standard_normal((dims, d))
    return LinearProjection(
        "random-projection",
        event_shape=event_shape,
        device=device,
        matrix=draws.T / math.sqrt(d),
        centre=np.zeros(d),
        preprocessing="random-projection, version 1",
    )


def _checked(name: str, dims: Any, most: int, why: str) -> int:
    if not isinstance(dims, int) or not 1 <= dims <= most:
        raise DeclarationError(f"{name}: dims between 1 and {most} expected, because {why}, got {dims!r}.")
    return dims


def _flat(name: str, reference: Any, event_shape: tuple[int, ...]) -> NDArray[Any]:
    """View the samples as (n, d), without a copy."""
    array = reference.detach().cpu().numpy() if isinstance(reference, Tensor) else np.asarray(reference)
    if tuple(array.shape[1:]) != tuple(event_shape) or len(array) < 2:
        raise DeclarationError(
            f"{name}: at least 2 training samples of shape {tuple(event_shape)} expected, got {array.shape}."
        )
    return array.reshape(len(array), -1)


def _mean(data: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of the rows; of pixels the exact sum over n. A float64 copy of the whole set is never made."""
    total = np.zeros(data.shape[1])
    for start in range(0, len(data), BLOCK):
        total += data[start : start + BLOCK].sum(axis=0, dtype=np.float64)
    if not np.isfinite(total).all():
        raise SampleError("pca: finite training samples expected, got values that are not; leave those samples out.")
    return total / len(data)


def _components(data: NDArray[Any], centre: NDArray[np.float64], dims: int, *, strict: bool) -> NDArray[np.float64]:
    """Return the leading directions (d, dims), from the products of columns, or of rows where those are fewer."""
    n, d = data.shape
    whole = data.dtype == np.uint8
    shift = np.full(d, float(MIDDLE)) if whole else centre
    dtype = np.float32 if whole else np.float64
    by_columns = d <= n
    products = np.zeros((min(n, d), min(n, d)))
    for start in range(0, n if by_columns else d, BLOCK):
        part = slice(start, start + BLOCK)
        block = _shifted(data[part], shift, dtype).T if by_columns else _shifted(data[:, part], shift[part], dtype)
        products += block @ block.T
    noise = len(products) * np.finfo(np.float64).eps * float(np.trace(products))
    if by_columns:
        products -= n * np.outer(centre - shift, centre - shift)
    else:
        means = products.mean(axis=0)
        products += means.mean() - means[:, None] - means[None, :]
    most = min(d, n - 1)
    kept = _checked("pca", dims, most, f"{n} samples of {d} dimensions span no more") if strict else min(dims, most)
    values, vectors = _largest(products, kept)
    rank = int((values > noise).sum())
    if rank < kept and (strict or not rank):
        _checked("pca", dims, rank, f"the training samples vary in {rank} directions")
    values, vectors = values[:rank], vectors[:, :rank]
    if not by_columns:  # from weights of samples, which sum to zero, to directions
        blocks = [slice(start, start + BLOCK) for start in range(0, d, BLOCK)]
        parts = [_shifted(data[:, part], shift[part], np.float64).T @ vectors for part in blocks]
        vectors = np.concatenate(parts) / np.sqrt(values)
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(rank)])
    return np.asarray(vectors * signs)


def _shifted(part: NDArray[Any], shift: NDArray[np.float64], dtype: type) -> NDArray[Any]:
    return np.asarray(part.astype(dtype) - shift.astype(dtype))


def _largest(symmetric: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the k largest eigenvalues, largest first, and their vectors as columns; overwrites the matrix."""
    side = len(symmetric)
    values, vectors = linalg.eigh(symmetric, subset_by_index=[side - k, side - 1], overwrite_a=True, check_finite=False)
    return values[::-1], vectors[:, ::-1]
