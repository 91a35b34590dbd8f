"""Running in blocks: one size, every row once, settings restored."""

import pytest
import torch

from genbench.extractors import blocks
from genbench.extractors.blocks import block_size, cuda_block, full_float32, measured_block, run_in_blocks, send
from tests.extractors.networks import CPU


def test_every_block_has_the_same_size_and_every_row_comes_back_once():
    sizes = []

    def network(x):
        sizes.append(len(x))
        return {"pool": x.double().flatten(1), "sum": x.double().flatten(1).sum(dim=1, keepdim=True)}

    samples = torch.randint(0, 256, (11, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = run_in_blocks(network, samples, block=4, device=CPU)
    assert sizes == [4, 4, 4]
    assert torch.equal(found["pool"], samples.flatten(1).double())
    assert found["sum"].shape == (11, 1)


def test_no_gradients_are_kept():
    weight = torch.ones(2, requires_grad=True)
    assert not run_in_blocks(lambda x: {"pool": x * weight}, torch.ones(3, 2), block=2, device=CPU)[
        "pool"
    ].requires_grad


def test_float32_stays_float32_inside_and_settings_come_back():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("medium")
    try:
        with full_float32():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before[0])
    assert before == (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )


def test_large_networks_take_one_image_at_a_time_on_the_cpu():
    assert block_size(CPU) == 1
    assert block_size(torch.device("cuda")) > 1


@pytest.fixture
def nothing_measured(monkeypatch):
    monkeypatch.setattr(blocks, "_measured", {})


def trial(per_image, asked, memory=0):
    """A machine on which an image takes so long in a block of each size; a size that is not named has no memory."""

    def run(block):
        asked.append(block)
        if block not in per_image:
            raise torch.OutOfMemoryError
        return per_image[block] * block, memory * block

    return run


@pytest.mark.parametrize(
    ("per_image", "memory", "found", "tried"),
    [
        ({32: 8, 64: 4, 128: 3.9, 256: 1}, 0, 64, [32, 64, 128]),  # 2.5 % quicker is no gain
        ({32: 8, 64: 9}, 0, 32, [32, 64]),
        ({32: 8, 64: 4, 128: 2, 256: 1}, 0, 256, [32, 64, 128, 256]),
        ({32: 8, 64: 4}, 0, 64, [32, 64, 128]),
        ({}, 0, 32, [32]),
        ({32: 8, 64: 4, 128: 2, 256: 1}, 4, 64, [32, 64]),  # 128 would take 512 of 1,000 bytes
    ],
)
@pytest.mark.usefixtures("nothing_measured")
def test_the_smallest_block_is_taken_from_which_a_larger_one_gains_nothing(per_image, memory, found, tried):
    asked = []
    assert measured_block("key", trial(per_image, asked, memory), free=1000) == found
    assert asked == tried


@pytest.mark.usefixtures("nothing_measured")
def test_a_process_measures_once_for_each_network():
    asked = []
    quick, slow = trial({32: 8, 64: 4, 128: 4}, asked), trial({32: 8, 64: 8}, asked)
    assert [measured_block("a", quick, free=1), measured_block("a", slow, free=1)] == [64, 64]
    assert asked == [32, 64, 128]
    assert measured_block("b", slow, free=1) == 32


def test_samples_that_are_where_they_should_be_are_not_copied():
    samples = torch.ones(2, 3)
    assert send(samples, CPU) is samples


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_samples_arrive_on_cuda_whole_while_it_is_busy():
    """Each block is overwritten on the host as soon as it is sent; what is computed must be what was sent."""
    cuda = torch.device("cuda")
    busy = torch.ones(4096, 4096, device=cuda)
    sums = []
    for value in range(50):
        busy = busy @ busy / 4096
        samples = torch.full((1000, 1000), value, dtype=torch.uint8)
        sums.append(send(samples, cuda).double().sum())
        samples.fill_(255)
    assert [float(total) for total in sums] == [1e6 * value for value in range(50)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.usefixtures("nothing_measured")
def test_a_block_is_measured_on_cuda():
    cuda = torch.device("cuda")
    seen = []

    def network(images):
        seen.append(len(images))
        return {"pool": images.double().mean(dim=(2, 3))}

    found = cuda_block("tiny", network, (3, 8, 8), cuda)
    assert found in blocks.CANDIDATES
    assert cuda_block("tiny", network, (3, 8, 8), cuda) == found
    assert seen[:2] == [32, 32]
