"""torch-fidelity's networks: its own features, its defects routed around, and no weights but those that were named."""

import functools
import hashlib
import re
import subprocess
import sys
import textwrap
import warnings
from importlib.metadata import version

import pytest
import torch
from torch import nn

from genbench.errors import DeclarationError, SampleError, SetupError, UnknownNameError
from genbench.extractors import fidelity
from genbench.extractors.fidelity import CLIP_VIT_B_32, INCEPTION_V3, VGG16, fingerprint
from genbench.extractors.fidelity_catalogue import NETWORKS
from genbench.protocols import FeatureExtractor
from tests.extractors.networks import CPU, fill, pictures, row_error, save_state

INCEPTION_WIDTHS = {"64": 64, "192": 192, "768": 768, "pool": 2048, "logits": 1008, "logits-biased": 1008}
N = 8


@pytest.fixture(autouse=True)
def no_weights_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("GENBENCH_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def images():
    return pictures(N, seed=0)


@pytest.fixture(scope="module")
def inception(inception_file):
    return INCEPTION_V3(event_shape=(3, 32, 32), device=CPU, layers=list(INCEPTION_WIDTHS), **inception_file.declared)


@pytest.fixture(scope="module")
def features(inception, images):
    return inception.extract(images)


def early(file, **options):
    """The cheap first part of the network."""
    options = {"event_shape": (3, 32, 32), "layers": ["64"], **file.declared, **options}
    return INCEPTION_V3(device=CPU, **options)


def own_features(file, names, images, **options):
    """What torch-fidelity's own extractor gives for a batch."""
    from torch_fidelity.utils import create_feature_extractor

    network = create_feature_extractor(
        "inception-v3-compat",
        names,
        cuda=False,
        verbose=False,
        feature_extractor_weights_path=str(file.path),
        **options,
    )
    with torch.no_grad():
        return dict(zip(names, network(images), strict=True))


def test_features_are_torch_fidelitys(inception_file, features, images):
    """Float32 through 94 layers, summed in another order for another batch: 5e-7 of a row's length was measured."""
    names = NETWORKS["inception-v3"].layers
    expected = own_features(inception_file, list(names.values()), images)
    for layer, theirs in names.items():
        assert features[layer].dtype == torch.float32
        assert row_error(features[layer], expected[theirs]) < 1e-6


def test_layers_and_protocol(inception, features):
    assert isinstance(inception, FeatureExtractor)
    assert inception.layers == INCEPTION_WIDTHS
    assert {layer: table.shape for layer, table in features.items()} == {k: (N, w) for k, w in INCEPTION_WIDTHS.items()}
    assert not any(table.requires_grad for table in features.values())


def test_logits_are_those_without_bias(inception, features):
    bias = inception.network.fc.bias
    assert row_error(features["logits-biased"], features["logits"] + bias) < 1e-6
    assert bias.abs().max() > 1e-3


@pytest.mark.parametrize("batch", [1, 7])
def test_batch_changes_no_bit(inception, features, images, batch):
    """Against all at once: the network always takes four images at a time, filled up where there are fewer."""
    parts = [inception.extract(part) for part in images.split(batch)]
    for layer, whole in features.items():
        assert torch.equal(torch.cat([part[layer] for part in parts]), whole)


def test_batch_of_64_agrees_with_single_images(inception_file):
    images = pictures(64, seed=5)
    extractor = early(inception_file)
    whole = extractor.extract(images)["64"]
    for row in (0, 31, 63):
        assert torch.equal(extractor.extract(images[row : row + 1])["64"], whole[row : row + 1])


def test_every_image_goes_through_the_network_once(inception_file, images):
    extractor = early(inception_file)
    seen = []
    extractor.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    extractor.extract(images)
    assert sum(seen) == N


def test_only_the_layers_asked_for_are_computed(inception_file):
    extractor = early(inception_file)
    assert extractor.extract(pictures(1, seed=0)).keys() == {"64"}
    assert list(extractor.network.stages) == ["64"]
    both = early(inception_file, layers=["192", "64"])
    assert list(both.layers) == ["64", "192"]
    assert both.fingerprint == extractor.fingerprint


def test_grey_images_are_repeated_to_three_channels(inception_file):
    grey = pictures(3, seed=1, channels=1)
    found = early(inception_file, event_shape=(1, 32, 32)).extract(grey)["64"]
    assert torch.equal(found, early(inception_file).extract(grey.expand(-1, 3, -1, -1))["64"])


@pytest.mark.parametrize("shape", [(2,), (2, 32, 32), (4, 32, 32), (32, 32), (32, 32, 3)])
def test_other_events_are_refused_before_weights_are_looked_for(shape):
    with pytest.raises(DeclarationError, match=re.escape(f"got events of shape {shape}")):
        INCEPTION_V3(event_shape=shape, device=CPU)


def test_samples_of_another_kind_are_refused(inception_file, images):
    extractor = early(inception_file)
    for samples in (images.float() / 255, images[:, :1], images[..., 1:], images[:0]):
        with pytest.raises(SampleError, match="uint8 samples of shape"):
            extractor.extract(samples)


def test_samples_are_not_written_to(inception_file, images):
    before = images.clone()
    early(inception_file).extract(images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_missing_weights_never_become_random_ones(name):
    factory = getattr(fidelity, name.upper().replace("-", "_"))
    with pytest.raises(SetupError) as caught:
        factory(event_shape=(3, 32, 32), device=CPU)
    published = NETWORKS[name].published
    for part in (name, published.file, published.sha256, published.url, "--download", "'digits-cnn'", "'pca'"):
        assert part in str(caught.value)


def test_digests_fit_what_names_and_torch_fidelity_say():
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    published = {name: network.published for name, network in NETWORKS.items()}
    assert published["inception-v3"].url == URL_INCEPTION_V3
    for name in ("inception-v3", "vgg16"):
        assert published[name].file.endswith(f"-{published[name].sha256[:8]}.pth")
    clips = {name for name in NETWORKS if name.startswith("clip-")}
    assert clips == set(MODEL_METADATA)
    for name in clips:
        assert (published[name].sha256, published[name].url) == (MODEL_METADATA[name]["hash"], MODEL_URLS[name])
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in published.values())


def test_every_network_of_torch_fidelity_is_here():
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    assert {network.registered for network in NETWORKS.values()} == set(FEATURE_EXTRACTORS_REGISTRY)


def test_declared_file_is_not_the_published_one(inception, inception_file):
    assert inception.published is False
    assert inception.weights_sha256 == inception_file.sha256


def test_file_that_is_not_declared_is_refused(inception_file):
    with pytest.raises(SetupError, match="of the published file expected"):
        INCEPTION_V3(event_shape=(3, 32, 32), device=CPU, weights=inception_file.path)


def test_file_with_the_published_digest_is_the_published_one(inception_file, tmp_path, monkeypatch):
    network = NETWORKS["inception-v3"]
    known = type(network.published)(file="weights.pth", sha256=inception_file.sha256, url="")
    monkeypatch.setenv("GENBENCH_WEIGHTS", str(inception_file.path.parent))
    values = {name: getattr(network, name) for name in network.__slots__} | {"published": known}
    extractor = fidelity.FidelityExtractor(type(network)(**values), event_shape=(3, 9, 9), device=CPU, layers=["64"])
    assert extractor.published is True


def test_fingerprint_names_weights_preprocessing_release_and_precision(inception):
    network = NETWORKS["inception-v3"]
    base = fingerprint(network, 64 * "0", "float32")
    assert inception.fingerprint == fingerprint(network, inception.weights_sha256, "float32")
    assert fingerprint(network, 64 * "1", "float32") != base
    others = {fingerprint(network, 64 * "0", precision) for precision in ("float64", "bf16")}
    others |= {fingerprint(network, 64 * "0", precision, compiled=True) for precision in ("float32", "bf16")}
    assert len(others - {base}) == 4
    assert fingerprint(NETWORKS["vgg16"], 64 * "0", "float32") != base
    text = (
        f"inception-v3-compat of torch-fidelity {version('torch-fidelity')}; weights {64 * '0'}; one channel is "
        "repeated to three; uint8 resized to 299x299 by TensorFlow 1's bilinear interpolation without antialiasing; "
        "(x - 128) / 128; float32"
    )
    assert base == hashlib.sha256(text.encode()).hexdigest()


def test_unknown_layer_and_precision_are_refused(inception_file):
    with pytest.raises(UnknownNameError, match="Did you mean 'logits'"):
        early(inception_file, layers=["logit"])
    with pytest.raises(DeclarationError, match="at least one"):
        early(inception_file, layers=[])
    with pytest.raises(DeclarationError, match="'float32', 'float64' or 'bf16' expected, got 'float16'"):
        early(inception_file, precision="float16")


def test_float64_is_float64(inception_file, images):
    """In release 0.4 torch-fidelity's own option is float32 under that name."""
    double = early(inception_file, precision="float64")
    single = early(inception_file)
    assert {p.dtype for p in double.network.parameters()} == {torch.float64}
    assert double.fingerprint != single.fingerprint
    seen = []
    double.network.stages["64"].register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))
    found, plain = (extractor.extract(images[:2])["64"] for extractor in (double, single))
    assert seen == [torch.float64]
    assert not torch.equal(found, plain)
    assert row_error(found, plain) < 1e-5
    theirs = own_features(inception_file, ["64"], images[:2], feature_extractor_internal_dtype="float64")["64"]
    single_theirs = own_features(inception_file, ["64"], images[:2])["64"]
    assert torch.equal(theirs, single_theirs)  # when this fails, the defect is gone, and the option may be theirs


def test_bfloat16_is_another_space_and_never_goes_by_the_published_name(inception_file, monkeypatch, images):
    """Its features differ by 5e-3 of a row's length, a thousand times the rounding of float32."""
    network = NETWORKS["inception-v3"]
    known = type(network.published)(file="weights.pth", sha256=inception_file.sha256, url="")
    values = {name: getattr(network, name) for name in network.__slots__} | {"published": known}
    monkeypatch.setenv("GENBENCH_WEIGHTS", str(inception_file.path.parent))
    make = functools.partial(
        fidelity.FidelityExtractor, type(network)(**values), event_shape=(3, 32, 32), device=CPU, layers=["64"]
    )
    half, single = make(precision="bf16"), make()
    assert (half.published, single.published) == (False, True)
    assert half.fingerprint != single.fingerprint
    found, plain = (extractor.extract(images)["64"] for extractor in (half, single))
    assert found.dtype == torch.float32
    assert 1e-4 < row_error(found, plain) < 2e-2


def test_compiled_is_another_fingerprint_and_the_same_features(inception_file, images, monkeypatch):
    """By the backend that writes no code; what the real one writes adds in another order, 4e-6 of a row's length."""
    asked = []
    compiler = torch.compile

    def compiled(network, **options):
        asked.append(options)
        return compiler(network, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", compiled)
    plain = early(inception_file)
    assert asked == []
    quick = early(inception_file, compiled=True)
    assert asked == [{"dynamic": False}]
    assert quick.fingerprint != plain.fingerprint
    assert torch.equal(quick.extract(images)["64"], plain.extract(images)["64"])


def test_a_compiler_that_fails_is_a_setup_error(inception_file, monkeypatch):
    def broken(network, **options):
        def run(images):
            raise RuntimeError("no C++ compiler\nand a long trace")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(SetupError, match=r"torch.compile fails on this machine \(no C\+\+ compiler\); leave compiled"):
        early(inception_file, compiled=True)


@pytest.mark.parametrize("batch_size", [None, 64, 1])
def test_a_cpu_takes_four_images_at_a_time_whatever_is_asked_for(inception_file, batch_size):
    """So that the option, as the batch size of the command line, moves no bit."""
    extractor = early(inception_file, batch_size=batch_size)
    seen = []
    extractor.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    extractor.extract(pictures(10, seed=0))
    assert seen == [4, 4, 4]


def test_a_batch_size_below_one_is_refused(inception_file):
    with pytest.raises(DeclarationError, match="batch_size must be at least 1, got 0"):
        early(inception_file, batch_size=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_features_are_those_of_the_cpu_from_samples_on_either_side(inception_file):
    """Float32 on both, in other orders: 5e-7 of a row's length on the CPU; four times the bound is left to kernels."""
    images = pictures(70, seed=0)
    layers = ["64", "pool"]
    expected = INCEPTION_V3(event_shape=(3, 32, 32), device=CPU, layers=layers, **inception_file.declared)
    cuda = torch.device("cuda")
    found = INCEPTION_V3(event_shape=(3, 32, 32), device=cuda, layers=layers, **inception_file.declared)
    here, there = found.extract(images), found.extract(images.to(cuda))
    for layer, values in expected.extract(images).items():
        assert here[layer].device.type == "cpu"
        assert there[layer].device.type == "cuda"
        assert torch.equal(here[layer], there[layer].cpu())
        assert row_error(here[layer], values) < 4e-6


def test_global_random_state_is_not_moved(inception_file):
    before = torch.get_rng_state()
    early(inception_file).extract(pictures(1, seed=0))
    assert torch.equal(torch.get_rng_state(), before)


def test_network_is_frozen_and_on_the_device_asked_for(inception):
    assert not inception.network.training
    assert not any(p.requires_grad for p in inception.network.parameters())
    assert {p.device for p in inception.network.parameters()} == {CPU}


def test_weights_of_another_network_are_a_setup_error(inception_file, tmp_path):
    with pytest.raises(SetupError, match=r"vgg16: the weights in .* are not of this network"):
        VGG16(event_shape=(3, 32, 32), device=CPU, **inception_file.declared)
    other = save_state({"a": torch.ones(1)}, tmp_path / "other.pth")
    for factory in (INCEPTION_V3, CLIP_VIT_B_32, fidelity.DINOV2_VIT_S_14):
        with pytest.raises(SetupError, match="are not of this network"):
            factory(event_shape=(3, 32, 32), device=CPU, **other.declared)


class Payload:
    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return open, (str(self.witness), "w")


@pytest.mark.parametrize("factory", [INCEPTION_V3, VGG16, CLIP_VIT_B_32, fidelity.DINOV2_VIT_S_14])
def test_declared_file_is_never_run(factory, tmp_path):
    file = save_state({"a": Payload(tmp_path / "witness")}, tmp_path / "weights.pth")
    with pytest.raises(SetupError, match="never are"):
        factory(event_shape=(3, 32, 32), device=CPU, **file.declared)
    assert not (tmp_path / "witness").exists()


class SmallVGG(nn.Module):
    """Of VGG16's parts, without its 138 million parameters."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 7, stride=32), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.classifier = nn.Sequential(
            *(nn.Linear(16, 8), nn.ReLU(), nn.Dropout()), *(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 5))
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def test_vgg16_gives_its_second_hidden_layer(tmp_path, monkeypatch, images):
    import torchvision

    monkeypatch.setattr(torchvision.models, "vgg16", SmallVGG)
    network = fill(SmallVGG()).eval()
    file = save_state(network.state_dict(), tmp_path / "vgg.pth")
    extractor = VGG16(event_shape=(3, 32, 32), device=CPU, layers=["pool", "fc2"], **file.declared)
    found = extractor.extract(images)
    assert extractor.layers == {"fc2": 8, "pool": 8}
    assert torch.equal(found["pool"], found["fc2"].relu())
    assert found["fc2"].min() < 0
    resized = nn.functional.interpolate(images.float(), size=(224, 224), mode="nearest")
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    flat = images[:1].float().mean(dim=(2, 3), keepdim=True).to(torch.uint8).expand(1, 3, 32, 32).contiguous()
    pixel = (flat[:, :, :1, :1].float() / 255 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    with torch.no_grad():  # an image of one colour is the same at any size
        expected = network.classifier[:4](network.features(pixel.expand(1, 3, *resized.shape[2:])))
    assert row_error(extractor.extract(flat)["fc2"], expected) < 1e-5


def small_clip():
    """Tensors of a CLIP whose image tower has one block; torch-fidelity reads the sizes off them."""
    from torch_fidelity.feature_extractor_clip import CLIPVisual

    tower = fill(CLIPVisual(16, 64, 1, 64, 32), seed=1)
    half = {name: tensor.half().float() for name, tensor in tower.state_dict().items()}
    text = {"text_projection": torch.zeros(8, 16), "logit_scale": torch.tensor(1.0), "ln_final.weight": torch.ones(4)}
    return {**half, **text}


def test_clip_from_a_state_dict_is_torch_fidelitys_from_an_archive(tmp_path, monkeypatch, images):
    from torch_fidelity.utils import create_feature_extractor

    state = small_clip()
    file = save_state(state, tmp_path / "clip.pt")
    extractor = CLIP_VIT_B_32(event_shape=(3, 32, 32), device=CPU, **file.declared)
    archive = type("Archive", (), {"state_dict": lambda self: dict(state)})()
    monkeypatch.setattr(torch.jit, "load", lambda path, map_location: archive)
    theirs = create_feature_extractor(
        "clip-vit-b-32", ["clip"], cuda=False, verbose=False, feature_extractor_weights_path="archive"
    )
    assert extractor.layers == {"pool": 16}
    with torch.no_grad():
        expected = torch.cat([theirs(image[None])[0] for image in images])
    assert torch.equal(extractor.extract(images)["pool"], expected)


def test_other_networks_in_bfloat16_keep_their_preprocessing(tmp_path, images):
    """Images are resized in float32: in bfloat16 a place in the image would be wrong by pixels. 2**-9 a rounding."""
    file = save_state(small_clip(), tmp_path / "clip.pt")
    make = functools.partial(CLIP_VIT_B_32, event_shape=(3, 32, 32), device=CPU, **file.declared)
    half, single = make(precision="bf16"), make()
    assert half.fingerprint != single.fingerprint
    found, plain = (extractor.extract(images)["pool"] for extractor in (half, single))
    assert found.dtype == torch.float32
    assert 1e-4 < row_error(found, plain) < 3e-2


def test_published_clip_archive_is_opened_as_what_it_is(tmp_path, monkeypatch, images):
    """The published file is a TorchScript archive: its every byte is known, and no other archive is opened."""
    holder = nn.Module()
    for name, tensor in small_clip().items():
        place = holder
        *path, last = name.split(".")
        for part in path:
            if part not in dict(place.named_children()):
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        place.register_buffer(last, tensor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the format that OpenAI's files have
        torch.jit.script(holder).save(tmp_path / "clip.pt")
    digest = hashlib.sha256((tmp_path / "clip.pt").read_bytes()).hexdigest()
    with pytest.raises(SetupError, match=r"got a program \(TorchScript\)"):
        CLIP_VIT_B_32(event_shape=(3, 32, 32), device=CPU, weights=tmp_path / "clip.pt", sha256=digest)
    network = NETWORKS["clip-vit-b-32"]
    known = type(network.published)(file="clip.pt", sha256=digest, url="")
    values = {name: getattr(network, name) for name in network.__slots__} | {"published": known}
    extractor = fidelity.FidelityExtractor(
        type(network)(**values), event_shape=(3, 32, 32), device=CPU, weights=tmp_path / "clip.pt"
    )
    file = save_state(small_clip(), tmp_path / "plain.pt")
    plain = CLIP_VIT_B_32(event_shape=(3, 32, 32), device=CPU, **file.declared)
    assert extractor.published
    assert torch.equal(extractor.extract(images)["pool"], plain.extract(images)["pool"])


def test_torch_fidelity_that_cannot_be_imported_is_a_setup_error(inception_file, tmp_path):
    """With a torchvision built for another torch its import ends in RuntimeError, not ImportError."""
    broken = tmp_path / "torchvision"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    code = f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import torch
        from genbench.errors import SetupError
        from genbench.extractors.fidelity import INCEPTION_V3
        try:
            INCEPTION_V3(event_shape=(3, 8, 8), device=torch.device("cpu"), weights={str(inception_file.path)!r},
                         sha256={inception_file.sha256!r})
        except SetupError as error:
            print(error.exit_code, error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("4 inception-v3: cannot import torch-fidelity (operator torchvision::nms")
    assert "--index-url" in done.stdout


def test_importing_the_factories_imports_neither_torchvision_nor_torch_fidelity():
    code = "import genbench.extractors.fidelity, genbench.extractors.backbones, sys; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not re.search(r"'(torchvision|torch_fidelity|timm)[.']", done.stdout)
