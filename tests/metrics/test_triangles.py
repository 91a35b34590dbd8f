import pytest
import torch

from genbench.metrics.triangles import Steps, inner, tiles


def whole_numbers(d, seed):
    """A symmetric matrix, of products and sums that are exact in single precision."""
    drawn = torch.randint(-9, 10, (d, d), generator=torch.Generator().manual_seed(seed)).float()
    return drawn.triu() + drawn.triu(1).T


@pytest.mark.parametrize("d", [1, 5, 64, 65, 200])
def test_inner_product_is_that_of_the_whole_matrices(d):
    one, other = whole_numbers(d, 0), whole_numbers(d, 1)
    assert inner(tiles(one.triu()), other) == float((one.double() * other).sum())


@pytest.mark.parametrize("d", [3, 130])
def test_steps_are_what_was_added_each_time(d):
    half = torch.zeros((d, d), dtype=torch.float64)
    steps = Steps(half, 3)
    added = [whole_numbers(d, seed).triu() for seed in range(3)]
    for each in added:
        half += each
        steps.take(half)
    for each, taken in zip(added, steps.taken, strict=True):
        for tile, expected in zip(taken, tiles(each), strict=True):
            assert torch.equal(tile, expected)
