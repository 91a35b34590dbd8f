"""The leaderboard: one row a model, ranked by the benchmark's primary metric, every other metric beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from genbench.definitions import Benchmark
from genbench.errors import ProtocolError
from genbench.records import Run, Score
from genbench.tables.cells import (
    Cell,
    cells_by_metric,
    frame,
    is_control,
    mean_of,
    metric_splits,
    runs_by_row,
    spread_of,
)
from genbench.tables.missing import missing_by_model
from genbench.tables.ranking import order_of, ranks
from genbench.tables.remembered import remembered

LEADERBOARD_COLUMNS = [
    "benchmark", "quick", "model", "control", "rank", "primary", "note", "n_generated", "n_reference", "seeds",
    "missing", "failed", "interval", "parameters", "train_seconds", "samples_per_second", "device",
]  # fmt: skip
"""What stands before the metrics; each of these has the columns ``<metric>`` and ``<metric>_debiased, _low, _high``."""


@remembered
def leaderboard(runs: Sequence[Run], benchmark: Benchmark) -> pd.DataFrame:
    """One row a model, best rank first, then those without a rank, then controls.

    Columns are `LEADERBOARD_COLUMNS`, then four for every metric, the primary one first, against held-out data where it
    takes a reference: ``<metric>`` as the field reports it, ``<metric>_debiased``, and ``<metric>_low``,
    ``<metric>_high`` around the debiased mean where there is one. Numbers are means over the completed runs;
    ``interval`` says whether intervals cover fresh trainings (``seeds``) or fresh samples of one (``samples``).

    ``rank`` is by `genbench.tables.ranking.ranks`: models share a rank where the 95% interval of their difference holds
    zero. ``seeds`` counts the completed runs, ``failed`` those without a primary score. A model has no rank if one of
    its runs failed, or if it lacks a training seed that more than half of the other models have, and ``note`` says why:
    what is missing never helps. ``missing`` lists every seed that any other model has and it lacks. ``n_generated`` and
    ``n_reference`` are the primary metric's.
    ``parameters`` and the columns that end in ``_seconds`` and ``_per_second`` are means over runs; times depend on the
    machine, ``device`` on which they were taken.

    Raises
    ------
    ProtocolError
        If two final records stand for one training, or records were made under unlike protocols.
    """
    finals = [run for run in runs if run.final]
    _check(finals)
    examples = sorted(
        (s for s in metric_splits(finals) if s.split != "train"), key=lambda s: s.key != benchmark.primary
    )
    columns = [*LEADERBOARD_COLUMNS, *(c for s in examples for c in metric_columns(s.key))]
    if not finals:
        return frame([], columns)
    found = cells_by_metric(finals)
    cells = {s.key: {c.model: c for c in found[s.key, s.split]} for s in examples}
    primary = examples[0] if examples and examples[0].key == benchmark.primary else None
    wanted, missing = expected_seeds(finals), missing_by_model(finals)
    rows = []
    for model, mine in runs_by_row(finals).items():
        row = _about(mine, wanted.get(model, []), cells[primary.key][model] if primary else None, benchmark.primary)
        row["missing"] = missing.get(model, "")
        for key in cells:
            row |= _metric(cells[key][model], key)
        if primary:
            row |= {"n_generated": primary.n_generated, "n_reference": primary.n_reference}
        rows.append(row)
    return frame(_ranked(rows, primary, cells), columns).astype(
        {"parameters": "Int64", "train_seconds": float, "samples_per_second": float}
    )


def metric_columns(key: str) -> list[str]:
    """Return the columns of a metric."""
    return [key, f"{key}_debiased", f"{key}_low", f"{key}_high"]


def expected_seeds(runs: Sequence[Run]) -> dict[str, list[int]]:
    """Return, for every trained model, the seeds that it must have to be ranked, and lacks.

    Those that more than half of the other trained models have: one model that was trained from a further seed takes
    nobody's rank.
    """
    have: dict[str, set[int]] = {}
    for run in runs:
        if run.final and run.train_seed is not None and not is_control(run):
            have.setdefault(run.sampler, set()).add(run.train_seed)
    count = Counter(seed for seeds in have.values() for seed in seeds)
    return {
        model: sorted(s for s, times in count.items() if s not in seeds and 2 * times > len(have) - 1)
        for model, seeds in have.items()
    }


def primary_order(runs: Sequence[Run], benchmark: Benchmark) -> list[str]:
    """Return the models, best first under the primary metric, unranked ones last; controls are none."""
    table = leaderboard(runs, benchmark)
    return [str(model) for model in table["model"][~table["control"].astype(bool)]]


def _check(finals: Sequence[Run]) -> None:
    times = Counter((run.sampler, run.train_seed) for run in finals)
    twice = sorted(str(cell) for cell, n in times.items() if n > 1)
    if twice:
        raise ProtocolError(f"leaderboard: one final record a training expected, got several of {', '.join(twice)}.")
    if len({(run.benchmark, run.quick, run.protocol) for run in finals}) > 1:
        raise ProtocolError("leaderboard: records of one protocol expected, got several; rank them one by one.")


def _about(mine: Sequence[Run], missing: Sequence[int], cell: Cell | None, primary: str) -> dict[str, Any]:
    """Everything about a model but its scores and its rank."""
    run, failed = mine[0], [r for r in mine if r.failure is not None]
    row: dict[str, Any] = {"benchmark": run.benchmark, "quick": run.quick, "model": run.sampler, "primary": primary}
    row["control"] = is_control(run)
    row["failed"] = len(failed) if cell is None else cell.failed
    row["seeds"] = len(mine) - row["failed"]
    for name in ("parameters", "train_seconds", "samples_per_second"):
        numbers = [r.cost[name] for r in mine if name in r.cost]
        row[name] = fmean(numbers) if numbers else None
    row["parameters"] = None if row["parameters"] is None else round(row["parameters"])
    row["device"] = " ".join(sorted({str(r.provenance["device"]) for r in mine if "device" in r.provenance}))
    row["note"] = "; ".join(_reasons(mine, missing, row["failed"], primary, scored=cell is not None))
    return row


def _reasons(mine: Sequence[Run], missing: Sequence[int], failed: int, primary: str, *, scored: bool) -> list[str]:
    """Why a model has no rank; nothing if it has one."""
    reasons = []
    if failed:
        whole = next((r.failure for r in mine if r.failure), None)
        part = next((s.failure for r in mine for s in r.scores if s.key == primary and s.failure), None)
        reasons.append(f"{failed} of {len(mine)} runs failed: {whole or part or f'no {primary}'}")
    elif not scored:
        reasons.append(f"{primary} was not scored")
    if missing:
        reasons.append(f"{'seed' if len(missing) == 1 else 'seeds'} {', '.join(map(str, missing))} missing")
    return reasons


def _metric(cell: Cell, key: str) -> dict[str, Any]:
    if not cell.scores:
        return {}
    spread, _ = spread_of(cell)
    numbers = (mean_of(cell, "value"), mean_of(cell, "debiased"), spread.low, spread.high)
    return dict(zip(metric_columns(key), numbers, strict=True))


def _ranked(
    rows: list[dict[str, Any]], primary: Score | None, cells: dict[str, dict[str, Cell]]
) -> list[dict[str, Any]]:
    """Put in ranks and the kind of interval, and sort: ranked models, others by their mean, controls as they are."""
    controls = [row for row in rows if row["control"]]
    models = [row for row in rows if not row["control"]]
    if primary is None:
        return models + controls
    found = cells[primary.key]
    rank = ranks([found[row["model"]] for row in models if not row["note"]], primary.better)
    for row in rows:
        row["rank"] = rank.get(row["model"])
        if found[row["model"]].scores:
            row["interval"] = spread_of(found[row["model"]])[1]
        if row["rank"] is None and not (row["note"] or row["control"]):
            row["note"] = f"{primary.key} is best where real data score, and that is not known"

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        ranked = row["rank"] is not None
        return not ranked, row["rank"] or 0, order_of(found[row["model"]], primary.better), row["model"]

    return sorted(models, key=order) + controls
