"""Folders of images: what is read, and what is refused before it is unpacked."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from genbench.errors import SampleError, UsageError
from genbench.sampling import images as images_module
from genbench.sampling.files import load_samples

DIGIT = (1, 4, 5)
"""C, H, W, all different, so that a swap shows."""

PHOTO = (3, 4, 5)


def save_images(folder, images, suffix=".png"):
    for row, image in enumerate(images):
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(folder / f"{row:03}{suffix}")


@pytest.mark.parametrize("event_shape", [DIGIT, PHOTO])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
def test_a_folder_of_images_is_read_in_order_of_names(tmp_path, event_shape, suffix, pixels):
    images = pixels(event_shape=event_shape)
    save_images(tmp_path, images, suffix)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._000.png").write_text("not an image either")
    sampler = load_samples(tmp_path, event_shape=event_shape)
    assert sampler.name == tmp_path.name
    np.testing.assert_array_equal(sampler.samples.numpy(), images)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_are_read_as_pil_decodes_them(tmp_path, suffix, pixels):
    save_images(tmp_path, pixels(2, PHOTO), suffix)
    expected = [np.asarray(Image.open(path)).transpose(2, 0, 1) for path in sorted(tmp_path.iterdir())]
    np.testing.assert_array_equal(load_samples(tmp_path, event_shape=PHOTO).samples.numpy(), expected)


def test_subfolders_are_read_too(tmp_path, pixels):
    images = pixels()
    for name, rows in (("cat", slice(0, 2)), ("dog", slice(2, 6))):
        (tmp_path / name).mkdir()
        save_images(tmp_path / name, images[rows])
    np.testing.assert_array_equal(load_samples(tmp_path, event_shape=DIGIT).samples.numpy(), images)


def test_an_image_of_another_size_or_mode_is_named(tmp_path, refusal, pixels):
    save_images(tmp_path, pixels())
    odd = tmp_path / "odd.png"
    Image.new("L", (6, 4)).save(odd)
    assert "odd.png: 4 x 5 pixels (H x W) expected, got 4 x 6" in refusal(SampleError, tmp_path)
    for mode in ("RGB", "RGBA", "P", "1", "LA"):
        Image.new(mode, (5, 4)).save(odd)
        message = refusal(SampleError, tmp_path)
        assert f"odd.png: mode L expected for 1 channel(s), got {mode}; convert it with" in message


def test_grey_images_are_not_spread_over_three_channels(tmp_path, refusal, pixels):
    save_images(tmp_path, pixels())
    assert "mode RGB expected for 3 channel(s), got L" in refusal(SampleError, tmp_path, PHOTO)


def test_a_folder_without_images_is_refused(tmp_path, refusal):
    (tmp_path / "notes.txt").write_text("")
    assert "holds no images (.bmp, .jpeg, .jpg, .png, .webp)" in refusal(SampleError, tmp_path)


@pytest.mark.parametrize("event_shape", [(2,), (4, 8, 8)])
def test_a_folder_cannot_hold_other_events(tmp_path, event_shape, refusal):
    assert "save an .npy file instead" in refusal(UsageError, tmp_path, event_shape)


def test_a_folder_beyond_the_limit_is_refused_before_it_is_read(tmp_path, refusal):
    for row in range(3):
        (tmp_path / f"{row}.png").write_bytes(b"never opened")
    assert "at most 59 bytes are read, got 60" in refusal(SampleError, tmp_path, max_bytes=59)


def tiny_png_of(width, height):
    """A PNG of a hundred bytes whose header declares any size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(8193, 8192), (10_000, 10_000), (60_000, 60_000)])
def test_an_image_too_large_is_refused_from_its_header(tmp_path, size, refusal):
    """The second is beyond PIL's warning, the third beyond its error."""
    (tmp_path / "bomb.png").write_bytes(tiny_png_of(*size))
    message = refusal(SampleError, tmp_path, (1, size[1], size[0]), max_bytes=10**10)
    assert "bomb.png" in message
    assert "pixels" in message


def test_the_limit_holds_when_pil_has_none(tmp_path, monkeypatch, refusal):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "bomb.png").write_bytes(tiny_png_of(60_000, 60_000))
    assert "at most 67,108,864 pixels" in refusal(SampleError, tmp_path, (1, 60_000, 60_000), max_bytes=10**10)


def test_a_cut_off_image_is_refused(tmp_path, refusal, pixels):
    save_images(tmp_path, pixels(1, (3, 4, 5)))
    path = tmp_path / "000.png"
    path.write_bytes(path.read_bytes()[:-30])
    assert "000.png: not readable as .png" in refusal(SampleError, tmp_path, PHOTO)


def test_other_formats_behind_a_known_suffix_are_not_opened(tmp_path, refusal):
    """PIL would hand PostScript to Ghostscript."""
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 4\n%%EndComments\n")
    assert images_module.FORMATS == ("PNG", "JPEG", "BMP", "WEBP")
    assert "x.png: not readable as .png" in refusal(SampleError, tmp_path)
