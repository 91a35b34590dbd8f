"""The digits: their levels, their split, and that nothing is in both parts of it."""

import numpy as np
import pytest

from genbench.data.digits import digits, load_images, stratified_choice
from genbench.registry import DATASETS


def test_registry_finds_the_function_and_calls_share_one_dataset():
    assert DATASETS.load("digits") is digits
    assert digits() is digits()


def test_shapes_and_dtypes_are_those_of_the_protocol():
    data = digits()
    assert data.train.shape == (1198, 1, 8, 8)
    assert data.test.shape == (599, 1, 8, 8)
    assert data.train.dtype == data.test.dtype == np.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert (len(data.train_labels), len(data.test_labels)) == (1198, 599)
    assert data.event_shape == (1, 8, 8)


def test_grey_levels_are_the_17_of_the_source_spread_over_a_byte():
    levels = np.unique(load_images()[0])
    assert levels.tolist() == [round(level * 255 / 16) for level in range(17)]


def test_splits_are_disjoint_and_complete_and_labels_travel_with_their_images():
    data = digits()
    images, labels = load_images()

    def rows(images, labels):
        return [(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)]

    train, test = rows(data.train, data.train_labels), rows(data.test, data.test_labels)
    assert len({image for image, _ in train + test}) == 1797  # no image occurs twice
    assert sorted(train + test) == sorted(rows(images, labels))


def test_every_class_gets_its_third_of_the_test_split():
    labels = load_images()[1]
    due = np.bincount(labels) * 599 / 1797
    assert np.abs(np.bincount(digits().test_labels) - due).max() < 1


def test_split_mixes_the_writers():
    """Under a random split, each tenth of the file (its order is that of the writers) gives its share to the test.

    The number of test images among 179 or more of 1,797 is hypergeometric, deviation below 6.1; 5 deviations over ten
    tenths are left with probability below 1e-5 by another seed. The first third would give 179 to three tenths.
    """
    data = digits()
    test = {image.tobytes() for image in data.test}
    held_out = np.array([image.tobytes() in test for image in load_images()[0]])
    for tenth in np.array_split(held_out, 10):
        assert abs(tenth.sum() - len(tenth) / 3) < 5 * 6.1


def test_split_is_the_published_one():
    """Every score on the digits depends on it: a change here is a new version of the benchmarks."""
    assert digits().fingerprint.startswith("dce71d7f8cc11944")


@pytest.mark.parametrize("size", [1, 5, 9, 10])
def test_stratified_choice_has_the_exact_size_and_no_row_twice(size):
    labels = np.array([0] * 7 + [1] * 2 + [2])
    chosen = stratified_choice(labels, size, seed=0)
    assert len(set(chosen.tolist())) == len(chosen) == size
    assert np.abs(np.bincount(labels[chosen], minlength=3) - np.array([7, 2, 1]) * size / 10).max() < 1


def test_stratified_choice_follows_its_seed():
    labels = np.repeat([0, 1], 50)
    first, again, other = (stratified_choice(labels, 40, seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
