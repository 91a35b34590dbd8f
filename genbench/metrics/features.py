"""Features: a table of numbers that remembers what was computed from it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError

T = TypeVar("T")

LARGEST = 1e30
"""Beyond this the powers that scores sum, up to the sixth of a number, are not finite or leave no digits."""


class Features:
    """An (n, d) table in float64, on any device, with a memory for derived quantities.

    Ten metrics that need the same moments or neighbours compute them once. The rows are never written to.

    Parameters
    ----------
    values : (n, d) tensor or array of numbers
        One row a sample. Float32 and float64 rows are not copied: leave them as they are.

    Raises
    ------
    SampleError
        If the table is empty, not two-dimensional, or holds a value that is not finite or beyond 1e30 in size.
    """

    __slots__ = ("__weakref__", "_beside", "_memory", "given")

    given: Tensor
    """The rows, (n, d): float32 where they came so and nothing has asked for float64 yet, else float64."""

    def __init__(self, values: Any) -> None:
        tensor = torch.as_tensor(values)
        if tensor.dim() != 2 or tensor.shape[0] == 0 or tensor.shape[1] == 0:
            raise SampleError(f"features: an (n, d) table with n, d >= 1 expected, got shape {tuple(tensor.shape)}.")
        # One layout in memory, because the order of sums, and with it the last bit, follows the layout.
        tensor = tensor.detach().contiguous()
        if tensor.dtype != torch.float32:
            tensor = tensor.to(torch.float64)
        least, most = map(float, torch.aminmax(tensor))  # not a number, if one of them is none
        largest = max(-least, most)
        if not -LARGEST <= least <= most <= LARGEST:
            bad = int((~torch.isfinite(tensor)).any(dim=1).sum())
            if bad:
                raise SampleError(
                    f"features: {bad} of {tensor.shape[0]} rows are not finite; a score over them would be meaningless."
                )
            raise SampleError(
                f"features: numbers of at most {LARGEST:g} in size expected, got {largest:.3g}, the powers of which "
                "cannot be summed; scale the features."
            )
        self.given = tensor
        self._memory: dict[Hashable, Any] = {}
        self._beside: WeakKeyDictionary[Features, dict[Hashable, Any]] = WeakKeyDictionary()

    @classmethod
    def of(cls, values: Any) -> Features:
        """Return ``values`` itself if it is `Features`, else wrap it."""
        return values if isinstance(values, cls) else cls(values)

    @property
    def values(self) -> Tensor:
        """The rows, (n, d) in float64, in which every deciding sum and distance is taken."""
        if self.given.dtype != torch.float64:
            self.given = self.given.to(torch.float64)
        return self.given

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.given.shape[0])

    @property
    def d(self) -> int:
        """Number of columns."""
        return int(self.given.shape[1])

    def remember(self, key: Hashable, compute: Callable[[], T], *, beside: Features | None = None) -> T:
        """Return what ``compute`` gave the first time it was asked for under ``key``.

        Parameters
        ----------
        key : hashable
            One that names another `Features` must hold that object itself, not its ``id``: the key keeps it alive, so
            that its place in memory is not taken by another.
        compute : callable
        beside : Features or None
            A set that the result is about as well: it is forgotten with either of the two, so that a reference does not
            keep all the sets that were ever scored against it.
        """
        memory = self._memory if beside is None else self._beside.setdefault(beside, {})
        if key not in memory:
            memory[key] = compute()
        found: T = memory[key]
        return found

    def recall(self, key: Hashable, *, beside: Features | None = None) -> Any | None:
        """Return what is remembered under ``key`` about this set, or about this and another, or None."""
        return (self._memory if beside is None else self._beside.get(beside, {})).get(key)

    def select(self, keep: NDArray[np.bool_]) -> Features:
        """Return the rows where ``keep``, an (n,) bool array, is True."""
        return Features(self.values[torch.from_numpy(keep).to(self.values.device)])

    def head(self, n: int) -> Features:
        """Return the first n rows, remembered, so that metrics with the same n share what they compute."""
        return self if n >= self.n else self.remember(("head", n), lambda: Features(self.values[:n]))
