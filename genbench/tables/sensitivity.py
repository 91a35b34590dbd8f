"""Sensitivity: at how many settings of an option a model trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from genbench.benchmarks.variants import Variant, parse_variant
from genbench.definitions import Benchmark
from genbench.records import Run, Score
from genbench.stats.seeds import wilson_interval
from genbench.tables.cells import head
from genbench.tables.curves import judging_score
from genbench.tables.history import History

SENSITIVITY_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "option", "settings", "runs", "best_setting",
    "best", "worst", "trained", "share", "low", "high", "untrained",
]  # fmt: skip

WITHIN = 2.0
"""How many times worse than the best setting one may score that still trains."""


def sensitivity(runs: Sequence[Run], benchmark: Benchmark) -> pd.DataFrame:
    """One row a model and an option that it was trained at two or more settings of (`genbench.benchmarks.variants`).

    Under the metric of `genbench.tables.curves.judging_score`, else the primary metric; its score must be positive and
    better where lower. A setting has the median over its runs of the final value. It trains where at least half of its
    runs are ok or oscillating (or completed, where there are too few stops for a verdict) and its score is within
    `WITHIN` times that of the best setting (the learning-rate sensitivity of Lucic et al. 2018, arXiv:1711.10337, as a
    share). ``share`` is of the ``settings``, with Wilson's interval; ``untrained`` names those that do not train.
    """
    example = judging_score(runs, benchmark)
    rows = [] if example is None else _rows(runs, example)
    return pd.DataFrame(rows, columns=SENSITIVITY_COLUMNS)


def _rows(runs: Sequence[Run], example: Score) -> list[dict[str, Any]]:
    history = History(runs)
    families: dict[tuple[str, str], list[Variant]] = {}
    for name, seeds in history.trainings.items():
        variant = parse_variant(name)
        # Only what was made from a recipe under another name; a model may be called anything.
        if variant is not None and all("baseline" in run.recipe for stops in seeds.values() for run in stops):
            families.setdefault((variant.model, variant.option), []).append(variant)
    rows = []
    for (model, option), variants in families.items():
        if len(variants) < 2:
            continue
        scores = {variant: _score(variant.name, example, history) for variant in variants}
        known = {v: score for v, score in scores.items() if score is not None and score > 0}
        row = head(runs[0], example, model) | {"option": option, "settings": len(variants)}
        row["runs"] = sum(len(history.finals(v.name)) for v in variants)
        best = min(known, key=lambda v: (known[v], v.setting), default=None)
        trained = {v for v in known if best and known[v] <= WITHIN * known[best] and _trains(v.name, example, history)}
        if best is not None:
            row |= {"best_setting": best.setting, "best": known[best], "worst": max(known.values())}
        low, high = wilson_interval(len(trained), len(variants))
        row |= {"trained": len(trained), "share": len(trained) / len(variants), "low": low, "high": high}
        row["untrained"] = " ".join(v.setting for v in variants if v not in trained)
        rows.append(row)
    return rows


def _score(model: str, example: Score, history: History) -> float | None:
    found = [history.estimate(run, example) for run in history.finals(model).values()]
    values = [estimate.value for estimate in found if estimate is not None]
    return float(np.median(values)) if values else None


def _trains(model: str, example: Score, history: History) -> bool:
    ends = history.finals(model)
    verdicts = [history.verdict(model, seed, example) for seed in ends]
    return 2 * sum(v is None or v.kind in ("ok", "oscillating") for v in verdicts) >= len(ends)
