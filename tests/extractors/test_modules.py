"""A network of the user's: declared input, named layers, frozen, and every way to hand one in."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from genbench.errors import DeclarationError, SampleError, SetupError, UnknownNameError, UsageError
from genbench.extractors.identity import Identity
from genbench.extractors.modules import ModuleExtractor, as_extractor
from genbench.extractors.projection import pca
from genbench.protocols import FeatureExtractor
from genbench.registry import EXTRACTORS
from tests.extractors.networks import CPU, fill, pictures, row_error, save_state


class Net(nn.Module):
    """A small classifier with the usual parts, and a few that only training mode moves."""

    def __init__(self, channels=3, width=6, classes=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(width, classes))

    def forward(self, x):
        return self.head(self.pool(self.body(x)).flatten(1))


class TwoOutputs(nn.Module):
    def forward(self, x):
        return x.flatten(1), x


LAYERS = {"pool": "pool", "logits": "head", "maps": "body.0"}
OPTIONS = {"value_range": (0, 1), "layers": LAYERS}


@pytest.fixture
def net():
    return fill(Net())


@pytest.fixture(scope="module")
def images():
    return pictures(70, size=8, seed=0)


def extractor(module, shape=(3, 8, 8), **options):
    return ModuleExtractor(module, name="net", event_shape=shape, device=CPU, **{**OPTIONS, **options})


def test_layers_are_the_modules_own(net, images):
    made = extractor(net)
    found = made.extract(images)
    net.eval()
    with torch.no_grad():
        x = images.float() / 255
        maps = net.body[0](x)
        pool = net.pool(net.body(x)).flatten(1)
        expected = {"pool": pool, "logits": net(x), "maps": maps.mean(dim=(2, 3))}
    assert made.layers == {"pool": 6, "logits": 4, "maps": 6}
    assert found.keys() == expected.keys()
    for layer, table in expected.items():
        assert row_error(found[layer], table) < 1e-5  # float32 in other blocks
    assert isinstance(made, FeatureExtractor)


def test_plain_output_is_the_pool_layer(net, images):
    made = extractor(net, layers=None)
    assert made.layers == {"pool": 4}
    assert torch.equal(made.extract(images)["pool"], extractor(net).extract(images)["logits"])
    assert extractor(net, layers={"pool": "pool", "out": ""}).layers == {"pool": 6, "out": 4}
    assert extractor(net, layers=["head"]).layers == {"pool": 4, "head": 4}


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batch_moves_a_row_by_less_than_a_millionth(net, images, batch):
    made = extractor(net)
    whole = made.extract(images)
    parts = [made.extract(part) for part in images.split(batch)]
    for layer, table in whole.items():
        assert row_error(torch.cat([part[layer] for part in parts]), table) < 1e-6


def test_module_is_copied_frozen_and_left_as_it_was(net, images):
    net.train()
    made = extractor(net)
    before = made.extract(images)["pool"]
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    with torch.no_grad():
        net.body[0].weight.zero_()
    assert torch.equal(made.extract(images)["pool"], before)
    assert not made.network.module.training
    assert not any(p.requires_grad for p in made.network.module.parameters())


def test_value_ranges(net, images):
    x = images.double() / 255
    for declared, low, high in (((0, 1), 0, 1), ("-1,1", -1, 1), ([0, 255], 0, 255)):
        made = extractor(net, value_range=declared)
        expected = low + x * (high - low)
        assert (made.contract.prepare(images) - expected).abs().max() < 1e-6 * 255
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    found = extractor(net, value_range="imagenet").contract.prepare(images)
    assert (found - (x - mean) / std).abs().max() < 1e-5


@pytest.mark.parametrize("declared", [None, (1, 0), (0,), "0..1", 1, "Imagenet", ("a", "b")])
def test_range_is_declared_and_never_guessed(net, declared):
    with pytest.raises(DeclarationError, match="declare the values that the network was trained on"):
        extractor(net, value_range=declared)


def test_images_are_resized_with_antialiasing(net):
    stripes = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    stripes[..., ::2] = 255
    small = extractor(net, shape=(3, 16, 16), size=4).contract.prepare(stripes)
    assert small.shape == (1, 3, 4, 4)
    assert (small - 0.5).abs().max() < 0.1  # without antialiasing it would pick single stripes
    assert extractor(net, size=8).contract.prepare(stripes[..., :8, :8]).shape[2:] == (8, 8)


def test_grey_images_are_repeated_only_if_declared(net, images):
    grey = images[:, :1].contiguous()
    made = extractor(net, shape=(1, 8, 8), channels=3)
    expected = extractor(net).extract(grey.expand(-1, 3, -1, -1).contiguous())
    assert torch.equal(made.extract(grey)["pool"], expected["pool"])
    with pytest.raises(DeclarationError, match="declare the size and the channels"):
        extractor(net, shape=(1, 8, 8))
    with pytest.raises(DeclarationError, match="only grey images"):
        extractor(fill(Net(channels=1)), channels=1)


def test_vectors_go_in_as_they_are():
    linear = fill(nn.Linear(5, 3))
    vectors = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    made = ModuleExtractor(linear, name="net", event_shape=(5,), device=CPU)
    assert row_error(made.extract(vectors)["pool"], linear(vectors).detach()) < 1e-6
    with pytest.raises(DeclarationError, match="are for images"):
        ModuleExtractor(linear, name="net", event_shape=(5,), device=CPU, value_range=(0, 1))


def test_samples_of_another_kind_are_refused(net, images):
    made = extractor(net)
    for samples in (images.float(), images[:, :1], images[:0]):
        with pytest.raises(SampleError, match="uint8 samples of shape"):
            made.extract(samples)


def test_weights_file_fills_the_module(net, images, tmp_path):
    file = save_state(net.state_dict(), tmp_path / "net.pt")
    made = extractor(Net(), weights=file.path, sha256=file.sha256)
    assert torch.equal(made.extract(images)["pool"], extractor(net).extract(images)["pool"])
    assert made.fingerprint == extractor(net).fingerprint
    with pytest.raises(SetupError, match=r"sha256 0{64} expected, got"):
        extractor(Net(), weights=file.path, sha256=64 * "0")
    with pytest.raises(SetupError, match="are not of this network"):
        extractor(Net(width=5), weights=file.path)
    with pytest.raises(DeclarationError, match="name it too"):
        extractor(net, sha256=file.sha256)


def test_fingerprint_covers_tensors_layers_and_declared_input(net):
    base = extractor(net).fingerprint
    assert extractor(net).fingerprint == base
    changed = [{"value_range": (-1, 1)}, {"layers": {"pool": "pool"}}, {"size": 8}, {"value_range": "imagenet"}]
    prints = {extractor(net, **options).fingerprint for options in changed}
    assert len(prints | {base}) == 5
    with torch.no_grad():
        net.body[1].running_mean[0] += 1e-3
    assert extractor(net).fingerprint != base


def test_layer_that_mixes_samples_is_refused():
    class Mixing(nn.Module):
        def forward(self, x):
            return x.flatten(1) - x.flatten(1).mean(dim=0)

    with pytest.raises(DeclarationError, match="depends on the other samples"):
        extractor(Mixing(), layers=None)


@pytest.mark.parametrize(
    ("module", "layers", "told"),
    [
        (Net(), {"pool": "boddy"}, "no submodule 'boddy'; it has body, body.0"),
        (Net(), ["body.0"], "a layer's name has no dots"),
        (Net(), "head", "a table or a list of submodules"),
        (nn.Sequential(nn.Flatten(0)), None, "should give floats of shape"),
        (nn.LSTM(8, 2), None, "the network fails on samples of shape"),
        (TwoOutputs(), None, "got tuple for n = 3"),
    ],
)
def test_layers_that_are_none_are_refused(module, layers, told):
    with pytest.raises(DeclarationError, match=told):
        extractor(module, layers=layers)


def test_submodule_that_is_never_run_is_refused(net):
    net.unused = nn.Linear(2, 2)
    with pytest.raises(DeclarationError, match="takes no part in the forward pass"):
        extractor(net, layers={"pool": "unused"})


def open_door(found, options=None, shape=(3, 8, 8), reference=None):
    return as_extractor(found, name="mine", event_shape=shape, device=CPU, options=options, reference=reference)


def make_net(width=6):
    return fill(Net(width=width))


def test_class_factory_and_instance_of_a_module(net, images):
    for found in (Net, make_net, net):
        made = open_door(found, OPTIONS)
        assert made.name == "mine"
        assert made.layers["pool"] == 6
        assert made.extract(images)["pool"].shape == (70, 6)
    assert open_door(Net, {**OPTIONS, "args": {"width": 9}}).layers["pool"] == 9


def test_random_start_of_a_class_is_the_same_every_time_and_leaves_the_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = open_door(Net, OPTIONS)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert open_door(Net, OPTIONS).fingerprint == first.fingerprint


def test_extractor_factories_get_what_they_name():
    assert isinstance(open_door(Identity), Identity)
    data = pictures(30, size=8, seed=1)
    made = open_door(pca, {"dims": 3}, reference=data)
    assert made.layers == {"pool": 3}
    assert made.fingerprint == pca(event_shape=(3, 8, 8), device=CPU, reference=data, dims=3).fingerprint


def test_finished_extractor_passes_through():
    made = Identity(event_shape=(3, 8, 8), device=CPU)
    assert open_door(made) is made
    assert open_door(lambda: made) is made


def test_every_registered_extractor_goes_through_the_door():
    made = as_extractor(EXTRACTORS.load("digits-cnn"), name="digits-cnn", event_shape=(1, 8, 8), device=CPU)
    assert made.layers == {"pool": 64, "logits": 10}


@pytest.mark.parametrize(
    ("found", "options", "told"),
    [
        (Identity, {"dims": 3}, "unknown option of extractor mine 'dims'"),
        (pca, {"dim": 3}, "Did you mean 'dims'"),
        (pca, {"device": "cpu"}, "unknown option of extractor mine 'device'"),
        (Net, {"value_rnage": (0, 1)}, "Did you mean 'value_range'"),
        (Net, {"args": {"widht": 3}}, "Did you mean 'width'"),
        (Net, {"module": 3}, "unknown option of extractor mine 'module'"),
        (lambda: Identity(event_shape=(3, 8, 8), device=CPU), {"size": 3}, "unknown option of extractor mine 'size'"),
    ],
)
def test_unknown_options_are_refused_by_name(found, options, told):
    with pytest.raises(UnknownNameError, match=told):
        open_door(found, options)


def needs_weights(*, event_shape, device, weights):
    return Identity(event_shape=event_shape, device=device)


def test_option_without_a_default_is_asked_for():
    with pytest.raises(DeclarationError, match="'mine' needs the option 'weights'"):
        open_door(needs_weights)
    assert isinstance(open_door(needs_weights, {"weights": "w"}), Identity)


@pytest.mark.parametrize("found", [3, "text", list, lambda: 3, Identity(event_shape=(3, 8, 8), device=CPU).layers])
def test_other_objects_are_refused(found):
    with pytest.raises(DeclarationError, match=r"expected, got|cannot be read"):
        open_door(found)


def test_module_by_name_from_the_current_folder(tmp_path, monkeypatch, images):
    (tmp_path / "a_users_module.py").write_text(
        "from torch import nn\nclass Flat(nn.Module):\n    def forward(self, x):\n        return x.flatten(1)\n"
    )
    monkeypatch.chdir(tmp_path)
    made = open_door(EXTRACTORS.load("a_users_module:Flat"), {"value_range": [0, 255]})
    np.testing.assert_array_equal(made.extract(images)["pool"].numpy(), images.flatten(1).float().numpy())


def test_errors_are_of_usage_and_digests_of_bytes(net, tmp_path):
    file = save_state(net.state_dict(), tmp_path / "net.pt")
    assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    with pytest.raises(UsageError, match="64 hexadecimal"):
        extractor(Net(), weights=file.path, sha256="abc")
