"""Quality: every score with its interval, and which models the data can tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from genbench.definitions import Benchmark
from genbench.records import Better, Run
from genbench.stats.jackknife import GROUPS
from genbench.stats.seeds import Spread, across_seeds
from genbench.tables.cells import (
    Cell,
    distance,
    final_cells,
    frame,
    head,
    is_control,
    mean_of,
    metric_splits,
    spread_of,
)

LEADERBOARD_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "rank", "value", "debiased", "low", "high",
    "interval", "std_error", "null", "n_generated", "n_reference", "seeds", "failed",
]  # fmt: skip


def leaderboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Quality: one row a metric, split and model, best rank first, then controls; columns `LEADERBOARD_COLUMNS`.

    ``value`` and ``debiased`` are means over the completed training seeds; ``low``, ``high`` and ``std_error``
    belong to the mean of the debiased scores where there are such, and ``interval`` says whether they cover fresh
    trainings (``seeds``) or fresh samples of one (``samples``).
    """
    rows = []
    for example in metric_splits(runs):
        cells = final_cells(runs, example.key, example.split)
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
    return frame(rows, LEADERBOARD_COLUMNS)


def ranks(cells: Sequence[Cell], better: Better) -> dict[str, int]:
    """Rank the models whose every run has a score; controls are none.

    A model's rank is one more than the number of models that are better by Welch's t test (two-sided 5%, one pair at a
    time): models that the data cannot tell apart may share a rank. The unit is the training seed; a single run
    counts with the standard error of its samples instead, and without one as exact.
    """
    spreads = {}
    for cell in cells:
        null = mean_of(cell, "null")
        worse = distance(better, null)
        if cell.control or cell.failed or not cell.scores or worse is None:
            continue
        spread = across_seeds([worse(s.estimate.best) for s in cell.scores if s.estimate is not None])
        spreads[cell.model] = replace(spread, std_error=spread.std_error or mean_of(cell, "std_error") or 0.0)
    return {
        model: 1 + sum(_better(other, mine) for name, other in spreads.items() if name != model)
        for model, mine in spreads.items()
    }


def _better(one: Spread, other: Spread) -> bool:
    """Whether one mean is below another by Welch's t test, Welch-Satterthwaite degrees of freedom."""
    variances = [(s.std_error or 0.0) ** 2 for s in (one, other)]
    total = sum(variances)
    if total == 0:
        return one.mean < other.mean
    # A single run's error comes from the jackknife over 20 groups: 19 degrees of freedom.
    weights = [v**2 / (s.n - 1 if s.n > 1 else GROUPS - 1) for v, s in zip(variances, (one, other), strict=True)]
    threshold = float(stdtrit(total**2 / sum(weights), 0.975))
    return other.mean - one.mean > threshold * math.sqrt(total)


def primary_order(runs: Sequence[Run], benchmark: Benchmark) -> list[str]:
    """Return the models, best first under the primary metric, unranked ones last; controls are none."""
    runs = [run for run in runs if not is_control(run)]
    if not runs:
        return []
    table = leaderboard(runs)
    example = next((s for s in metric_splits(runs) if s.key == benchmark.primary and s.split != "train"), None)
    if example is None:
        return sorted({run.sampler for run in runs})
    rows = table[(table["metric"] == example.name) & (table["split"] == (example.split or ""))]
    spread = rows["debiased"].fillna(rows["value"]) * (-1 if example.better == "higher" else 1)
    return [
        str(m) for m in rows.assign(_key=spread).sort_values(["rank", "_key", "model"], na_position="last")["model"]
    ]
