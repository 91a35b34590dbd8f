"""Samples from files: arrays and folders of images, as a sampler."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError, UsageError
from genbench.sampling.arrays import read_npy, read_npz
from genbench.sampling.images import read_folder
from genbench.sampling.limits import MAX_BYTES

ValueRange = tuple[float, float]

VALUE_RANGES: tuple[ValueRange, ...] = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""What images are stored in. Which one is declared, never guessed."""

TOLERANCE = 1e-3
"""How far values may lie outside a declared range, as a share of its width; rounding reaches no further."""

CHUNK = 2**22
"""Values converted at a time, so that a conversion takes little memory beside its result."""


class ArraySampler:
    """A sampler over a fixed set of samples, as a file holds it.

    Its samples are drawn without replacement, so that no score is moved by copies that the model never made.
    That needs one call for all of them (`take`), which `genbench.sampling.blocks.draw_samples` makes.

    Parameters
    ----------
    name : str
        For tables and messages.
    samples : (n, *event_shape) tensor
        Images uint8 (n, C, H, W), or vectors float32 (n, d).
    """

    def __init__(self, name: str, samples: Tensor) -> None:
        self.name = name
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, n: int, *, seed: int) -> Tensor:
        """Return n different samples in random order.

        Parameters
        ----------
        n : int
            At most ``len(self)``. The first n of a larger choice with the same seed are the same samples.
        seed : int
            Of the choice and its order; files are often sorted by class, and estimators rely on exchangeable rows.

        Raises
        ------
        SampleError
            If there are fewer than n.
        """
        if n > len(self):
            raise SampleError(f"{self.name}: {n:,} samples expected, got {len(self):,}; generate more.")
        order = np.random.default_rng(seed).permutation(len(self))[:n]
        return self.samples[torch.from_numpy(order)]

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Do what `take` does, for callers that know only the `genbench.protocols.Sampler` protocol."""
        return self.take(n, seed=seed)


def load_samples(
    path: str | Path,
    *,
    event_shape: tuple[int, ...],
    value_range: ValueRange | None = None,
    name: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> ArraySampler:
    """Load samples from a file that need not be trusted.

    Parameters
    ----------
    path : str or Path
        An .npy file; an .npz file with one array, or one named ``arr_0``, ``images`` or ``samples``; or a folder of
        images, which may have subfolders.
    event_shape : tuple of int
        (C, H, W) or (d,), of the benchmark. Arrays of images are (n, C, H, W), (n, H, W, C), or (n, H, W) where
        C = 1; arrays of vectors are (n, d).
    value_range : (float, float), optional
        What black and white are stored as: (0, 1), (-1, 1) or (0, 255). Needed for arrays of images that are not
        uint8.
    name : str, optional
        Of the sampler; the file's name without its suffix by default.
    max_bytes : int
        The most memory that the samples may take, as they are stored.

    Returns
    -------
    ArraySampler
        Of uint8 images or float32 vectors. O(n d) in time and memory.

    Raises
    ------
    UsageError
        If the path is missing or of an unknown kind, or the range is not declared or not one of the three.
    SampleError
        If the contents cannot be scored: damaged, empty, not finite, of another shape, or out of range.
    """
    path = Path(path)
    event_shape = tuple(event_shape)
    _check_value_range(value_range, event_shape)
    images = len(event_shape) == 3
    array = _read(path, event_shape=event_shape, max_bytes=max_bytes)
    if images:
        samples = torch.from_numpy(
            _to_uint8(_channels_first(array, event_shape, who=str(path)), value_range, str(path))
        )
    else:
        samples = torch.from_numpy(_to_vectors(array, event_shape, who=str(path)))
    return ArraySampler(name or path.resolve().stem, samples)


def _read(path: Path, *, event_shape: tuple[int, ...], max_bytes: int) -> NDArray[Any]:
    if path.is_dir():
        return read_folder(path, event_shape=event_shape, max_bytes=max_bytes)
    if not path.is_file():
        raise UsageError(
            f"samples: a file or folder expected, got {str(path)!r}, which does not exist; check the path."
        )
    readers = {".npy": read_npy, ".npz": read_npz}
    if path.suffix.lower() in readers:
        return readers[path.suffix.lower()](path, max_bytes=max_bytes)
    raise UsageError(f"samples: .npy, .npz or a folder of images expected, got {str(path)!r}; save one of those.")


def _check_value_range(value_range: ValueRange | None, event_shape: tuple[int, ...]) -> None:
    if value_range is None:
        return
    if len(event_shape) != 3:
        raise UsageError("samples: a value range is declared for images only, and these are vectors; leave it out.")
    if tuple(value_range) not in VALUE_RANGES:
        raise UsageError(
            f"samples: value range (0, 1), (-1, 1) or (0, 255) expected, got {value_range}; declare one of those."
        )


def _channels_first(array: NDArray[Any], event_shape: tuple[int, ...], *, who: str) -> NDArray[Any]:
    """Read an array of images as (n, C, H, W), if there is exactly one way to."""
    channels, height, width = event_shape
    layouts: dict[str, tuple[int, ...]] = {
        "(n, C, H, W)": (channels, height, width),
        "(n, H, W, C)": (height, width, channels),
    }
    if channels == 1:
        layouts["(n, H, W)"] = (height, width)
    fitting = [layout for layout, shape in layouts.items() if array.shape[1:] == shape]
    if not fitting:
        expected = ", ".join(f"(n, {', '.join(map(str, shape))})" for shape in layouts.values())
        raise SampleError(
            f"{who}: images of {channels} channel{'s' * (channels > 1)} and {height} x {width} pixels, of shape "
            f"{expected}, expected, got shape {array.shape}; save one of those shapes."
        )
    if len(fitting) > 1:
        raise SampleError(
            f"{who}: shape {array.shape} can be read as {' or '.join(fitting)}; save the images as files in a folder."
        )
    if fitting == ["(n, H, W, C)"]:
        return array.transpose(0, 3, 1, 2)
    return array.reshape(len(array), *event_shape)


def _to_uint8(images: NDArray[Any], value_range: ValueRange | None, who: str) -> NDArray[np.uint8]:
    """Map a declared range to [0, 255] by rounding; uint8 needs no declaration."""
    if images.dtype == np.uint8 and value_range is None:
        return np.ascontiguousarray(images)
    lowest, highest = _extremes(images, who)
    if value_range is None:
        raise UsageError(_undeclared(images.dtype, lowest, highest, who))
    low, high = value_range
    slack = TOLERANCE * (high - low)
    if lowest < low - slack or highest > high + slack:
        raise SampleError(
            f"{who}: values in the declared range [{low:g}, {high:g}] expected, got [{lowest:.6g}, {highest:.6g}]; "
            "declare the range they are in, or clip them."
        )
    converted = np.empty(images.shape, dtype=np.uint8)
    for rows in _chunks(images):
        unit = (images[rows].astype(np.float64) - low) / (high - low)
        converted[rows] = np.rint(unit.clip(0, 1) * 255)
    return converted


def _undeclared(dtype: np.dtype[Any], lowest: float, highest: float, who: str) -> str:
    # Values that all lie in [0, 1] would be black on [0, 255]; nobody means that.
    likely = [r for r in VALUE_RANGES if r[0] <= lowest and highest <= r[1] and not (r[1] == 255 and highest <= 1)]
    found = f"{who}: {dtype} images need a declared range; values lie in [{lowest:.2f}, {highest:.2f}]"
    if not likely:
        return f"{found}, which is none of [0, 1], [-1, 1] and [0, 255]; rescale them to one of those."
    readings = " or ".join(f"[{low:g}, {high:g}]" for low, high in likely)
    options = " or ".join(f"--value-range {low:g} {high:g}" for low, high in likely)
    return f"{found}: {readings}? pass {options}."


def _to_vectors(array: NDArray[Any], event_shape: tuple[int, ...], *, who: str) -> NDArray[np.float32]:
    if array.shape[1:] != event_shape:
        expected = f"(n, {', '.join(map(str, event_shape))})"
        raise SampleError(f"{who}: vectors of shape {expected} expected, got {array.shape}; save that shape.")
    if array.dtype.kind not in "uif":
        raise SampleError(f"{who}: integers or floating-point values expected, got {array.dtype}; convert them.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused just below
        vectors = np.ascontiguousarray(array, dtype=np.float32)
    _extremes(vectors, who)
    return vectors


def _extremes(array: NDArray[Any], who: str) -> tuple[float, float]:
    """Return the least and the greatest value, and refuse any that are not finite."""
    bad, lowest, highest = 0, math.inf, -math.inf
    for rows in _chunks(array):
        chunk = array[rows]
        bad += int((~np.isfinite(chunk)).reshape(len(chunk), -1).any(axis=1).sum())
        with np.errstate(invalid="ignore"):  # of the values that are not finite, counted just above
            lowest, highest = min(lowest, float(chunk.min())), max(highest, float(chunk.max()))
    if bad:
        raise SampleError(
            f"{who}: {bad} of {len(array)} samples are not finite; a score over them would be meaningless."
        )
    return lowest, highest


def _chunks(array: NDArray[Any]) -> list[slice]:
    """Cut an array into slices of whole rows of about `CHUNK` values."""
    rows = max(1, CHUNK // math.prod(array.shape[1:]))
    return [slice(start, start + rows) for start in range(0, len(array), rows)]
