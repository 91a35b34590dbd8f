"""Tables of samples and their labels: text and .parquet, and arrays as `genbench.files` reads them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import SampleError, SetupError, UsageError
from genbench.files.arrays import read_labelled, read_npy
from genbench.files.limits import LIMITS
from genbench.files.parsing import parsing

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds: samples by row, the label of each where there are labels, and the names of columns."""

    values: NDArray[Any]
    labels: NDArray[Any] | None
    columns: tuple[str, ...]


def read_file(path: Path, *, label: str | None, header: bool | None) -> Table:
    """Read a file of samples by its suffix.

    Parameters
    ----------
    path : Path
        An existing .npy, .npz, .csv, .tsv or .parquet file.
    label : str or None
        The column, or the array of an .npz, that holds labels; a column without a name is called by its number, from 0.
    header : bool or None
        Whether the first line of a .csv or .tsv names the columns. None: it does if none of its cells is a number, and
        does not if all are.

    Raises
    ------
    UsageError
        If the suffix is unknown, or it is not clear what is meant.
    SampleError
        If the contents are damaged, empty, too large, or no numbers.
    SetupError
        If .parquet cannot be read for want of a package.
    """
    readers: dict[str, Callable[[], Table]] = {
        ".npy": lambda: _read_npy(path, label),
        ".npz": lambda: Table(*read_labelled(path, label=label, limits=LIMITS), ()),
        ".csv": lambda: _read_text(path, label, header),
        ".tsv": lambda: _read_text(path, label, header),
        ".parquet": lambda: _read_parquet(path, label),
    }
    suffix = path.suffix.lower()
    if suffix not in readers or not path.is_file():
        raise UsageError(
            f"array: a file that ends in {', '.join(readers)} expected, got {str(path)!r}"
            + ("; use the dataset 'folder' for a folder of images." if path.is_dir() else "; save one of those.")
        )
    if header is not None and suffix not in SEPARATORS:
        raise UsageError(f"array: header is declared for .csv and .tsv only, and {path.name} is neither; leave it out.")
    LIMITS.check("array_bytes", path.stat().st_size, who=str(path))
    with parsing(path):
        return readers[suffix]()


def _read_npy(path: Path, label: str | None) -> Table:
    if label is not None:
        raise UsageError(f"array: {path.name} has no place for labels; save an .npz with an array {label!r} beside it.")
    return Table(read_npy(path), None, ())


def _read_text(path: Path, label: str | None, header: bool | None) -> Table:
    import pandas as pd

    separator = SEPARATORS[path.suffix.lower()]
    named = _has_header(path, separator) if header is None else header
    # Only empty cells and nan are missing: pandas would take "NA" and "None" for missing too, and they may be labels.
    frame = pd.read_csv(
        path,
        sep=separator,
        header=0 if named else None,
        float_precision="round_trip",
        keep_default_na=False,
        na_values=["", "nan", "NaN"],
        low_memory=False,
    )
    return _table(frame, label, who=str(path))


def _has_header(path: Path, separator: str) -> bool:
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = next(csv.reader([file.readline(2**20)], delimiter=separator), [])
    numbers = [_is_number(cell) for cell in cells]
    if not cells:
        raise SampleError(f"{path}: holds no samples; save some.")
    if any(numbers) and not all(numbers):
        raise UsageError(
            f"array: the first line of {path.name} has both numbers and words: a header, or data? declare "
            "header = true or header = false."
        )
    return not any(numbers)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_parquet(path: Path, label: str | None) -> Table:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise SetupError(f"{path}: reading .parquet needs pyarrow: pip install pyarrow; or save a .csv.") from error
    return _table(frame, label, who=str(path))


def _table(frame: pd.DataFrame, label: str | None, *, who: str) -> Table:
    import pandas as pd

    frame.columns = [str(column) for column in frame.columns]
    labels = None
    if label is not None:
        if label not in frame.columns:
            raise UsageError(f"array: {who} has no column {label!r}; it has {', '.join(frame.columns)}.")
        column = frame.pop(label)
        if column.isna().any():
            raise SampleError(f"{who}: row {int(column.isna().argmax()) + 1} has no label in {label!r}; fill it in.")
        # Numbers keep their order (2 before 10); anything else is numbered by its text.
        labels = column.to_numpy() if column.dtype.kind in "buif" else column.astype(str).to_numpy(dtype=np.str_)
    if frame.empty:
        raise SampleError(f"{who}: holds no samples (shape {frame.shape}); save some.")
    for name, column in frame.items():
        if column.dtype.kind not in "buif":
            words = pd.to_numeric(column, errors="coerce").isna() & column.notna()
            if words.any():
                row = int(words.argmax())
                raise SampleError(
                    f"{who}: a number expected in row {row + 1}, column {str(name)!r}, got "
                    f"{str(column.iloc[row])[:40]!r}; encode or remove the column, or name it as label."
                )
    return Table(frame.to_numpy(dtype=np.float64), labels, tuple(frame.columns))
