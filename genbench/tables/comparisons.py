"""Models against each other over their trainings: probability of improvement, and performance profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from genbench.definitions import Benchmark
from genbench.records import Run, Score
from genbench.stats.differences import holm
from genbench.stats.improvement import probability_of_improvement
from genbench.stats.seeds import wilson_interval
from genbench.tables.cells import Cell, distance, final_cells, head, metric_splits

COMPARISON_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "other", "runs", "other_runs", "failed",
    "other_failed", "probability", "low", "high", "p_value", "p_holm",
]  # fmt: skip

PROFILE_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "threshold", "runs", "share", "low", "high",
]  # fmt: skip


def comparisons(runs: Sequence[Run], benchmark: Benchmark) -> pd.DataFrame:
    """How probable it is that a run of ``model`` beats a run of ``other``: one row a pair, under the primary metric.

    Against held-out data where the metric takes a reference; by debiased scores where there are such. A failed run
    loses to every run that did not fail. Interval and exact test are those of `genbench.stats.improvement`;
    ``p_holm`` is the p-value corrected for the number of pairs (Holm 1979). Controls are not compared.
    """
    found = _primary(runs, benchmark)
    if found is None:
        return pd.DataFrame([], columns=COMPARISON_COLUMNS)
    example, worse = found
    rows: list[dict[str, Any]] = []
    for (model, mine), (other, theirs) in combinations(worse.items(), 2):
        result = probability_of_improvement(mine, theirs)
        row = head(runs[0], example, model) | {"other": other, "runs": len(mine), "other_runs": len(theirs)}
        row |= {"failed": sum(map(math.isinf, mine)), "other_failed": sum(map(math.isinf, theirs))}
        row |= {"probability": result.probability, "low": result.low, "high": result.high, "p_value": result.p_value}
        rows.append(row)
    for row, corrected in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = corrected
    return pd.DataFrame(rows, columns=COMPARISON_COLUMNS)


def profiles(runs: Sequence[Run], benchmark: Benchmark) -> pd.DataFrame:
    """Performance profiles: the share of a model's runs that score at least as well as a threshold.

    Under the primary metric, as in `comparisons`. The thresholds are all scores that any model's run got, best first,
    so that the rows are the whole step functions; a failed run is as good as none of them. ``low`` and ``high`` hold
    the share at each threshold by Wilson's interval. Agarwal et al. 2021, arXiv:2108.13264, section 4.3.
    """
    found = _primary(runs, benchmark)
    if found is None:
        return pd.DataFrame([], columns=PROFILE_COLUMNS)
    example, worse = found
    thresholds = sorted({x for mine in worse.values() for x in mine if math.isfinite(x)})
    rows = []
    for model, mine in worse.items():
        for threshold in thresholds:
            good = sum(x <= threshold for x in mine)
            low, high = wilson_interval(good, len(mine))
            row = head(runs[0], example, model) | {
                "runs": len(mine),
                "share": good / len(mine),
                "low": low,
                "high": high,
            }
            # "match": the distance from what real data score, of which lower is better.
            row["threshold"] = -threshold if example.better == "higher" else threshold
            rows.append(row)
    return pd.DataFrame(rows, columns=PROFILE_COLUMNS)


def _primary(runs: Sequence[Run], benchmark: Benchmark) -> tuple[Score, dict[str, list[float]]] | None:
    """The primary metric's scores by model, lower is better, infinity for a run that failed; sorted."""
    example = next((s for s in metric_splits(runs) if s.key == benchmark.primary and s.split != "train"), None)
    if example is None:
        return None
    cells = [cell for cell in final_cells(runs, example.key, example.split) if not cell.control]
    return example, {cell.model: _worse(cell, example) for cell in cells}


def _worse(cell: Cell, example: Score) -> list[float]:
    numbers = [math.inf] * cell.failed
    for score in cell.scores:
        worse = None if score.estimate is None else distance(example.better, score.estimate.null)
        numbers.append(math.inf if worse is None or score.estimate is None else worse(score.estimate.best))
    return sorted(numbers)
