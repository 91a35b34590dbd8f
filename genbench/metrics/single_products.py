"""Inner products in single precision, written where they belong in a larger table: BLAS as it is, with its strides.

Scipy's functions take whole tables only; the same BLAS is behind its `scipy.linalg.cython_blas`, whose addresses any
caller may ask for. Threads are those that scipy's BLAS is told to use.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_blas
from torch import from_numpy

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
        sizes = (_integer(len(b)), _integer(len(a)), _integer(a.shape[1]))
        # Fortran's order is that of the transpose: nothing is copied.
        _blas("sgemm", 13)(b"T", b"N", *sizes, _ONE, *_place(b), *_place(a), _ZERO if empty else _ONE, *_place(out))


def add_own_products(half: Table, a: Table, *, empty: bool) -> None:
    """Add the inner products of all rows of a (n, k) with each other to the upper triangle of a table (n, n).

    As `add_products`, in half of the operations. The other triangle is left as it is.
    """
    if half.size:
        sizes = _integer(len(a)), _integer(a.shape[1])
        _blas("ssyrk", 10)(b"L", b"T", *sizes, _ONE, *_place(a), _ZERO if empty else _ONE, *_place(half))


def mirror_upper(square: Table) -> None:
    """Copy the upper triangle of a square table to the other one."""
    mirror(from_numpy(square))


_ZERO, _ONE = (ctypes.byref(ctypes.c_float(number)) for number in (0.0, 1.0))


def _integer(number: int) -> object:
    return ctypes.byref(ctypes.c_int(number))


def _place(table: Table) -> tuple[ctypes.c_void_p, object]:
    """Return where a table begins, and how far its rows are apart."""
    if table.dtype != np.float32 or (table.strides[1] != 4 and table.shape[1] > 1):
        raise TypeError(f"float32 numbers side by side expected, got {table.dtype} at strides {table.strides}.")
    return ctypes.c_void_p(table.ctypes.data), _integer(max(table.strides[0] // 4, table.shape[1]))


@cache
def _blas(name: str, arguments: int) -> Callable[..., None]:
    """Return a function of scipy's BLAS that takes so many pointers."""
    capsule = cast("dict[str, object]", cython_blas.__pyx_capi__)[name]
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    address_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(address_of(capsule, name_of(capsule)))
