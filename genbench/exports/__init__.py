"""Records in other people's forms: JSONL, Every Eval Ever, TensorBoard, W&B, Trackio, MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genbench.errors import SampleError, UsageError
from genbench.exports.every_eval_ever import write_every_eval_ever
from genbench.exports.jsonl import to_jsonl
from genbench.exports.tensorboard import write_tensorboard
from genbench.exports.trackers import write_mlflow, write_trackio, write_wandb
from genbench.exports.trainings import trainings
from genbench.records import Run

TRACKERS = {
    "tensorboard": write_tensorboard,
    "wandb": write_wandb,
    "trackio": write_trackio,
    "mlflow": write_mlflow,
}

FORMATS = ("jsonl", "every-eval-ever", *TRACKERS)

__all__ = ["FORMATS", "TRACKERS", "export", "to_jsonl"]


def export(runs: Sequence[Run], to: str, out: Path, *, timestamp: int) -> str:
    """Write records in another form into a folder, and say what is there and how to look at it.

    Only finished trainings go to trackers: those that have their final record, as a failed one has too.

    Parameters
    ----------
    runs : sequence of Run
        Of one benchmark.
    to : str
        One of `FORMATS`, other than ``jsonl`` (see `to_jsonl`).
    out : Path
        A folder that is empty or not there yet: an export is never mixed with an earlier one.
    timestamp : int
        When this export is made, in seconds since 1970; only Every Eval Ever holds it.

    Raises
    ------
    UsageError
        If there is no such form, or the folder is not empty.
    SampleError
        If no training is finished.
    SetupError
        If the package that writes the form is not installed; the message names the extra.
    """
    if to not in FORMATS or to == "jsonl":
        raise UsageError(f"export: one of {', '.join(FORMATS[1:])} expected, got {to!r}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"export: {out} is not empty; remove it, or choose another folder with --out.")
    if not any(run.final for run in runs):
        raise SampleError("export: no final record among these; finish the run first.")
    if to == "every-eval-ever":
        return write_every_eval_ever(runs, out, timestamp=timestamp)
    return TRACKERS[to](trainings(runs), out, runs[0].benchmark)
