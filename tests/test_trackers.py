"""Trackers of experiments get one run a finished training, and nothing leaves the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genbench.errors import SetupError
from genbench.exports import export
from genbench.exports.trainings import trainings, values_of
from tests.makers import make_run, make_score

COST = {"train_seconds": 30.0, "parameters": 50145}
RUNS = [
    make_run("gan", 0, 5.0, step=3000, final=False, cost={"train_seconds": 15.0}, health={"g_loss": 0.5}),
    make_run("gan", 0, 2.0, cost=COST, health={"g_loss": 0.25}),
    make_run("gan", 1, scores=(), failure="diverged: g_loss is not finite"),
    make_run("vae", 0, 7.0, step=3000, final=False),
    make_run("mine", None, 1.0),
    make_run("real", None, 0.5, recipe={"control": "real samples"}),
]


def test_only_trainings_with_an_end_are_finished_and_a_failed_one_is() -> None:
    assert [(t.name, len(t.runs), t.final.failure is None) for t in trainings(RUNS)] == [
        ("gan-seed0", 2, True),
        ("gan-seed1", 1, False),
        ("mine", 1, True),
        ("real", 1, True),
    ]


def test_names_of_numbers_are_those_that_every_tracker_allows() -> None:
    run = make_run(scores=(make_score(metric="fd:mode=analytic"), make_score(split=None, metric="is")), cost=COST)
    values = values_of(run)
    assert values["test/fd_mode_analytic/digits-cnn.pool"] == 1.0
    assert values["samples/is/digits-cnn.pool/debiased"] == 0.75
    assert values["cost/parameters"] == 50145.0
    assert not [
        name for name in values if set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")
    ]


class Recorder:
    """A tracker like W&B or Trackio that writes down what it is told."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []

    def init(self, **known: Any) -> Recorder:
        self.runs.append({**known, "logged": {}, "summary": {}})
        return self

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = self.runs[-1]["summary"]
        return found

    def log(self, values: dict[str, float], step: int) -> None:
        self.runs[-1]["logged"][step] = values

    def finish(self, exit_code: int = 0) -> None:
        self.runs[-1]["exit_code"] = exit_code


@pytest.mark.parametrize("package", ["wandb", "trackio"])
def test_trackers_get_one_run_a_training(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, package, recorder)
    monkeypatch.setenv("TRACKIO_DIR", "elsewhere")
    export(RUNS, package, tmp_path / "out", timestamp=0)
    assert [run["name"] for run in recorder.runs] == ["gan-seed0", "gan-seed1", "mine", "real"]
    first = recorder.runs[0]
    assert (first["project"], first["group"]) == ("genbench-digits-1", "gan")
    assert first["config"]["recipe.steps"] == 6000
    assert {step: v["test/fd/digits-cnn.pool"] for step, v in first["logged"].items()} == {3000: 5.0, 6000: 2.0}
    assert first["logged"][6000]["health/g_loss"] == 0.25


def test_wandb_is_offline_and_a_failed_training_ends_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", recorder)
    export(RUNS, "wandb", tmp_path / "out", timestamp=0)
    assert {run["mode"] for run in recorder.runs} == {"offline"}
    assert [run["exit_code"] for run in recorder.runs] == [0, 1, 0, 0]
    assert recorder.runs[1]["summary"] == {"failure": "diverged: g_loss is not finite"}


def test_trackio_writes_into_the_folder_and_says_why_a_training_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "trackio", recorder)
    monkeypatch.setenv("TRACKIO_DIR", "elsewhere")
    export(RUNS, "trackio", tmp_path / "out", timestamp=0)
    assert os.environ["TRACKIO_DIR"] == str(tmp_path / "out")
    assert [run["config"].get("failure") for run in recorder.runs[:2]] == [None, "diverged: g_loss is not finite"]


class MlflowClient:
    """MLflow's client, as far as it is used; refuses what MLflow refuses."""

    made: MlflowClient

    def __init__(self, tracking_uri: str) -> None:
        self.uri, self.runs = tracking_uri, {}
        MlflowClient.made = self

    def create_experiment(self, name: str) -> str:
        return name

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        self.runs[run_name] = {"tags": tags, "metrics": [], "params": {}}
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.runs[run_id]["metrics"] += metrics
        self.runs[run_id]["params"] |= dict(params)

    def set_terminated(self, run_id: str, status: str) -> None:
        self.runs[run_id]["status"] = status


def test_mlflow_gets_a_local_store_with_statuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entities = SimpleNamespace(Param=lambda key, value: (key, value), Metric=lambda *all_of_it: all_of_it)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=MlflowClient, entities=entities))
    export(RUNS, "mlflow", tmp_path / "out", timestamp=0)
    client = MlflowClient.made
    assert client.uri == f"sqlite:///{tmp_path}/out/mlflow.db"
    assert {name: run["status"] for name, run in client.runs.items()} == {
        "gan-seed0": "FINISHED",
        "gan-seed1": "FAILED",
        "mine": "FINISHED",
        "real": "FINISHED",
    }
    run = client.runs["gan-seed0"]
    assert ("test/fd/digits-cnn.pool", 2.0, 30000, 6000) in run["metrics"]
    assert run["params"]["recipe.batch"] == "64"


def test_tensorboard_events_read_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    export(RUNS, "tensorboard", tmp_path / "out", timestamp=0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["gan-seed0", "gan-seed1", "mine", "real"]
    events = EventAccumulator(str(tmp_path / "out" / "gan-seed0"))
    events.Reload()
    found = [(e.step, e.value, e.wall_time) for e in events.Scalars("test/fd/digits-cnn.pool")]
    assert found == [(3000, 5.0, 15.0), (6000, 2.0, 30.0)]
    assert events.Scalars("health/g_loss")[-1].value == 0.25


@pytest.mark.parametrize(
    ("form", "module"),
    [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb"), ("trackio", "trackio"), ("mlflow", "mlflow")],
)
def test_without_the_package_the_extra_is_named(
    form: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", "elsewhere")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SetupError, match=rf"genbench\[{form}\]") as caught:
        export(RUNS, form, tmp_path / "out", timestamp=0)
    assert caught.value.exit_code == 4
