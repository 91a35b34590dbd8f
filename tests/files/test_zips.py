"""Zip archives of images: read in place, and nothing that is hostile gets further than its name."""

import stat
import struct
import zipfile

import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.files.limits import Limits
from genbench.load import load_sampler
from tests.files.conftest import encoded, everything

DIGIT = (1, 4, 5)
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]


@pytest.mark.parametrize("compression", METHODS)
def test_images_are_read_in_the_order_of_their_names(tmp_path, compression, packed, pixels):
    images = pixels()
    names = ["b/2.png", "a/1.png", "c.PNG", "a/0.png", "b/10.png", "d.png"]
    contents = {name: encoded(image) for name, image in zip(names, images, strict=True)}
    contents |= {"notes.txt": b"x", ".hidden.png": b"x", "__MACOSX/._1.png": b"x", "empty/": b""}
    before = sorted(tmp_path.iterdir())
    path = packed(contents, compression=compression)
    sampler = load_sampler(path, event_shape=DIGIT)
    order = np.argsort(names)
    np.testing.assert_array_equal(everything(sampler), images[order])
    assert sampler.name == "images"
    assert sorted(tmp_path.iterdir()) == sorted([*before, path])  # nothing is extracted


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "a/../../x.png", "..\\x.png", "C:/x.png", "C:\\x.png"])
def test_a_member_that_leads_out_is_refused(name, packed, refusal, pixels):
    path = packed({"0.png": encoded(pixels()[0]), name: b""})
    assert "leads out of the archive" in refusal(SampleError, path)


def test_a_link_is_refused(tmp_path, refusal):
    member = zipfile.ZipInfo("x.png")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")
    assert "member 'x.png' is a link or a device" in refusal(SampleError, tmp_path / "x.zip")


def changed(path, at, value, signature=b"PK\x01\x02"):
    """Write a 32-bit field of the central directory's last entry."""
    content = bytearray(path.read_bytes())
    start = content.rindex(signature) + at
    content[start : start + len(value)] = value
    path.write_bytes(content)


def test_an_encrypted_member_is_refused(packed, refusal, pixels):
    path = packed({"0.png": encoded(pixels()[0])})
    changed(path, 8, b"\x01\x00")
    assert "is encrypted" in refusal(SampleError, path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_image_that_is_there_twice_is_refused(tmp_path, refusal, pixels):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for image in pixels()[:2]:
            archive.writestr("x.png", encoded(image))
    assert "holds 'x.png' twice" in refusal(SampleError, tmp_path / "x.zip")


@pytest.mark.parametrize("compression", METHODS)
@pytest.mark.parametrize(("at", "value"), [(24, 10**6), (24, 1), (20, 1), (16, 0)], ids=["long", "short", "cut", "crc"])
def test_sizes_and_sums_that_lie_are_refused(compression, at, value, packed, refusal, pixels):
    path = packed({"0.png": encoded(pixels()[0])}, compression=compression)
    changed(path, at, struct.pack("<I", value))
    message = refusal(SampleError, path)
    assert "0.png" in message
    assert "is not what the archive declares" in message


def test_a_member_longer_than_its_archive_is_refused(packed, refusal, pixels):
    path = packed({"0.png": encoded(pixels()[0])})
    changed(path, 20, struct.pack("<I", 2**31))
    assert "is longer than the archive" in refusal(SampleError, path)


def test_a_bomb_is_refused_by_its_declared_size(packed, refusal):
    """300 KiB that unpack to 300 MiB: more than any image within the limit of 8192 x 8192 pixels needs."""
    path = packed({"0.png": bytes(300 * 2**20)})
    assert path.stat().st_size < 400_000
    message = refusal(SampleError, path)
    assert "0.png: at most 268,435,456 bytes are read for one image" in message
    assert "got 314,572,800" in message


def test_many_members_that_unpack_to_too_much_are_refused(packed, refusal):
    path = packed({f"{row}.png": bytes(1000) for row in range(10)})
    message = refusal(SampleError, path, limits=Limits(expanded_bytes=9999))
    assert "at most 9,999 bytes are read, got 10,000" in message


def test_too_many_members_are_refused_before_they_are_listed(monkeypatch, packed, refusal, pixels):
    """Members that are no images count too."""
    contents = {f"{row}.txt": b"" for row in range(9)} | {"0.png": encoded(pixels()[0])}
    path = packed(contents)
    assert len(load_sampler(path, event_shape=DIGIT, limits=Limits(members=10))) == 1
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("it was listed"))
    assert "at most 9 members are read, got 10" in refusal(SampleError, path, limits=Limits(members=9))


def test_a_count_that_lies_does_not_help(packed, refusal, pixels):
    path = packed({f"{row}.png": encoded(pixels()[0]) for row in range(10)})
    changed(path, 8, b"\x01\x00\x01\x00", signature=b"PK\x05\x06")
    assert "at most 9 members are read, got 10" in refusal(SampleError, path, limits=Limits(members=9))


def test_a_zip64_archive_is_counted_and_read(tmp_path, monkeypatch, refusal, pixels):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10)  # beyond it, the writer turns to zip64
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for row in range(20):
            archive.writestr(f"{row}.txt", b"")
        archive.writestr("0.png", encoded(pixels()[0]))
    assert b"PK\x06\x06" in (tmp_path / "x.zip").read_bytes()
    np.testing.assert_array_equal(everything(load_sampler(tmp_path / "x.zip", event_shape=DIGIT)), pixels()[:1])
    message = refusal(SampleError, tmp_path / "x.zip", limits=Limits(members=20))
    assert "at most 20 members are read, got 21" in message


def test_an_archive_in_several_parts_is_refused_under_any_suffix(tmp_path, monkeypatch, refusal):
    """Even the question whether a file is a zip raises here."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    for suffix in (".zip", ".npz", ".pt", ".npy"):
        path = tmp_path / f"x{suffix}"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("0.txt", b"")
            archive.writestr("1.txt", b"")
        changed(path, 16, struct.pack("<I", 7), signature=b"PK\x06\x07")
        assert "span multiple disks" in refusal(SampleError, path)


def test_an_archive_behind_other_bytes_is_counted_and_read(tmp_path, packed, refusal, pixels):
    path = packed({f"{row}.png": encoded(image) for row, image in enumerate(pixels())})
    path.write_bytes(b"x" * 100 + path.read_bytes())
    np.testing.assert_array_equal(everything(load_sampler(path, event_shape=DIGIT)), pixels())
    assert "at most 5 members" in refusal(SampleError, path, limits=Limits(members=5))


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_cut_off_archive_is_refused(cut, packed, refusal, pixels):
    path = packed({f"{row}.png": encoded(image) for row, image in enumerate(pixels())})
    path.write_bytes(path.read_bytes()[:-cut])
    assert "not readable as .zip" in refusal(SampleError, path)


def test_an_archive_without_images_is_refused(packed, refusal):
    assert "holds no images" in refusal(SampleError, packed({"readme.txt": b"x"}))


def test_a_method_that_is_not_deflate_is_refused(packed, refusal, pixels):
    path = packed({"0.png": encoded(pixels()[0])}, compression=zipfile.ZIP_LZMA)
    assert "is packed in an unusual way" in refusal(SampleError, path)


def test_an_image_that_is_damaged_is_named(packed, refusal, pixels):
    path = packed({"0.png": encoded(pixels()[0]), "a/1.png": b"\x89PNG\r\n\x1a\n"})
    assert f"{path}/a/1.png: not readable as an image" in refusal(SampleError, path)
