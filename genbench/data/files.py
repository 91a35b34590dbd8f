"""Reading arrays and tables that are not trusted: never a pickle, and no memory before a header is proved."""

from __future__ import annotations

import csv
import math
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genbench.errors import GenbenchError, SampleError, SetupError, UsageError

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 8 * 2**30
"""Of one array, unpacked, and of a table's file."""

KEYS = ("arr_0", "images", "samples")
"""The arrays of an .npz that are taken to be the samples where it holds several."""

LABELS = "labels"
"""The array of an .npz that holds the labels, unless another is named."""

SEPARATORS = {".csv": ",", ".tsv": "\t"}

_HEADERS: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


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
        ".npz": lambda: _read_npz(path, label),
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
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SampleError(f"{path}: at most {MAX_BYTES:,} bytes are read, got {size:,}; save fewer samples.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return readers[suffix]()
    except GenbenchError:
        raise
    except Exception as error:  # numpy, zipfile, zlib, ast and pandas raise some twenty types on damaged files
        raise SampleError(
            f"{path}: not readable as {suffix} ({str(error) or type(error).__name__}); write it anew."
        ) from error


def _read_npy(path: Path, label: str | None) -> Table:
    if label is not None:
        raise UsageError(f"array: {path.name} has no place for labels; save an .npz with an array {label!r} beside it.")
    # A map has the size of the file: a header that declares more is refused before memory is taken.
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    _check(mapped.shape, mapped.dtype, who=str(path))
    return Table(np.array(mapped), None, ())


def _read_npz(path: Path, label: str | None) -> Table:
    with zipfile.ZipFile(path) as archive:
        keys = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
        if label is not None and label not in keys:
            raise UsageError(f"array: {path.name} has no array {label!r}; it has {', '.join(sorted(keys)) or 'none'}.")
        tag = label or (LABELS if LABELS in keys and len(keys) > 1 else None)
        rest = [key for key in keys if key != tag]
        samples = rest if len(rest) == 1 else [key for key in KEYS if key in rest]
        if len(samples) != 1:
            raise SampleError(
                f"{path}: one array of samples expected, or exactly one named {', '.join(KEYS)}; got "
                f"{', '.join(sorted(rest)) or 'none'}; save the samples as arr_0."
            )
        values = _member(archive, samples[0], who=f"{path} ({samples[0]})")
        labels = None if tag is None else _member(archive, tag, who=f"{path} ({tag})")
    if labels is not None and labels.shape != (len(values),):
        raise SampleError(f"{path}: one label a sample, shape ({len(values)},), expected in {tag}, got {labels.shape}.")
    return Table(values, labels, ())


def _member(archive: zipfile.ZipFile, key: str, *, who: str) -> NDArray[Any]:
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise SampleError(f"{who}: format version 1 or 2 expected, got {version[0]}; save a plain array.")
        shape, _, dtype = _HEADERS[version](file)
        _check(shape, dtype, who=who)
        declared, held = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
        if declared != held:
            raise SampleError(f"{who}: its header declares {declared:,} bytes, but {held:,} follow; write it anew.")
    with archive.open(member) as file:
        # Read in chunks into pages that cost nothing until they are written: a lie of the archive takes no memory.
        return np.asarray(npy.read_array(file, allow_pickle=False))


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], *, who: str) -> None:
    if dtype.kind not in "buif":
        raise SampleError(f"{who}: numbers expected, got {dtype}; save integers or floating-point values.")
    if not shape or min(shape) < 1:
        raise SampleError(f"{who}: holds no samples (shape {shape}); save some.")
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_BYTES:
        raise SampleError(f"{who}: at most {MAX_BYTES:,} bytes are read, got {size:,}; save fewer samples.")


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
