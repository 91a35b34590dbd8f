"""Array files that must not be trusted: no pickle, no memory for lies, and no guess at which array is meant."""

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.files.limits import Limits
from genbench.load import load_sampler
from tests.files.conftest import everything

DIGIT = (1, 4, 5)


def test_a_header_that_declares_more_than_the_file_holds_takes_no_memory(tmp_path, refusal):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 1)})
    (tmp_path / "lie.npy").write_bytes(header.getvalue() + bytes(64))
    message = refusal(SampleError, tmp_path / "lie.npy", (1,))
    assert "declares 8,000,000,000,000 bytes" in message
    assert "64 bytes follow" in message


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0"], ids=["cut off", "too long"])
def test_a_file_of_another_length_than_declared_is_refused(tmp_path, change, refusal, pixels, npy):
    path = npy(pixels())
    path.write_bytes(change(path.read_bytes()))
    assert "its header declares 120 bytes" in refusal(SampleError, path)


def test_pickled_objects_are_never_loaded(tmp_path, refusal):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle ran",))

    array = np.empty(1, dtype=object)
    array[0] = Bomb()
    np.save(tmp_path / "bomb.npy", array, allow_pickle=True)
    np.savez(tmp_path / "bomb.npz", array)
    for name in ("bomb.npy", "bomb.npz"):
        assert "pickled Python objects, which are never loaded" in refusal(SampleError, tmp_path / name)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, *DIGIT), np.uint8), "holds no samples"),
        (np.array(3.0), "holds no samples"),
        (np.zeros((2, 2), complex), "numbers expected, got complex128"),
        (np.array([["a"]]), "numbers expected, got <U1"),
        (np.zeros(2, dtype=[("x", "f4")]), "numbers expected"),
        (np.zeros(2, dtype=[("\u2713", "f4")]), "format version 1 or 2 expected, got 3"),
    ],
    ids=["zero rows", "scalar", "complex", "text", "structured", "version 3"],
)
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_arrays_that_hold_no_samples_are_refused(tmp_path, array, message, refusal, npy):
    assert message in refusal(SampleError, npy(array))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"hello", b"PK\x05\x06"], ids=repr)
def test_what_is_no_array_file_is_refused(tmp_path, suffix, content, refusal):
    (tmp_path / f"x{suffix}").write_bytes(content)
    assert f"not readable as {suffix}" in refusal(SampleError, tmp_path / f"x{suffix}")


def test_a_compressed_array_beyond_the_limit_is_refused_and_a_mapped_one_needs_none(tmp_path, refusal, pixels, npy):
    images = pixels()  # 120 bytes
    np.savez_compressed(tmp_path / "packed.npz", images)
    np.savez(tmp_path / "stored.npz", images)
    assert len(load_sampler(tmp_path / "packed.npz", event_shape=DIGIT, limits=Limits(array_bytes=120))) == 6
    below = Limits(array_bytes=119)
    assert "at most 119 bytes are read, got 120" in refusal(SampleError, tmp_path / "packed.npz", limits=below)
    for path in (npy(images), tmp_path / "stored.npz"):
        np.testing.assert_array_equal(everything(load_sampler(path, event_shape=DIGIT, limits=below)), images)


def resident():
    """Bytes of memory that this process holds for itself: pages that the kernel could not drop."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("name", ["big.npy", "big.npz"])
def test_a_large_array_is_mapped_and_not_read(tmp_path, name):
    """Of 256 MiB on disk, a few rows are used: far less than a tenth of it is ever held."""
    images = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.uint8, (2**18, 1, 32, 32))
    images[::1000] = 7
    images.flush()
    if name == "big.npz":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(tmp_path / "big.npy", "arr_0.npy")
    before = resident()
    sampler = load_sampler(tmp_path / name, event_shape=(1, 32, 32))
    rows = sampler.rows(np.array([250_000, 1]))
    assert rows.amax(dim=(1, 2, 3)).tolist() == [7, 0]
    assert resident() - before < 25 * 2**20


def test_a_flipped_byte_of_a_stored_npz_is_noticed(tmp_path, refusal, pixels):
    np.savez(tmp_path / "x.npz", pixels())
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[content.index(pixels().tobytes()) + 5] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    assert "Bad CRC-32" in refusal(SampleError, tmp_path / "x.npz")


def test_a_header_longer_than_any_is_not_unpacked(tmp_path, refusal):
    """A compressed header of 64 MiB would be read whole by numpy before it looks at its length."""
    text = b"\x93NUMPY\x02\x00" + (2**26).to_bytes(4, "little") + bytes(2**26)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", text)
    assert "not readable as .npz" in refusal(SampleError, tmp_path / "x.npz")


@pytest.mark.parametrize("key", ["arr_0", "images", "samples", "anything"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_only_array_of_an_npz_is_taken(tmp_path, key, save, pixels):
    save(tmp_path / "x.npz", **{key: pixels()})
    np.testing.assert_array_equal(everything(load_sampler(tmp_path / "x.npz", event_shape=DIGIT)), pixels())


def test_the_named_array_is_taken_among_several(tmp_path, pixels):
    np.savez(tmp_path / "x.npz", pixels(), np.zeros(6, dtype=np.int64))  # arr_0 and arr_1, images and labels
    np.testing.assert_array_equal(everything(load_sampler(tmp_path / "x.npz", event_shape=DIGIT)), pixels())


@pytest.mark.parametrize("keys", [("mu", "sigma"), ("images", "samples", "z"), ()])
def test_an_npz_that_leaves_a_choice_lists_its_keys(tmp_path, keys, refusal, pixels):
    np.savez(tmp_path / "x.npz", **{key: pixels() for key in keys})
    assert f"got {', '.join(keys) or 'no array'};" in refusal(SampleError, tmp_path / "x.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_an_npz_member_that_lies_about_its_size_is_refused(tmp_path, method, refusal):
    """Header and central directory agree on 10**9 bytes, and ten are there."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 1)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("arr_0.npy", header.getvalue() + bytes(10))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24  # uncompressed size in the central directory
    content[at : at + 4] = struct.pack("<I", 10**9 + len(header.getvalue()))
    (tmp_path / "x.npz").write_bytes(content)
    message = refusal(SampleError, tmp_path / "x.npz", (1,))
    assert "bytes expected, got" in message or "not readable as .npz" in message
