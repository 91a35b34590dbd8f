"""Stability: the spread over training seeds, failures, and what happens along training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from genbench.records import Better, Run, Score
from genbench.stats.seeds import across_seeds, wilson_interval
from genbench.tables.cells import Cell, distance, final_cells, frame, head, mean_of, metric_splits

STABILITY_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "seeds", "completed", "failed", "failed_low",
    "failed_high", "mean", "low", "high", "sd", "cv", "median", "best", "worst", "sampling_std_error", "regret",
]  # fmt: skip


def stability(runs: Sequence[Run]) -> pd.DataFrame:
    """Spread over training seeds and along training: one row a metric, split and model.

    ``mean`` with its t interval, ``sd`` (unbiased), ``cv`` = sd / abs(mean), ``median``, ``best`` and ``worst`` are
    over the completed runs; ``failed`` has a Wilson interval. ``sampling_std_error`` is the mean standard error
    within a run: an sd near it is noise of measurement. A control is one draw: it has no interval here and no sd.
    ``regret`` says how much worse, on average, the end of training scores than its best checkpoint; being taken against
    a best of noisy scores, it is above zero even for a stable run.
    """
    rows = []
    for example in metric_splits(runs):
        for cell in final_cells(runs, example.key, example.split):
            total = len(cell.scores) + cell.failed
            low, high = wilson_interval(cell.failed, total)
            row = head(runs[0], example, cell.model)
            row |= {"seeds": total, "completed": len(cell.scores), "failed": cell.failed}
            row |= {"failed_low": low, "failed_high": high}
            if cell.scores:
                row |= _spread_columns(cell, example.better)
                row["regret"] = _regret(runs, cell.model, example)
            rows.append(row)
    return frame(rows, STABILITY_COLUMNS)


def _spread_columns(cell: Cell, better: Better) -> dict[str, Any]:
    values = [s.estimate.best for s in cell.scores if s.estimate is not None]
    spread = across_seeds(values)
    cv = spread.sd / abs(spread.mean) if spread.sd is not None and spread.mean != 0 else None
    row = {"mean": spread.mean, "low": spread.low, "high": spread.high, "sd": spread.sd, "cv": cv}
    row |= {"median": float(np.median(values)), "sampling_std_error": mean_of(cell, "std_error")}
    worse = distance(better, mean_of(cell, "null"))
    return row if worse is None else row | {"best": min(values, key=worse), "worst": max(values, key=worse)}


def _regret(runs: Sequence[Run], model: str, example: Score) -> float | None:
    """Mean over seeds of (end of training) - (best checkpoint), in the direction in which worse is positive."""
    regrets = []
    for seed in sorted({r.train_seed for r in runs if r.sampler == model and r.train_seed is not None}):
        curve = []
        for run in sorted((r for r in runs if r.sampler == model and r.train_seed == seed), key=lambda r: r.step or 0):
            curve += [
                s.estimate for s in run.scores if s.key == example.key and s.split == example.split and s.estimate
            ]
        worse = distance(example.better, curve[-1].null) if len(curve) > 1 else None
        if worse is not None:
            steps = [worse(estimate.best) for estimate in curve]
            regrets.append(steps[-1] - min(steps))
    return float(np.mean(regrets)) if regrets else None
