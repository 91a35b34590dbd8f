"""Hostile bytes: every loader ends in samples or in a GenbenchError, whatever the file holds."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genbench.errors import GenbenchError
from genbench.sampling.files import load_samples

EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True, database=None)

SHAPE = (1, 4, 5)


def saved(save, *arrays, **options):
    buffer = io.BytesIO()
    save(buffer, *arrays, **options)
    return buffer.getvalue()


def png():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save(buffer, "PNG")
    return buffer.getvalue()


IMAGES = np.arange(60, dtype=np.uint8).reshape(3, *SHAPE)

SEEDS = {
    "npy": saved(np.save, IMAGES),
    "float.npy": saved(np.save, IMAGES / 255),
    "npz": saved(np.savez, IMAGES, np.zeros(3)),
    "compressed.npz": saved(np.savez_compressed, images=IMAGES),
    "png": png(),
}

HEADERS = st.builds(
    lambda descr, order, shape: repr({"descr": descr, "fortran_order": order, "shape": shape}),
    st.sampled_from(
        ["|u1", "<f4", ">f8", "|O", "|b1", "|V0", "|S0", "<U9", "<c8", "<M8[s]", "<f16", [("a", "|u1")], "?"]
    ),
    st.sampled_from([True, False, None]),
    st.one_of(st.lists(st.integers(-3, 2**70), max_size=5).map(tuple), st.just((3, 1, 4, 5)), st.just("no")),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def load(folder, suffix, content, **options):
    path = folder / f"x.{suffix}"
    if suffix == "png":
        path = folder / "images"
        path.mkdir(exist_ok=True)
    (path / "x.png" if suffix == "png" else path).write_bytes(content)
    return load_samples(path, event_shape=SHAPE, max_bytes=10**6, **options).samples


def survives(folder, suffix, content):
    """Load the content as a file of this kind: samples of the right shape, or one of genbench's own errors."""
    try:
        outcome = tuple(load(folder, suffix, content, value_range=(0, 255)).shape[1:])
    except GenbenchError as error:
        outcome = error.exit_code
    assert outcome in (SHAPE, 3)


@EXAMPLES
@given(suffix=st.sampled_from(["npy", "npz", "png"]), content=st.binary(max_size=300))
def test_random_bytes(folder, suffix, content):
    survives(folder, suffix, content)


@EXAMPLES
@given(suffix=st.sampled_from(sorted(SEEDS)), data=st.data())
def test_mutated_files(folder, suffix, data):
    content = bytearray(SEEDS[suffix])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    survives(folder, suffix.rpartition(".")[2], bytes(content[:end]))


@EXAMPLES
@given(header=HEADERS, version=st.sampled_from([1, 2, 3]), body=st.binary(max_size=80))
def test_headers_that_lie(folder, header, version, body):
    text = header.encode() + b"\n"
    width = 2 if version == 1 else 4
    survives(folder, "npy", b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(width, "little") + text + body)


@EXAMPLES
@given(text=st.text(st.sampled_from("(){}[]'\":, descrfotan_shpe0123456789-~*TuFls\\\n#"), max_size=200))
def test_headers_that_are_no_dictionary(folder, text):
    content = text.encode() + b"\n"
    survives(folder, "npy", b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content)


@EXAMPLES
@given(at=st.integers(0, len(SEEDS["png"]) - 1), value=st.integers(0, 255))
def test_png_chunks_with_valid_checksums(folder, at, value):
    """A mutated byte with the header's checksum repaired reaches the decoder."""
    content = bytearray(SEEDS["png"])
    content[at] = value
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")  # IHDR: kind and data, then its checksum
    survives(folder, "png", bytes(content))


@pytest.mark.parametrize("suffix", sorted(SEEDS))
def test_the_seeds_themselves_load(folder, suffix):
    """Otherwise the mutations would test only the first refusal."""
    value_range = (0, 1) if suffix == "float.npy" else None
    samples = load(folder, suffix.rpartition(".")[2], SEEDS[suffix], value_range=value_range)
    assert samples.shape[1:] == SHAPE
