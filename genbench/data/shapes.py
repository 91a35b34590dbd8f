"""Rendered figures whose factors are known exactly, and the decoder that reads them back from any image.

A figure has six factors (`FACTORS`). Its shape, colour, size and rotation are its *combination*, of which there are
432; its column and row on a lattice of 9 x 9 places are its position. Figures are drawn without smoothing, so that
all 34,992 images there can be are different, and every one of them can be read exactly.

The six pairs of `UNSEEN_PAIRS`, each shape with one colour, are in no training image, though every shape and every
colour is: a model that makes them has combined what it learned, and one that does not has only repeated it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d

from genbench.definitions import Dataset
from genbench.errors import SampleError
from genbench.randomness import derive_seed

FACTORS = ("shape", "colour", "size", "rotation", "column", "row")
"""Names of the columns of a table of factors."""

SHAPES = ("triangle", "shield", "ell", "tee", "arrow", "wedge")
COLOURS = ("red", "green", "blue", "yellow", "magenta", "cyan")
SIZES = (8, 12, 16)
"""Side in pixels of the square that a figure fills."""

ROTATIONS = 4
"""By 0, 90, 180 and 270 degrees, counter-clockwise; no shape looks the same after any of them."""

PLACES, STRIDE, BOX = 9, 2, 16
"""Places along an axis, pixels between them, and side of the square that figures of any size are centred in."""

COUNTS = (len(SHAPES), len(COLOURS), len(SIZES), ROTATIONS, PLACES, PLACES)
"""How many values each factor has."""

COMBINATIONS = len(SHAPES) * len(COLOURS) * len(SIZES) * ROTATIONS

UNSEEN_PAIRS = tuple((i, i) for i in range(len(SHAPES)))
"""(shape, colour) of the figures that are held out of training: red triangles, green shields, and so on."""

IMAGE = 32
TRAIN_PER_COMBINATION = 30
TEST_PER_COMBINATION = 15

RADIUS = 441.0
"""Euclidean distance in grey levels over all pixels and channels, up to which a decoded figure is the only one as near:
less than half the smallest distance between two renderings, 255 times the root of 12."""

_RGB = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255], [0, 255, 255]], dtype=np.uint8)
_ROWS = 256  # images decoded at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """The figure nearest to each image.

    Attributes
    ----------
    factors : (n, 6) int64 array
        Columns as in `FACTORS`, counted from 0.
    distance : (n,) float64 array
        Euclidean distance of the image to that figure's rendering, in grey levels; 0 where it is exact.
    valid : (n,) bool array
        Whether the image is a figure: its distance is at most the tolerance.
    """

    factors: NDArray[np.int64]
    distance: NDArray[np.float64]
    valid: NDArray[np.bool_]


@cache
def shapes() -> Dataset:
    """Draw figures of known shape, colour, size, rotation and position.

    Returns
    -------
    Dataset
        uint8 images (n, 3, 32, 32), black outside the figure, no image twice. Labels are combinations, as `combination`
        numbers them. ``train`` has 30 images of each of the 360 combinations that are seen in training (10,800), at
        random places; ``test`` has 15 other images of each of all 432 (6,480): a sixth of it is unlike anything in
        training, so that real data of the two splits differ, too. The same object on every call; treat its arrays as
        read-only.

    References
    ----------
    After dSprites (L. Matthey et al., 2017, github.com/deepmind/dsprites-dataset), with colours and held-out pairs.
    """
    rng = np.random.default_rng(derive_seed(0, "shapes", "places"))
    each = TRAIN_PER_COMBINATION + TEST_PER_COMBINATION
    places = np.stack([rng.choice(PLACES**2, each, replace=False) for _ in range(COMBINATIONS)])
    labels = np.arange(COMBINATIONS)
    seen = np.setdiff1d(labels, unseen_combinations())
    train, train_labels = _split(seen, places[seen, :TRAIN_PER_COMBINATION], rng)
    test, test_labels = _split(labels, places[:, TRAIN_PER_COMBINATION:], rng)
    return Dataset(
        name="shapes",
        train=train,
        test=test,
        train_labels=train_labels,
        test_labels=test_labels,
        factors=Figures(),
    )


def _split(
    labels: NDArray[np.int64], places: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Render each label at its places, in mixed order."""
    every = rng.permutation(places.size)
    flat = np.repeat(labels, places.shape[1])[every]
    columns_rows = np.unravel_index(places.ravel()[every], (PLACES, PLACES))
    return render(np.stack([*np.unravel_index(flat, COUNTS[:4]), *columns_rows], axis=1)), flat


def unseen_combinations() -> NDArray[np.int64]:
    """Return the numbers of the 72 combinations that no training image has, sorted."""
    shape, colour, _, _ = np.unravel_index(np.arange(COMBINATIONS), COUNTS[:4])
    return np.flatnonzero([pair in UNSEEN_PAIRS for pair in zip(shape.tolist(), colour.tolist(), strict=True)])


def combination(factors: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the combination of each row of factors, (n, 6) -> (n,), from 0 to 431; a dataset's labels are these."""
    return np.asarray(np.ravel_multi_index(tuple(np.asarray(factors)[:, :4].T), COUNTS[:4]))


def render(factors: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw figures.

    Parameters
    ----------
    factors : (n, 6) integer array
        Columns as in `FACTORS`, counted from 0.

    Returns
    -------
    (n, 3, 32, 32) uint8 array

    Raises
    ------
    SampleError
        If a factor is out of range.
    """
    table = np.asarray(factors)
    if table.ndim != 2 or table.shape[1] != len(COUNTS) or (table < 0).any() or (table >= COUNTS).any():
        raise SampleError(f"shapes: factors of shape (n, {len(COUNTS)}), from 0 to below {COUNTS}, expected.")
    images = np.zeros((len(table), 3, IMAGE, IMAGE), dtype=np.uint8)
    masks = _masks()
    for image, (shape, colour, size, rotation, column, row) in zip(images, table, strict=True):
        box = image[:, STRIDE * row : STRIDE * row + BOX, STRIDE * column : STRIDE * column + BOX]
        box[:, masks[shape, size, rotation]] = _RGB[colour][:, None]
    return images


def decode(images: NDArray[np.uint8] | Tensor, *, tolerance: float = RADIUS) -> Decoded:
    """Find the figure whose rendering is nearest to each image, over all 34,992.

    Parameters
    ----------
    images : (n, 3, 32, 32) uint8 array or tensor
        Of any origin.
    tolerance : float
        Largest distance of an image that counts as a figure, in grey levels over all pixels and channels together. At
        the default, `RADIUS`, the figure is the only one as near. Larger ones accept noisier images, whose nearest
        figure is still the likeliest under white noise.

    Returns
    -------
    Decoded
        About 9 million multiplications an image. Ties to within float32 go to either.

    Raises
    ------
    SampleError
        If the images are not of that shape and type.

    Notes
    -----
    The squared distance of x to a rendering of colour c with mask M is |x|² + Σ_{p in M} (|c|² - 2 c·x_p): correlating
    six maps with the 72 masks finds the least, and the distance is then taken from the rendering itself.

    Examples
    --------
    >>> decode(render(np.array([[4, 2, 1, 3, 0, 8]]))).factors.tolist()
    [[4, 2, 1, 3, 0, 8]]
    """
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1:] != (3, IMAGE, IMAGE):
        raise SampleError(f"shapes: uint8 images (n, 3, 32, 32) expected, got {array.dtype} {array.shape}.")
    parts = [_nearest(array[start : start + _ROWS]) for start in range(0, len(array), _ROWS)]
    factors = np.concatenate([np.zeros((0, len(COUNTS)), dtype=np.int64), *parts])
    off = array.astype(np.float32) - render(factors)
    distance = np.sqrt((off.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
    return Decoded(factors=factors, distance=distance, valid=distance <= tolerance)


def _nearest(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    colours = torch.from_numpy(_RGB / np.float32(255))
    x = torch.from_numpy(images / np.float32(255))
    costs = (colours**2).sum(dim=1)[None, :, None, None] - 2 * torch.einsum("kc,ncij->nkij", colours, x)
    masks = torch.from_numpy(_masks().reshape(-1, 1, BOX, BOX).astype(np.float32))
    # (n, colours, masks, rows, columns): the squared distances less |x|², which is the same for all figures.
    sums = conv2d(costs.flatten(0, 1)[:, None], masks, stride=STRIDE)
    best = sums.reshape(len(images), -1).argmin(dim=1).numpy()
    colour, mask, row, column = np.unravel_index(best, (len(COLOURS), len(masks), PLACES, PLACES))
    shape, size, rotation = np.unravel_index(mask, (len(SHAPES), len(SIZES), ROTATIONS))
    return np.stack([shape, colour, size, rotation, column, row], axis=1)


class Figures:
    """The factors of figures, for `genbench.metrics.factors.novel_combinations`."""

    def __init__(self) -> None:
        self.combinations = COMBINATIONS
        self.unseen = unseen_combinations()

    def read(self, values: NDArray[Any], *, tolerance: float) -> NDArray[np.int64]:
        """Return the combination of the figure nearest to each image, -1 where none is near.

        Parameters
        ----------
        values : (n, 3072) array
            Pixels in [0, 1], rounded here to the 256 levels of images.
        tolerance : float
            Largest distance to the nearest figure, as a part of the norm of that figure: 1 is that of a black image.

        Returns
        -------
        (n,) int64 array
            Costs are those of `decode`.

        Raises
        ------
        SampleError
            If there are not 3072 values an image.
        """
        if values.ndim != 2 or values.shape[1] != 3 * IMAGE**2:
            raise SampleError(f"shapes: images of {3 * IMAGE**2} pixel values expected, got {values.shape}.")
        images = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).reshape(-1, 3, IMAGE, IMAGE)
        found = decode(images)
        pixels = (render(found.factors) / 255.0) ** 2
        near = found.distance <= tolerance * 255 * np.sqrt(pixels.sum(axis=(1, 2, 3)))
        return np.where(near, combination(found.factors), -1)


@cache
def _masks() -> NDArray[np.bool_]:
    """Every shape, size and rotation in its box, (6, 3, 4, 16, 16); a pixel belongs to a figure if its centre does."""
    masks = np.zeros((len(SHAPES), len(SIZES), ROTATIONS, BOX, BOX), dtype=bool)
    for i, size in enumerate(SIZES):
        ticks = (2 * np.arange(size) + 1 - size) / size  # centres of pixels, in (-1, 1)
        u, v = np.meshgrid(ticks, ticks)  # rightwards, downwards
        figures = (
            np.abs(u) <= (v + 1) / 2,  # apex up
            (u**2 + (v + 1) ** 2 / 4 <= 1),  # round side down
            (u < -0.4) | (v > 0.4),
            (v < -0.4) | (np.abs(u) < 0.3),
            (np.abs(u) <= v + 1) & (v < 0) | (np.abs(u) < 0.3),  # pointing up
            v >= u,  # right angle at the lower left
        )
        margin = (BOX - size) // 2
        inside = slice(margin, margin + size)
        for j, figure in enumerate(figures):
            for k in range(ROTATIONS):
                masks[j, i, k, inside, inside] = np.rot90(figure, k)
    return masks
