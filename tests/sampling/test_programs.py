"""Generators stored as programs: refused by name without trust, under any suffix, and run with it."""

import json
import pickle
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch

from genbench.errors import SampleError, SetupError, UsageError
from genbench.files.detect import program_kind
from genbench.files.limits import LIMITS
from genbench.load import load_sampler
from tests.files.test_tensors import Bomb
from tests.sampling import networks

PRESENT_EXPORTER = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 9)
"""Torch's exporter of today was its default from 2.9 on; before, it needs an onnxscript of its own time."""

OPTIONS = {"event_shape": networks.SHAPE, "value_range": (0, 1), "latent": "4"}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(5)
    return networks.Net().eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory, net):
    """The same network as TorchScript, as torch.export with any and with a fixed batch, and as ONNX."""
    folder = tmp_path_factory.mktemp("programs")
    any_batch = {"z": {0: torch.export.Dim("n")}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and the exporters talk
        torch.jit.script(net).save(folder / "net.ts")
        exported = torch.export.export(net, (torch.zeros(2, 4),), dynamic_shapes=any_batch)
        torch.export.save(exported, folder / "net.pt2")
        torch.export.save(torch.export.export(net, (torch.zeros(3, 4),)), folder / "fixed.pt2")
    return folder


def expected(net, n=7, seed=0):
    z = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return (net(z) * 255).round().to(torch.uint8)


@pytest.mark.parametrize("name", ["net.ts", "net.pt2"])
@pytest.mark.parametrize("suffix", [None, ".pt", ".zip", ".npz", ".pth", ".bin"])
def test_a_trusted_program_gives_what_the_network_gives_under_any_suffix(name, suffix, files, net, tmp_path):
    path = tmp_path / (name if suffix is None else f"model{suffix}")
    path.write_bytes((files / name).read_bytes())
    sampler = load_sampler(path, trust_code=True, **OPTIONS)
    assert sampler.name == path.stem
    assert torch.equal(sampler.sample(7, seed=0), expected(net))


@pytest.mark.parametrize(("name", "kind"), [("net.ts", "TorchScript"), ("net.pt2", "torch.export")])
@pytest.mark.parametrize("suffix", [None, ".pt", ".zip", ".npz", ".safetensors", ".bin"])
def test_without_trust_it_is_refused_by_name_and_not_touched(name, kind, suffix, files, tmp_path, monkeypatch, refusal):
    for module, function in ((torch, "load"), (torch.jit, "load"), (torch.export, "load"), (pickle, "load")):
        monkeypatch.setattr(module, function, lambda *_, **__: pytest.fail("it was loaded"))
    path = tmp_path / (name if suffix is None else f"model{suffix}")
    path.write_bytes((files / name).read_bytes())
    message = refusal(UsageError, path)
    assert f"is a program ({kind})" in message
    assert "pass --trust-code" in message
    assert program_kind(path, limits=LIMITS) == kind


@pytest.mark.parametrize("name", ["x.pt2", "x.ts", "x.torchscript", "x.onnx"])
def test_a_suffix_of_a_program_is_enough_to_refuse_it(name, tmp_path, refusal):
    (tmp_path / name).write_bytes(b"anything")
    assert "is a program" in refusal(UsageError, tmp_path / name)
    assert "not readable as a" in refusal(SampleError, tmp_path / name, trust_code=True, latent="4") or name == "x.onnx"


def test_code_in_an_exported_program_is_not_run_without_trust(files, tmp_path, refusal):
    """A pickle in place of the sample inputs runs when torch.export.load meets it; here nothing does."""
    path, marker = tmp_path / "bomb.pt2", tmp_path / "executed"
    with zipfile.ZipFile(files / "net.pt2") as plain, zipfile.ZipFile(path, "w") as bomb:
        for member in plain.infolist():
            content = plain.read(member)
            if "sample_inputs" in member.filename:
                content = pickle.dumps(Bomb(marker))
            bomb.writestr(member.filename, content)
    for name in ("bomb.pt2", "bomb.pt", "bomb.zip"):
        path = path.rename(tmp_path / name)
        assert "is a program (torch.export)" in refusal(UsageError, path)
    assert not marker.exists()


def test_an_older_export_is_recognised(tmp_path, refusal):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("serialized_exported_program.json", json.dumps({}))
    assert "is a program (torch.export)" in refusal(UsageError, tmp_path / "x.pt")


def test_a_program_exported_for_one_batch_is_called_with_that_batch(files, net):
    sampler = load_sampler(files / "fixed.pt2", trust_code=True, **OPTIONS)
    for n in (1, 3, 7):
        np.testing.assert_allclose(sampler.sample(n, seed=0).int(), expected(net, n).int(), atol=1)


def test_latents_must_be_those_that_the_program_takes(files, refusal):
    for options, message in (({}, "declare them with --latent"), ({"latent": "5"}, "takes a batch of shape (")):
        kind = UsageError if not options else SampleError
        assert message in refusal(kind, files / "net.pt2", trust_code=True, **options)
    sampler = load_sampler(files / "net.ts", trust_code=True, **{**OPTIONS, "latent": "5"})
    with pytest.raises(SampleError, match="net: raised RuntimeError"):
        sampler.sample(2, seed=0)


def test_a_program_has_no_use_for_arguments_and_weights(files, refusal):
    for options in ({"args": {"a": 1}}, {"weights": "w.pt"}):
        message = refusal(UsageError, files / "net.ts", trust_code=True, latent="4", **options)
        assert f"has no use for {next(iter(options))}" in message


def test_a_program_of_two_inputs_is_refused(tmp_path, refusal):
    class Two(torch.nn.Module):
        def forward(self, a, b):
            return a + b

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(Two(), (torch.zeros(2, 4), torch.zeros(2, 4))), tmp_path / "two.pt2")
    message = refusal(SampleError, tmp_path / "two.pt2", trust_code=True, latent="4")
    assert "one input, a batch of latents, expected, got 2 inputs" in message


@pytest.fixture
def onnx_file(tmp_path):
    """Make a linear generator by hand: (n, 4) latents to (n, 1, 4, 5) images in [0, 1]."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    def save(batch="n", dtype=TensorProto.FLOAT, inputs=1):
        weight = np.random.default_rng(0).standard_normal((4, 20)).astype(helper.tensor_dtype_to_np_dtype(dtype))
        nodes = [
            helper.make_node("MatMul", ["z", "w"], ["a"]),
            helper.make_node("Sigmoid", ["a"], ["b"]),
            helper.make_node("Reshape", ["b", "shape"], ["images"]),
        ]
        shape = numpy_helper.from_array(np.array([-1, 1, 4, 5], dtype=np.int64), "shape")
        graph = helper.make_graph(
            nodes,
            "generator",
            [helper.make_tensor_value_info(name, dtype, [batch, 4]) for name in ("z", "y")[:inputs]],
            [helper.make_tensor_value_info("images", dtype, None)],
            [numpy_helper.from_array(weight, "w"), shape],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / "net.onnx")
        return tmp_path / "net.onnx", weight

    return save


@pytest.mark.parametrize("batch", ["n", 3])
@pytest.mark.parametrize("dtype", [1, 11])  # float32 and float64
def test_an_onnx_model_gives_what_it_computes(batch, dtype, onnx_file):
    path, weight = onnx_file(batch, dtype)
    sampler = load_sampler(path, trust_code=True, **OPTIONS)
    z = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)).numpy()
    expected = np.rint(255 / (1 + np.exp(-(z.astype(np.float64) @ weight)))).reshape(-1, *networks.SHAPE)
    np.testing.assert_allclose(sampler.sample(7, seed=0).int(), expected, atol=1)  # float32 may round to a neighbour


def test_a_real_onnx_export_gives_what_the_network_gives(tmp_path, net):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    if PRESENT_EXPORTER:
        how = {"dynamo": True, "dynamic_shapes": {"z": {0: torch.export.Dim("n")}}}
    else:
        how = {"dynamo": False, "input_names": ["z"], "dynamic_axes": {"z": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.zeros(2, 4),), tmp_path / "net.onnx", **how)
    sampler = load_sampler(tmp_path / "net.onnx", trust_code=True, **OPTIONS)
    np.testing.assert_allclose(sampler.sample(7, seed=0).int(), expected(net).int(), atol=1)


def test_onnx_inputs_that_are_no_latents_are_refused(onnx_file, refusal):
    path, _ = onnx_file(inputs=2)
    assert "got 2 inputs" in refusal(SampleError, path, trust_code=True, latent="4")
    path, _ = onnx_file()
    assert "latents of shape (5,) were declared" in refusal(SampleError, path, trust_code=True, latent="5")


def test_a_missing_runtime_is_named(tmp_path, monkeypatch, refusal):
    (tmp_path / "x.onnx").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = refusal(SetupError, tmp_path / "x.onnx", trust_code=True, latent="4")
    assert 'needs the "onnx" extra: pip install "genbench[onnx]"' in message
