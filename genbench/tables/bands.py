"""Bands along training: the mean over seeds at every checkpoint, with its interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from genbench.records import Estimate, Run
from genbench.stats.seeds import across_seeds

BANDS_COLUMNS = ["metric", "better", "model", "step", "mean", "low", "high", "seeds"]


def learning_curves(runs: Sequence[Run], key: str) -> pd.DataFrame:
    """One row a model and checkpoint under one metric, against held-out data where it takes a reference.

    ``mean`` is over the seeds that have a score there (``seeds`` of them) of the debiased scores where there are such;
    ``low`` and ``high`` are its 95% t interval over trainings. A single seed has a mean and no interval: what it has
    covers samples, not trainings. Samples from elsewhere have no step and are left out.
    """
    found: dict[tuple[str, int], list[Estimate]] = defaultdict(list)
    better = ""
    for run in sorted(runs, key=lambda r: (r.sampler, -1 if r.train_seed is None else r.train_seed)):
        for score in run.scores:
            if score.key == key and score.split != "train" and score.estimate and run.step is not None:
                found[run.sampler, run.step].append(score.estimate)
                better = score.better
    rows = []
    for (model, step), estimates in sorted(found.items()):
        spread = across_seeds([e.best for e in estimates])
        rows.append((key, better, model, step, spread.mean, spread.low, spread.high, spread.n))
    return pd.DataFrame(rows, columns=BANDS_COLUMNS).astype({"low": float, "high": float})
