"""Two models, metric by metric: the difference, its interval, and which of many differences stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from genbench.errors import ProtocolError, SampleError, UsageError
from genbench.markdown import markdown_table, number
from genbench.records import ARROWS, Run, Score
from genbench.stats.differences import holm
from genbench.stats.jackknife import LEVEL
from genbench.store import read_record
from genbench.tables.cells import Cell, metric_splits
from genbench.tables.ranking import difference, side_of

COMPARISON_COLUMNS = [
    "metric", "split", "better", "a", "b", "difference", "low", "high", "p_value", "p_holm", "unit", "runs_a", "runs_b",
    "verdict",
]  # fmt: skip

_CONCLUDES = {
    "seeds": "Repeats are trainings (Welch's t test): the difference is one of the recipes.",
    "samples": "Repeats are samples (group jackknife of the difference, one reference for both; without replicates the "
    "sum of variances): the difference is one of these two generators, and says nothing of other trainings.",
    "mixed": "One side is a single run: repeats are trainings on the other side and samples on this one, whose other "
    "trainings are not known.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Final records of one model, or one record of any step."""

    label: str
    runs: tuple[Run, ...]

    @property
    def completed(self) -> tuple[Run, ...]:
        """Those with scores."""
        return tuple(run for run in self.runs if run.failure is None)


def read_side(text: str) -> Side:
    """Read a side: the file of a record, or ``FOLDER:model`` for all final records of a model.

    Raises
    ------
    UsageError
        If there is no such file, folder or model.
    ProtocolError
        If a file is no record.
    """
    path = Path(text)
    if path.is_file():
        run = read_record(path)
        seed = "" if run.train_seed is None else f" seed {run.train_seed}"
        step = "" if run.final else f" step {run.step}"
        return Side(label=f"{run.sampler}{seed}{step}", runs=(run,))
    folder, colon, model = text.rpartition(":")
    if not colon:
        raise UsageError(f"compare: the file of a record or FOLDER:model expected, got {text!r}, which is neither.")
    records = Path(folder) / "records"
    runs = [read_record(file) for file in sorted((records / model).glob("*.json"))] if model else []
    if not runs:
        known = ", ".join(sorted(p.name for p in records.glob("*") if p.is_dir())) or "none"
        raise UsageError(f"compare: no records of {model!r} in {folder}; models there: {known}.")
    finals = tuple(run for run in runs if run.final)
    if not finals:
        raise SampleError(f"compare: {text} has no final record; finish its training, or name the file of a record.")
    return Side(label=model, runs=finals)


def compare(a: Side, b: Side) -> pd.DataFrame:
    """Compare two models under every metric that both have, against held-out data where it takes a reference.

    Returns
    -------
    DataFrame
        One row a metric, columns `COMPARISON_COLUMNS`. ``difference`` is a minus b, of debiased scores where there are
        such, and of distances from real data for a metric that is best there; the interval is at 95%. ``p_holm``
        is adjusted for the number of metrics (Holm); ``verdict`` (``a better``, ``b better``, ``not told apart``) goes
        by it. Where no error is known there is no p-value and no verdict. ``unit`` says what counts as a repeat; see
        `genbench.tables.ranking.difference`.

    Raises
    ------
    ProtocolError
        If the two were scored under unlike protocols; the message says what differs.
    SampleError
        If a side has no completed run, or the two share no metric.
    """
    check_alike(a, b)
    for side in (a, b):
        if not side.completed:
            raise SampleError(f"compare: every run of {side.label} failed ({side.runs[0].failure}); train it again.")
    finals = [*a.completed, *b.completed]
    examples = [s for s in _examples(finals) if s.split != "train"]
    rows = [row for s in examples if (row := _row(_cell(a, s), _cell(b, s), s)) is not None]
    if not rows:
        raise SampleError(f"compare: {a.label} and {b.label} share no metric with a score on both sides.")
    tested = [row for row in rows if row["p_value"] is not None]
    for row, adjusted in zip(tested, holm([row["p_value"] for row in tested]), strict=True):
        row["p_holm"] = adjusted
        lower = "a" if row["difference"] < 0 else "b"
        winner = lower if row["better"] != "higher" else {"a": "b", "b": "a"}[lower]
        row["verdict"] = f"{winner} better" if adjusted < 1 - LEVEL else "not told apart"
    return pd.DataFrame(rows, columns=COMPARISON_COLUMNS)


def check_alike(a: Side, b: Side) -> None:
    """Refuse sides whose numbers must not be compared.

    Raises
    ------
    ProtocolError
        With what differs, as far as the records tell.
    """
    differs = []
    if len({run.protocol for run in (*a.runs, *b.runs)}) > 1:
        differs = differences(a.runs, b.runs) or ["the data, or an option of a metric, an extractor or the benchmark"]
    if len({(run.benchmark, run.quick) for run in (*a.runs, *b.runs)}) > 1:
        names = [sorted({run.benchmark for run in side.runs}) for side in (a, b)]
        differs = [f"benchmark ({', '.join(names[0])} and {', '.join(names[1])})"]
    if differs:
        raise ProtocolError(
            f"compare: {a.label} and {b.label} were scored under unlike protocols; what differs: {'; '.join(differs)}. "
            "Score both with one benchmark and one genbench."
        )


def differences(one: Sequence[Run], other: Sequence[Run]) -> list[str]:
    """Name what the scores of two sides show of unlike protocols; nothing where they do not show it."""
    sides = [{(s.key, s.split): s for run in side for s in run.scores} for side in (one, other)]
    found: dict[str, None] = {}
    for key in sides[0].keys() & sides[1].keys():
        mine, theirs = (side[key] for side in sides)
        if mine.fingerprint != theirs.fingerprint:
            extractor = mine.space.rpartition(".")[0]
            found[f"extractor {extractor} ({mine.fingerprint[:12]} and {theirs.fingerprint[:12]})"] = None
        if (mine.n_generated, mine.n_reference) != (theirs.n_generated, theirs.n_reference):
            found[f"n of {key[0]} ({mine.n_generated} and {theirs.n_generated})"] = None
        if dict(mine.options) != dict(theirs.options):
            found[f"options of {key[0]}"] = None
    scored = [{s.key for run in side if run.final for s in run.scores} for side in (one, other)]
    if all(scored) and (apart := sorted(scored[0] ^ scored[1])):
        more = f" and {len(apart) - 3} more" if len(apart) > 3 else ""
        found[f"metrics that one side lacks ({', '.join(apart[:3])}{more})"] = None
    return sorted(found)


def _examples(runs: Sequence[Run]) -> list[Score]:
    """One score for every metric and split; records along training have scores too."""
    finals = metric_splits(runs)
    return finals or [score for run in runs for score in run.scores]


def _cell(side: Side, example: Score) -> Cell:
    wanted = (example.key, example.split)
    found = [s for r in side.completed for s in r.scores if (s.key, s.split) == wanted and s.estimate is not None]
    return Cell(side.label, tuple(found), failed=len(side.runs) - len(found))


def _row(a: Cell, b: Cell, example: Score) -> dict[str, Any] | None:
    sides = side_of(a, example.better), side_of(b, example.better)
    if sides[0] is None or sides[1] is None:
        return None
    found, unit = difference(sides[0], sides[1])
    row: dict[str, Any] = {"metric": example.key, "split": example.split or "", "better": example.better, "unit": unit}
    row |= {"a": sides[0].mean, "b": sides[1].mean, "runs_a": sides[0].runs, "runs_b": sides[1].runs}
    row |= {"difference": found.value, "low": found.low, "high": found.high, "p_value": found.p_value}
    return row | {"p_holm": None, "verdict": "equal" if found.value == 0 else "not tested"}


def comparison_markdown(table: pd.DataFrame, a: Side, b: Side) -> str:
    """Lay out a comparison for reading, with what it can and cannot conclude."""
    run = a.completed[0]
    header = ["metric", "A", "B", "A − B", "95% interval", "p (Holm)", "verdict"]
    rows = []
    for _, row in table.iterrows():
        interval = "–" if pd.isna(row["low"]) else f"[{number(row['low'])}, {number(row['high'])}]"
        said = str(row["verdict"]).replace("a better", "A better").replace("b better", "B better")
        cells = [number(row[c]) for c in ("a", "b", "difference")]
        rows.append([f"{row['metric']} {ARROWS[row['better']]}", *cells, interval, number(row["p_holm"]), said])
    lines = [f"# {run.benchmark}: A = {a.label}, B = {b.label}", "", markdown_table(header, rows), ""]
    lines += [_CONCLUDES[unit] for unit in table["unit"].drop_duplicates()]
    tested = int(table["p_value"].notna().sum())
    lines += [
        "Debiased scores where there are such; ≈ rows compare distances from real data.",
        f"p is adjusted for {tested} metrics (Holm); verdicts go by it, at 5%. Runs: A {_runs(a)}; B {_runs(b)}.",
    ]
    return "\n".join(lines) + "\n"


def _runs(side: Side) -> str:
    failed = len(side.runs) - len(side.completed)
    return f"{len(side.completed)}" + (f", and {failed} failed, which are in no mean" if failed else "")
