"""Diffusers pipelines: trusted by name and revision, and drawn so that memory changes no sample."""

import sys
import types

import numpy as np
import pytest
import torch

from genbench.errors import SampleError, SetupError, UsageError
from genbench.load import load_sampler

SHAPE = (3, 4, 5)


class Pipeline:
    """As much of a pipeline as genbench uses."""

    def to(self, device):
        return self

    def set_progress_bar_config(self, *, disable):
        assert disable

    def __call__(self, batch_size=1, generator=None, num_inference_steps=10, output_type="pil"):
        assert output_type == "np"
        assert len(generator) == batch_size <= 8
        images = [torch.rand(4, 5, 3, generator=g) * 1.2 - 0.1 for g in generator]
        return types.SimpleNamespace(images=torch.stack(images).numpy() * num_inference_steps / 10)


class Prompted(Pipeline):
    def __call__(self, prompt, generator=None, output_type="pil"):
        assert prompt == ["a cat"] * len(generator)
        return Pipeline()(len(generator), generator, output_type=output_type)


@pytest.fixture
def diffusers(monkeypatch):
    """Stand in for the package, and write down what is asked of it."""

    class DiffusionPipeline:
        asked = ()
        made = Pipeline

        @classmethod
        def from_pretrained(cls, name, **options):
            cls.asked.append((name, options))
            if name == "org/missing":
                raise OSError("no such\nmodel")
            return cls.made()

    for variable in ("HF_HUB_OFFLINE", "GENBENCH_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    DiffusionPipeline.asked = []
    monkeypatch.setitem(sys.modules, "diffusers", types.SimpleNamespace(DiffusionPipeline=DiffusionPipeline))
    return DiffusionPipeline


@pytest.fixture
def pipeline_folder(tmp_path):
    path = tmp_path / "my-pipeline"
    path.mkdir()
    (path / "model_index.json").write_text("{}")
    return path


def test_a_pipeline_gives_images_each_from_a_seed_of_its_own(diffusers):
    sampler = load_sampler("hf:org/ddpm-1.0@0a1b2c", event_shape=SHAPE, trust_code=True)
    assert sampler.name == "ddpm-1.0"
    assert diffusers.asked == [("org/ddpm-1.0", {"revision": "0a1b2c", "local_files_only": False})]
    samples = sampler.sample(20, seed=0)
    assert samples.dtype == torch.uint8
    assert samples.shape == (20, *SHAPE)
    assert torch.equal(sampler.sample(3, seed=0), samples[:3])
    assert len(np.unique(samples.numpy().reshape(20, -1), axis=0)) == 20


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "GENBENCH_OFFLINE"])
def test_offline_is_honoured(variable, diffusers, monkeypatch, refusal):
    monkeypatch.setenv(variable, "1")
    load_sampler("hf:org/name@main", event_shape=SHAPE, trust_code=True)
    assert diffusers.asked[0][1]["local_files_only"] is True
    message = refusal(SetupError, "hf:org/missing@main", SHAPE, trust_code=True)
    assert "(offline: only what was downloaded before is found): OSError, no such model" in message


def test_a_folder_is_read_without_the_network(diffusers, pipeline_folder):
    sampler = load_sampler(pipeline_folder, event_shape=SHAPE, trust_code=True, name="mine")
    assert sampler.name == "mine"
    assert diffusers.asked == [(str(pipeline_folder), {"local_files_only": True})]


def test_without_trust_it_is_refused(diffusers, pipeline_folder, refusal):
    for source in ("hf:org/name@main", pipeline_folder):
        message = refusal(UsageError, source, SHAPE)
        assert "is a program (a diffusers pipeline)" in message
    assert diffusers.asked == []


@pytest.mark.parametrize("source", ["hf:org/name", "hf:name@main", "hf:org/name@", "hf:", "hf:org/na me@main"])
def test_a_revision_is_required(source, refusal):
    assert "hf:org/name@revision expected" in refusal(UsageError, source, SHAPE, trust_code=True)


def test_arguments_go_to_every_call(diffusers, refusal):
    options = {"event_shape": SHAPE, "trust_code": True}
    dark = load_sampler("hf:org/name@main", args={"num_inference_steps": 1}, **options).sample(4, seed=0)
    assert dark.max() <= 28
    message = refusal(UsageError, "hf:org/name@main", SHAPE, trust_code=True, args={"steps": 1})
    assert "takes no argument 'steps'; it takes batch_size, generator, num_inference_steps" in message


def test_a_pipeline_that_needs_a_prompt_gets_it_or_says_so(diffusers, refusal):
    diffusers.made = Prompted
    options = {"event_shape": SHAPE, "trust_code": True}
    sampler = load_sampler("hf:org/name@main", args={"prompt": "a cat"}, **options)
    assert sampler.sample(3, seed=0).shape == (3, *SHAPE)
    assert "needs a prompt; pass --arg prompt=" in refusal(UsageError, "hf:org/name@main", SHAPE, trust_code=True)


def test_images_of_another_size_are_refused(diffusers):
    sampler = load_sampler("hf:org/name@main", event_shape=(3, 8, 8), trust_code=True)
    with pytest.raises(SampleError, match=r"shape \(n, 8, 8, 3\), expected, got shape \(2, 4, 5, 3\)"):
        sampler.sample(2, seed=0)


def test_what_has_no_meaning_for_it_is_refused(diffusers, refusal):
    for options in ({"latent": "4"}, {"value_range": (0, 1)}, {"layout": "NHWC"}, {"weights": "w.pt"}):
        assert "has no use for" in refusal(UsageError, "hf:org/name@main", SHAPE, trust_code=True, **options)
    assert "image files give events" in refusal(UsageError, "hf:org/name@main", (2,), trust_code=True)


def test_a_missing_extra_is_named(monkeypatch, refusal):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    message = refusal(SetupError, "hf:org/name@main", SHAPE, trust_code=True)
    assert 'needs the "hf" extra: pip install "genbench[hf]"' in message


@pytest.mark.filterwarnings("ignore")
def test_a_real_pipeline_saved_to_a_folder_is_drawn(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    network = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    pipeline = diffusers.DDPMPipeline(network, diffusers.DDPMScheduler(num_train_timesteps=10))
    pipeline.save_pretrained(tmp_path / "ddpm")
    sampler = load_sampler(tmp_path / "ddpm", event_shape=(3, 8, 8), trust_code=True, args={"num_inference_steps": 2})
    samples = sampler.sample(10, seed=0)
    assert samples.shape == (10, 3, 8, 8)
    assert torch.equal(sampler.sample(10, seed=0), samples)
    assert int((sampler.sample(4, seed=0).int() - samples[:4].int()).abs().max()) <= 1  # sums in another order
    assert not torch.equal(sampler.sample(10, seed=1), samples)
