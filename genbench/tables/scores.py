"""Every score with its interval: the long table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from genbench.records import Run
from genbench.tables.cells import cells_by_metric, frame, head, mean_of, metric_splits, spread_of
from genbench.tables.ranking import ranks
from genbench.tables.remembered import remembered

SCORES_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "rank", "value", "debiased", "low", "high",
    "interval", "std_error", "null", "n_generated", "n_reference", "seeds", "failed",
]  # fmt: skip


@remembered
def scores(runs: Sequence[Run]) -> pd.DataFrame:
    """Quality: one row a metric, split and model, best rank first, then controls; columns `SCORES_COLUMNS`.

    ``value`` and ``debiased`` are means over the completed training seeds; ``low``, ``high`` and ``std_error``
    belong to the mean of the debiased scores where there are such, and ``interval`` says whether they cover fresh
    trainings (``seeds``) or fresh samples of one (``samples``).
    """
    rows = []
    found = cells_by_metric(runs)
    for example in metric_splits(runs):
        cells = found[example.key, example.split]
        rank = ranks(cells, example.better)
        block: list[dict[str, Any]] = []
        controls: list[dict[str, Any]] = []
        for cell in cells:
            row = head(runs[0], example, cell.model)
            row |= {"seeds": len(cell.scores), "failed": cell.failed, "rank": rank.get(cell.model)}
            if cell.scores:
                spread, interval = spread_of(cell)
                row |= {"value": mean_of(cell, "value"), "debiased": mean_of(cell, "debiased"), "interval": interval}
                row |= {"low": spread.low, "high": spread.high, "std_error": spread.std_error}
                row |= {"null": mean_of(cell, "null"), "n_generated": example.n_generated}
                row |= {"n_reference": example.n_reference}
            (controls if cell.control else block).append(row)
        rows += sorted(block, key=lambda r: (r["rank"] is None, r["rank"] or 0, r["model"])) + controls
    return frame(rows, SCORES_COLUMNS)
