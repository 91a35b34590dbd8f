"""Generalization: the score against the training data, against held-out data, and the gap between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from genbench.records import Estimate, Run, Score
from genbench.stats.jackknife import LEVEL, half_width
from genbench.tables.cells import Cell, cells_by_metric, frame, head, is_control, mean_of, metric_splits
from genbench.tables.missing import missing_seeds
from genbench.tables.remembered import remembered

GENERALIZATION_COLUMNS = [
    "benchmark", "quick", "metric", "unit", "better", "model", "train", "test", "gap", "low", "high", "method",
    "null", "n_generated", "n_reference", "seeds", "failed", "missing",
]  # fmt: skip


@remembered
def generalization(runs: Sequence[Run]) -> pd.DataFrame:
    """Score against the training data, against held-out data, and the gap held-out minus train.

    Both references have the same n, so that what depends on n cancels. ``low`` and ``high`` hold the gap: by the group
    jackknife of the difference (replicates averaged over seeds first, because all seeds share the references), or,
    for scores without replicates, by adding the two variances, which ignores that the samples are shared and is wide.
    ``null`` is the score of real held-out data against the training data: the floor. Scores that are best where real
    data score are left out: they use the reference only to fix coordinates, so that their difference says nothing.
    ``missing`` are the training seeds that other models have a record of. Last come the rows of models that have a
    likelihood, by how many levels it is a mass of (unlike ones do not compare): the gap is the difference of two means
    over independent events, with Welch's interval; ``n_generated`` and ``n_reference`` are how many of the training and
    of the held-out events, and ``metric`` says where it is a bound.
    """
    rows, cells = [], cells_by_metric(runs)
    for example in metric_splits(runs):
        if example.split != "train" or example.better == "match":
            continue
        against = {cell.model: cell for cell in cells.get((example.key, "test"), [])}
        for train in cells[example.key, "train"]:
            model, test = train.model, against.get(train.model)
            row = head(runs[0], example, model)
            row |= {"seeds": len(train.scores), "failed": train.failed, "missing": missing_seeds(runs, model)}
            if test is not None and train.scores and len(train.scores) == len(test.scores):
                row |= {
                    "train": mean_of(train, "value"),
                    "test": mean_of(test, "value"),
                    "null": mean_of(train, "null"),
                }
                row |= {"n_generated": example.n_generated, "n_reference": example.n_reference}
                row |= _gap(train, test)
            rows.append(row)
    return frame([*rows, *_likelihood_rows(runs)], GENERALIZATION_COLUMNS)


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


def _likelihood_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, list[tuple[Score, Score]]]] = {}
    finals = [run for run in runs if run.final and not is_control(run)]
    for run in finals:
        sides = {score.split: score for score in run.likelihood}
        if {"train", "test"} <= set(sides):
            pair = sides["train"], sides["test"]
            found.setdefault(likelihood_name(pair[1]), {}).setdefault(run.sampler, []).append(pair)
    rows = []
    for name in sorted(found):
        for model in sorted(found[name]):
            pairs = found[name][model]
            scored = [(a.estimate, b.estimate) for a, b in pairs if a.estimate and b.estimate]
            one = pairs[0]
            failed = sum(run.sampler == model for run in finals) - len(scored)
            row = {**head(runs[0], one[0], model), "metric": name, "split": "", "missing": missing_seeds(runs, model)}
            row |= {"seeds": len(scored), "failed": failed}
            row |= {"n_generated": one[0].n_generated, "n_reference": one[1].n_reference}
            rows.append(row | (_likelihood_gap(scored, one) if scored else {}))
    return rows


def likelihood_name(score: Score) -> str:
    """Name a likelihood with all that decides whether two of them compare: ``bits_per_dim:levels=17,bound``."""
    levels = score.options.get("levels")
    facts = [*([f"levels={levels}"] if levels is not None else []), *(["bound"] if score.options.get("bound") else [])]
    return score.metric + (f":{','.join(facts)}" if facts else "")


def _likelihood_gap(scored: Sequence[tuple[Estimate, Estimate]], sizes: tuple[Score, Score]) -> dict[str, Any]:
    """Held-out minus train, by Welch's t for the means of independent events.

    All seeds are scored on the same events, so that these do not average out over seeds: the variance is that of one.
    """
    train, test = (float(np.mean([pair[side].value for pair in scored])) for side in (0, 1))
    found: dict[str, Any] = {"train": train, "test": test, "gap": test - train, "method": "Welch"}
    parts = [float(np.mean([(pair[side].std_error or 0.0) ** 2 for pair in scored])) for side in (0, 1)]
    if sum(parts) == 0:
        return found | {"low": test - train, "high": test - train}
    weights = [p**2 / (score.n_generated - 1) for p, score in zip(parts, sizes, strict=True)]
    half = float(stdtrit(sum(parts) ** 2 / sum(weights), 0.5 + LEVEL / 2)) * math.sqrt(sum(parts))
    return found | {"low": test - train - half, "high": test - train + half}
