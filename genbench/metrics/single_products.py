"""Inner products in single precision, written where they belong in a larger table: BLAS as it is, with its strides.

Scipy's functions take whole tables only. Threads are those that scipy's BLAS is told to use.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray
from torch import from_numpy

from genbench.metrics.routines import integer, routine, start
from genbench.metrics.symmetric import mirror

Table = NDArray[np.float32]


def add_products(out: Table, a: Table, b: Table, *, empty: bool) -> None:
    """Add the inner products of every row of a with every row of b to a table; put them there, where it is empty.

    Parameters
    ----------
    out : (n, m) float32 array
    a, b : (n, k), (m, k) float32 arrays
        All three with numbers of a row side by side, and rows at any distance.
    empty : bool
        Whether what ``out`` holds is nothing yet.

    Notes
    -----
    2 n m k operations.
    """
    if out.size:
        sizes = (integer(len(b)), integer(len(a)), integer(a.shape[1]))
        # Fortran's order is that of the transpose: nothing is copied.
        routine("sgemm", 13)(b"T", b"N", *sizes, _ONE, *_place(b), *_place(a), _ZERO if empty else _ONE, *_place(out))


def add_own_products(half: Table, a: Table, *, empty: bool) -> None:
    """Add the inner products of all rows of a (n, k) with each other to the upper triangle of a table (n, n).

    As `add_products`, in half of the operations. The other triangle is left as it is.
    """
    if half.size:
        sizes = integer(len(a)), integer(a.shape[1])
        routine("ssyrk", 10)(b"L", b"T", *sizes, _ONE, *_place(a), _ZERO if empty else _ONE, *_place(half))


def mirror_upper(square: Table) -> None:
    """Copy the upper triangle of a square table to the other one."""
    mirror(from_numpy(square))


_ZERO, _ONE = (ctypes.byref(ctypes.c_float(number)) for number in (0.0, 1.0))


def _place(table: Table) -> tuple[ctypes.c_void_p, object]:
    """Return where a table begins, and how far its rows are apart."""
    if table.dtype != np.float32 or (table.strides[1] != 4 and table.shape[1] > 1):
        raise TypeError(f"float32 numbers side by side expected, got {table.dtype} at strides {table.strides}.")
    return start(table), integer(max(table.strides[0] // 4, table.shape[1]))
