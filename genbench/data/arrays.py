"""Arrays and tables as datasets: images in a declared range and layout, or vectors, standardized if asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from genbench.data.files import Table, read_file
from genbench.data.splits import class_numbers, declared, hold_out, row_digests, warn_of_overlap
from genbench.definitions import Dataset, Standardization
from genbench.errors import SampleError, UsageError
from genbench.files.conversion import ValueRange, Wording, as_events, check_declaration, check_values, converted
from genbench.files.peek import shape_of_array

Layout = Literal["NCHW", "NHWC", "NHW"]

WORDING = Wording(layout="layout = '{}'", value_range="value_range = [{:g}, {:g}]")
"""How a benchmark's table ``[data]`` declares them."""


def array(
    *,
    path: str | Path | None = None,
    train: str | Path | None = None,
    test: str | Path | None = None,
    held_out: float | None = None,
    seed: int = 0,
    label: str | None = None,
    header: bool | None = None,
    standardize: bool = False,
    value_range: Sequence[float] | None = None,
    layout: Layout | None = None,
) -> Dataset:
    """Load samples from files: two, or one of which a share is held out.

    .npy, .npz (one array, or one named ``arr_0``, ``images`` or ``samples``; ``labels`` beside it), .csv, .tsv, and
    .parquet where pandas can read it. Two axes are vectors, one a row; three or four are images.

    Parameters
    ----------
    path, held_out : str or Path, and float
        One file, and the share of it to be held out as test split: stratified by label, chosen by content, and
        never the same sample on both sides.
    train, test : str or Path
        Two files instead. Samples in both of them are warned of.
    seed : int
        Of the choice.
    label : str, optional
        The column, or array of an .npz, that holds labels. Its values are numbered from 0 in sorted order. A column
        without a name is called by its number, from 0.
    header : bool, optional
        Whether the first line of a .csv or .tsv names the columns. Absent: yes if none of its cells is a number, no if
        all are, and otherwise it must be declared.
    standardize : bool
        Of vectors: take off each column's mean and divide by its standard deviation (of the population, divisor n),
        both of the training split. A column that is constant in training keeps its unit. The result's
        ``standardization`` records it; samples are scored in these units.
    value_range : (float, float), optional
        What black and white are stored as, (0, 1), (-1, 1) or (0, 255), for images that are not uint8.
    layout : {"NCHW", "NHWC", "NHW"}, optional
        Order of the axes of images, where the shape alone does not say it: an axis of 1 or 3 is taken for the channels
        if the other candidate is not 1 or 3 too.

    Returns
    -------
    Dataset
        Images uint8 (n, C, H, W), or vectors float32 (n, d). O(n d) time and memory.

    Raises
    ------
    UsageError
        If the splits, the range or the header are not declared and not clear, or the kind of file is unknown.
    SampleError
        If the contents cannot be used: damaged, empty, not finite, out of range, or images in a layout that is not
        clear.
    SetupError
        If .parquet cannot be read for want of a package.
    """
    places = declared("array", path=path, train=train, test=test, held_out=held_out)
    tables = [read_file(place, label=label, header=header) for place in places]
    if any((table.values.ndim == 2) != (tables[0].values.ndim == 2) for table in tables):
        raise SampleError("array: images in both files expected, or vectors in both; got one of each.")
    images = tables[0].values.ndim != 2
    span = None if value_range is None else cast(ValueRange, tuple(value_range))
    check_declaration(images=images, value_range=span, layout=layout)
    if not images:
        values: list[NDArray[Any]] = [_vectors(table, str(place)) for table, place in zip(tables, places, strict=True)]
    else:
        if standardize:
            raise UsageError("array: standardize is for vectors, and these are images; leave it out.")
        values = [_images(t.values, span, layout, str(p)) for t, p in zip(tables, places, strict=True)]
    return _assemble(values, tables, held_out, seed, standardize=standardize)


def _assemble(
    values: list[NDArray[Any]], tables: list[Table], held_out: float | None, seed: int, *, standardize: bool
) -> Dataset:
    digests = [row_digests(part) for part in values]
    labels = [table.labels for table in tables]
    kinds: tuple[NDArray[np.int64] | None, NDArray[np.int64] | None] = (None, None)
    if held_out is not None:
        numbers = None if labels[0] is None else np.unique(labels[0], return_inverse=True)[1].astype(np.int64)
        held = hold_out("array", digests[0], numbers, held_out, seed=seed)
        first, second = values[0][~held], values[0][held]
        if numbers is not None:
            kinds = numbers[~held], numbers[held]
    else:
        first, second = values
        if first.shape[1:] != second.shape[1:]:
            raise SampleError(f"array: samples of one shape expected, got {first.shape[1:]} and {second.shape[1:]}.")
        if tables[0].columns != tables[1].columns:
            raise SampleError(
                f"array: the same columns in the same order expected, got {', '.join(tables[0].columns)} in the one "
                f"file and {', '.join(tables[1].columns)} in the other."
            )
        if (labels[0] is None) != (labels[1] is None):
            raise SampleError("array: labels in both files expected, or in neither.")
        warn_of_overlap("array", digests[0], digests[1])
        if labels[0] is not None and labels[1] is not None:
            kinds = class_numbers("array", labels[0], labels[1])
    standardization = _fit(first) if standardize else None
    if first.dtype != np.uint8:
        first, second = (_float32(part, standardization) for part in (first, second))
    return Dataset(
        name="array",
        train=first,
        test=second,
        train_labels=kinds[0],
        test_labels=kinds[1],
        standardization=standardization,
    )


def _vectors(table: Table, who: str) -> NDArray[np.float64]:
    rows = np.asarray(table.values, dtype=np.float64)
    bad = ~np.isfinite(rows)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        name = repr(table.columns[column]) if table.columns else str(column)
        raise SampleError(
            f"{who}: finite numbers expected, got {rows[row, column]} in row {row + 1}, column {name} "
            f"({int(bad.any(axis=1).sum())} such rows); remove those rows or fill them in."
        )
    return rows


def _fit(train: NDArray[np.float64]) -> Standardization:
    mean = train.mean(axis=0)
    deviation = train.std(axis=0)
    # A constant column's deviation is not 0 but rounding where its value is no short binary fraction.
    constant = (train == train[0]).all(axis=0)
    return Standardization(mean=np.where(constant, train[0], mean), scale=np.where(constant, 1.0, deviation))


def _float32(rows: NDArray[np.float64], standardization: Standardization | None) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused just below
        found = rows.astype(np.float32) if standardization is None else standardization.apply(rows)
    if not np.isfinite(found).all():
        raise SampleError("array: values that float32 can hold expected, got larger ones; rescale or standardize them.")
    return found


def _images(stored: NDArray[Any], value_range: ValueRange | None, layout: Layout | None, who: str) -> NDArray[np.uint8]:
    event_shape = shape_of_array(stored, layout, who=who, wording=WORDING)
    images = as_events(stored, event_shape, layout, who=who, wording=WORDING)
    check_values(images, value_range, who=who, wording=WORDING)
    return converted(images, value_range)
