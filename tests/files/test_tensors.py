"""Files of torch and of safetensors: tensors are mapped, code never runs, and no lie takes memory."""

import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from genbench.errors import SampleError, SetupError, UsageError
from genbench.files.limits import Limits
from genbench.load import load_sampler
from tests.files.conftest import everything

DIGIT = (1, 4, 5)


class Bomb:
    """What a pickle can do to whoever loads it: make a folder."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class Huge:
    """A pickle of forty bytes that asks for a terabyte."""

    def __reduce__(self):
        return bytearray, (2**40,)


@pytest.fixture
def pt(tmp_path):
    def save(found, name="samples.pt", **options):
        torch.save(found, tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.mark.parametrize(
    "form",
    [
        lambda t: t,
        lambda t: {"anything": t},
        lambda t: {"images": t, "labels": torch.zeros(6)},
        lambda t: {"samples": t, "labels": torch.zeros(6), "epoch": 3},
        lambda t: torch.nn.Parameter(t.float() / 255),
        lambda t: t.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
    ],
    ids=["tensor", "dict", "images", "samples", "parameter", "strided"],
)
@pytest.mark.parametrize("name", ["x.pt", "x.pth"])
def test_a_tensor_or_the_one_that_is_meant_is_read(form, name, pt, pixels):
    images = pixels()
    found = form(torch.from_numpy(images))
    value_range = (0, 1) if isinstance(found, torch.nn.Parameter) else None
    sampler = load_sampler(pt(found, name), event_shape=DIGIT, value_range=value_range)
    assert sampler.name == "x"
    np.testing.assert_array_equal(everything(sampler), images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8])
def test_vectors_of_any_number_type_become_float32(dtype, pt):
    sampler = load_sampler(pt(torch.tensor([[1, 2], [3, 4]]).to(dtype)), event_shape=(2,))
    assert everything(sampler).dtype == np.float32
    assert everything(sampler).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"a": torch.zeros(2, 1), "b": torch.zeros(2, 1)}, "one array expected, or exactly one named"),
        ({"images": torch.zeros(2, 1), "samples": torch.zeros(2, 1)}, "got images, samples"),
        ({"epoch": 3}, "got no array"),
        ([torch.zeros(2, 1)], "a tensor, or a dict of tensors, expected, got list"),
        (3, "expected, got int"),
        (torch.zeros(0, 1), "holds no samples"),
        (torch.tensor(1.0), "holds no samples"),
        (torch.zeros(2, 1, dtype=torch.complex64), "a dense tensor of real numbers expected"),
        (torch.eye(3).to_sparse(), "a dense tensor of real numbers expected"),
        (torch.zeros(2, 1, device="meta"), "a dense tensor of real numbers expected"),
        (torch.zeros(2, 3), "(n, 1) expected, got (2, 3)"),
    ],
)
def test_what_holds_no_samples_is_refused(found, message, pt, refusal):
    assert message in refusal(SampleError, pt(found), (1,))


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_never_run(tmp_path, legacy, pt, refusal):
    bomb = Bomb(tmp_path / "executed")
    for found in (bomb, {"images": torch.zeros(2, 1), "rest": bomb}):
        path = pt(found, _use_new_zipfile_serialization=not legacy)
        assert refusal(SampleError, path, (1,))
    for name in ("x.pt", "x.npy", "x.npz", "x.safetensors", "x.zip", "x.tar"):
        (tmp_path / name).write_bytes(pickle.dumps(bomb))
        if name != "x.safetensors":
            assert refusal(SampleError, tmp_path / name)
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(bomb))
    assert (tmp_path / "executed").exists()  # the bomb works where it is let


def test_a_pickle_that_asks_for_a_terabyte_is_refused(pt, refusal):
    assert "holds a bytearray, which is not loaded" in refusal(SampleError, pt(Huge()), (1,))


def test_a_compressed_pickle_is_refused_before_it_is_unpacked(tmp_path, pt, refusal):
    """torch would unpack a pickle of any size into memory."""
    with zipfile.ZipFile(pt(torch.zeros(2, 1))) as plain, zipfile.ZipFile(tmp_path / "bomb.pt", "w") as bomb:
        for member in plain.infolist():
            content = plain.read(member)
            packed = member.filename.endswith("data.pkl")
            bomb.writestr(
                member.filename,
                content + bytes(2**26 * packed),
                zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED,
            )
    assert (tmp_path / "bomb.pt").stat().st_size < 100_000
    tracemalloc.start()
    assert "is compressed" in refusal(SampleError, tmp_path / "bomb.pt", (1,))
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_tensor_that_claims_more_values_than_it_has_is_refused(pt, refusal):
    """With stride 0, one stored number is a terabyte of samples."""
    path = pt(torch.zeros(1).expand(2**38, 1))
    message = refusal(SampleError, path, (1,))
    assert "1,099,511,627,776 bytes of torch.float32" in message
    assert "got 4;" in message


def test_an_old_file_is_told_how_to_become_a_new_one(pt, refusal):
    path = pt(torch.zeros(2, 1), _use_new_zipfile_serialization=False)
    assert "a file of torch.save (1.6 or newer) expected" in refusal(SampleError, path, (1,))


@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"PK\x05\x06"]
)
def test_a_cut_off_file_is_refused(change, pt, refusal, pixels):
    path = pt(torch.from_numpy(pixels()))
    path.write_bytes(change(path.read_bytes()))
    assert refusal(SampleError, path)


def test_narrow_floats_are_converted_within_the_limit(pt, refusal):
    path = pt(torch.zeros(10, 1, dtype=torch.bfloat16))
    assert "at most 39 bytes are read, got 40" in refusal(SampleError, path, (1,), limits=Limits(array_bytes=39))
    assert len(load_sampler(pt(torch.zeros(10, 1)), event_shape=(1,), limits=Limits(array_bytes=1))) == 10


def test_tensors_are_mapped_and_not_read(pt):
    from tests.files.test_arrays import resident

    path = pt(torch.zeros(2**18, 1, 16, 16, dtype=torch.uint8))
    before = resident()
    sampler = load_sampler(path, event_shape=(1, 16, 16))
    sampler.rows(np.arange(0, 2**18, 5000))
    assert resident() - before < 20 * 2**20  # of 64 MiB


@pytest.fixture
def safe(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")

    def save(tensors):
        safetensors.save_file(tensors, tmp_path / "x.safetensors")
        return tmp_path / "x.safetensors"

    return save


def test_safetensors_are_read(safe, refusal, pixels):
    images = torch.from_numpy(pixels())
    for tensors in ({"a": images}, {"images": images, "labels": torch.zeros(6)}):
        np.testing.assert_array_equal(everything(load_sampler(safe(tensors), event_shape=DIGIT)), pixels())
    assert "got a, b" in refusal(SampleError, safe({"a": images, "b": images.clone()}))
    assert everything(load_sampler(safe({"a": torch.ones(2, 1, dtype=torch.bfloat16)}), event_shape=(1,))).tolist() == [
        [1.0],
        [1.0],
    ]


def test_safetensors_that_lie_are_refused(tmp_path, safe, refusal):
    path = safe({"a": torch.zeros(2, 1)})
    content = path.read_bytes()
    lies = [
        content[:-1],
        struct.pack("<Q", 2**60) + content[8:],
        content.replace(b"[2,1]", b"[9,1]"),
        content[:20],
        b"",
    ]
    for lie in lies:
        path.write_bytes(lie)
        assert "not readable as .safetensors" in refusal(SampleError, path, (1,))


def test_a_missing_extra_is_named(tmp_path, monkeypatch, refusal):
    (tmp_path / "x.safetensors").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    message = refusal(SetupError, tmp_path / "x.safetensors", (1,))
    assert 'needs the "safetensors" extra: pip install "genbench[safetensors]"' in message
    assert SetupError.exit_code == 4


def test_a_program_under_the_suffix_of_data_is_not_loaded_as_data(tmp_path, refusal):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/constants.pkl", b"")
    assert "is a program (TorchScript)" in refusal(UsageError, tmp_path / "x.pt", (1,))
