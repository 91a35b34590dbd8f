"""Running in blocks: one size, every row once, settings restored."""

import torch

from genbench.extractors.blocks import block_size, full_float32, run_in_blocks
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
