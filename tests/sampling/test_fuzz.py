"""Hostile bytes: every loader ends in samples or in a GenbenchError, whatever the file holds, in little memory."""

import io
import json
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.errors import GenbenchError
from genbench.files.limits import Limits
from genbench.load import load_sampler, parse_args
from genbench.training.checkpoint import save_state
from tests.files.conftest import encoded, everything, tar_entry

EXAMPLES = settings(max_examples=120, deadline=None, derandomize=True, database=None)

SHAPE = (1, 4, 5)

LIMITS = Limits(pixels=10**4, members=50, expanded_bytes=10**6, array_bytes=10**6)

MOST = 16 * 2**20
"""Bytes that Python and numpy may hold at once while one file of a few kilobytes is read; a lie asks for far more."""

IMAGES = np.arange(60, dtype=np.uint8).reshape(3, *SHAPE)

HEADERS = st.builds(
    lambda descr, order, shape: repr({"descr": descr, "fortran_order": order, "shape": shape}),
    st.sampled_from(
        ["|u1", "<f4", ">f8", "|O", "|b1", "|V0", "|S0", "<U9", "<c8", "<M8[s]", "<f16", [("a", "|u1")], "?"]
    ),
    st.sampled_from([True, False, None]),
    st.one_of(st.lists(st.integers(-3, 2**70), max_size=5).map(tuple), st.just((3, 1, 4, 5)), st.just("no")),
)


def saved(save, *arrays, **options):
    buffer = io.BytesIO()
    save(buffer, *arrays, **options)
    return buffer.getvalue()


def torch_saved(found):
    buffer = io.BytesIO()
    torch.save(found, buffer)
    return buffer.getvalue()


def safetensors_saved():
    header = json.dumps({"images": {"dtype": "U8", "shape": [3, *SHAPE], "data_offsets": [0, 60]}}).encode()
    return len(header).to_bytes(8, "little") + header + IMAGES.tobytes()


def zipped(method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for row, image in enumerate(IMAGES):
            archive.writestr(f"a/{row}.png", encoded(image))
    return buffer.getvalue()


def tarred(mode, kind, name="x"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=kind) as archive:
        for row, image in enumerate(IMAGES):
            archive.addfile(*tar_entry(f"{name}{row}.png", encoded(image), mtime=0.5 * row))
    return buffer.getvalue()


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(torch.nn.Identity()), buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A training state without its digest: what a forger who can compute one may change."""
    model = {"recipe": "baselines.vae:VAE", "options": {}, "event_shape": SHAPE, "image": True, "scale": 127.5}
    path = tmp_path_factory.mktemp("state") / "state"
    save_state(path, {"seed": 0, "steps": 3}, {"trainer": {}, "model": model})
    return path.read_bytes()


SEEDS = {
    "npy": saved(np.save, IMAGES),
    "float.npy": saved(np.save, IMAGES / 255),
    "npz": saved(np.savez, IMAGES, np.zeros(3)),
    "compressed.npz": saved(np.savez_compressed, images=IMAGES),
    "png": encoded(IMAGES[0]),
    "jpeg.png": encoded(IMAGES[0], "JPEG"),
    "bmp.png": encoded(IMAGES[0], "BMP"),
    "pt": torch_saved({"images": torch.from_numpy(IMAGES), "epoch": 3}),
    "safetensors": safetensors_saved(),
    "zip": zipped(zipfile.ZIP_STORED),
    "deflated.zip": zipped(zipfile.ZIP_DEFLATED),
    "tar": tarred("w", tarfile.USTAR_FORMAT),
    "pax.tar": tarred("w", tarfile.PAX_FORMAT, "é"),
    "gnu.tar": tarred("w", tarfile.GNU_FORMAT, "x" * 120),
    "tgz": tarred("w:gz", tarfile.PAX_FORMAT),
    "script.pt": scripted(),
}

REFUSED = {"script.pt"}
"""Seeds that are refused as they are."""

SUFFIXES = sorted({name.rpartition(".")[2] for name in SEEDS})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def load(folder, suffix, content, **options):
    path = folder / f"x.{suffix}"
    if suffix == "png":
        path = folder / "images"
        path.mkdir(exist_ok=True)
    (path / "x.png" if suffix == "png" else path).write_bytes(content)
    return everything(load_sampler(path, event_shape=SHAPE, limits=LIMITS, **options))


def survives(folder, suffix, content):
    """Load the content as a file of this kind: samples of the right shape, or one of genbench's own errors."""
    if suffix == "safetensors":
        pytest.importorskip("safetensors")
    tracemalloc.start()
    try:
        outcome = tuple(load(folder, suffix, content, value_range=(0, 255)).shape[1:])
    except GenbenchError as error:
        outcome = error.exit_code
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert outcome in (SHAPE, 2, 3)
    assert peak < MOST


def mutated(data, content):
    """Change a few bytes, and perhaps cut the end off."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    return bytes(content[:end])


def outcome(source):
    """Load only: the exit code of the error, if there is one."""
    try:
        load_sampler(source, event_shape=SHAPE, limits=LIMITS)
    except GenbenchError as error:
        return error.exit_code
    return "loaded"


@EXAMPLES
@given(suffix=st.sampled_from(SUFFIXES), content=st.binary(max_size=600))
def test_random_bytes(folder, suffix, content):
    survives(folder, suffix, content)


@pytest.mark.parametrize("name", sorted(SEEDS))
@EXAMPLES
@given(data=st.data())
def test_mutated_files(folder, name, data):
    survives(folder, name.rpartition(".")[2], mutated(data, SEEDS[name]))


@EXAMPLES
@given(suffix=st.sampled_from(SUFFIXES), name=st.sampled_from(sorted(SEEDS)))
def test_files_under_the_suffix_of_another(folder, suffix, name):
    survives(folder, suffix, SEEDS[name])


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


@EXAMPLES
@given(data=st.data(), name=st.sampled_from(["tar", "pax.tar", "gnu.tar"]))
def test_tar_headers_with_valid_checksums(folder, data, name):
    """A mutated header with its sum repaired gets past the first check."""
    content = bytearray(SEEDS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    content[148:156] = b"%06o\0 " % (sum(content[:148]) + 256 + sum(content[156:512]))
    survives(folder, "tar", bytes(content))


@EXAMPLES
@given(data=st.data())
def test_pickles_of_tensors(folder, data):
    """Mutated bytes of the pickle itself, in an archive that is well formed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(SEEDS["pt"])) as plain, zipfile.ZipFile(buffer, "w") as changed:
        for member in plain.infolist():
            content = plain.read(member)
            changed.writestr(member.filename, mutated(data, content) if "data.pkl" in member.filename else content)
    survives(folder, "pt", buffer.getvalue())


@EXAMPLES
@given(data=st.data(), resealed=st.booleans())
def test_training_states(folder, state, data, resealed):
    """Mutated, and also with the digest of a forger."""
    start = len(b"genbench training state 1\n") + 32
    content = mutated(data, state)
    if resealed:
        import hashlib

        payload = content[start:]
        content = state[: start - 32] + hashlib.sha256(payload).digest() + payload
    (folder / "seed0.pt").write_bytes(content)
    assert outcome(folder / "seed0.pt") in ("loaded", 2, 3)


@EXAMPLES
@given(text=st.text(st.characters(exclude_characters="./"), min_size=1) | st.just("a" * 5000))
def test_sources_that_are_any_text(text):
    assert outcome(text) in (2, 3)  # 3: a folder of that name may exist here


@EXAMPLES
@given(value=st.text(max_size=30))
def test_arguments_that_are_any_text(value):
    found = parse_args([f"name={value}"])
    assert list(found) == ["name"]
    assert isinstance(found["name"], (str, bool, int, float))


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_the_seeds_themselves_load(folder, name):
    """Otherwise the mutations would test only the first refusal."""
    suffix = name.rpartition(".")[2]
    if suffix == "safetensors":
        pytest.importorskip("safetensors")
    if name in REFUSED:
        with pytest.raises(GenbenchError, match="is a program"):
            load(folder, suffix, SEEDS[name])
        return
    value_range = (0, 1) if name == "float.npy" else None
    samples = load(folder, suffix, SEEDS[name], value_range=value_range)
    assert samples.shape[1:] == SHAPE
