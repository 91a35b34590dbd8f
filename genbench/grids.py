"""Pictures of samples, because a number that looks wrong is often a picture that is wrong."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from genbench.atomic import write_atomic
from genbench.errors import SampleError, UsageError
from genbench.load import load_sampler
from genbench.randomness import derive_seed
from genbench.references import event_shape_of, read_reference
from genbench.sampling.blocks import FiniteSampler, draw_samples

if TYPE_CHECKING:
    from genbench.references import Samples

ROWS, COLUMNS = 8, 16
POINTS = 10_000
_EDGE = 384
_MARGIN = 0.25


@dataclass(frozen=True, slots=True, repr=False)
class Grid:
    """A picture of samples, which a notebook shows.

    Attributes
    ----------
    png : bytes
    about : str
        What it shows.
    """

    png: bytes
    about: str

    def save(self, path: str | Path) -> None:
        """Write the PNG, atomically."""
        write_atomic(Path(path), self.png)

    def __repr__(self) -> str:
        return f"<Grid of {self.about}>"

    def _repr_png_(self) -> bytes:
        return self.png


def grid(
    sampler: Any,
    *,
    reference: Samples | None = None,
    event_shape: tuple[int, ...] | None = None,
    n: int | None = None,
    seed: int = 0,
    device: str = "auto",
    **declared: Any,
) -> Grid:
    """Look at samples: images in rows, or points in the plane as a density.

    Parameters
    ----------
    sampler : object
        Anything that `genbench.score` scores: an array, a file, a folder, a generator, a function.
    reference : array, tensor, str or Path, optional
        Real samples, whose shape a generator's samples have; of points they set the extent of the picture.
    event_shape : tuple of int, optional
        (C, H, W) or (2,): in place of a reference, where a generator does not tell. Samples that exist tell themselves.
    n : int, optional
        How many; by default 128 images or 10,000 points, or all there are.
    seed : int
        Of the draw: with the same one as in `genbench.score`, these are the first of the samples that are scored.
    device, **declared
        As of `genbench.load_sampler`: ``value_range``, ``layout``, ``latent``, ``weights``...

    Raises
    ------
    UsageError
        If the shape of a generator's samples is not known.
    SampleError
        If there is no picture of such samples.

    Examples
    --------
    >>> import numpy as np, genbench
    >>> genbench.grid(np.zeros((20, 1, 8, 8), dtype=np.uint8))
    <Grid of 20 samples of array>
    """
    shape = event_shape or _shape_of(sampler, reference, declared.get("layout"))
    found = load_sampler(sampler, event_shape=shape, device=device, **declared)
    most = n or (ROWS * COLUMNS if len(shape) == 3 else POINTS)
    count = min(most, len(found)) if isinstance(found, FiniteSampler) and n is None else most
    samples = draw_samples(found, count, seed=derive_seed(seed, "draw"), event_shape=shape)
    known = {key: declared[key] for key in ("value_range", "layout", "limits") if declared.get(key) is not None}
    extent = samples.numpy() if reference is None else read_reference(reference, shape, **known)
    png = sample_grid(samples, extent)
    if png is None:
        raise SampleError(
            f"{found.name}: images of 1 or 3 channels or points in the plane expected, got samples of shape {shape}; "
            "there is no picture of them."
        )
    return Grid(png, f"{count} samples of {found.name}")


def _shape_of(sampler: Any, reference: Samples | None, layout: str | None) -> tuple[int, ...]:
    if reference is not None:
        return event_shape_of(reference, layout=layout)
    try:
        return event_shape_of(sampler, layout=layout)
    except UsageError as error:
        raise UsageError(
            f"grid: samples that exist expected, or a generator with the shape of its samples, got {sampler!r} alone; "
            "pass reference or event_shape."
        ) from error


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
