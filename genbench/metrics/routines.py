"""BLAS and LAPACK as they are, on addresses and strides: what scipy's functions copy or do not have.

The libraries behind `scipy.linalg.cython_blas` and `scipy.linalg.cython_lapack`, whose addresses any caller may ask
for; their threads are those that scipy's are told to use.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from numpy.typing import NDArray
from scipy.linalg import cython_blas, cython_lapack


@cache
def routine(name: str, arguments: int) -> Callable[..., None]:
    """Return a routine that takes so many pointers."""
    capsules = cast("dict[str, object]", {**cython_blas.__pyx_capi__, **cython_lapack.__pyx_capi__})
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    address_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    capsule = capsules[name]
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(address_of(capsule, name_of(capsule)))


def integer(number: int) -> object:
    """Return a pointer to an integer."""
    return ctypes.byref(ctypes.c_int(number))


def start(table: NDArray[Any]) -> ctypes.c_void_p:
    """Return where a table begins."""
    return ctypes.c_void_p(table.ctypes.data)
