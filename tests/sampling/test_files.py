"""Samplers over a fixed set: rows in the order asked for, samples without replacement."""

import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.protocols import Sampler
from genbench.sampling.blocks import FiniteSampler
from genbench.sampling.files import ArraySampler


def pool(n=50):
    return ArraySampler("file", torch.arange(n))


def test_the_same_seed_takes_the_same_samples_and_another_seed_others():
    assert pool().sample(20, seed=1).tolist() == pool().sample(20, seed=1).tolist()
    assert pool().sample(20, seed=1).tolist() != pool().sample(20, seed=2).tolist()


def test_samples_are_taken_without_replacement_and_a_larger_take_continues_a_smaller():
    everything = pool().sample(50, seed=0).tolist()
    assert sorted(everything) == list(range(50))
    assert everything != list(range(50))
    assert pool().sample(30, seed=0).tolist() == everything[:30]


def test_every_sample_is_equally_likely_to_be_taken():
    """Taking 10 of 50 under 2,000 seeds takes each sample 400 times, deviation sqrt(2000 * .2 * .8) = 17.9; five
    deviations for all 50 samples fail with probability 3e-5 under other seeds."""
    counts = torch.zeros(50)
    for seed in range(2000):
        counts[pool().sample(10, seed=seed)] += 1
    assert (counts - 400).abs().max() < 5 * 17.9


def test_more_than_the_file_holds_is_refused():
    with pytest.raises(SampleError, match="file: 51 samples expected, got 50; generate more"):
        pool().sample(51, seed=0)


def test_rows_come_in_the_order_asked_for():
    assert pool().rows(np.array([3, 49, 0, 3])).tolist() == [3, 49, 0, 3]
    assert ArraySampler("file", np.arange(5)).rows(np.array([4, 0])).tolist() == [4, 0]


def test_it_is_both_kinds_of_sampler():
    assert isinstance(pool(), FiniteSampler)
    assert isinstance(pool(), Sampler)


def test_only_the_rows_asked_for_are_converted():
    seen = []

    def convert(rows):
        seen.append(len(rows))
        return torch.from_numpy(rows * 2)

    assert ArraySampler("file", np.arange(1000), convert).rows(np.array([7, 8])).tolist() == [14, 16]
    assert seen == [2]
