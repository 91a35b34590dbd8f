"""Finished trainings in Weights & Biases, Trackio and MLflow. All three write to a local folder; nothing is sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from genbench.exports.trainings import Training, tag, values_of
from genbench.files.extras import import_extra

_PARAMS_AT_A_TIME = 100
"""As many as MLflow takes in one call."""


def write_wandb(trainings: Sequence[Training], out: Path, benchmark: str) -> str:
    """Write one offline run a training; ``wandb sync`` sends them. A failed training ends with exit code 1."""
    wandb = import_extra("wandb", extra="wandb", who="export")
    out.mkdir(parents=True, exist_ok=True)
    for training in trainings:
        run = wandb.init(
            project=_project(benchmark),
            name=training.name,
            group=training.final.sampler,
            config=training.config,
            dir=str(out),
            mode="offline",
        )
        for record in training.runs:
            run.log(values_of(record), step=record.step or 0)
        if training.final.failure:
            run.summary["failure"] = training.final.failure
        run.finish(exit_code=1 if training.final.failure else 0)
    return f"{len(trainings)} offline runs: wandb sync --sync-all (in {out})"


def write_trackio(trainings: Sequence[Training], out: Path, benchmark: str) -> str:
    """Write one run a training into a Trackio folder. Trackio has no failed runs: the config says why one failed."""
    out.mkdir(parents=True, exist_ok=True)
    os.environ["TRACKIO_DIR"] = str(out)  # read once, when trackio is imported; it takes no folder in a call
    trackio = import_extra("trackio", extra="trackio", who="export")
    for training in trainings:
        failure = {"failure": training.final.failure} if training.final.failure else {}
        trackio.init(
            project=_project(benchmark),
            name=training.name,
            group=training.final.sampler,
            config={**training.config, **failure},
        )
        for record in training.runs:
            trackio.log(values_of(record), step=record.step or 0)
        trackio.finish()
    return f"{len(trainings)} runs: TRACKIO_DIR={out} trackio show --project {_project(benchmark)}"


def write_mlflow(trainings: Sequence[Training], out: Path, benchmark: str) -> str:
    """Write one run a training into an SQLite store; a failed training has the status FAILED."""
    mlflow = import_extra("mlflow", extra="mlflow", who="export")
    out.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{out.resolve() / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment(_project(benchmark))
    for training in trainings:
        failure = training.final.failure
        tags = {"model": training.final.sampler, **({"failure": failure} if failure else {})}
        run = client.create_run(experiment, run_name=training.name, tags=tags)
        params = [mlflow.entities.Param(tag(key), str(value)) for key, value in training.config.items()]
        for start in range(0, len(params), _PARAMS_AT_A_TIME):
            client.log_batch(run.info.run_id, params=params[start : start + _PARAMS_AT_A_TIME])
        for record in training.runs:
            clock = round(1000 * record.cost.get("train_seconds", 0.0))
            metrics = [
                mlflow.entities.Metric(name, value, clock, record.step or 0)
                for name, value in values_of(record).items()
            ]
            client.log_batch(run.info.run_id, metrics=metrics)
        client.set_terminated(run.info.run_id, status="FAILED" if failure else "FINISHED")
    return f"{len(trainings)} runs: mlflow ui --backend-store-uri {uri}"


def _project(benchmark: str) -> str:
    """Name of the project: ``genbench-digits-1``, letters that each of the three takes."""
    return "genbench-" + benchmark.replace("@", "-")
