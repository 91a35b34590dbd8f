"""The delete-a-group jackknife: standard error, bias and interval of smooth scores.

A replicate removes one group from every sample set at once. All sets then shrink by the same factor, so that a bias
of order 1/n in any of them is removed by ``G T - (G - 1) mean(T_-g)``; and because the sets are independent, their
variances add in the spread of the replicates (Quenouille 1956; Tukey 1958; Kott 2001 for groups).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from genbench.errors import SampleError
from genbench.randomness import derive_seed
from genbench.records import Estimate

GROUPS = 20
MIN_GROUPS = 5
LEVEL = 0.95


_ALONE: ContextVar[bool] = ContextVar("_ALONE", default=False)


@contextmanager
def values_alone() -> Iterator[None]:
    """Let costly metrics leave out their intervals in this block, whose values are all that is read.

    A metric may heed it by asking `are_values_alone`; its value is the same, to the last bit.
    """
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def are_values_alone() -> bool:
    """Whether nobody is going to read an interval."""
    return _ALONE.get()


def group_labels(n: int, groups: int = GROUPS) -> NDArray[np.int64]:
    """Assign n samples to groups, evenly, by a fixed permutation.

    The labels depend on nothing but ``n`` and ``groups``: one set of samples has the same groups under every metric
    and against every reference, so that differences of two scores can be jackknifed from their replicates.

    Parameters
    ----------
    n : int
        Number of samples, at least 1.
    groups : int
        Number of groups, at least 1.

    Returns
    -------
    (n,) int64 array
        In [0, groups); the sizes of two groups differ by at most one.
    """
    order = np.random.default_rng(derive_seed(0, "jackknife groups", n, groups)).permutation(n)
    labels = np.empty(n, dtype=np.int64)
    labels[order] = np.arange(n) % groups
    return labels


def group_count(*sizes: int) -> int:
    """Return how many groups the sets can be cut into: at most `GROUPS`, at least two samples in each, else 0.

    Below `MIN_GROUPS` an interval would be too wide and too uncertain to be of use, and the answer is 0.
    """
    groups = min(GROUPS, min(sizes) // 2)
    return groups if groups >= MIN_GROUPS else 0


def deletions(*sizes: int) -> Iterator[tuple[NDArray[np.bool_], ...]]:
    """Yield, for each group, what remains of every set once that group is removed from all of them.

    Parameters
    ----------
    *sizes : int
        The number of samples in each set.

    Yields
    ------
    tuple of (n,) bool arrays
        One a set; True where the sample is kept. Nothing is yielded where `group_count` is 0.
    """
    groups = group_count(*sizes)
    labels = [group_labels(n, groups) for n in sizes] if groups else []
    for group in range(groups):
        yield tuple(label != group for label in labels)


def debias(value: float, replicates: Sequence[float]) -> float:
    """Remove the bias of order 1/n: ``G T - (G - 1) mean(T_-g)``. May be negative, and is not clipped."""
    groups = len(replicates)
    return value + (groups - 1) * (value - math.fsum(replicates) / groups)


def standard_error(replicates: Sequence[float]) -> float:
    """Jackknife standard error, ``sqrt((G - 1)/G * sum (T_-g - mean)^2)``.

    Raises
    ------
    SampleError
        If there are fewer than two replicates.
    """
    groups = len(replicates)
    if groups < 2:
        raise SampleError(f"jackknife: at least 2 replicates expected, got {groups}; score more samples.")
    return float(math.sqrt((groups - 1) / groups) * np.linalg.norm(np.asarray(replicates) - np.mean(replicates)))


def half_width(replicates: Sequence[float], level: float = LEVEL) -> float:
    """Half-width of the interval at confidence ``level``: Student's t quantile with G - 1 degrees, times the error."""
    return float(stdtrit(len(replicates) - 1, 0.5 + level / 2)) * standard_error(replicates)


def too_few(*sizes: int) -> str:
    """Return the note of an estimate whose sets are too small for an interval."""
    return f"no interval: {min(sizes)} samples in the smaller set are too few for the jackknife"


def jackknife_estimate(
    value: float,
    replicates: Sequence[float],
    *,
    sizes: tuple[int, ...],
    debiased: float | None = None,
    spread: Sequence[float] | None = None,
    null: float | None = None,
    extra: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
) -> Estimate:
    """Put an estimate together from a value and its replicates.

    Parameters
    ----------
    value : float
        The plug-in value.
    replicates : sequence of float
        Of ``value``; empty where the sets are too small, and then there is no interval and a note says so.
    sizes : tuple of int
        The number of samples in each set.
    debiased : float or None
        The corrected value, around which the interval is put.
    spread : sequence of float or None
        Replicates of ``debiased``, where its spread is not that of the value.
    null, extra, notes
        As in `genbench.records.Estimate`.

    Returns
    -------
    Estimate
    """
    best = value if debiased is None else debiased
    if not replicates:
        return Estimate(
            value=value, debiased=debiased, null=null, extra=dict(extra or {}), notes=(*notes, too_few(*sizes))
        )
    width = half_width(spread or replicates)
    return Estimate(
        value=value,
        debiased=debiased,
        std_error=standard_error(spread or replicates),
        low=best - width,
        high=best + width,
        level=LEVEL,
        null=null,
        replicates=tuple(replicates),
        extra=dict(extra or {}),
        notes=tuple(notes),
    )
