"""Records in, tables out: leaderboard, stability, generalization.

Tables hold nothing that differs between two identical runs (no times, no dates), so that an interrupted and
resumed run ends in the same bytes. A failed run is counted; it is never averaged and never ranked. Controls
(`genbench.controls`) stand below the models and are not ranked either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from genbench.definitions import Benchmark
from genbench.records import Better, Run, Score
from genbench.stats.jackknife import GROUPS, half_width
from genbench.stats.seeds import Spread, across_seeds, wilson_interval

CONTROLS = ("real", "truth", "gaussian", "replay-noise", "replay")
"""Names of `genbench.controls`, as the tables order them: from the best there is to the worst that looks like it."""

LEADERBOARD_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "rank", "value", "debiased", "low", "high",
    "interval", "std_error", "null", "n_generated", "n_reference", "seeds", "failed",
]  # fmt: skip
STABILITY_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "seeds", "completed", "failed", "failed_low",
    "failed_high", "mean", "low", "high", "sd", "cv", "median", "best", "worst", "sampling_std_error", "regret",
]  # fmt: skip
GENERALIZATION_COLUMNS = [
    "benchmark", "quick", "metric", "unit", "better", "model", "train", "test", "gap", "low", "high", "method",
    "null", "n_generated", "n_reference", "seeds", "failed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One model's final scores under one metric: a score for every completed run."""

    model: str
    scores: tuple[Score, ...]
    failed: int
    control: bool = False


def is_control(run: Run) -> bool:
    """Tell the record of a control from those of models."""
    return "control" in run.recipe


def controls_of(runs: Iterable[Run]) -> list[Run]:
    """Return the records of controls, in the order of the tables."""
    return sorted((run for run in runs if is_control(run)), key=lambda run: CONTROLS.index(run.sampler))


def final_cells(runs: Iterable[Run], key: str, split: str | None) -> list[Cell]:
    """Collect, for one metric and split, the final scores of every model in alphabetical order, then the controls'."""
    cells = []
    finals = [run for run in runs if run.final]
    models = sorted({run.sampler for run in finals if not is_control(run)})
    controls = [run.sampler for run in controls_of(finals)]
    for model in [*models, *controls]:
        mine = [run for run in finals if run.sampler == model]
        found = [s for run in mine for s in run.scores if s.key == key and s.split == split and s.estimate is not None]
        cells.append(Cell(model, tuple(found), failed=len(mine) - len(found), control=model in controls))
    return cells


def _metric_splits(runs: Iterable[Run]) -> list[Score]:
    """One exemplary score for every (metric, split), in the order of the benchmark."""
    seen: dict[tuple[str, str | None], Score] = {}
    for run in runs:
        if run.final:
            for score in run.scores:
                seen.setdefault((score.key, score.split), score)
    return list(seen.values())


def spread_of(cell: Cell) -> tuple[Spread, str]:
    """Mean over a cell's runs, and what its interval covers: training seeds, or (for one run) fresh samples."""
    estimates = [s.estimate for s in cell.scores if s.estimate is not None]
    spread = across_seeds([e.best for e in estimates])
    if spread.n > 1:
        return spread, "seeds"
    only = estimates[0]
    one = Spread(mean=only.best, sd=None, std_error=only.std_error, low=only.low, high=only.high, n=1)
    return one, "none" if only.low is None else "samples"


def ranks(cells: Sequence[Cell], better: Better) -> dict[str, int]:
    """Rank the models whose every run has a score; controls are none.

    A model's rank is one more than the number of models that are better by Welch's t test (two-sided 5%, one pair at a
    time): models that the data cannot tell apart may share a rank. The unit is the training seed; a single run
    counts with the standard error of its samples instead, and without one as exact.
    """
    spreads = {}
    for cell in cells:
        null = _mean_of(cell, "null")
        distance = _distance(better, null)
        if cell.control or cell.failed or not cell.scores or distance is None:
            continue
        spread = across_seeds([distance(s.estimate.best) for s in cell.scores if s.estimate is not None])
        spreads[cell.model] = replace(spread, std_error=spread.std_error or _mean_of(cell, "std_error") or 0.0)
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


def _mean_of(cell: Cell, field: str) -> float | None:
    numbers = [getattr(s.estimate, field) for s in cell.scores]
    return None if not numbers or any(x is None for x in numbers) else float(np.mean(numbers))


def _head(run: Run, score: Score, model: str) -> dict[str, Any]:
    return {
        "benchmark": run.benchmark,
        "quick": run.quick,
        "metric": score.name,
        "split": score.split or "",
        "unit": score.unit,
        "better": score.better,
        "model": model,
    }


def leaderboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Quality: one row a metric, split and model, best rank first, then controls; columns `LEADERBOARD_COLUMNS`.

    ``value`` and ``debiased`` are means over the completed training seeds; ``low``, ``high`` and ``std_error``
    belong to the mean of the debiased scores where there are such, and ``interval`` says whether they cover fresh
    trainings (``seeds``) or fresh samples of one (``samples``).
    """
    rows = []
    for example in _metric_splits(runs):
        cells = final_cells(runs, example.key, example.split)
        rank = ranks(cells, example.better)
        block: list[dict[str, Any]] = []
        controls: list[dict[str, Any]] = []
        for cell in cells:
            row = _head(runs[0], example, cell.model)
            row |= {"seeds": len(cell.scores), "failed": cell.failed, "rank": rank.get(cell.model)}
            if cell.scores:
                spread, interval = spread_of(cell)
                row |= {"value": _mean_of(cell, "value"), "debiased": _mean_of(cell, "debiased"), "interval": interval}
                row |= {"low": spread.low, "high": spread.high, "std_error": spread.std_error}
                row |= {"null": _mean_of(cell, "null"), "n_generated": example.n_generated}
                row |= {"n_reference": example.n_reference}
            (controls if cell.control else block).append(row)
        rows += sorted(block, key=lambda r: (r["rank"] is None, r["rank"] or 0, r["model"])) + controls
    return _frame(rows, LEADERBOARD_COLUMNS)


def stability(runs: Sequence[Run]) -> pd.DataFrame:
    """Spread over training seeds and along training: one row a metric, split and model.

    ``mean`` with its t interval, ``sd`` (unbiased), ``cv`` = sd / abs(mean), ``median``, ``best`` and ``worst`` are
    over the completed runs; ``failed`` has a Wilson interval. ``sampling_std_error`` is the mean standard error
    within a run: an sd near it is noise of measurement. A control is one draw: it has no interval here and no sd.
    ``regret`` says how much worse, on average, the end of training scores than its best checkpoint; being taken against
    a best of noisy scores, it is above zero even for a stable run.
    """
    rows = []
    for example in _metric_splits(runs):
        for cell in final_cells(runs, example.key, example.split):
            total = len(cell.scores) + cell.failed
            low, high = wilson_interval(cell.failed, total)
            row = _head(runs[0], example, cell.model)
            row |= {"seeds": total, "completed": len(cell.scores), "failed": cell.failed}
            row |= {"failed_low": low, "failed_high": high}
            if cell.scores:
                row |= _spread_columns(cell, example.better)
                row["regret"] = _regret(runs, cell.model, example)
            rows.append(row)
    return _frame(rows, STABILITY_COLUMNS)


def _spread_columns(cell: Cell, better: Better) -> dict[str, Any]:
    values = [s.estimate.best for s in cell.scores if s.estimate is not None]
    spread = across_seeds(values)
    cv = spread.sd / abs(spread.mean) if spread.sd is not None and spread.mean != 0 else None
    row = {"mean": spread.mean, "low": spread.low, "high": spread.high, "sd": spread.sd, "cv": cv}
    row |= {"median": float(np.median(values)), "sampling_std_error": _mean_of(cell, "std_error")}
    distance = _distance(better, _mean_of(cell, "null"))
    return row if distance is None else row | {"best": min(values, key=distance), "worst": max(values, key=distance)}


def _distance(better: Better, null: float | None) -> Callable[[float], float] | None:
    """Return a function that is lower for better scores."""
    if better == "match":
        return None if null is None else lambda x: abs(x - null)
    return (lambda x: x) if better == "lower" else (lambda x: -x)


def _regret(runs: Sequence[Run], model: str, example: Score) -> float | None:
    """Mean over seeds of (end of training) - (best checkpoint), in the direction in which worse is positive."""
    regrets = []
    for seed in sorted({r.train_seed for r in runs if r.sampler == model and r.train_seed is not None}):
        curve = []
        for run in sorted((r for r in runs if r.sampler == model and r.train_seed == seed), key=lambda r: r.step or 0):
            curve += [
                s.estimate for s in run.scores if s.key == example.key and s.split == example.split and s.estimate
            ]
        distance = _distance(example.better, curve[-1].null) if len(curve) > 1 else None
        if distance is not None:
            steps = [distance(estimate.best) for estimate in curve]
            regrets.append(steps[-1] - min(steps))
    return float(np.mean(regrets)) if regrets else None


def generalization(runs: Sequence[Run]) -> pd.DataFrame:
    """Score against the training data, against held-out data, and the gap held-out minus train.

    Both references have the same n, so that what depends on n cancels. ``low`` and ``high`` hold the gap: by the group
    jackknife of the difference (replicates averaged over seeds first, because all seeds share the references), or,
    for scores without replicates, by adding the two variances, which ignores that the samples are shared and is wide.
    ``null`` is the score of real held-out data against the training data: the floor. Scores that are best where real
    data score are left out: they use the reference only to fix coordinates, so that their difference says nothing.
    """
    rows = []
    for example in _metric_splits(runs):
        if example.split != "train" or example.better == "match":
            continue
        against = {
            split: {cell.model: cell for cell in final_cells(runs, example.key, split)} for split in ("train", "test")
        }
        for model, train in against["train"].items():
            test = against["test"][model]
            row = _head(runs[0], example, model)
            row |= {"seeds": len(train.scores), "failed": train.failed}
            if train.scores and len(train.scores) == len(test.scores):
                row |= {
                    "train": _mean_of(train, "value"),
                    "test": _mean_of(test, "value"),
                    "null": _mean_of(train, "null"),
                }
                row |= {"n_generated": example.n_generated, "n_reference": example.n_reference}
                row |= _gap(train, test)
            rows.append(row)
    return _frame(rows, GENERALIZATION_COLUMNS)


def _gap(train: Cell, test: Cell) -> dict[str, Any]:
    pairs = [
        (a.estimate, b.estimate) for a, b in zip(train.scores, test.scores, strict=True) if a.estimate and b.estimate
    ]
    gap = float(np.mean([b.value - a.value for a, b in pairs]))
    if len({len(e.replicates) for pair in pairs for e in pair}) == 1 and len(pairs[0][0].replicates) > 1:
        replicates = np.mean([np.subtract(b.replicates, a.replicates) for a, b in pairs], axis=0)
        half, method = half_width(replicates), "jackknife"
    elif all(e.std_error is not None for pair in pairs for e in pair):
        variances = [(a.std_error or 0.0) ** 2 + (b.std_error or 0.0) ** 2 for a, b in pairs]
        # The references are common to all seeds, so seeds do not average their noise away: no division by their number.
        half, method = 1.96 * math.sqrt(float(np.mean(variances))), "sum of variances"
    else:
        return {"gap": gap, "method": "none"}
    return {"gap": gap, "low": gap - half, "high": gap + half, "method": method}


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    counts = [c for c in ("rank", "seeds", "completed", "failed", "n_generated", "n_reference") if c in columns]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def primary_order(runs: Sequence[Run], benchmark: Benchmark) -> list[str]:
    """Return the models, best first under the primary metric, unranked ones last; controls are none."""
    runs = [run for run in runs if not is_control(run)]
    if not runs:
        return []
    table = leaderboard(runs)
    example = next((s for s in _metric_splits(runs) if s.key == benchmark.primary and s.split != "train"), None)
    if example is None:
        return sorted({run.sampler for run in runs})
    rows = table[(table["metric"] == example.name) & (table["split"] == (example.split or ""))]
    spread = rows["debiased"].fillna(rows["value"]) * (-1 if example.better == "higher" else 1)
    return [
        str(m) for m in rows.assign(_key=spread).sort_values(["rank", "_key", "model"], na_position="last")["model"]
    ]
