"""Pictures of samples, because a number that looks wrong is often a picture that is wrong."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

ROWS, COLUMNS = 8, 16
_EDGE = 384
_MARGIN = 0.25


def sample_grid(samples: Tensor, reference: NDArray[np.generic]) -> bytes | None:
    """Draw samples as a PNG.

    Parameters
    ----------
    samples : (n, *event) tensor
        Images: the first 128 are laid out in 8 rows of 16, enlarged without smoothing. Points in the plane: a picture
        of how many fall where, over the reference's extent and a margin.
    reference : (m, *event) array
        Real data; for points it sets the extent.

    Returns
    -------
    bytes or None
        A PNG; None where there is no picture of such samples.
    """
    array = samples.cpu().numpy()
    if array.ndim == 4 and array.shape[1] in (1, 3):
        picture = _tiles(array[: ROWS * COLUMNS])
    elif array.ndim == 2 and array.shape[1] == 2:
        picture = _density(array.astype(np.float64), np.asarray(reference, dtype=np.float64))
    else:
        return None
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _tiles(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay out (n, C, H, W) images with a one-pixel border, each enlarged to about 32 pixels."""
    n, channels, height, width = images.shape
    rows = -(-n // COLUMNS)
    sheet = np.full((rows * (height + 1) + 1, COLUMNS * (width + 1) + 1, channels), 96, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = (i // COLUMNS) * (height + 1) + 1, (i % COLUMNS) * (width + 1) + 1
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    factor = max(1, 32 // max(height, width))
    sheet = sheet.repeat(factor, axis=0).repeat(factor, axis=1)
    return sheet[..., 0] if channels == 1 else sheet


def _density(points: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Count points in cells; the brightness is the logarithm of the count, so that single strays show."""
    low, high = reference.min(axis=0), reference.max(axis=0)
    margin = _MARGIN * (high - low).max()
    extent = [(low[0] - margin, high[0] + margin), (low[1] - margin, high[1] + margin)]
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=_EDGE // 2, range=extent)
    shade = np.log1p(counts) / max(np.log1p(counts.max()), 1e-12)
    picture = np.where(counts > 0, 80 + 175 * shade, 0).astype(np.uint8)
    return picture.T[::-1].repeat(2, axis=0).repeat(2, axis=1)
