"""Layouts, ranges and dtypes: what is accepted, and one clear sentence for everything else."""

import numpy as np
import pytest

from genbench.errors import SampleError, UsageError
from genbench.load import load_sampler
from tests.files.conftest import everything

DIGIT = (1, 4, 5)
"""C, H, W, all different, so that a swap shows."""

PHOTO = (3, 4, 5)


@pytest.mark.parametrize("event_shape", [DIGIT, PHOTO])
def test_uint8_channels_first_is_read_as_it_is(tmp_path, event_shape, pixels, npy):
    images = pixels(event_shape=event_shape)
    sampler = load_sampler(npy(images), event_shape=event_shape)
    assert (sampler.name, len(sampler)) == ("samples", 6)
    assert everything(sampler).dtype == np.uint8
    np.testing.assert_array_equal(everything(sampler), images)


@pytest.mark.parametrize("event_shape", [DIGIT, PHOTO])
def test_channels_last_is_turned(tmp_path, event_shape, pixels, npy):
    images = pixels(event_shape=event_shape)
    sampler = load_sampler(npy(images.transpose(0, 2, 3, 1)), event_shape=event_shape)
    np.testing.assert_array_equal(everything(sampler), images)


def test_one_channel_may_be_left_out(tmp_path, pixels, npy):
    images = pixels()
    sampler = load_sampler(npy(images[:, 0]), event_shape=DIGIT)
    np.testing.assert_array_equal(everything(sampler), images)


def test_fortran_order_is_honoured(tmp_path, pixels, npy):
    images = pixels()
    sampler = load_sampler(npy(np.asfortranarray(images)), event_shape=DIGIT)
    np.testing.assert_array_equal(everything(sampler), images)


def test_a_shape_that_fits_no_layout_names_them_all(tmp_path, refusal, pixels, npy):
    message = refusal(SampleError, npy(pixels(event_shape=(1, 5, 4))))
    assert "(n, 1, 4, 5), (n, 4, 5, 1), (n, 4, 5), expected, got shape (6, 1, 5, 4)" in message
    assert "(n, 3, 4, 5), (n, 4, 5, 3), expected, got shape (6, 4, 5)" in refusal(
        SampleError, npy(pixels()[:, 0]), PHOTO
    )


def test_a_shape_that_fits_two_layouts_is_refused(tmp_path, refusal, pixels, npy):
    message = refusal(SampleError, npy(pixels(event_shape=(3, 3, 3))), (3, 3, 3))
    assert "(n, C, H, W) or (n, H, W, C); pass --layout NCHW or --layout NHWC." in message


def test_a_declared_layout_decides_between_two_readings(pixels, npy):
    images = pixels(event_shape=(3, 3, 3))
    for layout, stored in (("NCHW", images), ("NHWC", images.transpose(0, 2, 3, 1))):
        sampler = load_sampler(npy(stored), event_shape=(3, 3, 3), layout=layout)
        np.testing.assert_array_equal(everything(sampler), images)


def test_a_declared_layout_is_held_against_the_shape(refusal, pixels, npy):
    path = npy(pixels(event_shape=PHOTO))
    message = refusal(SampleError, path, PHOTO, layout="NHWC")
    assert "in the declared layout NHWC, of shape (n, 4, 5, 3), expected, got shape (6, 3, 4, 5)" in message
    assert "layout NCHW, NHWC, NHW expected, got 'HWC'" in refusal(UsageError, path, PHOTO, layout="HWC")
    assert "in the declared layout NHW" in refusal(SampleError, path, PHOTO, layout="NHW")
    assert "for images only" in refusal(UsageError, npy(np.zeros((3, 2))), (2,), layout="NHWC")


def test_vectors_of_any_number_type_become_float32(tmp_path, npy):
    for dtype in (np.float16, np.float32, ">f4", np.float64, np.longdouble, np.int64, np.uint8):
        vectors = np.array([[1, 2], [3, 4], [5, 6]], dtype=dtype)
        sampler = load_sampler(npy(vectors), event_shape=(2,))
        assert everything(sampler).dtype == np.float32
        assert everything(sampler).tolist() == [[1, 2], [3, 4], [5, 6]]


def test_vectors_of_another_shape_or_kind_are_refused(tmp_path, refusal, npy):
    assert "(n, 2) expected, got (3, 5)" in refusal(SampleError, npy(np.zeros((3, 5))), (2,))
    assert "(n, 2) expected, got (3,)" in refusal(SampleError, npy(np.zeros(3)), (2,))
    assert "got bool" in refusal(SampleError, npy(np.zeros((3, 2), bool)), (2,))


@pytest.mark.parametrize(
    ("value_range", "dtype"),
    [((0, 1), np.float32), ((-1, 1), np.float32), ((0, 255), np.float64), ((0, 255), np.int64), ((0, 1), ">f8")],
)
def test_a_declared_range_gives_back_the_bytes(tmp_path, value_range, dtype, pixels, npy):
    """Float32 resolves steps of 1/255 by a factor of 30,000, so rounding finds the byte it came from."""
    images = pixels()
    low, high = value_range
    stored = (images / 255 * (high - low) + low).round(9).astype(dtype)
    sampler = load_sampler(npy(stored), event_shape=DIGIT, value_range=value_range)
    assert everything(sampler).dtype == np.uint8
    np.testing.assert_array_equal(everything(sampler), images)


def test_conversion_rounds_and_does_not_truncate(tmp_path, npy):
    stored = np.full((1, *DIGIT), 0.9999)
    assert everything(load_sampler(npy(stored), event_shape=DIGIT, value_range=(0, 1))).min() == 255


def test_conversion_in_chunks_is_the_same(tmp_path, monkeypatch, pixels, npy):
    monkeypatch.setattr("genbench.files.conversion.CHUNK", 45)  # two rows of twenty values at a time
    images = pixels(n=7)
    sampler = load_sampler(npy(images / 255), event_shape=DIGIT, value_range=(0, 1))
    np.testing.assert_array_equal(everything(sampler), images)


@pytest.mark.parametrize(
    ("low", "high", "readings"),
    [
        (0, 1, "[0.00, 1.00]: [0, 1] or [-1, 1]? pass --value-range 0 1 or --value-range -1 1."),
        (-0.9, 0.8, "[-0.90, 0.80]: [-1, 1]? pass --value-range -1 1."),
        (0, 200, "[0.00, 200.00]: [0, 255]? pass --value-range 0 255."),
        (-3, 3, "[-3.00, 3.00], which is none of [0, 1], [-1, 1] and [0, 255]; rescale them to one of those."),
    ],
)
def test_an_undeclared_range_is_a_usage_error_that_names_the_readings(tmp_path, low, high, readings, refusal, npy):
    images = np.linspace(low, high, 40).reshape(2, *DIGIT)
    message = refusal(UsageError, npy(images))
    assert message.endswith(f"float64 images need a declared range; values lie in {readings}")
    assert UsageError.exit_code == 2


def test_integers_other_than_uint8_need_a_range_too(tmp_path, refusal, pixels, npy):
    assert "int64 images need a declared range" in refusal(UsageError, npy(pixels().astype(np.int64)))


def test_values_outside_the_declared_range_are_refused_beyond_a_thousandth_of_its_width(tmp_path, refusal, npy):
    inside = np.array([-1.0019, 1.0019]).repeat(10).reshape(1, *DIGIT)
    sampler = load_sampler(npy(inside), event_shape=DIGIT, value_range=(-1, 1))
    assert np.unique(everything(sampler)).tolist() == [0, 255]
    for outside in (-1.0021, 1.0021):
        message = refusal(SampleError, npy(np.full((1, *DIGIT), outside)), value_range=(-1, 1))
        assert "declared range [-1, 1] expected" in message
        assert f"{outside:g}" in message


def test_a_range_that_does_not_exist_or_does_not_apply_is_a_usage_error(tmp_path, refusal, pixels, npy):
    assert "value range (0, 1), (-1, 1) or (0, 255) expected" in refusal(UsageError, npy(pixels()), value_range=(0, 2))
    assert "for images only" in refusal(UsageError, npy(np.zeros((3, 2))), (2,), value_range=(0, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_by_sample(tmp_path, value, refusal, npy):
    vectors = np.zeros((300, 2))
    vectors[[3, 9, 11]] = value
    assert "3 of 300 samples are not finite" in refusal(SampleError, npy(vectors), (2,))
    images = np.zeros((5, *DIGIT))
    images[2, 0, 1, 1] = value
    assert "1 of 5 samples are not finite" in refusal(SampleError, npy(images), value_range=(0, 1))
    assert "1 of 5 samples are not finite" in refusal(SampleError, npy(images))


def test_vectors_beyond_float32_are_not_finite(tmp_path, refusal, npy):
    assert "1 of 2 samples are not finite" in refusal(SampleError, npy(np.array([[1e39], [0]])), (1,))
