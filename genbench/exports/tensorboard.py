"""Finished trainings as TensorBoard event files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genbench.exports.trainings import Training, values_of
from genbench.files.extras import import_extra


def write_tensorboard(trainings: Sequence[Training], out: Path, benchmark: str) -> str:
    """Write one folder of events a training: scalars by step, and the recipe as text.

    Wall times are the seconds of training, so that the relative axis shows them.
    """
    module = import_extra("torch.utils.tensorboard", extra="tensorboard", who="export")
    for training in trainings:
        with module.SummaryWriter(log_dir=str(out / training.name)) as writer:
            for run in training.runs:
                clock = run.cost.get("train_seconds", 0.0)
                for name, value in values_of(run).items():
                    writer.add_scalar(name, value, global_step=run.step or 0, walltime=clock)
            lines = [f"{key}: {value}" for key, value in training.config.items()]
            lines += [f"failure: {training.final.failure}"] if training.final.failure else []
            writer.add_text("config", "  \n".join(lines))
    return f"{len(trainings)} trainings on {benchmark}: tensorboard --logdir {out}"
