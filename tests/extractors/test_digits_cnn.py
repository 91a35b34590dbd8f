"""The digits classifier as it is shipped: what it knows, and that its features are the same bits everywhere."""

from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genbench.data.digits import load_images
from genbench.errors import DeclarationError, SampleError, SetupError
from genbench.extractors import digits_cnn
from genbench.extractors.digits_cnn import SHAPES, STEPS, DigitsCNN, load_weights, settle, weights_fingerprint
from genbench.protocols import FeatureExtractor
from genbench.registry import EXTRACTORS

CPU = torch.device("cpu")


def make(**options):
    return DigitsCNN(event_shape=(1, 8, 8), device=CPU, **options)


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(load_images()[0])


@pytest.fixture(scope="module")
def features(images):
    return make().extract(images)


def test_registry_finds_it_and_it_satisfies_the_protocol():
    extractor = EXTRACTORS.load("digits-cnn")(event_shape=(1, 8, 8), device=CPU)
    assert isinstance(extractor, FeatureExtractor)
    assert extractor.name == "digits-cnn"


def test_layers_are_as_wide_as_declared(features):
    assert {layer: tensor.shape[1] for layer, tensor in features.items()} == dict(make().layers)
    assert all(tensor.dtype == torch.float32 for tensor in features.values())
    assert not any(tensor.requires_grad for tensor in features.values())


def test_shipped_weights_classify_the_digits(features):
    """It was trained on them, so a wrong image would mean a wrong file or a wrong forward pass."""
    assert (features["logits"].argmax(dim=1).numpy() == load_images()[1]).mean() > 0.98


def test_network_is_the_one_that_torch_modules_describe(images, features):
    """The plain float64 network differs from the fixed-point one by at most what settling moves.

    Each weight and activation moves by half a step, 2**-19, in a sum of up to 576 products of activations up to about
    6 and weights up to about 1, through five layers: of the order of 576 * 6 * 2**-19 = 0.007. Measured: 1e-4.
    """
    weights = {name: torch.from_numpy(array).double() for name, array in load_weights().items()}
    nn = torch.nn
    with torch.device("meta"):
        network = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(256, 64), nn.ReLU()),
            nn.Linear(64, 10),
        )
    state = dict(zip(network.state_dict(), weights.values(), strict=True))
    network.load_state_dict(state, assign=True)
    with torch.no_grad():
        expected = network(images.double() / 255 * 2 - 1)
    assert (features["logits"] - expected).abs().max() < 0.007


@pytest.mark.parametrize(("batch_size", "n"), [(1, 60), (7, 300), (600, 700)])
def test_batch_size_changes_no_bit(images, features, batch_size, n):
    parts = make(batch_size=batch_size).extract(images[:n])
    for layer, tensor in parts.items():
        assert torch.equal(tensor, features[layer][:n])


def test_permuted_images_give_permuted_features(images, features):
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    permuted = make(batch_size=100).extract(images[order])
    for layer, tensor in permuted.items():
        assert torch.equal(tensor, features[layer][order])


def test_number_of_threads_changes_no_bit(images, features):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        other = make().extract(images)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(other["pool"], features["pool"])


def test_sums_are_exact_in_float64_for_any_image():
    """Activations and weights are multiples of 2**-18, so partial sums, in any order, are multiples of 2**-36. They are
    exact while below 2**53 * 2**-36 = 2**17. Interval arithmetic bounds them: inputs lie in [-1, 1], activations in
    [0, upper], and a partial sum lies between the sum of all negative terms and that of all positive ones."""
    weights = {name: settle(torch.from_numpy(array).double()) for name, array in load_weights().items()}
    lower, upper = -torch.ones(1).double(), torch.ones(1).double()
    for layer in ("conv1", "conv2", "conv3", "pool", "logits"):
        weight, bias = weights[f"{layer}.weight"], weights[f"{layer}.bias"]
        if layer == "pool":  # flattening: each of the 64 channels has 2 x 2 places
            lower, upper = lower.repeat_interleave(4), upper.repeat_interleave(4)
        weight = weight.flatten(start_dim=2) if weight.dim() == 4 else weight[..., None]
        low, high = lower[None, :, None], upper[None, :, None]
        positive = torch.maximum(weight * low, weight * high).clamp(min=0).sum(dim=(1, 2)) + bias.clamp(min=0)
        negative = torch.minimum(weight * low, weight * high).clamp(max=0).sum(dim=(1, 2)) + bias.clamp(max=0)
        assert max(positive.max(), -negative.min()) < 2**53 / STEPS**2
        lower, upper = torch.zeros_like(positive), positive


def test_settle_rounds_to_the_grid():
    x = torch.tensor([0.3, -1.7, 5.0], dtype=torch.float64)
    assert torch.equal(settle(x) * STEPS, torch.round(x * STEPS))
    assert (settle(x) - x).abs().max() <= 0.5 / STEPS


def test_every_feature_lies_on_the_grid(features):
    for tensor in features.values():
        steps = tensor.double() * STEPS
        assert torch.equal(steps, steps.round())


def test_global_random_state_is_neither_read_nor_moved(images, features):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    pool = make().extract(images)["pool"]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(pool, features["pool"])


def test_weights_are_small_and_plain():
    path = resources.files("genbench.extractors") / "weights" / "digits-cnn.npz"
    assert path.stat().st_size < 400_000
    arrays = load_weights()  # with allow_pickle=False
    assert {name: array.shape for name, array in arrays.items()} == dict(SHAPES)
    assert sum(array.size for array in arrays.values()) == 72_842


def test_fingerprint_follows_every_weight_and_its_name():
    arrays = load_weights()
    original = weights_fingerprint(arrays)
    assert make().fingerprint == original
    assert weights_fingerprint(dict(reversed(arrays.items()))) == original
    bumped = {name: array.copy() for name, array in arrays.items()}
    bumped["conv3.bias"][7] = np.nextafter(bumped["conv3.bias"][7], np.float32(1))
    assert weights_fingerprint(bumped) != original
    swapped = {**arrays, "conv2.bias": arrays["conv3.bias"], "conv3.bias": arrays["conv2.bias"]}
    assert weights_fingerprint(swapped) != original


def test_fingerprint_is_the_published_one():
    """Scores name the extractor by it: other weights are another extractor, and need a note in the changelog."""
    assert make().fingerprint.startswith("6ab076a25311f155")


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 28, 28), (2,), (8, 8, 1)])
def test_other_events_are_refused(shape):
    with pytest.raises(DeclarationError, match=r"\(1, 8, 8\) expected"):
        DigitsCNN(event_shape=shape, device=CPU)


def test_batch_size_below_one_is_refused():
    with pytest.raises(DeclarationError, match="at least 1, got 0"):
        make(batch_size=0)


@pytest.mark.parametrize("samples", [torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 7, dtype=torch.uint8)])
def test_samples_of_another_kind_are_refused(samples):
    with pytest.raises(SampleError, match="uint8 samples of shape"):
        make().extract(samples)


def test_damaged_weights_are_a_setup_error(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(digits_cnn, "resources", SimpleNamespace(files=lambda package: tmp_path))
    with pytest.raises(SetupError, match="cannot read its weights"):
        make()
    file = tmp_path / "weights" / "digits-cnn.npz"
    file.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(SetupError, match="cannot read its weights"):
        make()
    np.savez(file, **weights_of_another_width())
    with pytest.raises(SetupError, match="not of this network"):
        make()


def weights_of_another_width():
    return {name: np.zeros((*shape[:-1], 5), np.float32) for name, shape in SHAPES.items()}
