"""The data-size ladder as a table: where memorizing turns into generalizing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from genbench.records import Run
from genbench.tables.cells import final_cells, mean_of, spread_of
from genbench.tables.generalization import generalization
from genbench.tables.memorization import memorization

LADDER_COLUMNS = [
    "benchmark", "quick", "metric", "model", "control", "train_size", "test", "test_low", "test_high", "gap_metric",
    "gap", "gap_low", "gap_high", "n_gap", "share", "chance", "p_value", "p_corrected", "verdict", "seeds", "failed",
    "missing", "sentence",
]  # fmt: skip


def ladder(runs: Mapping[int, Sequence[Run]], metric: str, *, gap: str | None = None) -> pd.DataFrame:
    """Show each model at every size of the training split: one row a model and size, smallest first, then controls.

    Parameters
    ----------
    runs : mapping of int to sequence of Run
        The records of one benchmark, by the size of its training split.
    metric : str
        A key such as ``fd@digits-cnn.pool``: the benchmark's primary metric.
    gap : str or None
        The metric whose gap is shown; None is the same. A Fréchet distance has no interval with fewer than 1.5 rows a
        dimension, a kernel distance has.

    Returns
    -------
    DataFrame
        ``test``: the score against held-out data, as a mean over seeds with its interval, at one n for all sizes.
        ``gap``, held-out minus train, with its interval: of ``gap_metric`` against ``n_gap`` rows of either split, as
        many as the smaller one has, so that gaps at sizes below the benchmark's n do not compare with others. ``share``
        to ``verdict`` and ``sentence`` are those of `genbench.tables.memorization`, corrected within each size.
    """
    rows: list[dict[str, Any]] = []
    for size in sorted(runs):
        rows += _rungs(runs[size], metric, gap or metric, size)
    table = pd.DataFrame(rows, columns=LADDER_COLUMNS)
    counts = dict.fromkeys(("train_size", "n_gap", "seeds", "failed"), "Int64")
    order = {model: place for place, model in enumerate(_models(runs))}
    # Stable: within a model the sizes stay in order.
    return table.astype(counts).sort_values("model", key=lambda m: m.map(order), kind="stable", ignore_index=True)


def _models(runs: Mapping[int, Sequence[Run]]) -> list[str]:
    """Return every model of any size in the order of the tables: alphabetical, then controls."""
    everything = [run for size in sorted(runs) for run in runs[size]]
    return [cell.model for cell in final_cells(everything, "", None)]


def _rungs(runs: Sequence[Run], metric: str, gap_metric: str, size: int) -> list[dict[str, Any]]:
    verdicts = memorization(runs).drop_duplicates("model").set_index("model")
    gaps = generalization(runs)
    short = gaps["metric"].str.replace(r"#[0-9a-f]+", "", regex=True)
    gaps = gaps[short.str.replace(r"[:,]rows=\d+", "", regex=True) == gap_metric].set_index("model")
    rows = []
    for cell in final_cells(runs, metric, "test"):
        verdict = verdicts.loc[cell.model]
        row: dict[str, Any] = {"benchmark": runs[0].benchmark, "quick": runs[0].quick, "metric": metric}
        row |= {"gap_metric": gap_metric}
        row |= {"model": cell.model, "train_size": size, "seeds": len(cell.scores), "failed": cell.failed}
        row |= {c: verdict[c] for c in ("control", "verdict", "share", "chance", "p_value", "p_corrected", "missing")}
        row |= {"sentence": verdict["sentence"]}
        if cell.scores:
            spread, _ = spread_of(cell)
            row |= {"test": mean_of(cell, "value"), "test_low": spread.low, "test_high": spread.high}
        if cell.model in gaps.index:
            gap = gaps.loc[cell.model]
            row |= {"gap": gap["gap"], "gap_low": gap["low"], "gap_high": gap["high"], "n_gap": gap["n_reference"]}
        rows.append(row)
    return rows
