"""PixelCNN: its probabilities sum to one, no value sees itself or a later one, draws have their probabilities."""

from __future__ import annotations

import math
from itertools import pairwise, product

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from baselines.likelihoods import from_levels
from baselines.pixelcnn import MaskedConv, PixelCNN, PixelCNNSampler, PixelNetwork
from genbench.errors import UsageError

CPU = torch.device("cpu")
SHAPES = [(1, 4, 5), (3, 3, 3)]


def network(shape: tuple[int, ...], levels: int, *, depth: int = 2, classes: int = 0) -> PixelNetwork:
    """A network in float64 and eval mode with larger weights than at first, so that what matters matters much."""
    made = PixelNetwork(shape, levels, 12, depth, dropout=0.2, classes=classes).double().eval()
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(3 if p.dim() > 1 else 1)
    return made


def all_images(shape: tuple[int, ...], levels: int) -> Tensor:
    numbers = torch.tensor(list(product(range(levels), repeat=math.prod(shape))))
    return from_levels(numbers, levels).reshape(-1, *shape).double()


@pytest.mark.parametrize(("shape", "levels"), [((1, 2, 2), 2), ((1, 2, 2), 3), ((3, 1, 2), 2), ((2, 2, 1), 3)], ids=str)
def test_the_probabilities_of_all_images_that_there_are_sum_to_one(shape: tuple[int, ...], levels: int):
    images = all_images(shape, levels)
    with torch.no_grad():
        log_prob = network(shape, levels).log_prob(images)
    assert log_prob.exp().std() > 0.1 / len(images)  # the images are not equally likely
    # float64: at most 81 terms, each the exponential of a sum of 6 rounded logarithms
    assert log_prob.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def order(shape: tuple[int, ...]) -> Tensor:
    """Number of each value in the sequence: rows, then columns, then channels."""
    channels, height, width = shape
    return torch.arange(math.prod(shape)).reshape(height, width, channels).permute(2, 0, 1).reshape(-1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_do_not_depend_on_their_own_value_or_a_later_one(shape: tuple[int, ...]):
    made, d = network(shape, 3), math.prod(shape)
    x = torch.rand(shape, dtype=torch.float64) * 2 - 1
    jacobian = torch.autograd.functional.jacobian(lambda v: made(v[None])[0], x).abs().reshape(3, d, d).sum(dim=0)
    place = order(shape)
    allowed = place[None, :] < place[:, None]  # [logits, values]
    assert not jacobian[~allowed].any()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_depend_on_the_value_just_before_them(shape: tuple[int, ...]):
    made, d = network(shape, 3), math.prod(shape)
    jacobian = torch.zeros(d, d, dtype=torch.float64)
    for _ in range(8):  # a ReLU may be shut at one image, not at all of them
        x = torch.rand(shape, dtype=torch.float64) * 2 - 1
        jacobian += torch.autograd.functional.jacobian(lambda v: made(v[None])[0], x).abs().reshape(3, d, d).sum(dim=0)
    sequence = order(shape).argsort()
    channels, _, width = shape
    for before, after in pairwise(sequence):
        if order(shape)[after] % (channels * width):  # the first of a row is far from the last of the row above
            assert jacobian[after, before] > 0


@pytest.mark.parametrize("mask", ["A", "B"])
def test_masks_are_those_of_the_paper(mask: str):
    layer = MaskedConv(3, 6, 3, mask=mask, groups=3)
    centre = layer.mask[:, :, 1, 1].reshape(3, 2, 3)[:, 0].tolist()
    assert centre == ([[0, 0, 0], [1, 0, 0], [1, 1, 0]] if mask == "A" else [[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    around = layer.mask.clone()
    around[:, :, 1, 1] = 0
    assert torch.equal(around[0, 0], torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 0, 0]]))
    assert torch.equal(around, around[:1, :1].expand_as(around))


@pytest.mark.parametrize("shape", [(1, 12, 11), (2, 9, 10)], ids=str)
def test_a_window_of_the_reach_gives_the_logits_of_the_whole_image(shape: tuple[int, ...]):
    made, (_, height, width) = network(shape, 3, depth=1), shape
    x = torch.rand(2, *shape, dtype=torch.float64) * 2 - 1
    whole = made(x)
    for row, column in product(range(height), range(width)):
        top, left = max(0, row - made.reach), max(0, column - made.reach)
        window = x[:, :, top : row + 1, left : column + made.reach + 1]
        found = made(window, None, (top, left))[:, :, :, row - top, column - left]
        torch.testing.assert_close(found, whole[:, :, :, row, column], rtol=0, atol=1e-12)


def untrained(shape: tuple[int, ...], levels: int) -> PixelCNNSampler:
    trainer = PixelCNN(levels=levels, width=12, depth=2).build(shape, device=CPU, steps=1)
    trainer.ema.network.load_state_dict({k: v.float() for k, v in network(shape, levels).state_dict().items()})
    return trainer.sampler()


@pytest.mark.parametrize(("shape", "levels"), [((1, 2, 2), 2), ((2, 1, 2), 2), ((1, 1, 3), 3)], ids=str)
def test_draws_have_their_probabilities(shape: tuple[int, ...], levels: int):
    """A chi-square test of 20,000 draws over all 16 or 27 images; fails by chance once in a million seeds."""
    sampler, images = untrained(shape, levels), all_images(shape, levels).float()
    expected = 20_000 * sampler.log_prob(images).exp().double()
    samples = sampler.sample(20_000, seed=0)
    counts = ((samples[:, None] - images).abs().amax(dim=(2, 3, 4)) < 1e-6).sum(dim=0)
    assert counts.sum() == 20_000
    assert expected.min() > 5
    assert stats.chisquare(counts.numpy(), (expected * 20_000 / expected.sum()).numpy()).pvalue > 1e-6


def test_the_loss_of_equal_logits_is_that_of_equal_probabilities():
    trainer = PixelCNN(levels=17, width=8, depth=1).build((1, 8, 8), device=CPU, steps=9)
    last = trainer.network.last[-1]
    assert isinstance(last, MaskedConv)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    losses = trainer.step(torch.rand(4, 1, 8, 8) * 2 - 1)
    assert losses["loss"].item() == pytest.approx(64 * math.log(17), rel=1e-5)
    assert losses["bits"].item() == pytest.approx(math.log2(17), rel=1e-5)


def test_vectors_are_refused():
    with pytest.raises(UsageError, match=r"images \(C, H, W\) expected, got events \(2,\)"):
        PixelCNN().build((2,), device=CPU, steps=1)


def test_a_pattern_is_learned():
    """Rows of equal pixels, each row a fair coin: 4 bits an image of 16 pixels, from 16 untrained.

    The sixteen images are equally likely, so that no model can need fewer than 4 bits in their mean.
    """
    trainer = PixelCNN(levels=2, width=16, depth=2, dropout=0, lr=1e-2, ema=0.9).build((1, 4, 4), device=CPU, steps=60)
    for step in range(60):
        torch.manual_seed(step)
        trainer.step((torch.randint(2, (64, 1, 4, 1)) * 2.0 - 1).expand(64, 1, 4, 4))
    patterns = torch.tensor(list(product([-1.0, 1.0], repeat=4))).reshape(16, 1, 4, 1).expand(16, 1, 4, 4)
    sampler = trainer.sampler()
    bits = -sampler.log_prob(patterns) / math.log(2)
    assert 4 - 1e-3 <= bits.mean() < 4.2  # three seeds: 4.03 to 4.04
    samples = sampler.sample(500, seed=0)
    assert (samples == samples[..., :1]).all(dim=(1, 2, 3)).float().mean() > 0.9
