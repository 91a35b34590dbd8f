"""Uncertainty of any metric from its declaration: what a plain function that returns a float gets for free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genbench.errors import DeclarationError
from genbench.randomness import derive_seed
from genbench.records import Estimate
from genbench.stats.half_sampling import LEVEL, halves, interval, standard_error
from genbench.stats.jackknife import deletions, jackknife_estimate

UNKNOWN_BIAS = "not corrected: nothing is known of this metric's bias; compare with real data at the same n"


class Table(Protocol):
    """What is resampled: rows that can be counted and selected (`genbench.metrics.features.Features`)."""

    @property
    def n(self) -> int:
        """Number of rows."""
        ...

    def select(self, keep: NDArray[np.bool_]) -> Any:
        """Return the rows where ``keep`` is True."""
        ...


def resampled_estimate(
    value: float,
    compute: Callable[..., float],
    tables: Mapping[str, Table],
    others: Mapping[str, Any],
    *,
    method: str,
    seed: int,
) -> Estimate:
    """Put around a value the uncertainty that the metric's declaration names.

    Parameters
    ----------
    value : float
        What ``compute`` gives for the whole tables.
    compute : callable
        Takes keywords, returns a float.
    tables : mapping of str to Table
        The sample sets among its inputs; all of them are resampled, independently.
    others : mapping
        Its other inputs, passed on as they are.
    method : {"jackknife", "half-sampling", "none", "closed form"}
        The declaration's ``uncertainty``. The jackknife is for smooth functionals, half-sampling for scores with
        thresholds (see `genbench.stats.jackknife` and `genbench.stats.half_sampling`).
    seed : int
        Of the half-samples.

    Returns
    -------
    Estimate
        ``debiased`` is None. Cost: 20 further evaluations for the jackknife, 50 at half the size for half-sampling.

    Raises
    ------
    DeclarationError
        If the method is a closed form, which only the function itself can give.
    """
    sizes = tuple(table.n for table in tables.values())

    def of_parts(kept: Iterable[NDArray[np.bool_]]) -> float:
        parts = {name: table.select(keep) for (name, table), keep in zip(tables.items(), kept, strict=True)}
        return float(compute(**parts, **others))

    if method == "jackknife":
        replicates = [of_parts(kept) for kept in deletions(*sizes)]
        return jackknife_estimate(value, replicates, sizes=sizes, notes=(UNKNOWN_BIAS,))
    if method == "half-sampling":
        members = [halves(table.n, seed=derive_seed(seed, name)) for name, table in tables.items()]
        error = standard_error(np.asarray([of_parts(draw) for draw in zip(*members, strict=True)]))
        low, high = interval(value, error, lowest=-np.inf)
        return Estimate(value=value, std_error=error, low=low, high=high, level=LEVEL, notes=(UNKNOWN_BIAS,))
    if method == "closed form":
        raise DeclarationError(
            "a metric that declares uncertainty='closed form' must return an Estimate with it, got a plain number; "
            "declare 'jackknife', 'half-sampling' or 'none'."
        )
    return Estimate(value=value, notes=(UNKNOWN_BIAS,))
