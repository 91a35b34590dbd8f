"""The cache is keyed by content, and a damaged entry costs time, not truth."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from genbench.cache import Arrays, FeatureCache, feature_key
from genbench.cli import main

KEY = "ab" * 32


class Extractor:
    """What a key is made from."""

    name = "counting"

    def __init__(self, fingerprint: str = "f1", layers: Mapping[str, int] | None = None) -> None:
        self.fingerprint = fingerprint
        self.layers = layers or {"pool": 2}

    def extract(self, samples: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Not asked for here."""
        raise NotImplementedError


class Counting:
    """Features that count how often they are computed."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Arrays:
        self.calls += 1
        return {"pool": np.arange(6.0).reshape(3, 2), "logits": np.ones((3, 1), dtype=np.float32)}


def test_the_second_time_comes_from_disk(tmp_path: Path) -> None:
    compute, cache = Counting(), FeatureCache(tmp_path)
    first, second = cache.fetch(KEY, compute), cache.fetch(KEY, compute)
    assert compute.calls == 1
    assert first.keys() == second.keys()
    for layer in first:
        assert np.array_equal(first[layer], second[layer])
        assert first[layer].dtype == second[layer].dtype


def test_editing_one_sample_or_the_extractor_is_a_miss() -> None:
    samples = torch.zeros(3, 2)
    edited = samples.clone()
    edited[2, 1] = 1e-7
    keys = {
        feature_key(Extractor(), [samples]),
        feature_key(Extractor(), [edited]),
        feature_key(Extractor(), [samples.reshape(2, 3)]),
        feature_key(Extractor(), [samples.double()]),
        feature_key(Extractor("f2"), [samples]),
        feature_key(Extractor(layers={"pool": 2, "logits": 1}), [samples]),
    }
    assert len(keys) == 6


@pytest.mark.parametrize("damage", ["truncate", "flip", "swap"])
def test_a_damaged_entry_is_set_aside_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    compute, cache = Counting(), FeatureCache(tmp_path)
    right = cache.fetch(KEY, compute)["pool"]
    (path,) = tmp_path.rglob("*.npz")
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        content = content[:-30]
    elif damage == "flip":
        content[content.index(right.tobytes()[16:32])] ^= 1
    else:
        cache.fetch("cd" * 32, compute)
        content = bytearray(path.with_stem("cd" * 32).read_bytes())
    path.write_bytes(bytes(content))
    with caplog.at_level(logging.WARNING):
        again = cache.fetch(KEY, compute)["pool"]
    assert np.array_equal(again, right)
    assert "damaged" in caplog.text
    assert len(list(tmp_path.rglob("*.corrupt"))) == 1
    assert path.exists()


def test_a_cache_that_cannot_be_written_costs_only_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    assert FeatureCache(tmp_path / "file").fetch(KEY, Counting())["pool"].sum() == 15
    assert "not cached" in caplog.text


def test_no_folder_keeps_nothing() -> None:
    compute = Counting()
    for _ in range(2):
        FeatureCache(None).fetch(KEY, compute)
    assert compute.calls == 2
    assert FeatureCache(None).files() == []


WRITER = """
import sys
from pathlib import Path
import numpy as np
from genbench.cache import FeatureCache
cache = FeatureCache(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for turn in range(30):
    cache.fetch(f"{turn:064d}", lambda: {"pool": np.full((200, 200), float(sys.argv[2]))})
"""


def test_two_processes_that_write_at_once_do_no_harm(tmp_path: Path) -> None:
    """Both write all 30 files, and whichever came last left them whole."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), value],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for value in ("1", "2")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate()[0] is not None and writer.returncode for writer in writers] == [0, 0]
    cache = FeatureCache(tmp_path)
    assert [file.state for file in cache.verify()] == ["ok"] * 30
    for turn in range(30):
        found = cache.fetch(f"{turn:064d}", Counting())["pool"]
        assert (found == found[0, 0]).all()


def test_the_command_line_lists_verifies_and_prunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path))
    assert main(["cache", "ls"]) == 0
    assert "0 files" in capsys.readouterr().out
    cache = FeatureCache(tmp_path)
    for key in ("a" * 64, "b" * 64, "c" * 64):
        cache.fetch(key, Counting())
    first, second, third = sorted(tmp_path.rglob("*.npz"))
    first.write_bytes(first.read_bytes()[:-9])
    month = time.time() - 40 * 86_400
    os.utime(second, (month, month))
    assert main(["cache", "ls"]) == 0
    assert capsys.readouterr().out.count("unread") == 3
    assert main(["cache", "verify"]) == 3
    out = capsys.readouterr().out
    assert (out.count(" damaged "), out.count(" ok ")) == (1, 2)
    assert main(["cache", "prune"]) == 0
    assert capsys.readouterr().out.count("removed") == 2
    assert sorted(tmp_path.rglob("*.*")) == [third]
    assert main(["cache", "verify"]) == 0
    assert main(["cache", "prune", "--older-than", "0"]) == 0
    assert not list(tmp_path.rglob("*.npz"))
