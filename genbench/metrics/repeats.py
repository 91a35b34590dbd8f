"""Which rows of tables are equal, found by numbers that equal rows share."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.features import Features
from genbench.randomness import derive_seed

AT_ONCE = 2**16
"""Numbers that are worked on at a time, so that they stay in the cache."""


def first_equal(*sets: Features) -> Tensor:
    """Find for every row the first one that equals it.

    Parameters
    ----------
    *sets : Features
        (n_1, d), (n_2, d), ...: their rows are numbered through, from the first set's first to the last set's last.

    Returns
    -------
    (n_1 + n_2 + ...,) int64 tensor
        A row's own number where no row before equals it. 0.0 equals -0.0.

    Notes
    -----
    Rows are sorted by a number of 64 bits each, and only those that share it are compared: O(n d) operations for
    distinct rows, and a sort of the rows that are repeated.
    """
    keys = torch.cat([features.remember("row keys", partial(row_keys, features.given)) for features in sets])
    first = torch.arange(len(keys), device=keys.device)
    ascending, order = keys.sort()
    shared = torch.nn.functional.pad(ascending[1:] == ascending[:-1], (1, 1))
    suspects = order[shared[1:] | shared[:-1]].sort().values
    if len(suspects):
        rows = torch.cat([features.values for features in sets])[suspects]
        _, which = torch.unique(rows, dim=0, return_inverse=True)
        lowest = torch.full_like(suspects, len(keys)).scatter_reduce_(0, which, suspects, "amin")
        first[suspects] = lowest[which]
    return first


def row_keys(values: Tensor) -> Tensor:
    """Return a number for every row (n, d), taken as float64, equal for equal rows in whatever table: (n,) int64.

    Notes
    -----
    The bits of each number, its upper half mixed into the lower (which is empty in whole numbers), times a fixed odd
    number for each column, are summed modulo 2^64: whole numbers have no rounding and so no order. Two rows that
    differ share the sum by chance, below 2^-30 for numbers of at most 24 binary digits.
    """
    d = values.shape[1]
    odd = np.random.default_rng(derive_seed(0, "row keys", d)).integers(-(2**62), 2**62, size=d) * 2 + 1
    factors = torch.from_numpy(odd).to(values.device)
    keys = torch.empty(len(values), dtype=torch.int64, device=values.device)
    step = max(1, AT_ONCE // d)
    for start in range(0, len(values), step):
        bits = (values[start : start + step].double() + 0.0).view(torch.int64)  # -0.0 becomes 0.0
        keys[start : start + step] = bits.bitwise_xor_(bits >> 32).mul_(factors).sum(dim=1)
    return keys
