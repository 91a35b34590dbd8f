"""Along training: every stop of every training, and the verdict on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from genbench.definitions import Benchmark
from genbench.records import Run, Score
from genbench.stats.verdicts import KINDS
from genbench.tables.cells import metric_splits
from genbench.tables.history import History, count_verdicts

CURVE_COLUMNS = ["benchmark", "quick", "model", "seed", "step", "final", "failure", "train_seconds"]

VERDICT_COLUMNS = ["benchmark", "quick", "model", "seed", "metric", "split", "verdict", "reason", "stops", "missing"]


def curves(runs: Sequence[Run], benchmark: Benchmark) -> pd.DataFrame:
    """Along training: one row a model, training seed and stop.

    After `CURVE_COLUMNS` come, for the primary metric and those of the benchmark's curve, the score as the field
    reports it and its standard error (``fd@digits-cnn.pool test``, ``fd@digits-cnn.pool test std_error``; no split
    where the metric takes no reference), and then what the training itself said of the last window of updates: its
    losses and the norms of its gradients, by name. Empty where a record lacks it. A failed run's last row says why.
    """
    history, wanted = History(runs), {benchmark.primary, *benchmark.curve}
    rows, scored, said = [], dict[str, None](), set[str]()
    for model, seeds in history.trainings.items():
        for seed, stops in seeds.items():
            for run in stops:
                row: dict[str, Any] = {"benchmark": run.benchmark, "quick": run.quick, "model": model, "seed": seed}
                row |= {"step": run.step, "final": run.final, "failure": run.failure or ""}
                row["train_seconds"] = run.cost.get("train_seconds")
                for score in run.scores:
                    if score.key in wanted:
                        name = f"{score.key} {score.split}" if score.split else score.key
                        scored |= {name: None, f"{name} std_error": None}
                        if score.estimate is not None:
                            row |= {name: score.estimate.value, f"{name} std_error": score.estimate.std_error}
                said |= set(run.health)
                rows.append(row | dict(run.health))
    return pd.DataFrame(rows, columns=[*CURVE_COLUMNS, *scored, *sorted(said)])


def verdicts(runs: Sequence[Run], benchmark: Benchmark) -> pd.DataFrame:
    """What became of every training: one row a model and training seed, by the metric of `judging_score`.

    ``verdict`` and ``reason`` are empty where there is none, as with fewer than 4 stops; a record that is missing has a
    row too, which says so: ``missing`` is ``end``, or the stops that the model's other trainings have.
    """
    history, example = History(runs), judging_score(runs, benchmark)
    rows = []
    for model in history.trainings:
        gaps = history.missing(model).split()
        for seed in history.seeds:
            found = None if example is None else history.verdict(model, seed, example)
            row: dict[str, Any] = {"benchmark": runs[0].benchmark, "quick": runs[0].quick, "model": model, "seed": seed}
            row |= {"metric": "" if example is None else example.name, "split": _split(example)}
            row |= {"verdict": found.kind if found else "", "reason": found.reason if found else ""}
            row["stops"] = len(history.trainings[model].get(seed, ()))
            stops = " ".join(gap.partition("@")[2] for gap in gaps if gap.startswith(f"{seed}@"))
            row["missing"] = "end" if str(seed) in gaps else stops
            rows.append(row)
    return pd.DataFrame(rows, columns=VERDICT_COLUMNS)


def _split(example: Score | None) -> str:
    return "" if example is None else example.split or ""


def judging_score(runs: Sequence[Run], benchmark: Benchmark) -> Score | None:
    """Return the metric that trainings are judged by, as one of its scores; None where there is none.

    The first of the primary metric and those of the curve of which lower is better and that was taken along training;
    against held-out data where it takes a reference.
    """
    along = {score.key for run in runs if not run.final for score in run.scores}
    examples = [e for e in metric_splits(runs) if e.split != "train" and e.better == "lower"]
    keys = [key for key in (benchmark.primary, *benchmark.curve) if key in along]
    # A metric that was taken at the end alone still names the runs that failed.
    return next((e for key in [*keys, benchmark.primary] for e in examples if e.key == key), None)


def verdict_sentences(runs: Sequence[Run], benchmark: Benchmark) -> list[str]:
    """Say in words what became of every model's trainings, each sentence with its test, interval and n."""
    history, example = History(runs), judging_score(runs, benchmark)
    if example is None:
        return []
    sentences = []
    for model in history.trainings:
        ends = history.finals(model)
        found = {seed: v for seed in ends if (v := history.verdict(model, seed, example)) is not None}
        if found and len(found) == len(ends):
            sentences.append(f"{model}: {count_verdicts([v.kind for v in found.values()])}.")
        sentences += [f"{model}, seed {s}: {v.kind}; {v.reason}." for s, v in found.items() if v.kind != "ok"]
        missing = history.missing(model)
        if missing:
            sentences.append(f"{model}: records are missing of {', '.join(missing.split())} (seed, or seed@step).")
    return sentences


def verdict_counts(row: Any) -> str:
    """Say a row of the stability table's verdicts in short: ``3 ok, 2 oscillating``; a dash where there are none."""
    counts = {kind: row[kind.replace("-", "_")] for kind in reversed(KINDS)}
    return ", ".join(f"{n} {kind}" for kind, n in counts.items() if not pd.isna(n) and n > 0) or "–"
