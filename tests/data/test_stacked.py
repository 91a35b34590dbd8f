"""Stacked digits: what is stacked, and that the splits share no digit."""

import numpy as np

from genbench.data.digits import digits
from genbench.data.stacked import stacked_digits


def test_shapes_and_dtypes_are_those_of_the_protocol():
    data = stacked_digits()
    assert data is stacked_digits()
    assert (data.train.shape, data.test.shape) == ((50_000, 3, 8, 8), (26_000, 3, 8, 8))
    assert data.train.dtype == data.test.dtype == np.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64


def test_every_mode_has_the_same_number_of_images():
    data = stacked_digits()
    assert np.bincount(data.train_labels).tolist() == [50] * 1000
    assert np.bincount(data.test_labels).tolist() == [26] * 1000


def test_each_channel_is_a_digit_of_its_split_and_the_label_says_which():
    data, source = stacked_digits(), digits()
    for stacked, labels, images, classes in (
        (data.train, data.train_labels, source.train, source.train_labels),
        (data.test, data.test_labels, source.test, source.test_labels),
    ):
        known = {image.tobytes(): int(label) for image, label in zip(images, classes, strict=True)}
        found = [[known[channel.tobytes()] for channel in image] for image in stacked[:5000]]
        np.testing.assert_array_equal(np.array(found) @ [100, 10, 1], labels[:5000])


def test_no_image_occurs_twice_within_a_split():
    data = stacked_digits()
    for split in (data.train, data.test):
        assert len({image.tobytes() for image in split}) == len(split)


def test_modes_come_in_mixed_order():
    """Sorted modes would differ by 1 a thousand times; neighbours at random agree on the first digit one time in ten.

    Binomial with 50,000 trials: five deviations are 0.0067; probability 6e-7 under another seed.
    """
    first = stacked_digits().train_labels // 100
    assert abs((first[1:] == first[:-1]).mean() - 0.1) < 0.0067


def test_the_images_are_the_published_ones():
    """Scores depend on them: a change here is another dataset."""
    assert stacked_digits().fingerprint.startswith("6304829e2daa6797")
