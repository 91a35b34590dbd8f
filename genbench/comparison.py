"""Two models, metric by metric: the difference, its interval, and which of many differences stand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from genbench.definitions import Benchmark
from genbench.display import html_note, html_table, interval, markdown_table, number
from genbench.errors import SampleError, UsageError
from genbench.estimates import ARROWS, Score
from genbench.records import Run
from genbench.results import find_benchmark
from genbench.sides import Side, check_alike, recorded
from genbench.stats.differences import holm
from genbench.stats.jackknife import LEVEL
from genbench.tables.cells import Cell, metric_splits
from genbench.tables.ranking import difference, side_of

if TYPE_CHECKING:
    from genbench.references import Samples

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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison:
    """Two models and what tells them apart.

    Attributes
    ----------
    a, b : Side
    table : DataFrame
        As of `compare_sides`.
    """

    a: Side
    b: Side
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the table, for the reader to change."""
        return self.table.copy()

    def to_json(self) -> str:
        """Serialize: both labels, what they were scored on, how many runs failed, and a row for every metric."""
        rows = json.loads(self.table.to_json(orient="records", double_precision=15))
        run = self.a.runs[0]
        about = {"a": self.a.label, "b": self.b.label, "benchmark": run.benchmark, "protocol": run.protocol}
        failed = {f"failed_{name}": side.failed for name, side in (("a", self.a), ("b", self.b))}
        return json.dumps({**about, **failed, "metrics": rows}, indent=1, allow_nan=False) + "\n"

    def __repr__(self) -> str:
        found = {name: int((self.table["verdict"] == f"{name} better").sum()) for name in "ab"}
        return f"<Comparison of {self._title}: {len(self.table)} metrics, A better in {found['a']}, B in {found['b']}>"

    def __str__(self) -> str:
        return "\n".join([f"# {self._title}", "", markdown_table(*self._cells()), "", *self._notes()]) + "\n"

    def _repr_html_(self) -> str:
        return "\n".join([html_note(self._title), html_table(*self._cells()), *map(html_note, self._notes())])

    @property
    def _title(self) -> str:
        return f"{self.a.runs[0].benchmark}: A = {self.a.label}, B = {self.b.label}"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["metric", "A", "B", "A − B", "95% interval", "p (Holm)", "verdict"]
        rows = []
        for _, row in self.table.iterrows():
            said = str(row["verdict"]).replace("a better", "A better").replace("b better", "B better")
            cells = [number(row[c]) for c in ("a", "b", "difference")]
            cells += [interval(row["low"], row["high"]), number(row["p_holm"]), said]
            rows.append([f"{row['metric']} {ARROWS[row['better']]}", *cells])
        return header, rows

    def _notes(self) -> list[str]:
        """Say what the table can and cannot conclude."""
        tested = int(self.table["p_value"].notna().sum())
        return [
            *(_CONCLUDES[unit] for unit in self.table["unit"].drop_duplicates()),
            "Debiased scores where there are such; ≈ rows compare distances from real data.",
            f"p is adjusted for {tested} metrics (Holm); verdicts go by it, at 5%. Runs: A {self.a.counted}; "
            f"B {self.b.counted}.",
        ]


def compare(
    a: Any,
    b: Any,
    benchmark: Benchmark | str | None = None,
    *,
    reference: Samples | None = None,
    held_out: Samples | None = None,
    metrics: Sequence[str] = (),
    n: int | None = None,
    names: tuple[str, str] | None = None,
    seed: int = 0,
    device: str = "auto",
    **source: Any,
) -> Comparison:
    """Compare two models under every metric that both have, against held-out data where it takes a reference.

    Parameters
    ----------
    a, b : object
        Records: a `Run` or several, the file of one, ``FOLDER:model``; or anything that `genbench.score` scores: an
        array, a folder, a generator, a function. The latter are scored first, with one seed and one reference.
    benchmark, reference, held_out, metrics, n, seed, device, **source
        As of `genbench.score`, for sides that are no records. Where one side is, its benchmark is the default.
    names : (str, str), optional
        For tables, in place of the sides' own.

    Returns
    -------
    Comparison
        Whose table has one row a metric: the difference, its interval, and a verdict that is adjusted for the number of
        metrics. A notebook shows it, ``print`` lays it out, ``to_frame`` and ``to_json`` hand it on.

    Raises
    ------
    ProtocolError
        If the two were scored under unlike protocols; the message says what differs.
    SampleError
        If a side has no completed run, or the two share no metric.
    UsageError
        If a side is no record, and nothing says what to score it on.

    Examples
    --------
    >>> import numpy as np, genbench
    >>> rng = np.random.default_rng(0)
    >>> near, far = rng.normal(0.1, 1, (400, 2)), rng.normal(0.6, 1, (400, 2))
    >>> found = genbench.compare(near, far, reference=rng.normal(0, 1, (400, 2)), metrics=["fd"], names=("near", "far"))
    >>> found
    <Comparison of reference@1: A = near, B = far: 1 metrics, A better in 1, B in 0>
    """
    sides = [recorded(a), recorded(b)]
    if benchmark is None and reference is None:
        benchmark = next((_benchmark_of(side) for side in sides if side is not None), None)
    given = {"reference": reference, "held_out": held_out, "metrics": metrics, "n": n, "seed": seed, "device": device}
    made = []
    for found, what, name in zip(sides, (a, b), names or (None, None), strict=True):
        made.append(_scored(what, benchmark, name=name, **given, **source) if found is None else found)
    if names is None and made[0].label == made[1].label:
        names = (f"{made[0].label} (A)", f"{made[1].label} (B)")
    one, other = (replace(side, label=name) for side, name in zip(made, names or [s.label for s in made], strict=True))
    return Comparison(one, other, compare_sides(one, other))


def _benchmark_of(side: Side) -> Benchmark | None:
    """Return the definition that records were made by; None where it is none that is known here."""
    found = find_benchmark(side.runs)
    return found if found.metrics else None


def _scored(what: Any, benchmark: Benchmark | str | None, *, reference: Any, name: str | None, **given: Any) -> Side:
    if benchmark is None and reference is None:
        raise UsageError(
            f"compare: {name or type(what).__name__}: samples or a generator, which need a benchmark or a reference to "
            "be scored on, and neither was given; pass one of them (or records: a Run, a file, FOLDER:model)."
        )
    from genbench.scoring import score  # imports torch, which comparing records does without

    run = score(what, benchmark, reference=reference, name=name, **given)
    return Side(label=run.sampler, runs=(run,))


def compare_sides(a: Side, b: Side) -> pd.DataFrame:
    """Compare records of two models; see `compare`.

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
