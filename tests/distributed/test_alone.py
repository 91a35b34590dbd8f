"""One process: nothing of torch.distributed; and the parts that need no second one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from genbench.cache import FeatureCache
from genbench.distributed import Place, is_main, place, world
from genbench.distributed.leading import as_one, led, team
from genbench.distributed.resume import Blocks
from genbench.doctor import diagnose_ranks
from genbench.errors import SetupError, UsageError
from genbench.sampling.blocks import draw_blocks
from genbench.sampling.files import ArraySampler
from tests.distributed.launching import ROOT, environment
from tests.distributed.parts import Counting, Noise


def test_one_process_is_its_own_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert place() == Place(rank=0, world=1, local=0, local_world=1)
    assert is_main()
    assert team() is None
    assert led(lambda: 5, pack=str, unpack=int) == 5
    assert as_one(lambda: 3, ["score"]) == 3


def test_a_world_of_one_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert world() == 1
    assert team() is None


@pytest.mark.parametrize(("name", "value"), [("RANK", "x"), ("RANK", "2"), ("WORLD_SIZE", "two")])
def test_a_place_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=f"{name}: .*{value}"):
        place()


def test_one_process_loads_no_team() -> None:
    code = "import sys, genbench.scoring; sys.exit('genbench.distributed.team' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), check=False).returncode == 0


def test_the_doctor_of_one_process_says_how_to_start_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(UsageError, match="torchrun"):
        diagnose_ranks()


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("n", [601, 512, 100])
@pytest.mark.parametrize("kind", ["generator", "file"])
def test_parts_of_a_draw_are_together_the_draw(world: int, n: int, kind: str) -> None:
    """No padding, no sample twice: interleaved by block, they are what one process draws."""
    sampler = Noise() if kind == "generator" else ArraySampler("file", Noise().sample(700, seed=4))

    def drawn(part: slice) -> list[torch.Tensor]:
        return list(draw_blocks(sampler, n, seed=1, event_shape=(1, 8, 8), part=part))

    whole, parts = drawn(slice(None)), [drawn(slice(rank, None, world)) for rank in range(world)]
    assert sum(len(part) for part in parts) == len(whole)
    assert sum(len(block) for block in whole) == n
    for index, block in enumerate(whole):
        assert torch.equal(parts[index % world][index // world], block)


def test_a_file_is_told_to_decode_the_next_block_of_its_part() -> None:
    class Ahead(ArraySampler):
        def __init__(self) -> None:
            super().__init__("file", torch.zeros(900, 1, 8, 8, dtype=torch.uint8))
            self.told: list[np.ndarray] = []
            self.asked: list[np.ndarray] = []

        def rows(self, indices: np.ndarray) -> torch.Tensor:
            self.asked.append(indices)
            return super().rows(indices)

        def decode_ahead(self, indices: np.ndarray) -> None:
            self.told.append(indices)

    sampler = Ahead()
    list(draw_blocks(sampler, 900, seed=0, event_shape=(1, 8, 8), part=slice(0, None, 2)))
    assert np.array_equal(sampler.told[0], sampler.asked[1])
    assert len(sampler.told[-1]) == 0


def test_a_block_is_extracted_once_until_it_is_forgotten(tmp_path) -> None:
    samples, extractor = Noise().sample(10, seed=0), Counting((1, 8, 8), "cpu")
    for _ in range(2):
        blocks = Blocks(FeatureCache(tmp_path))
        found = blocks.fetch(extractor, samples, lambda: extractor.extract(samples))
        assert torch.equal(found["pool"], samples.flatten(1)[:, :16].float())
    assert extractor.calls == 1
    blocks.forget()
    assert not list((tmp_path / "features").iterdir())


def test_without_a_folder_nothing_is_kept(tmp_path) -> None:
    samples, extractor = Noise().sample(10, seed=0), Counting((1, 8, 8), "cpu")
    blocks = Blocks(FeatureCache(None))
    for _ in range(2):
        blocks.fetch(extractor, samples, lambda: extractor.extract(samples))
    blocks.forget()
    assert extractor.calls == 2
