"""Drawing in blocks: the samples depend on the seed and on nothing else."""

import pytest
import torch

from genbench.errors import SampleError, UsageError
from genbench.protocols import Sampler
from genbench.randomness import derive_seed
from genbench.sampling.blocks import BLOCK, FiniteSampler, draw, draw_samples
from genbench.sampling.files import ArraySampler


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
    samples = draw(sampler, 600, seed=9, event_shape=(2,))
    assert sampler.asked == [(256, derive_seed(9, "samples", block)) for block in range(3)]
    assert BLOCK == 256
    assert samples.shape == (600, 2)


@pytest.mark.parametrize("n", [1, 4, 5, 6, 10, 22])
def test_first_samples_do_not_depend_on_how_many_are_drawn(n):
    most = draw(Normal(), 23, seed=0, event_shape=(2,), block=5)
    assert torch.equal(draw(Normal(), n, seed=0, event_shape=(2,), block=5), most[:n])


def test_blocks_differ_and_seeds_differ():
    samples = draw(Normal(), 20, seed=0, event_shape=(2,), block=10)
    assert not torch.equal(samples[:10], samples[10:])
    assert not torch.equal(samples, draw(Normal(), 20, seed=1, event_shape=(2,), block=10))


def test_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = draw(Normal(), 10, seed=0, event_shape=(2,))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert torch.equal(draw(Normal(), 10, seed=0, event_shape=(2,)), first)


def test_a_bad_block_names_the_sampler():
    class Diverging(Normal):
        name = "diverging"

        def sample(self, n, *, seed):
            samples = super().sample(n, seed=seed)
            if len(self.asked) == 2:
                samples[:3] = float("nan")
            return samples

    with pytest.raises(SampleError, match="diverging: 3 of 256 samples are not finite"):
        draw(Diverging(), 300, seed=0, event_shape=(2,))


def test_a_short_block_names_the_sampler():
    class Short(Normal):
        def sample(self, n, *, seed):
            return super().sample(n - 1, seed=seed)

    with pytest.raises(SampleError, match="normal: 256 samples expected, got 255"):
        draw(Short(), 10, seed=0, event_shape=(2,))


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 5, "block": 0}])
def test_sizes_below_one_are_usage_errors(options):
    with pytest.raises(UsageError, match="must be at least 1, got 0"):
        draw_samples(Normal(), **options, seed=0, event_shape=(2,))


def test_any_other_sampler_is_drawn_in_blocks():
    assert not isinstance(Normal(), FiniteSampler)
    blocks = draw(Normal(), 30, seed=2, event_shape=(2,), block=7)
    assert torch.equal(draw_samples(Normal(), 30, seed=2, event_shape=(2,), block=7), blocks)


def test_a_finite_sampler_is_taken_in_one_go_without_replacement():
    pool = torch.arange(600.0).reshape(600, 1)
    sampler = ArraySampler("file", pool)
    assert isinstance(sampler, FiniteSampler)
    assert isinstance(sampler, Sampler)
    drawn = draw_samples(sampler, 600, seed=0, event_shape=(1,))
    assert not torch.equal(drawn, pool)
    assert torch.equal(drawn.sort(dim=0).values, pool)
    assert torch.equal(draw_samples(sampler, 500, seed=0, event_shape=(1,)), drawn[:500])


def test_a_finite_sampler_is_checked_too():
    broken = ArraySampler("file", torch.tensor([[1.0], [float("nan")]]))
    with pytest.raises(SampleError, match="file: 1 of 2 samples are not finite"):
        draw_samples(broken, 2, seed=0, event_shape=(1,))
    with pytest.raises(SampleError, match="file: 3 samples expected, got 2"):
        draw_samples(broken, 3, seed=0, event_shape=(1,))
    with pytest.raises(UsageError, match="n must be at least 1"):
        draw_samples(broken, 0, seed=0, event_shape=(1,))
