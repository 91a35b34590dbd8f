"""Folders of images: classes, splits, and refusals."""

import contextlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genbench.data.folders import folder
from genbench.errors import GenbenchError, SampleError, UsageError
from tests.data.published import images


def write(place, *, n=10, classes=("cat", "dog"), channels=3, seed=0, suffix=".png"):
    """Write n images for each class; return them by class."""
    written = {}
    for i, name in enumerate(classes):
        (place / name).mkdir(parents=True, exist_ok=True)
        written[name] = images(n, channels, 6, seed=seed + i)
        for j, image in enumerate(written[name]):
            pixels = image.transpose(1, 2, 0) if channels == 3 else image[0]
            Image.fromarray(pixels).save(place / name / f"{j:03}{suffix}")
    return written


def contents(array):
    return sorted(row.tobytes() for row in array)


def test_two_folders_are_the_two_splits(tmp_path):
    train, test = write(tmp_path / "a"), write(tmp_path / "b", n=4, seed=50)
    data = folder(train=tmp_path / "a", test=tmp_path / "b")
    assert data.event_shape == (3, 6, 6)
    for split, labels, written in (
        (data.train, data.train_labels, train),
        (data.test, data.test_labels, test),
    ):
        for number, name in enumerate(("cat", "dog")):
            assert contents(split[labels == number]) == contents(written[name])


def test_a_share_of_one_folder_is_held_out_by_class(tmp_path):
    written = write(tmp_path)
    data = folder(path=tmp_path, held_out=0.3)
    assert np.bincount(data.test_labels).tolist() == [3, 3]
    assert np.bincount(data.train_labels).tolist() == [7, 7]
    assert contents([*data.train, *data.test]) == contents([*written["cat"], *written["dog"]])
    for number, name in enumerate(("cat", "dog")):
        found = [*data.train[data.train_labels == number], *data.test[data.test_labels == number]]
        assert contents(found) == contents(written[name])


def test_greyscale_images_without_classes(tmp_path):
    write(tmp_path, classes=("",), channels=1)
    data = folder(path=tmp_path, held_out=0.5, seed=3)
    assert (data.train.shape, data.test.shape) == ((5, 1, 6, 6), (5, 1, 6, 6))
    assert data.train_labels is data.test_labels is None


@pytest.mark.parametrize("split", ["share", "two"])
def test_renaming_files_and_folders_changes_nothing(tmp_path, split):
    def load(place):
        if split == "share":
            return folder(path=place, held_out=0.3).fingerprint
        return folder(train=place, test=tmp_path / "test").fingerprint

    write(tmp_path / "test", seed=9)
    write(tmp_path / "data")
    first = load(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / "other")
    for j, path in enumerate(sorted((tmp_path / "other").rglob("*.png"), reverse=True)):
        path.rename(path.with_name(f"renamed-{j}.png"))
    assert load(tmp_path / "other") == first


def test_one_pixel_changes_the_fingerprint(tmp_path):
    write(tmp_path)
    first = folder(path=tmp_path, held_out=0.3).fingerprint
    file = tmp_path / "cat" / "000.png"
    with Image.open(file) as image:
        changed = image.copy()
    red, green, blue = changed.getpixel((2, 3))
    changed.putpixel((2, 3), (red ^ 1, green, blue))
    changed.save(file)
    assert folder(path=tmp_path, held_out=0.3).fingerprint != first


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    write(tmp_path)
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "x.png").write_bytes(b"no image")
    (tmp_path / "cat" / ".x.png").write_bytes(b"no image")
    (tmp_path / "readme.txt").write_text("not an image")
    assert len(folder(path=tmp_path, held_out=0.5).train) == 10


def test_splits_taken_for_classes_are_pointed_out(tmp_path):
    write(tmp_path, classes=("train", "val"))
    with pytest.raises(UsageError, match=r"look like splits.*train = '.*train' and test = '.*val'"):
        folder(path=tmp_path, held_out=0.2)


def test_images_beside_class_folders_are_refused(tmp_path):
    write(tmp_path, classes=("cat", ""))
    with pytest.raises(SampleError, match="got both"):
        folder(path=tmp_path, held_out=0.2)


def test_classes_must_be_in_both_splits_or_in_neither(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", classes=("cat", "emu"), seed=5)
    write(tmp_path / "c", classes=("",), seed=7)
    with pytest.raises(SampleError, match="in one only"):
        folder(train=tmp_path / "a", test=tmp_path / "b")
    with pytest.raises(SampleError, match="or in neither"):
        folder(train=tmp_path / "a", test=tmp_path / "c")


def test_splits_of_unlike_shapes_are_refused(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", channels=1)
    with pytest.raises(SampleError, match=r"\(3, 6, 6\) in .* and \(1, 6, 6\)"):
        folder(train=tmp_path / "a", test=tmp_path / "b")


def test_an_image_of_another_size_or_mode_is_named(tmp_path):
    write(tmp_path)
    for odd, told in ((Image.new("RGB", (6, 7)), r"6 x 6 pixels .* got 7 x 6"), (Image.new("L", (6, 6)), "mode RGB")):
        odd.save(tmp_path / "dog" / "odd.png")
        with pytest.raises(SampleError, match=f"odd.png: {told}"):
            folder(path=tmp_path, held_out=0.2)


def test_modes_that_would_have_to_be_converted_are_refused(tmp_path):
    Image.new("RGBA", (6, 6)).save(tmp_path / "a.png")
    with pytest.raises(SampleError, match="mode L or RGB expected, got RGBA"):
        folder(path=tmp_path, held_out=0.2)


def test_a_small_file_that_declares_many_pixels_is_not_unpacked(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 12_000, 12_000, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )
    (tmp_path / "a.png").write_bytes(bomb)
    with pytest.raises(SampleError, match="at most 67,108,864 pixels are read, got 144,000,000"):
        folder(path=tmp_path, held_out=0.2)


@pytest.mark.parametrize("first", [True, False])
def test_damaged_images_are_named(tmp_path, first):
    write(tmp_path)
    file = tmp_path / "cat" / ("000.png" if first else "005.png")
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(SampleError, match=rf"{file.name}: not readable as an image"):
        folder(path=tmp_path, held_out=0.2)


def test_empty_folders_and_files_are_refused(tmp_path):
    with pytest.raises(SampleError, match="holds no images"):
        folder(path=tmp_path, held_out=0.2)
    (tmp_path / "a.npy").write_bytes(b"")
    with pytest.raises(UsageError, match="use the dataset 'array'"):
        folder(path=tmp_path / "a.npy", held_out=0.2)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.integers(1, 10**6))
def test_a_damaged_byte_ends_in_images_or_a_refusal(tmp_path_factory, position, value, cut):
    place = tmp_path_factory.mktemp("images")
    write(place, n=2)
    file = place / "dog" / "001.png"
    content = bytearray(file.read_bytes())
    content[position % len(content)] = value
    file.write_bytes(content[: 1 + cut % len(content)])
    with contextlib.suppress(GenbenchError):  # and nothing else
        assert folder(path=place, held_out=0.5).event_shape == (3, 6, 6)
