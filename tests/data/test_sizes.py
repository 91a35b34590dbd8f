"""Fewer training rows: nested, stratified, and the rest put aside."""

from __future__ import annotations

import numpy as np
import pytest

from genbench.data.digits import digits
from genbench.data.sizes import with_fewer
from genbench.definitions import Dataset
from genbench.errors import UsageError


def rows(array) -> set[bytes]:  # type: ignore[no-untyped-def]
    """Samples as their bytes."""
    return {row.tobytes() for row in array}


@pytest.mark.parametrize("size", [2, 10, 64, 256, 1000, 1197])
def test_classes_keep_their_shares_to_within_one_row(size: int) -> None:
    data = digits()
    few = with_fewer(data, size)
    assert len(few.train) == len(few.train_labels) == size
    due = np.bincount(data.train_labels, minlength=10) * size / len(data.train)
    assert (np.abs(np.bincount(few.train_labels, minlength=10) - due) <= 1).all()


def test_smaller_splits_are_within_larger_ones() -> None:
    few, more, most = (rows(with_fewer(digits(), size).train) for size in (64, 256, 1000))
    assert few < more < most


def test_what_is_left_out_is_spare_and_the_held_out_split_is_untouched() -> None:
    data = digits()
    few = with_fewer(data, 64)
    assert few.spare is not None
    assert len(few.spare) == len(data.train) - 64
    assert sorted(row.tobytes() for row in np.concatenate([few.train, few.spare])) == sorted(
        row.tobytes() for row in data.train
    )
    assert few.test is data.test
    assert few.fingerprint != data.fingerprint
    assert few.fingerprint == with_fewer(data, 64).fingerprint


def test_labels_go_with_their_rows() -> None:
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    labels = np.arange(40) % 4
    few = with_fewer(Dataset(name="x", train=images, test=images[:1], train_labels=labels), 11)
    assert (few.train.ravel() % 4 == few.train_labels).all()


def test_data_without_labels_are_cut_at_random() -> None:
    points = np.arange(1000, dtype=np.float32).reshape(1000, 1)
    data = Dataset(name="points", train=points, test=points[:2])
    few, more = (with_fewer(data, size).train.ravel() for size in (100, 200))
    assert set(few) < set(more)
    # The mean of 100 of 1,000 numbers has the deviation 289 sqrt(.9 / 100) = 27: five of them are never exceeded.
    assert abs(few.mean() - 499.5) < 5 * 27.4


@pytest.mark.parametrize("size", [-1, 0, 1, 1198, 5000])
def test_a_size_that_is_no_part_of_the_data_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match="fewer than the 1198 training samples of digits"):
        with_fewer(digits(), size)
