"""Python code as a generator: what it is, is decided by its signature, and what it returns is checked."""

import numpy as np
import pytest
import torch

from genbench.errors import DeclarationError, SampleError, UsageError
from genbench.load import load_sampler
from genbench.protocols import Sampler
from genbench.sampling.blocks import FiniteSampler, draw_samples
from tests.sampling import networks

SHAPE = networks.SHAPE
MODULE = "tests.sampling.networks"


def drawn(source, n=5, seed=3, event_shape=SHAPE, **options):
    sampler = load_sampler(source, event_shape=event_shape, **options)
    assert isinstance(sampler, Sampler)
    return sampler.sample(n, seed=seed)


EXPECTED = networks.images(5, seed=3)


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("images", "images"),
        ("plain_seed", "plain_seed"),
        ("Model", "my-model"),
        ("Unnamed", "Unnamed"),
        ("model", "my-model"),
    ],
)
def test_functions_classes_and_objects_are_taken_by_name_and_as_they_are(attribute, name):
    for source in (f"{MODULE}:{attribute}", getattr(networks, attribute)):
        sampler = load_sampler(source, event_shape=SHAPE)
        assert sampler.name == name
        samples = sampler.sample(5, seed=3)
        assert samples.dtype == torch.uint8
        np.testing.assert_array_equal(samples.numpy(), EXPECTED)
        assert load_sampler(source, event_shape=SHAPE, name="mine").name == "mine"


@pytest.mark.parametrize("attribute", ["with_level", "make_function", "Model"])
def test_arguments_go_to_the_function_or_to_what_makes_it(attribute):
    samples = drawn(f"{MODULE}:{attribute}", args={"level": 7})
    np.testing.assert_array_equal(samples.numpy(), EXPECTED // 7)


def test_a_function_with_defaults_only_is_a_function_of_n_or_a_factory_by_its_first_name():
    def function(n=3, seed=0):
        return networks.images(n, seed=seed)

    def factory(layers=3, seed=0):
        assert (layers, seed) == (3, 0)
        return networks.images

    for source in (function, factory):
        np.testing.assert_array_equal(drawn(source).numpy(), EXPECTED)


def test_nothing_is_called_to_find_out_what_it_is():
    calls = []

    def function(n, *, seed):
        calls.append((n, seed))
        return networks.images(n, seed=seed)

    sampler = load_sampler(function, event_shape=SHAPE)
    assert calls == []
    sampler.sample(2, seed=9)
    assert calls == [(2, 9)]


@pytest.mark.parametrize(
    ("attribute", "options", "message"),
    [
        ("number", {}, "got int."),
        ("NoSeed", {}, "sample(n, *, seed) expected, got sample(n)"),
        ("images", {"args": {"hidden": 3}}, "nn.Module with latents declared"),
        ("make_function", {}, "got make_function(level)."),
        ("Model", {"args": {"width": 3}}, "Model: arguments (level=1, *, seed=0) expected, got width"),
        ("model", {"args": {"level": 3}}, "takes no arguments, got level"),
        ("images", {"weights": "w.pt"}, "weights and latents are for an nn.Module"),
        ("Model", {"latent": "4"}, "weights and latents are for an nn.Module"),
        ("NoClasses", {}, "takes labels, so an attribute classes, their number, is expected, got None"),
        ("Net", {}, "needs the latents that it maps to samples; declare them with --latent"),
    ],
)
def test_what_cannot_be_a_generator_is_told_which_forms_can(attribute, options, message, refusal):
    assert message in refusal(UsageError, f"{MODULE}:{attribute}", **options)


def test_what_a_factory_returns_is_held_to_the_same_forms(refusal):
    assert "got int, which it returned" in refusal(UsageError, lambda: 3)
    assert "which it returned" in refusal(UsageError, lambda: lambda: networks.images)


@pytest.mark.parametrize(
    ("attribute", "options", "message"),
    [
        ("fails", {}, "fails: raised KeyError in "),
        ("factory_fails", {"args": {"path": "x.pt"}}, "factory_fails: raised FileNotFoundError in "),
    ],
)
def test_an_exception_of_the_users_code_is_one_sentence_that_says_where(attribute, options, message):
    with pytest.raises(SampleError) as caught:
        drawn(f"{MODULE}:{attribute}", **options)
    assert message in str(caught.value)
    assert "networks.py, line " in str(caught.value)
    assert caught.value.__cause__ is not None


def test_what_is_returned_is_checked_and_converted(refusal):
    samples = drawn(f"{MODULE}:floats", value_range=(0, 1))
    expected = np.rint(networks.floats(5, seed=3) * 255).astype(np.uint8).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(samples.numpy(), expected)
    for attribute, kind, message, options in (
        ("floats", UsageError, "[0, 1] or [-1, 1]? pass --value-range", {}),
        ("floats", SampleError, "in the declared layout NCHW", {"layout": "NCHW"}),
        ("text", SampleError, "a torch tensor or a numpy array expected, got list", {}),
        ("vectors", SampleError, "expected, got shape (5, 2)", {}),
    ):
        with pytest.raises(kind) as caught:
            drawn(f"{MODULE}:{attribute}", **options)
        assert message in str(caught.value)
        assert str(caught.value).startswith(attribute)


def test_vectors_become_float32():
    samples = drawn(f"{MODULE}:vectors", event_shape=(2,))
    assert samples.dtype == torch.float32
    np.testing.assert_array_equal(samples.numpy(), networks.vectors(5, seed=3).astype(np.float32))


def test_a_tensor_with_history_on_another_layout_is_taken():
    def function(n, *, seed):
        return (torch.rand(n, 5, 4, 1, requires_grad=True) * 1).transpose(1, 2).transpose(1, 3).transpose(2, 3)

    assert drawn(function, value_range=(0, 1)).shape == (5, *SHAPE)


@pytest.mark.parametrize(
    "found", [torch.zeros(2, 1, 4, 5, dtype=torch.complex64), torch.tensor(3.0), np.zeros((2, 20), "U1")]
)
def test_what_is_no_array_of_numbers_is_refused(found):
    with pytest.raises(SampleError):
        drawn(lambda n, seed: found)


def test_bfloat16_is_taken():
    assert drawn(lambda n, seed: torch.ones(n, *SHAPE, dtype=torch.bfloat16), value_range=(0, 1)).min() == 255


def test_a_finite_object_is_drawn_row_by_row():
    sampler = load_sampler(f"{MODULE}:Finite", event_shape=SHAPE)
    assert isinstance(sampler, FiniteSampler)
    assert (sampler.name, len(sampler)) == ("held", 10)
    held = networks.images(10, seed=0)
    np.testing.assert_array_equal(sampler.rows(np.array([7, 2])).numpy(), held[[7, 2]])
    everything = draw_samples(sampler, 10, seed=0, event_shape=SHAPE).numpy()
    assert sorted(map(bytes, everything)) == sorted(map(bytes, held))


def test_a_conditional_generator_says_its_classes_and_gets_its_labels():
    sampler = load_sampler(f"{MODULE}:Conditional", event_shape=SHAPE)
    assert sampler.classes == 3
    samples = sampler.sample(3, seed=0, labels=torch.tensor([2, 0, 1]))
    assert samples[:, 0, 0, 0].tolist() == [2, 0, 1]


def test_a_conditional_function_carries_its_classes():
    def function(n, *, seed, labels):
        return networks.Conditional().sample(n, seed=seed, labels=labels)

    function.classes = 3
    assert load_sampler(function, event_shape=SHAPE).classes == 3
    assert not hasattr(load_sampler(networks.images, event_shape=SHAPE), "classes")


def test_global_generators_of_torch_are_seeded_inside_and_untouched_outside():
    def function(n, *, seed):
        return torch.rand(n, *SHAPE)

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = drawn(function, value_range=(0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(drawn(function, value_range=(0, 1)), first)
    assert not torch.equal(drawn(function, seed=4, value_range=(0, 1)), first)


def test_a_module_that_does_not_exist_or_fails_is_named(tmp_path, monkeypatch, refusal):
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')\n")
    monkeypatch.chdir(tmp_path)
    assert "cannot import 'no.such:thing'" in refusal(DeclarationError, "no.such:thing")
    assert "cannot import" in refusal(DeclarationError, f"{MODULE}:nothing")
    assert "broken:x: cannot be imported (RuntimeError: not today)" in refusal(DeclarationError, "broken:x")
