"""Splits by content: what is held out does not depend on names or order, and nothing is on both sides."""

import logging

import numpy as np
import pytest

from genbench.data.splits import class_numbers, declared, fair_quotas, hold_out, row_digests, warn_of_overlap
from genbench.errors import SampleError, UsageError


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3))


@pytest.mark.parametrize("n", [5, 50, 501])
def test_the_share_is_held_out(n):
    held = hold_out("x", row_digests(rows(n)), None, 0.2, seed=0)
    assert held.sum() == round(0.2 * n)


def test_the_choice_follows_content_and_seed_and_not_the_order():
    digests = row_digests(rows(100))
    held = hold_out("x", digests, None, 0.3, seed=0)
    order = np.random.default_rng(1).permutation(100)
    assert (hold_out("x", digests[order], None, 0.3, seed=0) == held[order]).all()
    assert (hold_out("x", digests, None, 0.3, seed=1) != held).any()


def test_every_class_gives_its_share():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    held = hold_out("x", row_digests(rows(100)), labels, 0.2, seed=0)
    assert np.bincount(labels[held]).tolist() == [12, 6, 2]


def test_copies_stay_on_one_side_whatever_their_labels():
    content = rows(40)[np.repeat(np.arange(40), 3)]
    labels = np.arange(120) % 2
    held = hold_out("x", row_digests(content), labels, 0.25, seed=0)
    assert not set(map(bytes, content[held])) & set(map(bytes, content[~held]))
    assert held.sum() == pytest.approx(30, abs=3)  # each class is off by less than a group of three


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_samples_are_refused(n):
    with pytest.raises(SampleError, match="cannot be split"):
        hold_out("x", row_digests(rows(n)), None, 0.2, seed=0)


def test_copies_of_one_sample_are_refused():
    with pytest.raises(SampleError, match="1 different samples"):
        hold_out("x", row_digests(np.ones((50, 2))), None, 0.5, seed=0)


def test_quotas_add_up_and_are_within_one_of_their_share():
    counts = np.array([7, 2, 1, 90])
    for size in range(101):
        quotas = fair_quotas(counts, size)
        assert quotas.sum() == size
        assert (np.abs(quotas - counts * size / 100) < 1).all()


@pytest.mark.parametrize(
    "given",
    [{}, {"path": "."}, {"held_out": 0.2}, {"train": "."}, {"path": ".", "held_out": 0.2, "test": "."}],
)
def test_half_declared_splits_are_refused(given):
    with pytest.raises(UsageError, match=r"either train and test.*got "):
        declared("x", **{"path": None, "train": None, "test": None, "held_out": None, **given})


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_shares_that_are_none_are_refused(tmp_path, share):
    with pytest.raises(UsageError, match="between 0 and 1"):
        declared("x", path=tmp_path, train=None, test=None, held_out=share)


def test_places_that_do_not_exist_are_named(tmp_path):
    with pytest.raises(UsageError, match="gone' does not exist"):
        declared("x", path=None, train=tmp_path, test=tmp_path / "gone", held_out=None)


def test_shared_samples_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_overlap("x", row_digests(rows(10)), row_digests(rows(10, seed=1)))
        assert not caplog.messages
        warn_of_overlap("x", row_digests(rows(10)), row_digests(rows(12)[8:]))
    assert "x: 2 of 4 test samples also occur in training" in caplog.text


def test_classes_are_numbered_alike_in_both_splits():
    train, test = class_numbers("x", np.array(["b", "a", "b", "c"]), np.array(["c", "b", "a"]))
    assert (train.tolist(), test.tolist()) == ([1, 0, 1, 2], [2, 1, 0])
    assert class_numbers("x", np.array([10, 2]), np.array([2, 10]))[0].tolist() == [1, 0]  # 2 before 10


def test_a_class_of_one_split_only_is_named():
    with pytest.raises(SampleError, match="'c' is in one only"):
        class_numbers("x", np.array(["a", "c"]), np.array(["a"]))
