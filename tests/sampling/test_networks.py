"""Networks as generators: latents declared, weights loaded as data, modes restored."""

import pickle

import numpy as np
import pytest
import torch

from genbench.errors import SampleError, UsageError
from genbench.load import load_sampler
from genbench.sampling.latents import Latent, parse_latent
from tests.files.test_tensors import Bomb
from tests.sampling import networks

MODULE = "tests.sampling.networks"
OPTIONS = {"event_shape": networks.SHAPE, "latent": "4", "value_range": (0, 1)}


@pytest.fixture
def weights(tmp_path):
    """Store a state dict, of a network with weights of its own, in some form."""

    def save(form=lambda state: state, name="w.pt", hidden=8):
        torch.manual_seed(5)
        state = networks.Net(hidden).state_dict()
        if name.endswith(".safetensors"):
            safetensors = pytest.importorskip("safetensors.torch")
            safetensors.save_file(state, tmp_path / name)
        else:
            torch.save(form(state), tmp_path / name)
        return tmp_path / name, state

    return save


def expected(state, seed=0, n=3):
    """What the network gives for the latents of a seed."""
    net = networks.Net()
    net.load_state_dict(state)
    z = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return (net.eval()(z) * 255).round().to(torch.uint8)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (lambda state: state, "w.pt"),
        (lambda state: {"state_dict": state, "epoch": 3}, "w.pth"),
        (lambda state: {"model": state, "optimizer": {"lr": 0.1}}, "w.ckpt"),
        (lambda state: state, "w.safetensors"),
    ],
)
def test_a_class_with_weights_gives_what_the_network_gives(form, name, weights):
    path, state = weights(form, name)
    sampler = load_sampler(f"{MODULE}:Net", weights=path, **OPTIONS)
    assert sampler.name == "Net"
    assert torch.equal(sampler.sample(3, seed=0), expected(state))
    assert not torch.equal(sampler.sample(3, seed=1), expected(state))


def test_arguments_go_to_the_class_or_the_function_that_makes_it(weights):
    path, _ = weights(hidden=16)
    for attribute in ("Net", "make_net"):
        sampler = load_sampler(f"{MODULE}:{attribute}", weights=str(path), args={"hidden": 16}, **OPTIONS)
        assert sampler.sample(3, seed=0).shape == (3, *networks.SHAPE)


def test_every_part_is_in_eval_mode_for_the_call_and_in_its_own_after_it():
    net = networks.Net().train()
    net.layers[1].eval()
    modes = [part.training for part in net.modules()]
    running = net.layers[1].running_mean.clone()
    sampler = load_sampler(net, **OPTIONS)
    first = sampler.sample(4, seed=0)
    assert torch.equal(sampler.sample(4, seed=0), first)  # no dropout
    assert [part.training for part in net.modules()] == modes
    assert torch.equal(net.layers[1].running_mean, running)
    assert torch.is_grad_enabled()
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_modes_are_restored_after_an_error():
    net = networks.Broken().train()
    sampler = load_sampler(net, **OPTIONS)
    with pytest.raises(SampleError, match=r"Broken: raised RuntimeError in .*networks.py, line \d+ \(no memory left\)"):
        sampler.sample(4, seed=0)
    assert net.training


def test_a_network_that_draws_by_itself_is_reproducible():
    sampler = load_sampler(networks.Noisy(), event_shape=networks.SHAPE, latent="20", value_range=(0, 1))
    torch.manual_seed(1)
    first = sampler.sample(4, seed=0)
    torch.manual_seed(2)
    assert torch.equal(sampler.sample(4, seed=0), first)


def test_a_network_with_a_sample_method_needs_no_latents():
    net = networks.WithSample().train()
    sampler = load_sampler(net, event_shape=networks.SHAPE, value_range=(0, 1))
    rng = torch.Generator().manual_seed(0)
    expected = (torch.rand(50, *networks.SHAPE, generator=rng) * 255).round().to(torch.uint8)
    assert torch.equal(sampler.sample(50, seed=0), expected)  # dropout would make half of them 0
    assert net.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if "0.w" not in k}, "tensors 1 missing (layers.0.weight)"),
        (lambda s: {**s, "x": torch.zeros(1)}, "tensors 1 unexpected (x)"),
        (lambda s: {**s, "layers.3.bias": torch.zeros(3)}, "tensors 1 of another shape (layers.3.bias)"),
        (
            lambda s: {f"module.{k}": v for k, v in s.items()},
            "9 missing (layers.0.weight, layers.0.bias, layers.1.weight, ...), 9 unexpected (module.layers.0.weight",
        ),
        (lambda s: list(s.values()), "a state dict, or a dict with one under state_dict or model, expected, got list"),
        (lambda s: {"state_dict": 3}, "expected, got dict"),
    ],
)
def test_weights_of_another_network_are_one_clear_error(change, message, weights, refusal):
    path, _ = weights(change)
    assert message in refusal(SampleError, f"{MODULE}:Net", weights=path, latent="4", value_range=(0, 1))


def test_weights_are_data_and_never_code(tmp_path, refusal):
    options = {"latent": "4", "value_range": (0, 1)}
    bomb = Bomb(tmp_path / "executed")
    torch.save({"state_dict": bomb}, tmp_path / "w.pt")
    assert "never are" in refusal(SampleError, f"{MODULE}:Net", weights=tmp_path / "w.pt", **options)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(bomb))
    assert "file of torch.save" in refusal(SampleError, f"{MODULE}:Net", weights=tmp_path / "w.pkl", **options)
    assert not (tmp_path / "executed").exists()
    assert "does not exist" in refusal(UsageError, f"{MODULE}:Net", weights=tmp_path / "none.pt", **options)


@pytest.mark.parametrize(
    ("text", "latent"),
    [
        ("128", Latent((128,), "normal")),
        ("128:normal", Latent((128,), "normal")),
        ("3x8x8:uniform", Latent((3, 8, 8), "uniform")),
    ],
)
def test_latents_are_declared_by_shape_and_distribution(text, latent):
    assert parse_latent(text, who="net") == latent


@pytest.mark.parametrize(
    "text", ["", "0", "8x", "x8", "8:gauss", "8:", "-3", "8 normal", "8x8x8x8x8x8x8x8x8", "٣", "1e3"]
)
def test_other_declarations_are_refused(text):
    with pytest.raises(UsageError, match="net: latents"):
        parse_latent(text, who="net")


def test_latents_follow_their_distribution():
    """10,000 values each: means within 6 deviations, and uniform ones inside [-1, 1] with both ends reached."""
    normal = Latent((10,), "normal").draw(1000, seed=0)
    uniform = Latent((2, 5), "uniform").draw(1000, seed=0)
    assert uniform.shape == (1000, 2, 5)
    assert abs(float(normal.mean())) < 0.06
    assert abs(float(normal.std()) - 1) < 0.05
    assert abs(float(uniform.mean())) < 6 / np.sqrt(3 * 10_000)
    assert -1 <= float(uniform.min()) < -0.99
    assert 0.99 < float(uniform.max()) <= 1
    assert torch.equal(Latent((10,)).draw(5, seed=1), Latent((10,)).draw(5, seed=1))
