"""Memorization: what the label test decides of every model, and how close its samples come to the training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from genbench.records import Estimate, Run, Score
from genbench.stats.differences import holm
from genbench.tables.cells import Cell, cells_by_metric, final_cells, mean_of, metric_splits
from genbench.tables.missing import missing_seeds
from genbench.tables.remembered import remembered

LEVEL = 0.01
"""Chance of calling any model memorized, of all that a table holds, where none is."""

CLOSENESS = ("copy_rate", "lower_tail_copies", "nn_distance_ratio", "c_t", "auth_pct", "unique_fraction")
"""Scores that describe and do not decide: all but the last move for a generator that is merely narrow, too."""

MEMORIZATION_COLUMNS = [
    "benchmark", "quick", "metric", "model", "control", "verdict", "share", "share_all", "chance", "p_value",
    "p_corrected", "tests", "n_generated", "n_nearest", "seeds", "failed", "missing",
]  # fmt: skip


@remembered
def memorization(runs: Sequence[Run]) -> pd.DataFrame:
    """Verdict on memorization: one row a label test and model, then controls.

    ``verdict`` is ``memorized`` where ``p_corrected`` is below `LEVEL`, else ``no evidence``, or ``not tested`` where
    no label test was scored. ``share`` is the mean over seeds of the share of the ``n_nearest`` generated samples
    closest to real ones whose nearest real sample was trained on, ``share_all`` that of all ``n_generated``; ``chance``
    is what both are without memorization.

    ``p_value`` combines a model's ``tests``: of every seed, that of the nearest samples, which finds rare copies, and
    that of all, which finds a lean to all of the training set; it is the smallest p-value times their number. All
    seeds are tested against the same real sets, so that their p-values are dependent in a way that records do not
    tell: Bonferroni's bound holds whatever it is, and finds the one training that memorized, where means of p-values
    ask all of them to. ``p_corrected`` is Holm's adjustment for the number of models, which holds under any
    dependence too; controls, which have known answers, are a family of their own. So at most `LEVEL` is the chance
    that any honest model of a table is called memorized.

    Then come, for every score of `CLOSENESS` that was taken, its mean over seeds and what real data score
    (``... null``); and the ``sentence`` that says it all.
    """
    keys = [score.key for score in metric_splits(runs) if score.metric.partition(":")[0] == "label_test"]
    described = [s for s in metric_splits(runs) if s.metric.partition(":")[0] in CLOSENESS and s.split is None]
    names = [name for score in described for name in (score.key, f"{score.key} null")]
    rows, of_all = [], cells_by_metric(runs)
    for key in keys or [""]:
        cells = final_cells(runs, key, None)
        found = [_row(runs, key, cell) for cell in cells]
        tested = {kind: [r for r in found if r["control"] is kind and "p_value" in r] for kind in (False, True)}
        for family in tested.values():
            for row, p_value in zip(family, holm([row["p_value"] for row in family]), strict=True):
                row |= {"p_corrected": p_value, "verdict": "memorized" if p_value < LEVEL else "no evidence"}
        for cell, row in zip(cells, found, strict=True):
            row |= {"sentence": _sentence(runs, key, cell, row, family=len(tested[cell.control]))}
            row |= _closeness(of_all, described, cell.model)
        rows += found
    counts = ("tests", "n_generated", "seeds", "failed")
    table = pd.DataFrame(rows, columns=[*MEMORIZATION_COLUMNS, *names, "sentence"])
    return table.astype(dict.fromkeys(counts, "Int64"))


def p_over_seeds(estimates: Sequence[Estimate]) -> tuple[float, int]:
    """Combine the label tests of a model's seeds; see `memorization`. Also how many p-values there are."""
    p_values = [e.extra[name] for e in estimates for name in ("p_value", "p_all") if name in e.extra]
    return min(1.0, len(p_values) * min(p_values)), len(p_values)


def _row(runs: Sequence[Run], key: str, cell: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {"benchmark": runs[0].benchmark, "quick": runs[0].quick, "metric": key, "model": cell.model}
    row |= {"control": cell.control, "verdict": "not tested", "seeds": len(cell.scores), "failed": cell.failed}
    row |= {"missing": missing_seeds(runs, cell.model)}
    found = [s.estimate for s in cell.scores if s.estimate is not None]
    if not found:
        return row
    p_value, tests = p_over_seeds(found)
    row |= {"share": mean_of(cell, "value"), "chance": mean_of(cell, "null"), "p_value": p_value, "tests": tests}
    for column, name in (("share_all", "share_all"), ("n_nearest", "n_tail")):
        if all(name in e.extra for e in found):
            row[column] = fmean(e.extra[name] for e in found)
    return row | {"n_generated": cell.scores[0].n_generated}


def _closeness(
    cells: Mapping[tuple[str, str | None], Sequence[Cell]], described: Sequence[Score], model: str
) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for score in described:
        cell = next(cell for cell in cells[score.key, None] if cell.model == model)
        columns |= {score.key: mean_of(cell, "value"), f"{score.key} null": mean_of(cell, "null")}
    return columns


def _sentence(runs: Sequence[Run], key: str, cell: Cell, row: Mapping[str, Any], *, family: int) -> str:
    """Say the verdict with its test, its p-value and its n; ``family``: models that it is corrected for."""
    who = f"{cell.model} (control)" if cell.control else cell.model
    if "p_value" not in row:
        return f"{who}: not tested, {_reason(runs, key, cell.model)}."
    verdict = "memorized" if row["verdict"] == "memorized" else "no evidence of memorizing"
    tail, everything = (min(e.extra.get(name, 1.0) for e in _estimates(cell)) for name in ("p_value", "p_all"))
    if everything < tail:
        of, share = f"the {row['n_generated']} generated samples", row["share_all"]
    else:
        number = f"{row['n_nearest']:.0f} " if "n_nearest" in row else ""
        of, share = f"the {number}generated samples nearest to real ones", row["share"]
    several = f" over {row['seeds']} trainings" if row["seeds"] > 1 else ""
    kind = "controls" if cell.control else "models"
    corrected = f", {p_text(row['p_corrected'])} corrected for {family} {kind}" if family > 1 else ""
    return (
        f"{who}: {verdict}; of {of}, {share:.0%} are nearest to a training sample, where chance gives "
        f"{row['chance']:.0%} (label test{several}: {p_text(row['p_value'])}{corrected}; n = {row['n_generated']})."
    )


def _estimates(cell: Cell) -> list[Estimate]:
    return [score.estimate for score in cell.scores if score.estimate is not None]


def _reason(runs: Sequence[Run], key: str, model: str) -> str:
    """Why a model has no label test: its run's failure, or its score's."""
    for run in runs:
        if run.final and run.sampler == model:
            failures = [score.failure for score in run.scores if score.key == key and score.failure]
            if run.failure or failures:
                return f"as the run failed ({run.failure})" if run.failure else f"as the score failed ({failures[0]})"
    return "as no label test was scored"


def p_text(value: float) -> str:
    """Write a p-value: two digits, and a bound where there are too few of them."""
    return "p < 1e-99" if value < 1e-99 else f"p = {value:.2g}"
