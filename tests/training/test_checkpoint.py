"""States on disk: of one training only, verified, and never code."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genbench.definitions import Dataset
from genbench.errors import DeclarationError, ProtocolError, UsageError
from genbench.training import train
from genbench.training.checkpoint import identity, load_state, save_state

CPU = torch.device("cpu")
BUDGET: dict[str, Any] = {"seed": 0, "steps": 60, "batch": 8, "device": CPU, "stops": (20, 60)}
WHOSE: dict[str, str | int] = {"recipe": "r", "seed": 0}


def final_samples(baseline: Any, data: Dataset, state: Path) -> torch.Tensor:
    *_, last = train(baseline, data, checkpoint=state, **BUDGET)
    return last.sampler.sample(5, seed=0)


@pytest.mark.parametrize(("key", "changes"), [("seed", {"seed": 1}), ("steps", {"steps": 70}), ("batch", {"batch": 9})])
def test_state_of_another_budget_is_refused(
    key: str, changes: dict[str, Any], scripted: Any, vectors: Dataset, state: Path
):
    final_samples(scripted(), vectors, state)
    with pytest.raises(ProtocolError, match=f"holds a training with {key} = "):
        list(train(scripted(), vectors, checkpoint=state, **{**BUDGET, **changes}))


def test_state_of_other_options_is_refused(scripted: Any, vectors: Dataset, state: Path):
    final_samples(scripted(), vectors, state)
    with pytest.raises(ProtocolError, match=r"holds a training with recipe = .*'bad_loss': 1000000000"):
        final_samples(scripted(bad_loss=500), vectors, state)


def test_state_of_other_data_is_refused(scripted: Any, vectors: Dataset, state: Path):
    final_samples(scripted(), vectors, state)
    other = Dataset(name="points", train=vectors.train + np.float32(1), test=vectors.test)
    with pytest.raises(ProtocolError, match="holds a training with data = "):
        final_samples(scripted(), other, state)


def test_state_of_another_kind_of_device_is_refused(scripted: Any):
    devices = (CPU, torch.device("cuda:1"))
    one, other = (identity(scripted(), seed=0, steps=1, batch=1, data="d", device=device) for device in devices)
    assert {key for key in one if one[key] != other[key]} == {"device"}


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def empty(content: bytes) -> bytes:
    return b""


def foreign(content: bytes) -> bytes:
    return b"not a state of genbench\n" * 100


@pytest.mark.parametrize("damage", [cut, flip, empty, foreign])
def test_damaged_state_is_set_aside_and_training_starts_over(
    damage: Callable[[bytes], bytes], scripted: Any, vectors: Dataset, state: Path, caplog: pytest.LogCaptureFixture
):
    expected = final_samples(scripted(), vectors, state)
    damaged = damage(state.read_bytes())
    state.write_bytes(damaged)
    with caplog.at_level(logging.WARNING, logger="genbench"):
        steps = [stop.step for stop in train(scripted(), vectors, checkpoint=state, **BUDGET)]
    assert steps == [20, 60]
    assert "is damaged; it was renamed to seed0.pt.corrupt" in caplog.text
    assert state.with_name("seed0.pt.corrupt").read_bytes() == damaged
    assert torch.equal(final_samples(scripted(), vectors, state), expected)


def test_state_comes_back_as_it_was(tmp_path: Path):
    state = {"t": torch.arange(3.0), "list": [1, 2.5, "x", None], "deep": {"b": (True, torch.ones(2, 2))}}
    save_state(tmp_path / "s", WHOSE, state)
    back = load_state(tmp_path / "s", WHOSE, CPU)
    assert back is not None
    assert torch.equal(back["t"], state["t"])
    assert torch.equal(back["deep"]["b"][1], torch.ones(2, 2))
    assert back["list"] == state["list"]


def test_no_state_is_no_error(tmp_path: Path):
    assert load_state(tmp_path / "absent", WHOSE, CPU) is None


class Code:
    """What a pickle can do to whoever loads it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_state_that_holds_code_is_refused_and_not_run(tmp_path: Path):
    buffer = io.BytesIO()
    torch.save({"identity": WHOSE, "state": Code(tmp_path / "made")}, buffer)
    payload = buffer.getvalue()
    whole = b"genbench training state 1\n" + hashlib.sha256(payload).digest() + payload
    (tmp_path / "s").write_bytes(whole)
    with pytest.raises(DeclarationError, match="must hold tensors and plain values only"):
        load_state(tmp_path / "s", WHOSE, CPU)
    assert not (tmp_path / "made").exists()


def test_no_temporary_file_is_left(scripted: Any, vectors: Dataset, state: Path):
    final_samples(scripted(), vectors, state)
    assert [path.name for path in state.parent.iterdir()] == ["seed0.pt"]


@pytest.mark.parametrize("stops", [(), (0, 5), (5, 5), (10, 5), (61,)])
def test_stops_that_cannot_be_are_refused(stops: tuple[int, ...], scripted: Any, vectors: Dataset, state: Path):
    with pytest.raises(UsageError, match="stops must be increasing and in"):
        list(train(scripted(), vectors, checkpoint=state, **{**BUDGET, "stops": stops}))


@pytest.mark.parametrize("changes", [{"batch": 0}, {"steps": 0}])
def test_empty_budget_is_refused(changes: dict[str, int], scripted: Any, vectors: Dataset, state: Path):
    with pytest.raises(UsageError, match="steps and batch must be at least 1"):
        list(train(scripted(), vectors, checkpoint=state, **{**BUDGET, **changes}))
