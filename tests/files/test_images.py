"""Folders of images: what is read, and what is refused before it is unpacked."""

import os
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from genbench.errors import SampleError, UsageError
from genbench.files import pixels as pixels_module
from genbench.files.images import FolderImages
from genbench.files.limits import LIMITS, Limits
from genbench.load import load_sampler
from tests.files.conftest import everything

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
    sampler = load_sampler(tmp_path, event_shape=event_shape)
    assert sampler.name == tmp_path.name
    np.testing.assert_array_equal(everything(sampler), images)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_are_read_as_pil_decodes_them(tmp_path, suffix, pixels):
    save_images(tmp_path, pixels(2, PHOTO), suffix)
    expected = [np.asarray(Image.open(path)).transpose(2, 0, 1) for path in sorted(tmp_path.iterdir())]
    np.testing.assert_array_equal(everything(load_sampler(tmp_path, event_shape=PHOTO)), expected)


def test_subfolders_are_read_too(tmp_path, pixels):
    images = pixels()
    for name, rows in (("cat", slice(0, 2)), ("dog", slice(2, 6))):
        (tmp_path / name).mkdir()
        save_images(tmp_path / name, images[rows])
    np.testing.assert_array_equal(everything(load_sampler(tmp_path, event_shape=DIGIT)), images)


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
    assert "at most 2 members are read, got 3" in refusal(SampleError, tmp_path, limits=Limits(members=2))


def tiny_png_of(width, height, data=b""):
    """A PNG of a hundred bytes whose header declares any size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", data or zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(8193, 8192), (10_000, 10_000), (60_000, 60_000)])
def test_an_image_too_large_is_refused_from_its_header(tmp_path, size, refusal):
    """The second is beyond PIL's warning, the third beyond its error."""
    (tmp_path / "bomb.png").write_bytes(tiny_png_of(*size))
    message = refusal(SampleError, tmp_path, (1, size[1], size[0]))
    assert f"bomb.png: at most 67,108,864 pixels are read, got {size[0] * size[1]:,}" in message


def test_a_real_png_of_400_million_pixels_is_refused_without_unpacking_it(tmp_path, refusal):
    """47 KiB of it are 400 MB of pixels; decoding takes seconds and memory, its header microseconds."""
    rows, deflate = [], zlib.compressobj(9)
    for _ in range(20):
        rows.append(deflate.compress(bytes(1000 * 20_001)))
    data = b"".join([*rows, deflate.flush()])
    (tmp_path / "bomb.png").write_bytes(tiny_png_of(20_000, 20_000, data))
    assert (tmp_path / "bomb.png").stat().st_size < 500_000
    tracemalloc.start()
    assert "67,108,864 pixels are read, got 400,000,000" in refusal(SampleError, tmp_path, (1, 20_000, 20_000))
    assert tracemalloc.get_traced_memory()[1] < 500_000_000
    tracemalloc.stop()


def test_the_limit_can_be_raised_beyond_that_of_pil(tmp_path, monkeypatch, folder, pixels):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3)
    assert len(everything(load_sampler(folder(pixels()), event_shape=DIGIT))) == 6
    assert Image.MAX_IMAGE_PIXELS == 3


def test_the_limit_holds_when_pil_has_none(tmp_path, monkeypatch, refusal):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "bomb.png").write_bytes(tiny_png_of(60_000, 60_000))
    assert "at most 67,108,864 pixels" in refusal(SampleError, tmp_path, (1, 60_000, 60_000))


def test_a_cut_off_image_is_refused(tmp_path, refusal, pixels):
    save_images(tmp_path, pixels(1, (3, 4, 5)))
    path = tmp_path / "000.png"
    path.write_bytes(path.read_bytes()[:-30])
    assert "000.png: not readable as an image" in refusal(SampleError, tmp_path, PHOTO)


def test_other_formats_behind_a_known_suffix_are_not_opened(tmp_path, refusal):
    """PIL would hand PostScript to Ghostscript."""
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 4\n%%EndComments\n")
    assert pixels_module.FORMATS == ("PNG", "JPEG", "BMP", "WEBP")
    assert "x.png: not readable as an image" in refusal(SampleError, tmp_path)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path, refusal, folder, pixels):
    path = folder(pixels())
    outside = folder(pixels(), "outside")
    for target in (outside / "000.png", outside, "/dev/zero"):
        (path / "link.png").symlink_to(target)
        assert "link.png is a link that leads out of the folder" in refusal(SampleError, path)
        (path / "link.png").unlink()


def test_a_link_inside_the_folder_is_an_image_and_a_linked_folder_is_not_entered_twice(folder, pixels):
    images = pixels()
    path = folder(images, names=[f"cat/{row}.png" for row in range(6)])
    (path / "again.png").symlink_to(path / "cat" / "0.png")
    (path / "loop").symlink_to(path)
    np.testing.assert_array_equal(everything(load_sampler(path, event_shape=DIGIT)), images[[0, *range(6)]])


def test_a_link_made_after_the_listing_cannot_stall_or_surprise(tmp_path, folder, pixels):
    """A pipe would be waited for forever."""
    path = folder(pixels())
    sampler = load_sampler(path, event_shape=DIGIT)
    (path / "003.png").unlink()
    os.mkfifo(path / "003.png")
    with pytest.raises(SampleError, match=r"003.png: a plain file expected, got a pipe or a device"):
        everything(sampler)
    (path / "003.png").unlink()
    with pytest.raises(SampleError, match=r"003.png: not readable as an image \(.*No such file"):
        everything(sampler)


def test_hidden_folders_are_passed_over(folder, pixels):
    path = folder(pixels(), names=[".cache/a.png", "__x/.b/c.png", "a.png", "b/a.png", "c.png", "d.png"])
    assert len(load_sampler(path, event_shape=DIGIT)) == 4


def test_an_image_file_of_more_bytes_than_its_pixels_need_is_refused(tmp_path, refusal, folder, pixels):
    path = folder(pixels(1))
    with (path / "000.png").open("ab") as file:
        file.write(bytes(1000))
    limits = Limits(pixels=20)
    message = refusal(SampleError, path, limits=limits)
    assert "at most 80 bytes are read for one image (4 for each pixel of the limit 'pixels'), got 1,0" in message


def test_images_are_decoded_when_they_are_asked_for(folder, pixels):
    images = pixels()
    path = folder(images)
    (path / "005.png").write_bytes(b"damaged")
    sampler = load_sampler(path, event_shape=DIGIT)
    np.testing.assert_array_equal(sampler.rows(np.array([4, 0, 4])).numpy(), images[[4, 0, 4]])
    with pytest.raises(SampleError, match=r"005.png: not readable"):
        sampler.rows(np.array([5]))
    assert sampler.rows(np.array([], dtype=np.int64)).shape == (0, *DIGIT)


def test_any_number_of_threads_gives_the_same_images_and_leaves_the_process_as_it_was(folder, pixels, monkeypatch):
    monkeypatch.setattr(pixels_module, "PIECE", 2)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3)
    images, filters = pixels(40), warnings.filters[:]
    source = FolderImages(folder(images), limits=LIMITS)
    order = np.random.default_rng(0).permutation(40)
    for threads in (1, 2, 8):
        found = pixels_module.decode(source, order, DIGIT, LIMITS, threads=threads)
        np.testing.assert_array_equal(found, images[order])
    assert Image.MAX_IMAGE_PIXELS == 3
    assert warnings.filters == filters


def test_of_several_damaged_images_any_number_of_threads_names_the_first(folder, pixels, monkeypatch):
    monkeypatch.setattr(pixels_module, "PIECE", 2)
    path = folder(pixels(40))
    for row in (31, 13, 14):
        (path / f"{row:03}.png").write_bytes(b"damaged")
    source = FolderImages(path, limits=LIMITS)
    for threads in (1, 8):
        with pytest.raises(SampleError, match=r"013.png: not readable as an image"):
            pixels_module.decode(source, range(40), DIGIT, LIMITS, threads=threads)
