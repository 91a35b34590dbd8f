"""Backbones of torchvision and timm: the model's own layers, the library's preprocessing, no weights from nowhere."""

import pytest
import torch

from genbench.errors import DeclarationError, SetupError, UnknownNameError
from genbench.extractors.backbones import timm_backbone, torchvision_backbone
from genbench.extractors.modules import as_extractor
from tests.extractors.networks import CPU, fill, pictures, row_error, save_state

SHAPE = {"event_shape": (3, 32, 32), "device": CPU}


@pytest.fixture(scope="module")
def images():
    return pictures(3, seed=0)


@pytest.fixture(scope="module")
def resnet():
    from torchvision import models

    with torch.random.fork_rng(devices=[]):
        return fill(models.resnet18(weights=None)).eval()


@pytest.fixture(scope="module")
def resnet_file(resnet, tmp_path_factory):
    return save_state(resnet.state_dict(), tmp_path_factory.mktemp("resnet") / "resnet18.pth")


def backbone(file, **options):
    given = {**SHAPE, "model": "resnet18", "weights": file.path, "variant": "IMAGENET1K_V1", **options}
    return torchvision_backbone(**given)


def test_features_are_torchvisions(resnet, resnet_file, images):
    from torchvision import models

    made = backbone(resnet_file)
    found = made.extract(images)
    x = models.ResNet18_Weights.IMAGENET1K_V1.transforms()(images)
    with torch.no_grad():
        logits = resnet(x)
        resnet.fc, head = torch.nn.Identity(), resnet.fc
        pool = resnet(x)
        resnet.fc = head
    assert made.layers == {"pool": 512, "logits": 1000}
    assert row_error(found["pool"], pool) < 1e-5
    assert row_error(found["logits"], logits) < 1e-5


@pytest.mark.parametrize("batch", [1, 2])
def test_batch_changes_no_bit(resnet_file, images, batch):
    made = backbone(resnet_file)
    whole = made.extract(images)["pool"]
    assert torch.equal(torch.cat([made.extract(part)["pool"] for part in images.split(batch)]), whole)


def test_grey_images_are_repeated(resnet_file):
    grey = pictures(2, seed=1, channels=1)
    found = backbone(resnet_file, event_shape=(1, 32, 32)).extract(grey)["pool"]
    assert torch.equal(found, backbone(resnet_file).extract(grey.expand(-1, 3, -1, -1))["pool"])


def test_variant_of_a_file_that_is_not_torchvisions_must_be_declared(resnet_file):
    with pytest.raises(DeclarationError, match="variant = 'IMAGENET1K_V1'"):
        backbone(resnet_file, variant=None)
    with pytest.raises(UnknownNameError, match="Did you mean 'IMAGENET1K_V1'"):
        backbone(resnet_file, variant="IMAGENET1K_V3")


def test_variant_of_torchvisions_own_file_is_known_by_its_digest(resnet_file, monkeypatch):
    from torchvision import models

    url = f"https://download.pytorch.org/models/resnet18-{resnet_file.sha256[:8]}.pth"
    choice = models.ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(choice, "_value_", type(choice.value)(url, choice.transforms, choice.meta))
    assert backbone(resnet_file, variant=None).fingerprint == backbone(resnet_file).fingerprint


def test_fingerprint_covers_weights_and_preprocessing(resnet, resnet_file, tmp_path):
    base = backbone(resnet_file).fingerprint
    state = resnet.state_dict()
    state["fc.bias"] = state["fc.bias"] + 1e-3
    other = save_state(state, tmp_path / "other.pth")
    assert backbone(other).fingerprint != base


def test_weights_are_needed_and_checked(resnet_file, tmp_path):
    with pytest.raises(DeclarationError, match="needs the option 'weights'"):
        as_extractor(torchvision_backbone, name="torchvision", **SHAPE, options={"model": "resnet18"})
    with pytest.raises(SetupError, match="cannot read the weights file"):
        backbone(resnet_file, weights=tmp_path / "none.pth")
    with pytest.raises(SetupError, match=r"sha256 0{64} expected"):
        backbone(resnet_file, sha256=64 * "0")
    with pytest.raises(SetupError, match="are not of this network"):
        backbone(resnet_file, model="resnet34")


def test_unknown_model_gets_a_suggestion(resnet_file):
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        backbone(resnet_file, model="resnet-18")


def test_model_without_a_linear_layer_is_refused(resnet_file):
    with pytest.raises(DeclarationError, match="does not end in a linear layer"):
        backbone(resnet_file, model="squeezenet1_1")


def test_global_random_state_is_not_moved(resnet_file):
    before = torch.get_rng_state()
    backbone(resnet_file)
    assert torch.equal(torch.get_rng_state(), before)


def test_images_only(resnet_file):
    with pytest.raises(DeclarationError, match="images of shape"):
        backbone(resnet_file, event_shape=(2,))


@pytest.fixture(scope="module")
def timm_net():
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng(devices=[]):
        return fill(timm.create_model("test_resnet.r160_in1k", pretrained=False)).eval()


@pytest.fixture(scope="module")
def timm_file(timm_net, tmp_path_factory):
    return save_state(timm_net.state_dict(), tmp_path_factory.mktemp("timm") / "net.pth")


def test_features_are_timms(timm_net, timm_file, images):
    made = timm_backbone(**SHAPE, model="test_resnet.r160_in1k", weights=timm_file.path)
    found = made.extract(images)
    size = timm_net.pretrained_cfg["input_size"][1]
    flat = torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
    mean = torch.tensor(timm_net.pretrained_cfg["mean"]).view(1, 3, 1, 1)
    std = torch.tensor(timm_net.pretrained_cfg["std"]).view(1, 3, 1, 1)
    x = ((200 / 255 - mean) / std).expand(1, 3, size, size)
    with torch.no_grad():  # an image of one colour is the same at any size
        pool = timm_net.forward_head(timm_net.forward_features(x), pre_logits=True)
        logits = timm_net(x)
    flat_features = made.extract(flat)
    assert made.layers == {"pool": pool.shape[1], "logits": logits.shape[1]}
    assert row_error(flat_features["pool"], pool) < 1e-5
    assert row_error(flat_features["logits"], logits) < 1e-5
    assert (found["pool"][0] - found["pool"][1]).abs().max() > 1e-3


def test_timm_resizes_and_crops_as_it_says(timm_net, timm_file, images):
    """timm itself works on PIL images; on tensors of whole numbers it differs by rounding, one step of 255."""
    from PIL import Image
    from timm.data import create_transform, resolve_model_data_config

    made = timm_backbone(**SHAPE, model="test_resnet.r160_in1k", weights=timm_file.path)
    transform = create_transform(**resolve_model_data_config(timm_net), is_training=False)
    expected = transform(Image.fromarray(images[0].permute(1, 2, 0).numpy()))
    found = made.network.prepare(images[:1])[0]
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1.01 / 255 / min(timm_net.pretrained_cfg["std"])


def test_unknown_model_of_timm_is_refused(timm_file):
    with pytest.raises(UnknownNameError, match="unknown model of timm 'resnet51'"):
        timm_backbone(**SHAPE, model="resnet51", weights=timm_file.path)


def test_timm_that_is_not_installed_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(SetupError, match=r'needs the "timm" extra.*pip install "genbench\[timm\]"'):
        timm_backbone(**SHAPE, model="resnet18", weights=tmp_path / "w.pth")
