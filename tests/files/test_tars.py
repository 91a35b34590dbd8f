"""Tar archives of images, plain and compressed: read in place, forward, within the limits."""

import gzip
import tarfile
import tracemalloc

import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.files.limits import Limits
from genbench.load import load_sampler
from tests.files.conftest import encoded, everything, tar_entry

DIGIT = (1, 4, 5)
NAMES = ["images.tar", "images.tar.gz", "images.tgz"]
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def write(path, *entries, **options):
    """Write members with fields of their own."""
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz", **options) as archive:
        for entry in entries:
            archive.addfile(*entry)
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", FORMATS)
def test_images_are_read_in_the_order_of_their_names(tmp_path, name, kind, packed, pixels):
    images = pixels()
    names = ["./b/2.png", "a/1.png", "c.png", f"d/{'long' * 20}/0.png", "e/é.png" if kind else "e/e.png", "f.jpeg.png"]
    contents = {name: encoded(image) for name, image in zip(names, images, strict=True)}
    path = packed({"notes.txt": b"x" * 700, **contents, "._1.png": b"x"}, name, format=kind)
    sampler = load_sampler(path, event_shape=DIGIT)
    order = np.argsort([name.removeprefix("./") for name in names])
    np.testing.assert_array_equal(everything(sampler), images[order])
    assert sampler.name == "images"
    assert list(tmp_path.iterdir()) == [path]  # nothing is extracted


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_longer_than_a_header_are_read(kind, packed, pixels):
    images = pixels(2)
    contents = {f"{'x' * 300}{row}.png": encoded(image) for row, image in enumerate(images)}
    np.testing.assert_array_equal(
        everything(load_sampler(packed(contents, "x.tar", format=kind), event_shape=DIGIT)), images
    )


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize("member", ["/etc/x.png", "../x.png", "a/../../x.png"])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_member_that_leads_out_is_refused(name, member, kind, packed, refusal, pixels):
    path = packed({"0.png": encoded(pixels()[0]), member: b""}, name, format=kind)
    assert f"member {member!r} leads out of the archive" in refusal(SampleError, path)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
    ids=["symlink", "hard link", "character device", "block device", "pipe", "sparse"],
)
@pytest.mark.parametrize("name", NAMES[:2])
def test_links_devices_and_sparse_members_are_refused(tmp_path, kind, name, refusal, pixels):
    plain = tar_entry("0.png", encoded(pixels()[0]))
    path = write(tmp_path / name, plain, tar_entry("x.png", type=kind, linkname="/etc/passwd", devmajor=1, devminor=5))
    assert "member 'x.png' is a link or a device" in refusal(SampleError, path)


def test_a_folder_is_passed_over(tmp_path, pixels):
    path = write(tmp_path / "x.tar", tar_entry("a", type=tarfile.DIRTYPE), tar_entry("a/0.png", encoded(pixels()[0])))
    assert len(load_sampler(path, event_shape=DIGIT)) == 1


@pytest.mark.parametrize("name", NAMES[:2])
def test_an_image_that_is_there_twice_is_refused(tmp_path, name, refusal, pixels):
    path = write(tmp_path / name, *(tar_entry("x.png", encoded(image)) for image in pixels()[:2]))
    assert "holds 'x.png' twice" in refusal(SampleError, path)


@pytest.mark.parametrize("name", NAMES[:2])
def test_limits_hold(tmp_path, name, packed, refusal, pixels):
    path = packed({f"{row}.png": encoded(image) for row, image in enumerate(pixels())}, name)
    size = len(encoded(pixels()[0]))
    assert "at most 5 members are read, got 6" in refusal(SampleError, path, limits=Limits(members=5))
    assert f"at most {size} bytes are read, got" in refusal(SampleError, path, limits=Limits(expanded_bytes=size))
    assert "bytes are read for one image" in refusal(SampleError, path, limits=Limits(pixels=10))


def test_a_compressed_tar_is_held_within_its_limit(packed, refusal, pixels):
    contents = {f"{row}.png": encoded(image) for row, image in enumerate(pixels())}
    limits = Limits(array_bytes=119)
    message = refusal(SampleError, packed(contents, "x.tar.gz"), limits=limits)
    assert "at most 119 bytes are read, got 120" in message
    assert "a plain tar is read in place" in message
    assert len(load_sampler(packed(contents, "x.tar"), event_shape=DIGIT, limits=limits)) == 6


def header(**fields):
    """The 512 bytes of one header; the sum is right."""
    member = tarfile.TarInfo(fields.pop("name", "x.png"))
    for field, value in fields.items():
        setattr(member, field, value)
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_asks_for_gigabytes_is_refused(tmp_path, kind, refusal):
    """`tarfile` would read all of it: 4 MB of gzip are 4 GiB of zeros."""
    zeros = gzip.compress(header(type=kind, size=2**32) + bytes(2**24))
    (tmp_path / "x.tar.gz").write_bytes(zeros)
    tracemalloc.start()
    assert "at most 65,536 bytes of a long header are read" in refusal(SampleError, tmp_path / "x.tar.gz")
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_compressed_bomb_of_one_member_is_skipped_in_small_steps(tmp_path, refusal, pixels):
    """256 MiB of a member that is no image are passed over without being held."""
    image = encoded(pixels()[0])
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header(name="zeros.bin", size=2**28))
        for _ in range(2**8):
            file.write(bytes(2**20))
        file.write(header(name="0.png", size=len(image)) + image + bytes(-len(image) % 512 + 1024))
    tracemalloc.start()
    assert len(load_sampler(path, event_shape=DIGIT)) == 1
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    assert "bytes are read, got 268,435,456" in refusal(SampleError, path, limits=Limits(expanded_bytes=2**27))


def test_sizes_that_go_back_or_beyond_are_refused(tmp_path, refusal, pixels):
    """A negative size sent `tarfile` of Python 3.11.7 in circles (CVE-2025-8194)."""
    for size, message in ((-512, "bytes are read, got"), (2**62, "bytes are read, got"), (2**20, "is cut off")):
        (tmp_path / "x.tar").write_bytes(header(size=size) + bytes(1024))
        assert message in refusal(SampleError, tmp_path / "x.tar")


def test_sparse_files_and_sizes_in_extended_headers_are_refused(tmp_path, refusal):
    for fields in ({"GNU.sparse.size": str(2**40)}, {"size": str(2**40)}):
        path = write(tmp_path / "x.tar", tar_entry("x.png", b"x", pax_headers=fields), format=tarfile.PAX_FORMAT)
        assert "holds a sparse or very large member" in refusal(SampleError, path)


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_cut_off_archive_is_refused(name, packed, refusal, pixels):
    path = packed({f"{row}.png": encoded(image) for row, image in enumerate(pixels(50))}, name)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2 + 100])
    message = refusal(SampleError, path)
    assert "is cut off" in message or "not readable as" in message


def test_a_damaged_header_is_refused(packed, refusal, pixels):
    path = packed({"0.png": encoded(pixels()[0])}, "x.tar")
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    assert "is damaged" in refusal(SampleError, path)


def test_what_is_no_tar_is_refused(tmp_path, refusal):
    for name, content in (("x.tar", b"hello" * 200), ("y.tar", b""), ("z.tar.gz", gzip.compress(b"x" * 600))):
        (tmp_path / name).write_bytes(content)
        assert refusal(SampleError, tmp_path / name)


def test_a_tar_may_be_compressed_whatever_its_suffix_says(tmp_path, packed, pixels):
    path = packed({"0.png": encoded(pixels()[0])}, "x.tar.gz")
    path.rename(tmp_path / "y.tar")
    np.testing.assert_array_equal(everything(load_sampler(tmp_path / "y.tar", event_shape=DIGIT)), pixels()[:1])


def test_python_and_we_read_the_same(tmp_path, packed, pixels):
    """Every format that `tarfile` writes, with folders and times, gives the content that `tarfile` reads."""
    for kind in FORMATS:
        contents = {
            f"{'a' * length}/{length}.png": encoded(image) for length, image in zip((1, 90, 95), pixels(), strict=False)
        }
        path = packed(contents, "x.tar", format=kind)
        with tarfile.open(path) as archive:
            expected = [archive.extractfile(name).read() for name in sorted(contents)]
        sampler = load_sampler(path, event_shape=DIGIT)
        source = sampler._job[0]
        assert [source.read(row) for row in range(3)] == expected
