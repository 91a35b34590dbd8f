"""Declaring the two splits of data from outside, and making them by content."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import SampleError, UsageError
from genbench.randomness import derive_seed

log = logging.getLogger(__name__)

Place = str | Path


def declared(
    name: str, *, path: Place | None, train: Place | None, test: Place | None, held_out: float | None
) -> tuple[Path, ...]:
    """Check that the splits are declared in exactly one of the two ways, and return one path, or two.

    Raises
    ------
    UsageError
        If they are not, if a share is not within (0, 1), or if a path does not exist.
    """
    whole = path is not None and held_out is not None and train is None and test is None
    parts = train is not None and test is not None and path is None and held_out is None
    if not (whole or parts):
        given = {"path": path, "train": train, "test": test, "held_out": held_out}
        words = ", ".join(key for key, value in given.items() if value is not None) or "nothing"
        raise UsageError(
            f"{name}: either train and test, two places, or path and held_out, one place and the share of it that is "
            f"held out for testing, expected; got {words}."
        )
    if held_out is not None and not 0 < held_out < 1:
        raise UsageError(f"{name}: held_out, a share between 0 and 1, expected, got {held_out}; 0.2 is usual.")
    places = tuple(Path(place).expanduser() for place in (path, train, test) if place is not None)
    for place in places:
        if not place.exists():
            raise UsageError(f"{name}: {str(place)!r} does not exist; check the path.")
    return places


def row_digests(rows: NDArray[Any]) -> NDArray[np.bytes_]:
    """Sha256 of each row's bytes, in hexadecimal, (n,); equal rows have equal digests. O(n d)."""
    return np.array([hashlib.sha256(np.ascontiguousarray(row).data).hexdigest() for row in rows], dtype="S64")


def hold_out(
    name: str, digests: NDArray[np.bytes_], labels: NDArray[np.int64] | None, share: float, *, seed: int
) -> NDArray[np.bool_]:
    """Choose the rows that are held out, by their content and a seed: neither names nor order of files matter.

    Every class gives its due share, as nearly as whole rows allow. Rows of equal content stay on one side, whatever
    their classes, so that no test sample occurs in training.

    Parameters
    ----------
    name : str
        For messages.
    digests : (n,) array
        As `row_digests` returns them.
    labels : (n,) int64 array or None
        Classes.
    share : float
        Within (0, 1), of the rows.
    seed : int
        Of the choice.

    Returns
    -------
    (n,) bool array
        True where a row is held out. O(n log n).

    Raises
    ------
    SampleError
        If one of the splits would be empty.
    """
    distinct, group, sizes = np.unique(digests, return_inverse=True, return_counts=True)
    classes = np.zeros(len(digests), dtype=np.int64) if labels is None else labels
    home = np.full(len(distinct), np.iinfo(np.int64).max)
    np.minimum.at(home, group, classes)  # content with two labels counts for the smaller one
    kinds, counts = np.unique(home[group], return_counts=True)
    quotas = fair_quotas(counts, round(share * len(digests)))
    salt = derive_seed(seed, "held out")
    keys = np.array([hashlib.sha256(b"%d|" % salt + digest).hexdigest() for digest in distinct], dtype="S64")
    order = np.argsort(keys)
    chosen = np.zeros(len(distinct), dtype=bool)
    for kind, quota in zip(kinds, quotas, strict=True):
        for candidate in order[home[order] == kind]:
            if sizes[candidate] <= quota:
                chosen[candidate] = True
                quota -= sizes[candidate]
    held = chosen[group]
    if not held.any() or held.all():
        raise SampleError(
            f"{name}: {len(distinct)} different samples cannot be split with a share of {share:g} held out; "
            "provide more, or choose another held_out."
        )
    return np.asarray(held)


def fair_quotas(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Share out ``size`` among classes in proportion to their counts.

    Each gets ``floor(size * count / total)``; what is left goes to the largest remainders, the first class first.
    """
    quotas, remainders = np.divmod(counts * size, counts.sum())  # integers: no rounding decides who gets a row
    quotas[np.argsort(-remainders, kind="stable")[: size - quotas.sum()]] += 1
    return np.asarray(quotas)


def warn_of_overlap(name: str, train: NDArray[np.bytes_], test: NDArray[np.bytes_]) -> None:
    """Say so where declared splits share samples: those count as memorized by any model, and do not test it."""
    shared = int(np.isin(test, train).sum())
    if shared:
        log.warning(
            "%s: %d of %d test samples also occur in training; remove them, or scores of generalization mislead",
            name,
            shared,
            len(test),
        )


def class_numbers(name: str, train: NDArray[Any], test: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number classes from 0 in sorted order of their names, the same in both splits.

    Raises
    ------
    SampleError
        If a class occurs in one split only.
    """
    kinds, numbers = np.unique(np.concatenate([train, test]), return_inverse=True)
    first, second = numbers[: len(train)], numbers[len(train) :]
    alone = np.setxor1d(first, second)
    if len(alone):
        raise SampleError(
            f"{name}: the same classes in both splits expected, but {str(kinds[alone[0]])!r} is in one only "
            f"({len(alone)} such classes); add samples of it, or leave labels out."
        )
    return first.astype(np.int64), second.astype(np.int64)
