"""Generalization: the score against the training data, against held-out data, and the gap between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from genbench.records import Run
from genbench.stats.jackknife import half_width
from genbench.tables.cells import Cell, final_cells, frame, head, mean_of, metric_splits

GENERALIZATION_COLUMNS = [
    "benchmark", "quick", "metric", "unit", "better", "model", "train", "test", "gap", "low", "high", "method",
    "null", "n_generated", "n_reference", "seeds", "failed",
]  # fmt: skip


def generalization(runs: Sequence[Run]) -> pd.DataFrame:
    """Score against the training data, against held-out data, and the gap held-out minus train.

    Both references have the same n, so that what depends on n cancels. ``low`` and ``high`` hold the gap: by the group
    jackknife of the difference (replicates averaged over seeds first, because all seeds share the references), or,
    for scores without replicates, by adding the two variances, which ignores that the samples are shared and is wide.
    ``null`` is the score of real held-out data against the training data: the floor. Scores that are best where real
    data score are left out: they use the reference only to fix coordinates, so that their difference says nothing.
    """
    rows = []
    for example in metric_splits(runs):
        if example.split != "train" or example.better == "match":
            continue
        against = {
            split: {cell.model: cell for cell in final_cells(runs, example.key, split)} for split in ("train", "test")
        }
        for model, train in against["train"].items():
            test = against["test"][model]
            row = head(runs[0], example, model)
            row |= {"seeds": len(train.scores), "failed": train.failed}
            if train.scores and len(train.scores) == len(test.scores):
                row |= {
                    "train": mean_of(train, "value"),
                    "test": mean_of(test, "value"),
                    "null": mean_of(train, "null"),
                }
                row |= {"n_generated": example.n_generated, "n_reference": example.n_reference}
                row |= _gap(train, test)
            rows.append(row)
    return frame(rows, GENERALIZATION_COLUMNS)


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
