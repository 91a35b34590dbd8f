"""Samples seen through extractors: who takes a batch apart, and whose seconds are whose."""

import numpy as np
import pytest
import torch

from genbench.cache import FeatureCache
from genbench.definitions import Dataset
from genbench.spaces import Keep, Spaces
from genbench.timing import collect, measure_each

received = []
"""Sizes of what the extractors below were given, and what they were told."""


class Counting:
    """An extractor that keeps account."""

    name, fingerprint, layers, cheap = "counting", "0", {"pool": 2}, True

    def __init__(self, told):
        self.told = told

    def extract(self, samples):
        received.append((len(samples), self.told))
        return {"pool": samples}


def plain(*, event_shape):
    return Counting(None)


def batched(*, event_shape, batch_size=5):
    return Counting(batch_size)


@pytest.fixture(autouse=True)
def nothing_given():
    received.clear()


def spaces(factory, **options):
    points = np.arange(24, dtype=np.float32).reshape(12, 2)
    dataset = Dataset(name="points", train=points, test=points + 100)
    name = f"{__name__}:{factory}"
    made = Spaces({name: ["pool"]}, dataset, device=torch.device("cpu"), cache=FeatureCache(None), **options)
    return made, (name, "pool")


@pytest.mark.parametrize(
    ("factory", "batch_size", "given"),
    [
        ("plain", None, [(4, None), (3, None)]),
        ("plain", 3, [(3, None), (1, None), (3, None)]),
        ("batched", None, [(4, 5), (3, 5)]),
        ("batched", 3, [(4, 3), (3, 3)]),
    ],
)
def test_an_extractor_with_a_batch_size_of_its_own_is_told_it_and_others_are_given_it(factory, batch_size, given):
    made, space = spaces(factory, batch_size=batch_size)
    blocks = list(torch.arange(14.0).reshape(7, 2).split(4))
    seen = made.see(blocks, {space: Keep(7)})[space]
    assert torch.equal(seen.values, torch.cat(blocks).double())
    assert received == given


def test_what_the_user_says_of_the_extractor_goes_before_the_batch_size():
    made, space = spaces("batched", batch_size=3, options={f"{__name__}:batched": {"batch_size": 2}})
    made.see([torch.zeros(4, 2)], {space: Keep(4)})
    assert received == [(4, 2)]


def test_seconds_are_named_by_what_is_done():
    made, space = spaces("plain")
    with collect() as seconds:
        made.see(measure_each("sampling", [torch.zeros(4, 2)]), {space: Keep(4)})
        made.real(space, "test", Keep(12))
    assert set(seconds) == {"sampling", f"extraction {__name__}:plain", "real data"}
    assert all(value >= 0 for value in seconds.values())
