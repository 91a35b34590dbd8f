"""Processes of this machine: how they are spread over GPUs, and their time limit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genbench.definitions import Budget
from genbench.launchers.local import default_workers, environment_of, gpus_for
from genbench.run import run_benchmark
from tests.makers import make_benchmark

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says it has four."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.usefixtures("four_gpus")
def test_there_is_a_worker_for_each_gpu_as_far_as_work_reaches() -> None:
    assert default_workers("auto", 30) == 4
    assert default_workers("auto", 3) == 3


@pytest.mark.usefixtures("four_gpus")
def test_workers_see_one_gpu_each_in_turn() -> None:
    seen = [environment_of(place, gpus_for("auto"))["CUDA_VISIBLE_DEVICES"] for place in range(6)]
    assert seen == ["0", "1", "2", "3", "0", "1"]


@pytest.mark.usefixtures("four_gpus")
def test_gpus_that_are_hidden_from_this_process_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6, GPU-7f")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert gpus_for("cuda") == ["6", "GPU-7f"]


@pytest.mark.usefixtures("four_gpus")
def test_a_device_that_was_chosen_is_used_by_all() -> None:
    assert gpus_for("cuda:1") == gpus_for("cpu") == []
    assert environment_of(3, []) == {}


def test_one_gpu_needs_no_assignment() -> None:
    assert environment_of(1, ["0"]) == {}


def test_without_a_gpu_there_is_none_to_spread_over() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert gpus_for("auto") == []


def test_a_training_that_takes_too_long_is_a_failed_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))  # workers look modules up where this process does
    baselines = {"hanging": Budget(steps=10, batch=8, baseline="tests.launchers.hanging_baseline:Hanging")}
    runs = run_benchmark(
        make_benchmark(seeds=(0,), baselines=baselines),
        out=tmp_path,
        device="cpu",
        controls=False,
        workers=1,
        launcher_options={"timeout": "1", "attempts": "1"},
    )
    assert {run.sampler: run.failure for run in runs if run.final} == {"hanging": "it took more than 1 s"}
