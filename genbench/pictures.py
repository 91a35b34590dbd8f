"""Pictures that explain a score: what lies closest to the training data, and what moves the Fréchet distance most."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.frechet import features_to_gaussian
from genbench.metrics.nearest import neighbours_among

PAIRS, PAIRS_A_ROW = 24, 6
EACH, EACH_A_ROW = 12, 6
"""Samples that hurt, and as many that help."""

EDGE = 32
"""Pixels of an image's longer side in a picture: small images are enlarged to about that, larger ones reduced to it."""

Cell = tuple[NDArray[np.uint8], ...]
"""Images that stand close together."""

MOST_BYTES = 40_000
_COLOURS = (256, 64, 16, 8)
_PAPER = 96  # between images, a grey that is neither ink nor paper in most data


def nearest_picture(samples: Tensor, seen: Features, train_images: NDArray[np.uint8], real: Features) -> bytes | None:
    """Draw generated images beside the training images that are nearest to them.

    Parameters
    ----------
    samples : (n, C, H, W) uint8 tensor
        Generated, C = 1 or 3.
    seen : Features
        Of the samples, in their order.
    train_images : (m, C, H, W) uint8 array
    real : Features
        Of the training images, in their order, in the same space.

    Returns
    -------
    bytes or None
        A PNG of at most 40,000 bytes: 24 pairs in 4 rows, generated on the left, the closest pair first. None where
        samples are no images.

    Raises
    ------
    SampleError
        If there are not as many features as images.

    Notes
    -----
    Closeness is the distance in the feature space, exact; of pairs at one distance the earlier sample comes first.
    O(n m d) operations, which a score that asks for the same neighbours shares.
    """
    images = _images(samples)
    if images is None:
        return None
    _check("samples", len(images), seen)
    _check("training images", len(train_images), real)
    lists = neighbours_among(seen, real, 1)
    distances, indices = lists.distances[:, 0].cpu().numpy(), lists.indices[:, 0].cpu().numpy()
    closest = np.argsort(distances, kind="stable")[:PAIRS]
    pairs: list[Cell] = [(images[i], train_images[indices[i]]) for i in closest]
    return _png([pairs[start : start + PAIRS_A_ROW] for start in range(0, len(pairs), PAIRS_A_ROW)])


def influence_picture(samples: Tensor, seen: Features, reference: Features) -> bytes | None:
    """Draw the generated images that raise the Fréchet distance most, and those that lower it most.

    Parameters
    ----------
    samples : (n, C, H, W) uint8 tensor
        Generated, C = 1 or 3.
    seen : Features
        Of the samples, in their order.
    reference : Features
        Of real data, in the same space.

    Returns
    -------
    bytes or None
        A PNG of at most 40,000 bytes: in the upper two rows the 12 samples that hurt most, the worst first; in the
        lower two the 12 that help most, the best first. With fewer than 24 samples, half of them in either part. None
        where samples are no images.

    Raises
    ------
    SampleError
        If there are not as many features as images, or fewer than 2 of a side.

    Notes
    -----
    By `sample_influence`, at its cost.
    """
    images = _images(samples)
    if images is None:
        return None
    _check("samples", len(images), seen)
    influence = sample_influence(seen, reference).cpu().numpy()
    order, each = np.argsort(influence, kind="stable"), min(EACH, len(images) // 2)
    parts = [order[::-1][:each], order[:each]]
    rows: list[list[Cell]] = [
        [(images[i],) for i in part[s : s + EACH_A_ROW]] for part in parts for s in range(0, each, EACH_A_ROW)
    ]
    return _png(rows, break_before=-(-each // EACH_A_ROW))


def sample_influence(generated: Features, reference: Features) -> Tensor:
    """Say how each generated sample moves the Fréchet distance: the first-order influence function, centred.

    Returns
    -------
    (n,) float64 tensor
        In squared feature units. To first order the distance without sample i is ``influence[i] / (n - 1)`` lower than
        with it: a sample with a positive influence hurts.

    Raises
    ------
    SampleError
        If a set has fewer than 2 samples.

    Notes
    -----
    ``2 (mu1 - mu2).(x - mu1) + |x - mu1|^2 - sum_i a_i^2 / s_i``, as `genbench.metrics.frechet_influence` derives it.
    O((n + m) d^2 + d^3) operations, of which the fits of both sets are remembered from `fd`.
    """
    ours, theirs = features_to_gaussian(generated), features_to_gaussian(reference)
    _, scales, right = torch.linalg.svd(ours.factor.T @ theirs.factor, full_matrices=False)
    kept = scales > len(scales) * torch.finfo(scales.dtype).eps * scales[:1]
    centred = generated.values - ours.mean
    along = centred @ (theirs.factor @ right.T[:, kept])
    influence = (
        2 * centred @ (ours.mean - theirs.mean) + centred.square().sum(dim=1) - along.square() @ (1 / scales[kept])
    )
    found: Tensor = influence - influence.mean()
    return found


def _images(samples: Tensor) -> NDArray[np.uint8] | None:
    array: NDArray[np.uint8] = samples.cpu().numpy()
    return array if array.ndim == 4 and array.shape[1] in (1, 3) and array.dtype == np.uint8 else None


def _check(what: str, n: int, features: Features) -> None:
    if n != features.n:
        raise SampleError(
            f"picture: as many features as {what} expected ({n}), got {features.n}; take both of one draw."
        )


def _png(rows: list[list[Cell]], *, break_before: int = -1) -> bytes:
    """Lay out rows of pairs or single images as a PNG; ``break_before`` a row there is a wide gap."""
    tiles = [[[_tile(image) for image in cell] for cell in row] for row in rows]
    height, width, channels = tiles[0][0][0].shape
    inside, gap = 2, max(6, width // 4)
    cell = len(rows[0][0]) * (width + inside) - inside
    tops = [gap + i * (height + gap) + (gap if 0 <= break_before <= i else 0) for i in range(len(rows))]
    longest = max(len(row) for row in rows)
    sheet = np.full((tops[-1] + height + gap, gap + longest * (cell + gap), channels), _PAPER, dtype=np.uint8)
    for top, row in zip(tops, tiles, strict=True):
        for column, images in enumerate(row):
            for place, image in enumerate(images):
                left = gap + column * (cell + gap) + place * (width + inside)
                sheet[top : top + height, left : left + width] = image
    return _compressed(Image.fromarray(sheet[..., 0] if channels == 1 else sheet))


def _tile(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn (C, H, W) into (h, w, C) with a longer side of about `EDGE`: whole pixels repeated, or areas averaged."""
    pixels = image.transpose(1, 2, 0)
    longest = max(pixels.shape[:2])
    if longest <= EDGE:
        factor = EDGE // longest
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    size = (max(1, pixels.shape[1] * EDGE // longest), max(1, pixels.shape[0] * EDGE // longest))
    bands = [Image.fromarray(np.ascontiguousarray(pixels[..., c])).resize(size, Image.Resampling.BOX)
             for c in range(pixels.shape[2])]  # fmt: skip
    return np.stack([np.asarray(band) for band in bands], axis=2)


def _compressed(picture: Image.Image) -> bytes:
    """Return a PNG, as it is where that is small enough, else with as many colours as are."""
    content = _saved(picture)
    for colours in _COLOURS:
        if len(content) <= MOST_BYTES:
            break
        content = _saved(picture.quantize(colours))
    return content


def _saved(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
