"""The one door: the same samples from every form, and one clear sentence for what is no form at all."""

import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from genbench.errors import SampleError, UnknownNameError, UsageError
from genbench.files.limits import Limits
from genbench.load import load_sampler, parse_args
from genbench.protocols import Sampler
from genbench.registry import SAMPLERS
from genbench.sampling.blocks import FiniteSampler, draw_samples
from tests.files.conftest import encoded, everything, folder, npy, packed, pixels, refusal  # noqa: F401

PHOTO = (3, 4, 5)


@pytest.fixture
def forms(tmp_path, folder, packed, pixels):  # noqa: F811
    """The same images in every form that holds samples; the names are in another order than the contents arrive."""
    images = pixels(300, PHOTO)
    names = [f"{'ab'[row % 2]}/{row:03}.png" for row in range(300)]
    order = np.argsort(names)
    contents = {names[row]: encoded(images[row]) for row in reversed(range(300))}
    images = images[order]
    np.save(tmp_path / "x.npy", images)
    np.savez(tmp_path / "x.npz", images.transpose(0, 2, 3, 1))
    np.savez_compressed(tmp_path / "packed.npz", images=images, labels=np.zeros(300))
    torch.save({"samples": torch.from_numpy(images)}, tmp_path / "x.pt")
    np.save(tmp_path / "floats.npy", (images / 127.5 - 1).astype(np.float32))
    found = {
        "folder": (folder(images, names=sorted(names)), {}),
        "workers": (folder(images, names=sorted(names)), {"workers": 2}),
        "zip": (packed(contents), {}),
        "stored zip": (packed(contents, "stored.zip", compression=zipfile.ZIP_STORED), {}),
        "tar": (packed(contents, "x.tar"), {}),
        "tar.gz": (packed(contents, "x.tar.gz"), {}),
        "npy": (tmp_path / "x.npy", {}),
        "npz": (tmp_path / "x.npz", {}),
        "packed npz": (tmp_path / "packed.npz", {}),
        "pt": (tmp_path / "x.pt", {}),
        "floats": (tmp_path / "floats.npy", {"value_range": (-1, 1)}),
        "array": (images, {}),
        "tensor": (torch.from_numpy(images), {}),
        "text": (str(tmp_path / "x.npy"), {}),
    }
    if find_spec("safetensors"):
        from safetensors.torch import save_file

        save_file({"images": torch.from_numpy(images)}, tmp_path / "x.safetensors")
        found["safetensors"] = (tmp_path / "x.safetensors", {})
    return images, found


def test_every_form_gives_the_same_samples_for_the_same_indices(forms):
    images, found = forms
    indices = np.random.default_rng(1).integers(0, 300, 40)
    drawn = {}
    for form, (source, options) in found.items():
        sampler = load_sampler(source, event_shape=PHOTO, **options)
        assert isinstance(sampler, FiniteSampler), form
        assert isinstance(sampler, Sampler), form
        assert len(sampler) == 300
        rows = sampler.rows(indices)
        assert rows.dtype == torch.uint8
        np.testing.assert_array_equal(rows.numpy(), images[indices], err_msg=form)
        drawn[form] = draw_samples(sampler, 290, seed=5, event_shape=PHOTO)
        if hasattr(sampler, "close"):
            sampler.close()
    assert all(torch.equal(samples, drawn["npy"]) for samples in drawn.values())


def test_a_callable_that_returns_the_rows_of_a_file_gives_the_same(forms):
    images, _ = forms

    def rows_of_the_block(n, *, seed):
        return images[np.random.default_rng(seed).integers(0, 300, n)]

    sampler = load_sampler(rows_of_the_block, event_shape=PHOTO)
    expected = images[np.random.default_rng(9).integers(0, 300, 20)]
    np.testing.assert_array_equal(sampler.sample(20, seed=9).numpy(), expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("my.set.npy", "my.set"), ("x.tar.gz", "x"), ("X.NPZ", "X"), ("a.b.tgz", "a.b")]
)
def test_a_file_gives_its_name_without_the_suffix(name, expected, tmp_path, packed, pixels):  # noqa: F811
    path = tmp_path / name
    if path.suffix.lower() in (".npy", ".npz"):
        with path.open("wb") as file:
            (np.save if path.suffix == ".npy" else np.savez)(file, pixels())
    else:
        packed({"0.png": encoded(pixels()[0])}, name)
    assert load_sampler(path, event_shape=(1, 4, 5)).name == expected
    assert load_sampler(path, event_shape=(1, 4, 5), name="mine").name == "mine"


@pytest.mark.parametrize("source", ["missing.npy", "no/such/folder", "word", "mod:", ":attr", "a b:c", ""])
def test_what_is_no_source_is_told_which_forms_there_are(source, refusal, monkeypatch, tmp_path):  # noqa: F811
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    if source == "":  # the current folder, which is empty
        assert "holds no images" in refusal(SampleError, source)
        return
    message = refusal(UsageError, source)
    assert "a folder, .zip or .tar of images, an array (.npy, .npz, .pt, .safetensors), package.module" in message
    assert "which does not exist" in message


@pytest.mark.parametrize("name", ["x.pkl", "x.txt", "x.gz", "x.7z", "x", "x.npy.bak"])
def test_a_file_of_an_unknown_kind_is_refused(name, tmp_path, refusal):  # noqa: F811
    (tmp_path / name).write_bytes(b"x")
    assert ".npy, .npz, .pt, .pth, .safetensors, .zip, .tar, .tar.gz, .tgz, .ts" in refusal(UsageError, tmp_path / name)


def test_a_registered_sampler_is_taken_by_its_name(monkeypatch, refusal):  # noqa: F811
    entry = type(SAMPLERS)("sampler", "none", {"noise": ("tests.sampling.networks:model", "")})
    monkeypatch.setattr("genbench.load.SAMPLERS", entry)
    assert load_sampler("noise", event_shape=(1, 4, 5)).name == "my-model"
    assert "Did you mean 'noise'?" in refusal(UnknownNameError, "noize")


@pytest.mark.parametrize(
    "option", [{"args": {"a": 1}}, {"weights": "w.pt"}, {"latent": "4"}, {"layout": "NHWC"}, {"value_range": (0, 1)}]
)
def test_what_has_no_meaning_for_image_files_is_refused(option, folder, packed, refusal, pixels):  # noqa: F811
    for source in (folder(pixels()), packed({"0.png": encoded(pixels()[0])})):
        message = refusal(UsageError, source, **option)
        assert message.endswith(("leave it out.", "leave the range out."))


@pytest.mark.parametrize("option", [{"args": {"a": 1}}, {"weights": "w.pt"}, {"latent": "4"}])
def test_what_has_no_meaning_for_arrays_is_refused(option, npy, refusal, pixels):  # noqa: F811
    for source in (npy(pixels()), pixels()):
        assert f"has no use for {next(iter(option))}" in refusal(UsageError, source, **option)


def test_image_files_may_declare_the_range_that_they_have(folder, pixels):  # noqa: F811
    sampler = load_sampler(folder(pixels()), event_shape=(1, 4, 5), value_range=(0, 255))
    np.testing.assert_array_equal(everything(sampler), pixels())


def test_limits_are_those_that_were_given(folder, refusal, pixels):  # noqa: F811
    assert "at most 5 members" in refusal(SampleError, folder(pixels()), limits=Limits(members=5))


def test_a_device_that_does_not_exist_is_refused(npy, refusal, pixels):  # noqa: F811
    assert "'auto', 'cpu', 'cuda'" in refusal(UsageError, npy(pixels()), device="gpu")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-2.5", -2.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ('"3"', "3"),
        ("runs/gan.pt", "runs/gan.pt"),
        ("a=b", "a=b"),
        ("", ""),
        ("[1, 2]", "[1, 2]"),
        ("2024-01-01", "2024-01-01"),
        ("3\nother = 4", "3\nother = 4"),
    ],
)
def test_arguments_are_scalars_of_toml_or_words(text, value):
    found = parse_args([f"name={text}"])
    assert found == {"name": value}
    assert type(found["name"]) is type(value)


@pytest.mark.parametrize("texts", [["name"], ["=3"], ["a b=3"], ["a=1", "a=2"], ["3=4"]])
def test_other_arguments_are_refused(texts):
    with pytest.raises(UsageError, match="NAME=VALUE, each name once, expected"):
        parse_args(texts)
