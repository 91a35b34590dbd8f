"""From arrays as people store them to samples: layouts, ranges and dtypes that are declared or unambiguous."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.errors import SampleError, UsageError

ValueRange = tuple[float, float]

VALUE_RANGES: tuple[ValueRange, ...] = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""What images are stored in. Which one is declared, never guessed."""

LAYOUTS = {"NCHW": "(n, C, H, W)", "NHWC": "(n, H, W, C)", "NHW": "(n, H, W)"}
"""How arrays of images may lie; the last is for one channel."""

TOLERANCE = 1e-3
"""How far values may lie outside a declared range, as a share of its width; rounding reaches no further."""

CHUNK = 2**22
"""Values looked at a time, so that a check or a conversion takes little memory beside its array."""


class Wording(NamedTuple):
    """How a declaration is written where the samples come from, for messages that ask for one."""

    layout: str
    value_range: str


FLAGS = Wording(layout="--layout {}", value_range="--value-range {:g} {:g}")
"""On the command line."""


def check_declaration(*, images: bool, value_range: ValueRange | None, layout: str | None) -> None:
    """Refuse a range or a layout that does not exist, or is declared for what is no images but vectors.

    Raises
    ------
    UsageError
        Naming those that do.
    """
    if not images and (value_range is not None or layout is not None):
        raise UsageError(
            "samples: a value range and a layout are declared for images only, and these are vectors; leave them out."
        )
    if value_range is not None and tuple(value_range) not in VALUE_RANGES:
        raise UsageError(
            f"samples: value range (0, 1), (-1, 1) or (0, 255) expected, got {value_range}; declare one of those."
        )
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"samples: layout {', '.join(LAYOUTS)} expected, got {layout!r}; declare one of those.")


def as_events(
    array: NDArray[Any], event_shape: tuple[int, ...], layout: str | None, *, who: str, wording: Wording = FLAGS
) -> NDArray[Any]:
    """See an array as (n, *event_shape), without copying it, if there is exactly one way to.

    Raises
    ------
    SampleError
        If there is none, or more than one.
    """
    if len(event_shape) == 3:
        return _channels_first(array, event_shape, layout, who=who, wording=wording)
    if array.shape[1:] != event_shape:
        expected = f"(n, {', '.join(map(str, event_shape))})"
        raise SampleError(f"{who}: vectors of shape {expected} expected, got {array.shape}; save that shape.")
    if array.dtype.kind not in "uif":
        raise SampleError(f"{who}: integers or floating-point values expected, got {array.dtype}; convert them.")
    return array


def _channels_first(
    array: NDArray[Any], event_shape: tuple[int, ...], layout: str | None, *, who: str, wording: Wording
) -> NDArray[Any]:
    channels, height, width = event_shape
    shapes: dict[str, tuple[int, ...]] = {"NCHW": (channels, height, width), "NHWC": (height, width, channels)}
    if channels == 1:
        shapes["NHW"] = (height, width)
    allowed = shapes if layout is None else {layout: shapes[layout]} if layout in shapes else {}
    fitting = [name for name, shape in allowed.items() if array.shape[1:] == shape]
    if not fitting:
        expected = ", ".join(f"(n, {', '.join(map(str, shape))})" for shape in (allowed or shapes).values())
        declared = "" if layout is None else f" in the declared layout {layout}"
        raise SampleError(
            f"{who}: images of {channels} channel{'s' * (channels > 1)} and {height} x {width} pixels{declared}, of "
            f"shape {expected}, expected, got shape {array.shape}; save one of those shapes."
        )
    if len(fitting) > 1:
        raise ambiguous(array.shape, fitting, who=who, wording=wording)
    if fitting == ["NHWC"]:
        return array.transpose(0, 3, 1, 2)
    return array[:, None] if fitting == ["NHW"] else array


def ambiguous(shape: tuple[int, ...], layouts: list[str], *, who: str, wording: Wording) -> SampleError:
    """Make the error for an array that can be read in several ways."""
    readings = " or ".join(LAYOUTS[name] for name in layouts)
    options = " or ".join(wording.layout.format(name) for name in layouts)
    return SampleError(f"{who}: shape {shape} can be read as {readings}; pass {options}.")


def check_values(events: NDArray[Any], value_range: ValueRange | None, *, who: str, wording: Wording = FLAGS) -> None:
    """Prove that values are finite, and images in their declared range. uint8 images need no declaration and no look.

    Raises
    ------
    UsageError
        If images need a range and none is declared; the message names the readings.
    SampleError
        If values are not finite, or out of range.
    """
    if events.ndim != 4:
        _extremes(events, who)
        return
    if events.dtype == np.uint8 and value_range is None:
        return
    lowest, highest = _extremes(events, who)
    if value_range is None:
        raise UsageError(_undeclared(events.dtype, lowest, highest, who, wording))
    low, high = value_range
    slack = TOLERANCE * (high - low)
    if lowest < low - slack or highest > high + slack:
        raise SampleError(
            f"{who}: values in the declared range [{low:g}, {high:g}] expected, got [{lowest:.6g}, {highest:.6g}]; "
            "declare the range they are in, or clip them."
        )


def converted(events: NDArray[Any], value_range: ValueRange | None = None) -> NDArray[Any]:
    """Convert checked events to what is scored.

    Parameters
    ----------
    events : (k, C, H, W) or (k, d) array
        Images uint8, or in the declared range; vectors of any real dtype.
    value_range : (float, float) or None
        What black and white are stored as; mapped to 0 and 255 by rounding.

    Returns
    -------
    array
        uint8 (k, C, H, W) or float32 (k, d), in memory of its own. O(k d) in time, `CHUNK` values beside the result.
    """
    if events.ndim != 4:
        with np.errstate(over="ignore"):  # what float32 cannot hold has been refused by `check_values`
            return np.array(events, dtype=np.float32, order="C")
    if events.dtype == np.uint8 and value_range is None:
        return np.array(events, order="C")
    low, high = value_range or (0.0, 255.0)
    images = np.empty(events.shape, dtype=np.uint8)
    for rows in _chunks(events):
        unit = (events[rows].astype(np.float64) - low) / (high - low)
        images[rows] = np.rint(unit.clip(0, 1) * 255)
    return images


def _undeclared(dtype: np.dtype[Any], lowest: float, highest: float, who: str, wording: Wording) -> str:
    # Values that all lie in [0, 1] would be black on [0, 255]; nobody means that.
    likely = [r for r in VALUE_RANGES if r[0] <= lowest and highest <= r[1] and not (r[1] == 255 and highest <= 1)]
    found = f"{who}: {dtype} images need a declared range; values lie in [{lowest:.2f}, {highest:.2f}]"
    if not likely:
        return f"{found}, which is none of [0, 1], [-1, 1] and [0, 255]; rescale them to one of those."
    readings = " or ".join(f"[{low:g}, {high:g}]" for low, high in likely)
    options = " or ".join(wording.value_range.format(low, high) for low, high in likely)
    return f"{found}: {readings}? pass {options}."


def _extremes(array: NDArray[Any], who: str) -> tuple[float, float]:
    """Return the least and the greatest value, and refuse any that are not finite; vectors are seen as float32."""
    bad, lowest, highest = 0, math.inf, -math.inf
    for rows in _chunks(array):
        chunk = array[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is counted
            chunk = chunk if chunk.ndim == 4 else chunk.astype(np.float32)
            bad += int((~np.isfinite(chunk)).reshape(len(chunk), -1).any(axis=1).sum())
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
