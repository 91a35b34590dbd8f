"""The cache is keyed by content, and a damaged entry costs time, not truth."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genbench.cache import FeatureCache, feature_key


class Counting:
    """An extractor that counts how often it is asked."""

    name = "counting"
    layers: Mapping[str, int] = {"pool": 2}

    def __init__(self, fingerprint: str = "f1") -> None:
        self.fingerprint = fingerprint
        self.calls = 0

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Return the samples as features."""
        self.calls += 1
        return {"pool": samples.double() * 2}


def test_the_second_time_comes_from_disk(tmp_path: Path) -> None:
    extractor, cache, samples = Counting(), FeatureCache(tmp_path), torch.arange(6.0).reshape(3, 2)
    first = cache.extract(extractor, samples)["pool"]
    second = cache.extract(extractor, samples.clone())["pool"]
    assert extractor.calls == 1
    assert torch.equal(first, second)
    assert second.dtype == torch.float64


def test_editing_one_sample_or_the_extractor_is_a_miss() -> None:
    samples = torch.zeros(3, 2)
    edited = samples.clone()
    edited[2, 1] = 1e-7
    keys = {
        feature_key(Counting(), samples),
        feature_key(Counting(), edited),
        feature_key(Counting(), samples.reshape(2, 3)),
        feature_key(Counting(), samples.double()),
        feature_key(Counting("f2"), samples),
    }
    assert len(keys) == 5


@pytest.mark.parametrize("damage", ["truncate", "flip", "swap"])
def test_a_damaged_entry_is_set_aside_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    extractor, cache, samples = Counting(), FeatureCache(tmp_path), torch.arange(6.0).reshape(3, 2)
    right = cache.extract(extractor, samples)["pool"]
    (path,) = tmp_path.rglob("*.npz")
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        content = content[:-30]
    elif damage == "flip":
        content[content.index(right.numpy().tobytes()[16:32])] ^= 1
    else:
        cache.extract(extractor, samples + 1)
        (other,) = set(tmp_path.rglob("*.npz")) - {path}
        content = bytearray(other.read_bytes())
    path.write_bytes(bytes(content))
    with caplog.at_level(logging.WARNING):
        again = cache.extract(extractor, samples)["pool"]
    assert torch.equal(again, right)
    assert "damaged" in caplog.text
    assert len(list(tmp_path.rglob("*.corrupt"))) == 1
    assert path.exists()


def test_a_cache_that_cannot_be_written_costs_only_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    extractor = Counting()
    features = FeatureCache(tmp_path / "file").extract(extractor, torch.ones(2, 2))
    assert features["pool"].sum() == 8
    assert "not cached" in caplog.text


def test_no_folder_keeps_nothing() -> None:
    extractor, samples = Counting(), torch.ones(2, 2)
    for _ in range(2):
        FeatureCache(None).extract(extractor, samples)
    assert extractor.calls == 2
