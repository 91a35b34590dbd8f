"""The shape of samples, read from what holds them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from genbench.errors import SampleError
from genbench.files.conversion import Wording
from genbench.files.images import FolderImages, ZipImages
from genbench.files.limits import LIMITS
from genbench.files.peek import shape_of_array, shape_of_images
from tests.files.conftest import encoded


@pytest.mark.parametrize("event_shape", [(1, 4, 5), (3, 4, 5)])
def test_the_first_image_tells_the_shape_of_all(event_shape, folder, packed, pixels):
    images = pixels(event_shape=event_shape)
    assert shape_of_images(FolderImages(folder(images), limits=LIMITS)) == event_shape
    assert shape_of_images(ZipImages(packed({"a.png": encoded(images[0])}), limits=LIMITS)) == event_shape


def test_other_modes_and_damage_are_named(tmp_path):
    Image.new("RGBA", (5, 4)).save(tmp_path / "a.png")
    with pytest.raises(SampleError, match=r"a.png: an image of mode L or RGB expected, got RGBA"):
        shape_of_images(FolderImages(tmp_path, limits=LIMITS))
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(SampleError, match=r"a.png: not readable as an image of PNG"):
        shape_of_images(FolderImages(tmp_path, limits=LIMITS))


def test_a_header_is_read_whatever_it_declares(tmp_path, monkeypatch):
    """PIL's own limit would turn an image away here that a raised limit allows."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(header + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3)
    assert shape_of_images(FolderImages(tmp_path, limits=LIMITS)) == (1, 60_000, 60_000)
    assert Image.MAX_IMAGE_PIXELS == 3


@pytest.mark.parametrize(
    ("shape", "layout", "event_shape"),
    [
        ((9, 7), None, (7,)),
        ((9, 4, 5), None, (1, 4, 5)),
        ((9, 3, 4, 5), None, (3, 4, 5)),
        ((9, 4, 5, 1), None, (1, 4, 5)),
        ((9, 3, 4, 3), "NCHW", (3, 4, 3)),
        ((9, 3, 4, 3), "NHWC", (3, 3, 4)),
        ((9, 4, 5, 2), "NHWC", (2, 4, 5)),
    ],
)
def test_an_axis_of_one_or_three_or_a_layout_tells_the_channels(shape, layout, event_shape):
    assert shape_of_array(np.zeros(shape), layout, who="x") == event_shape


@pytest.mark.parametrize("shape", [(9, 3, 4, 3), (9, 8, 8, 8)])
def test_two_readings_are_named_in_the_words_of_the_source(shape):
    with pytest.raises(SampleError, match=r"\(n, C, H, W\) or \(n, H, W, C\); pass --layout NCHW or --layout NHWC"):
        shape_of_array(np.zeros(shape), None, who="x")
    with pytest.raises(SampleError, match=r"pass order: NCHW or order: NHWC\.$"):
        shape_of_array(np.zeros(shape), None, who="x", wording=Wording("order: {}", ""))


@pytest.mark.parametrize(("shape", "layout"), [((9, 4, 5), "NCHW"), ((9, 3, 4, 5), "NHW")])
def test_a_layout_of_another_number_of_axes_is_refused(shape, layout):
    with pytest.raises(SampleError, match=f"layout {layout} does not fit an array of shape"):
        shape_of_array(np.zeros(shape), layout, who="x")


@pytest.mark.parametrize("shape", [(), (9,), (2, 3, 4, 5, 6)])
def test_other_numbers_of_axes_are_refused(shape):
    with pytest.raises(SampleError, match=r"images \(n, C, H, W\) or vectors \(n, d\) expected"):
        shape_of_array(np.zeros(shape), None, who="x")
