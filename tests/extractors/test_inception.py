"""Inception-v3 with its sums in another order: torch-fidelity's function, layer by layer and size by size."""

import pytest
import torch
from torch import nn
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.utils import create_feature_extractor

from genbench.extractors.inception import SIZE, Convolution, Inception, Mixed
from genbench.extractors.inception_resize import Resize, resize_weights
from tests.extractors.networks import pictures, row_error, save_state

LAYERS = ("64", "192", "768", "2048", "logits_unbiased", "logits")


@pytest.fixture(scope="module")
def theirs(inception_file, tmp_path_factory):
    """torch-fidelity's network; every batch norm has means and variances of its own, so that folding must read them."""
    state = torch.load(inception_file.path, weights_only=True)
    generator = torch.Generator().manual_seed(3)
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.copy_(0.2 * torch.randn(tensor.shape, generator=generator))
        elif name.endswith("running_var"):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    file = save_state(state, tmp_path_factory.mktemp("normed") / "weights.pth")
    return own(file, torch.float32)


def own(file, dtype):
    network = create_feature_extractor(
        "inception-v3-compat", list(LAYERS), cuda=False, verbose=False, feature_extractor_weights_path=str(file.path)
    )
    network.feature_extractor_internal_dtype = dtype
    return network.to(dtype)


def images(n, height, width):
    shrunk = pictures(n, 64, seed=1).float()
    return nn.functional.interpolate(shrunk, size=(height, width), mode="bilinear").to(torch.uint8)


def run(network, batch):
    with torch.inference_mode():
        return dict(zip(network.layers if isinstance(network, Inception) else LAYERS, network(batch), strict=True))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (33, 47), (299, 299), (601, 310)])
def test_every_layer_is_torch_fidelitys(theirs, height, width):
    """Float32 through 94 layers, 2**-24 a rounding: 5e-7 of a row's length was measured, for theirs against float64
    4e-7. A function that differs anywhere differs by far more, as the next tests show.
    """
    batch = images(2, height, width)
    found, expected = run(Inception(theirs, LAYERS, height=height, width=width), batch), run(theirs, batch)
    for layer in LAYERS:
        assert found[layer].dtype == torch.float32
        assert row_error(found[layer], expected[layer]) < 1e-6, layer


def test_in_float64_nothing_but_the_last_rounding_to_float32_is_left(theirs, tmp_path):
    """Both are rounded to float32 in the end, from numbers that differ by 1e-14: by 2**-23 of a number at most."""
    file = save_state(theirs.state_dict(), tmp_path / "weights.pth")
    batch = images(2, 33, 47)
    double = Inception(theirs, LAYERS, height=33, width=47, dtype=torch.float64, inner=torch.float64)
    found, expected = run(double, batch), run(own(file, torch.float64), batch)
    for layer in LAYERS:
        assert row_error(found[layer], expected[layer]) < 2**-23, layer


@pytest.mark.parametrize("layers", [["64"], ["768", "192"], ["logits"], ["2048", "64"]])
def test_it_gives_what_is_asked_for_in_that_order_and_goes_no_further(theirs, layers):
    network = Inception(theirs, layers, height=32, width=32)
    batch = images(1, 32, 32)
    expected = run(theirs, batch)
    for layer, values in run(network, batch).items():
        assert row_error(values, expected[layer]) < 1e-6
    assert list(run(network, batch)) == layers
    assert list(network.stages)[-1] == ("2048" if layers == ["logits"] else max(layers, key=LAYERS.index))
    assert (network.fc is None) == ("logits" not in layers)


def test_the_network_that_it_is_built_from_stays_what_it_is(theirs):
    before = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    Inception(theirs, LAYERS, height=32, width=32)
    assert all(torch.equal(tensor, before[name]) for name, tensor in theirs.state_dict().items())


def test_its_weights_are_its_own_and_frozen(theirs):
    network = Inception(theirs, LAYERS, height=32, width=32)
    places = {tensor.data_ptr() for tensor in theirs.state_dict().values()}
    assert not any(tensor.data_ptr() in places for tensor in network.state_dict().values())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.training


def test_bfloat16_is_near_and_not_the_same(theirs):
    """Eight bits of a number, 2**-9 a rounding: 5e-3 of a row's length was measured, and 4 times that is allowed."""
    batch = images(2, 32, 32)
    half = Inception(theirs, LAYERS, height=32, width=32, inner=torch.bfloat16)
    assert {parameter.dtype for parameter in half.stages.parameters()} == {torch.bfloat16}
    expected = run(theirs, batch)
    for layer, values in run(half, batch).items():
        assert values.dtype == torch.float32
        assert 1e-4 < row_error(values, expected[layer]) < 2e-2, layer


def test_a_batch_norm_is_folded_to_rounding(theirs):
    """In float64, a sum of 288 terms, by hand: the convolution, then the norm's own formula."""
    block = theirs.Conv2d_2a_3x3
    x = torch.randn(1, 32, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain = nn.functional.conv2d(x, block.conv.weight.double())
    mean, variance, shift, scale = (
        tensor.double().view(1, -1, 1, 1)
        for tensor in (block.bn.running_mean, block.bn.running_var, block.bn.bias, block.bn.weight)
    )
    expected = (plain - mean) / (variance + 1e-3).sqrt() * scale + shift
    assert torch.allclose(Convolution(block, relu=False)(x), expected, rtol=0, atol=1e-13)
    assert torch.allclose(Convolution(block)(x), expected.clamp_min(0), rtol=0, atol=1e-13)


def test_an_average_after_its_convolution_is_the_one_before_it(theirs):
    """At the edge too, where fewer pixels are averaged: the weights of every average sum to 1."""
    block = theirs.Mixed_5b.branch_pool
    x = torch.randn(1, 192, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    averaged = nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    mixed = Mixed([theirs.Mixed_5b.branch1x1], [nn.Identity()], averaged=block)
    assert torch.allclose(mixed(x)[:, 64:], Convolution(block)(averaged), rtol=0, atol=1e-13)
    assert torch.allclose(mixed(x)[:, :64], Convolution(theirs.Mixed_5b.branch1x1)(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 3), (32, 32), (299, 32), (299, 299), (300, 298), (597, 598), (599, 1200)]
)
def test_resizing_is_torch_fidelitys(shape, dtype):
    """Numbers up to 1 that are mixed twice, in another order: at most 8 roundings of half a last place."""
    batch = torch.randint(0, 256, (2, 3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = interpolate_bilinear_2d_like_tensorflow1x(batch.to(dtype), size=(SIZE, SIZE), align_corners=False)
    found = Resize(*shape, SIZE, dtype)(batch)
    assert found.dtype == dtype
    assert float((found - (expected - 128) / 128).abs().max()) <= 8 * torch.finfo(dtype).eps / 2


def test_images_of_the_right_size_are_not_touched():
    batch = torch.randint(0, 256, (1, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Resize(SIZE, SIZE, SIZE, torch.float32)(batch), (batch.float() - 128) / 128)


@pytest.mark.parametrize("size", [1, 32, 299, 598, 5000])
def test_a_pixel_mixes_its_two_neighbours_and_only_pixels_that_are_mixed_are_read(size):
    weights, read = resize_weights(size, SIZE, torch.float64)
    assert int((weights != 0).sum(dim=1).max()) <= 2
    assert torch.allclose(weights.sum(dim=1), torch.ones(SIZE, dtype=torch.float64), rtol=0, atol=1e-15)
    assert bool((weights != 0).any(dim=0).all())
    assert len(read) <= min(size, 2 * SIZE)
    assert torch.equal(read, read.sort().values)
