"""Final scores by model: what every table is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from genbench.records import Better, Run, Score
from genbench.stats.seeds import Spread, across_seeds

CONTROLS = ("real", "truth", "gaussian", "replay-noise", "replay")
"""Names of `genbench.controls`, as the tables order them: from the best there is to the worst that looks like it."""


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
    rows = runs_by_row(runs)
    found = ((run, s) for mine in rows.values() for run in mine for s in run.scores if (s.key, s.split) == (key, split))
    return _cells(rows, found)


def cells_by_metric(runs: Iterable[Run]) -> dict[tuple[str, str | None], list[Cell]]:
    """Return `final_cells` of every metric and split at once: linear in the number of scores."""
    rows = runs_by_row(runs)
    found: dict[tuple[str, str | None], list[tuple[Run, Score]]] = {}
    for mine in rows.values():
        for run in mine:
            for score in run.scores:
                found.setdefault((score.key, score.split), []).append((run, score))
    return {metric: _cells(rows, scores) for metric, scores in found.items()}


def runs_by_row(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Group final runs by model, in alphabetical order, then those of controls by name in the order of the tables."""
    rows: dict[str, list[Run]] = {}
    finals = [run for run in runs if run.final]
    models = sorted({run.sampler for run in finals if not is_control(run)})
    for name in [*models, *(run.sampler for run in controls_of(finals))]:
        rows[name] = []
    for run in finals:
        rows[run.sampler].append(run)
    return rows


def _cells(rows: dict[str, list[Run]], found: Iterable[tuple[Run, Score]]) -> list[Cell]:
    scores: dict[str, list[Score]] = {name: [] for name in rows}
    for run, score in found:
        if score.estimate is not None:
            scores[run.sampler].append(score)
    controls = {name for name, mine in rows.items() if any(is_control(run) for run in mine)}
    return [
        Cell(name, tuple(scores[name]), failed=len(mine) - len(scores[name]), control=name in controls)
        for name, mine in rows.items()
    ]


def metric_splits(runs: Iterable[Run]) -> list[Score]:
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


def mean_of(cell: Cell, field: str) -> float | None:
    """Mean of a field of estimates over a cell's runs; None if one lacks it, or there is no run."""
    numbers = [getattr(s.estimate, field) for s in cell.scores]
    return None if not numbers or any(x is None for x in numbers) else float(np.mean(numbers))


def distance(better: Better, null: float | None) -> Callable[[float], float] | None:
    """Return a function that is lower for better scores."""
    if better == "match":
        return None if null is None else lambda x: abs(x - null)
    return (lambda x: x) if better == "lower" else (lambda x: -x)


def head(run: Run, score: Score, model: str) -> dict[str, Any]:
    """Return the columns that every row begins with."""
    return {
        "benchmark": run.benchmark,
        "quick": run.quick,
        "metric": score.name,
        "split": score.split or "",
        "unit": score.unit,
        "better": score.better,
        "model": model,
    }


def frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Return rows as a table; counts are whole numbers, even where some are missing."""
    found = pd.DataFrame(rows, columns=columns)
    counts = [c for c in ("rank", "seeds", "completed", "failed", "n_generated", "n_reference") if c in columns]
    return found.astype(dict.fromkeys(counts, "Int64"))
