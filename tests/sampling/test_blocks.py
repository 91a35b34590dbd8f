"""Drawing in blocks: the samples depend on the seed and on nothing else."""

import numpy as np
import pytest
import torch

from genbench.errors import SampleError, UsageError
from genbench.randomness import derive_seed
from genbench.sampling.blocks import BLOCK, FiniteSampler, draw_blocks, draw_labels, draw_samples


class Normal:
    """Standard normal vectors; remembers what it was asked for."""

    name = "normal"

    def __init__(self):
        self.asked = []

    def sample(self, n, *, seed):
        self.asked.append((n, seed))
        return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def test_every_block_is_asked_for_in_full_with_its_derived_seed():
    sampler = Normal()
    samples = draw_samples(sampler, 600, seed=9, event_shape=(2,))
    assert sampler.asked == [(256, derive_seed(9, "samples", block)) for block in range(3)]
    assert BLOCK == 256
    assert samples.shape == (600, 2)


@pytest.mark.parametrize("n", [1, 4, 5, 6, 10, 22])
def test_first_samples_do_not_depend_on_how_many_are_drawn(n):
    most = draw_samples(Normal(), 23, seed=0, event_shape=(2,), block=5)
    assert torch.equal(draw_samples(Normal(), n, seed=0, event_shape=(2,), block=5), most[:n])


def test_blocks_differ_and_seeds_differ():
    samples = draw_samples(Normal(), 20, seed=0, event_shape=(2,), block=10)
    assert not torch.equal(samples[:10], samples[10:])
    assert not torch.equal(samples, draw_samples(Normal(), 20, seed=1, event_shape=(2,), block=10))


def test_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = draw_samples(Normal(), 10, seed=0, event_shape=(2,))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert torch.equal(draw_samples(Normal(), 10, seed=0, event_shape=(2,)), first)


def test_a_bad_block_names_the_sampler():
    class Diverging(Normal):
        name = "diverging"

        def sample(self, n, *, seed):
            samples = super().sample(n, seed=seed)
            if len(self.asked) == 2:
                samples[:3] = float("nan")
            return samples

    with pytest.raises(SampleError, match="diverging: 3 of 256 samples are not finite"):
        draw_samples(Diverging(), 300, seed=0, event_shape=(2,))


def test_a_short_block_names_the_sampler():
    class Short(Normal):
        def sample(self, n, *, seed):
            return super().sample(n - 1, seed=seed)

    with pytest.raises(SampleError, match="normal: 256 samples expected, got 255"):
        draw_samples(Short(), 10, seed=0, event_shape=(2,))


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 5, "block": 0}])
def test_sizes_below_one_are_usage_errors(options):
    with pytest.raises(UsageError, match="must be at least 1, got 0"):
        draw_samples(Normal(), **options, seed=0, event_shape=(2,))


class Pool:
    """A finite set; remembers which rows it was asked for."""

    name = "file"

    def __init__(self, samples):
        self.samples, self.asked = samples, []

    def __len__(self):
        return len(self.samples)

    def rows(self, indices):
        self.asked.append(indices)
        return self.samples[torch.from_numpy(indices)]


def test_a_finite_sampler_is_taken_in_blocks_without_replacement():
    pool = torch.arange(600.0).reshape(600, 1)
    sampler = Pool(pool)
    assert isinstance(sampler, FiniteSampler)
    assert not isinstance(Normal(), FiniteSampler)
    drawn = draw_samples(sampler, 600, seed=0, event_shape=(1,))
    assert [len(rows) for rows in sampler.asked] == [256, 256, 88]
    assert not torch.equal(drawn, pool)
    assert torch.equal(drawn.sort(dim=0).values, pool)
    assert torch.equal(draw_samples(sampler, 500, seed=0, event_shape=(1,)), drawn[:500])
    assert torch.equal(draw_samples(sampler, 600, seed=0, event_shape=(1,), block=7), drawn)


def test_blocks_come_one_by_one_and_the_last_is_cut():
    sampler = Normal()
    blocks = draw_blocks(sampler, 600, seed=0, event_shape=(2,))
    assert len(next(blocks)) == 256
    assert len(sampler.asked) == 1
    assert [len(block) for block in blocks] == [256, 88]


class Conditional:
    """The label itself, and the block's seed."""

    name = "conditional"
    classes = 3

    def sample(self, n, *, seed, labels):
        assert len(labels) == n
        return torch.stack([labels.float(), torch.full((n,), float(seed % 1000))], dim=1)


def test_labels_of_a_conditional_sampler_follow_the_data_and_the_seed():
    """The share of a label of share 3/4 in 4,000 draws has a deviation of .0068: off by .03 once in 1e5."""
    labels = np.array([0, 2, 2, 2])
    drawn = draw_samples(Conditional(), 4000, seed=0, event_shape=(2,), labels=labels)[:, 0].long()
    assert set(drawn.tolist()) == {0, 2}
    assert float((drawn == 2).double().mean()) == pytest.approx(0.75, abs=0.03)
    assert drawn.tolist() == draw_labels(labels, 4000, seed=0).tolist()
    assert draw_labels(labels, 300, seed=0).tolist() == drawn[:300].tolist()
    assert draw_labels(labels, 4000, seed=1).tolist() != drawn.tolist()


def test_a_conditional_sampler_needs_labels_that_it_knows():
    with pytest.raises(UsageError, match="conditional: a conditional generator expects data with labels"):
        draw_samples(Conditional(), 5, seed=0, event_shape=(2,))
    with pytest.raises(UsageError, match="labels below its 3 classes expected, but the data's go up to 3"):
        draw_samples(Conditional(), 5, seed=0, event_shape=(2,), labels=np.array([3]))


def test_a_finite_sampler_is_checked_too():
    broken = Pool(torch.tensor([[1.0], [float("nan")]]))
    with pytest.raises(SampleError, match="file: 1 of 2 samples are not finite"):
        draw_samples(broken, 2, seed=0, event_shape=(1,))
    with pytest.raises(SampleError, match="file: 3 samples expected, got 2"):
        draw_samples(broken, 3, seed=0, event_shape=(1,))
    with pytest.raises(UsageError, match="n must be at least 1"):
        draw_samples(broken, 0, seed=0, event_shape=(1,))
