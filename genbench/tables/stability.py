"""Stability: the spread over training seeds, what became of the runs, and how they got there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from genbench.records import Estimate, Run, Score
from genbench.stats.curves import Curve, first_at, late_gap, learning_area, oscillation, setback
from genbench.stats.seeds import (
    across_seeds,
    expected_best,
    interquartile_mean,
    iqm_interval,
    tail_mean,
    wilson_interval,
)
from genbench.stats.verdicts import KINDS, LOST
from genbench.tables.cells import Cell, cells_by_metric, distance, frame, head, mean_of, metric_splits
from genbench.tables.history import History, count_verdicts
from genbench.tables.remembered import remembered

QUALITY = 1.5
"""The quality that trainings are timed to: so many times the best model's median final score."""

STABILITY_COLUMNS = [
    "benchmark", "quick", "metric", "split", "unit", "better", "model", "seeds", "missing", "completed", "failed",
    "failed_low", "failed_high", "mean", "low", "high", "sd", "cv", "median", "iqm", "iqm_low", "iqm_high",
    "relative_iqr", "best", "worst", "cvar", "best_of_3", "best_run_seed", "sampling_std_error", "sampling_noise",
    "sd_p", "regret", "judged", "diverged", "collapsed", "mode_collapsed", "unlearned", "oscillating", "ok", "lost",
    "lost_low", "lost_high", "aulc", "oscillation", "oscillation_noise", "setback", "late_gap", "quality", "reached",
    "updates_to", "seconds_to", "sentence",
]  # fmt: skip

_COUNTS = (
    "best_run_seed", "judged", "diverged", "collapsed", "mode_collapsed", "unlearned", "oscillating", "ok", "lost",
    "reached",
)  # fmt: skip


@remembered
def stability(runs: Sequence[Run]) -> pd.DataFrame:
    """Spread over training seeds and along training: one row a metric, split and model.

    What cannot be known is empty: a spread of one run, a curve of a metric that is scored at the end alone.

    Notes
    -----
    Over the completed runs (failed ones are counted and never averaged):

    - ``missing``: seeds that other models were trained from and this one has no end of, and stops as ``seed@step``.
    - ``mean`` of the debiased scores with its t interval ``low``, ``high``; ``sd`` (unbiased), ``cv`` = sd / abs(mean),
      ``median``, ``best``, ``worst``, ``best_run_seed``; ``iqm``, the interquartile mean, with a percentile bootstrap
      interval from 50 runs on; ``relative_iqr`` = (third - first quartile) / abs(median); ``cvar``, the mean of the
      worst 20% of the runs, at least one; ``best_of_3``, the expected best of three trainings.
    - ``sampling_std_error``, the mean standard error within a run; ``sampling_noise``, the part of it that the
      generated samples cause, without that of the real ones, which all runs share (root mean square); ``sd_p``, the
      p-value of the chi-squared test that runs differ by that noise alone, (n - 1) sd² / noise².
    - ``failed`` with a Wilson interval ``failed_low``, ``failed_high``: runs without a score, whatever the reason.

    Along training (of the models that were trained from seeds):

    - ``regret``: how much worse on average the end of training scores than its best stop; being taken against a best of
      noisy scores, it is above zero even for a stable run.
    - ``diverged`` ... ``ok``: how many of the ``judged`` runs got which verdict (`genbench.stats.verdicts`) under this
      metric; ``lost`` are those that diverged, collapsed or mode-collapsed, with a Wilson interval where all are
      judged; ``sentence`` says so in words.
    - ``aulc``, area under the learning curve; ``setback``, ``late_gap``: means over the runs (`genbench.stats.curves`).
    - ``oscillation``: root mean square over the runs of the residual deviation of the log score around a line over the
      last half of the stops, noise of measurement removed; ``oscillation_noise`` is that noise.
    - ``quality``: `QUALITY` times the best model's median final value, or times what real data score if that is more;
      where higher is better, the best median over `QUALITY`. ``reached``: runs with a stop that good; ``updates_to``
      and ``seconds_to``: the median over all runs of the first such stop, where a run that never gets there takes for
      ever; empty where that is the median.
    """
    rows, history = [], History(runs)
    ordered = sorted(runs, key=lambda run: (run.sampler, -1 if run.train_seed is None else run.train_seed))
    cells = cells_by_metric(ordered)
    for example in metric_splits(runs):
        quality = _quality(history, example)
        for cell in cells[example.key, example.split]:
            total = len(cell.scores) + cell.failed
            low, high = wilson_interval(cell.failed, total)
            row = head(runs[0], example, cell.model)
            row |= {"seeds": total, "completed": len(cell.scores), "failed": cell.failed}
            row |= {"failed_low": low, "failed_high": high, "missing": history.missing(cell.model)}
            if cell.scores:
                row |= _spread_columns(cell, example, history)
            if not cell.control:
                row |= _verdict_columns(cell.model, example, history)
                row |= _curve_columns(cell.model, example, history)
                row |= _quality_columns(cell.model, example, history, quality)
            rows.append(row)
    return frame(rows, STABILITY_COLUMNS).astype(dict.fromkeys(_COUNTS, "Int64"))


def _spread_columns(cell: Cell, example: Score, history: History) -> dict[str, Any]:
    values = [s.estimate.best for s in cell.scores if s.estimate is not None]
    spread = across_seeds(values)
    cv = spread.sd / abs(spread.mean) if spread.sd is not None and spread.mean != 0 else None
    row = {"mean": spread.mean, "low": spread.low, "high": spread.high, "sd": spread.sd, "cv": cv}
    median, (first, third) = float(np.median(values)), np.quantile(values, [0.25, 0.75])
    row |= {"median": median, "iqm": interquartile_mean(values)}
    interval = iqm_interval([values], seed=0)
    if interval is not None:
        row["iqm_low"], row["iqm_high"] = interval
    if spread.sd is not None and median != 0:
        row["relative_iqr"] = float(third - first) / abs(median)
    row |= _noise_columns(cell, example, history, spread.sd)
    worse = distance(example.better, mean_of(cell, "null"))
    if worse is None:
        return row
    row |= {"best": min(values, key=worse), "worst": max(values, key=worse)}
    ends = {seed: history.estimate(run, example) for seed, run in history.finals(cell.model).items()}
    found = {seed: worse(estimate.best) for seed, estimate in ends.items() if estimate is not None}
    row["best_run_seed"] = min(found, key=lambda seed: (found[seed], seed), default=None)
    if example.better != "match":  # its own inverse: back from "lower is better" to the metric's direction
        kept = expected_best([worse(x) for x in values])
        row |= {
            "cvar": worse(tail_mean([worse(x) for x in values])),
            "best_of_3": None if kept is None else worse(kept),
        }
    return row


def _noise_columns(cell: Cell, example: Score, history: History, sd: float | None) -> dict[str, Any]:
    error, n = mean_of(cell, "std_error"), len(cell.scores)
    if error is None:
        return {}
    squares = float(np.mean([(s.estimate.std_error or 0.0) ** 2 for s in cell.scores if s.estimate is not None]))
    variance = history.own_share(cell.model, example) * squares
    row = {"sampling_std_error": error, "sampling_noise": variance**0.5}
    tested = sd is not None and variance > 0
    return row | ({"sd_p": float(chdtrc(n - 1, (n - 1) * (sd or 0.0) ** 2 / variance))} if tested else {})


def _verdict_columns(model: str, example: Score, history: History) -> dict[str, Any]:
    """Count verdicts; empty where no run of the model has one, and no share where some have none."""
    ends = history.finals(model)
    verdicts = [v.kind for seed in ends if (v := history.verdict(model, seed, example)) is not None]
    if not verdicts:
        return {}
    row: dict[str, Any] = {"judged": len(verdicts)}
    row |= {kind.replace("-", "_"): verdicts.count(kind) for kind in KINDS}
    row["lost"] = sum(kind in LOST for kind in verdicts)
    if len(verdicts) == len(ends):
        row["lost_low"], row["lost_high"] = wilson_interval(row["lost"], len(ends))
        row["sentence"] = f"{model}: {count_verdicts(verdicts)}."
    return row


def _curves(model: str, example: Score, history: History) -> dict[int, Curve]:
    """The curves of a model's completed trainings, by seed."""
    found = {
        seed: history.curve(model, seed, example)
        for seed, run in history.finals(model).items()
        if history.estimate(run, example) is not None
    }
    return {seed: curve for seed, curve in found.items() if curve is not None}


def _curve_columns(model: str, example: Score, history: History) -> dict[str, Any]:
    curves = _curves(model, example, history)
    if not curves:
        return {}
    row: dict[str, Any] = {"regret": _regret(model, example, history, curves)}
    row["aulc"] = float(np.mean([learning_area(curve) for curve in curves.values()]))
    for name, measure in (("setback", setback), ("late_gap", late_gap)):
        numbers = [measure(curve) for curve in curves.values()]
        row[name] = None if None in numbers else float(np.mean([x for x in numbers if x is not None]))
    moves = [oscillation(curve) for curve in curves.values()]
    found = [move for move in moves if move is not None and move.p_value is not None]
    if len(found) == len(moves):
        noise = float(np.mean([move.noise**2 for move in found]))
        residual = float(np.mean([move.residual**2 for move in found]))
        row |= {"oscillation": max(0.0, residual - noise) ** 0.5, "oscillation_noise": noise**0.5}
    return row


def _regret(model: str, example: Score, history: History, curves: dict[int, Curve]) -> float | None:
    """Mean over seeds of (end of training) - (best stop), in the direction in which worse is positive."""
    regrets = []
    for seed in curves:
        stops = [history.estimate(run, example) for run in history.trainings[model][seed]]
        found: list[Estimate] = [estimate for estimate in stops if estimate is not None]
        worse = distance(example.better, found[-1].null)
        if worse is not None:
            scores = [worse(estimate.best) for estimate in found]
            regrets.append(scores[-1] - min(scores))
    return float(np.mean(regrets)) if regrets else None


def _quality(history: History, example: Score) -> float | None:
    """Return the score that trainings are timed to; None without curves, a direction or positive scores."""
    curves = {model: list(_curves(model, example, history).values()) for model in history.trainings}
    medians = [float(np.median([curve.values[-1] for curve in found])) for found in curves.values() if found]
    if not medians or example.better == "match":
        return None
    if example.better == "higher":
        return max(medians) / QUALITY if max(medians) > 0 else None
    floor = max(curve.null or 0.0 for found in curves.values() for curve in found)
    best = max(min(medians), floor)
    return best * QUALITY if best > 0 else None


def _quality_columns(model: str, example: Score, history: History, quality: float | None) -> dict[str, Any]:
    ends = history.finals(model)
    if quality is None or not ends:
        return {}
    updates, seconds = [], []
    for seed in ends:
        curve = history.curve(model, seed, example)
        at = None if curve is None else first_at(curve, quality)
        updates.append(float("inf") if curve is None or at is None else float(curve.steps[at]))
        seconds.append(float("inf") if curve is None or at is None or not curve.seconds else curve.seconds[at])
    row: dict[str, Any] = {"quality": quality, "reached": int(np.isfinite(updates).sum())}
    for name, numbers in (("updates_to", updates), ("seconds_to", seconds)):
        median = float(np.median(numbers))
        row[name] = median if np.isfinite(median) else None
    return row
