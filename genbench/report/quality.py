"""Quality: every model under every metric, and one metric at a time with its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pandas as pd
from markupsafe import Markup

from genbench.definitions import Benchmark
from genbench.markdown import number
from genbench.records import ARROWS, Run
from genbench.report.frames import Column, Field, sort_key, without_fingerprint
from genbench.report.svg import Scale, joined, tag, tick_text

FIRST = {"lower": "ascending", "higher": "descending", "match": "ascending"}
COST = {
    "parameters": ("parameters", "ascending"),
    "train_seconds": ("training, s", "ascending"),
    "samples_per_second": ("samples / s", "descending"),
}
"""What a sampler costs: the head of each column, and its better direction."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One score in the leaderboard: the debiased value where there is one, its interval, and the plain value."""

    text: str
    key: str
    interval: str = ""
    plain: str = ""
    best: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the leaderboard."""

    name: str
    rank: Field
    entries: tuple[Entry, ...]
    tail: tuple[Field, ...]
    control: bool


@dataclass(frozen=True, slots=True)
class Scored:
    """One model under one metric, as the interval plot draws it."""

    name: str
    best: float
    plain: float | None
    low: float | None
    high: float | None
    control: bool
    failed: int


@dataclass(frozen=True, slots=True)
class Plot:
    """The interval plot of one metric; ``rows`` holds a name, a picture and the numbers."""

    key: str
    label: str
    axis: Markup
    rows: list[tuple[str, Markup, str, bool]]
    missing: list[str]
    bent: bool
    null: str


Block = tuple[str, pd.DataFrame]


def blocks_of(table: pd.DataFrame, primary: str) -> list[Block]:
    """Split a leaderboard by metric, held-out or without a split, the primary first; each part is indexed by model."""
    table = table[table["split"] != "train"]
    short = table["metric"].map(without_fingerprint)
    parts = [(str(key), part.set_index("model")) for key, part in table.groupby(short, sort=False)]
    return sorted(parts, key=lambda block: block[0] != primary)


def metric_columns(blocks: Sequence[Block]) -> list[Column]:
    """Return the columns of the leaderboard's metrics; a first click sorts the best to the top."""
    return [
        Column(
            f"{key.partition('@')[0]} {ARROWS[_better(part)]}",
            FIRST[_better(part)],
            f"{key.partition('@')[2]}, {part['unit'].iloc[0]}",
        )
        for key, part in blocks
    ]


def tail_columns(costs: Sequence[str]) -> list[Column]:
    """Return the columns after the metrics."""
    return [Column("seeds", "descending"), Column("failed"), *(Column(*COST[name]) for name in costs)]


def costs_of(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Return what each model costs, a mean over its final runs: ``{"gan": {"parameters": 50145.0}}``."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        if run.final:
            for name, value in run.cost.items():
                found.setdefault(run.sampler, {}).setdefault(name, []).append(value)
    return {model: {name: fmean(values) for name, values in costs.items()} for model, costs in found.items()}


def leaderboard_lines(
    blocks: Sequence[Block],
    board: pd.DataFrame,
    costs: Mapping[str, Mapping[str, float]],
    shown_costs: Sequence[str],
) -> list[Line]:
    """Return a row for each of `genbench.tables.leaderboard`, in its order."""
    lines = []
    for row in board.to_dict("records"):
        name, control, failed = str(row["model"]), bool(row["control"]), int(row["failed"])
        total = int(row["seeds"]) + failed
        # A seed that other models have and this one lacks shows: a record may have been lost.
        seeds = f"{total}, missing: {row['missing']}" if row["missing"] else str(total)
        tail = [Field(seeds, str(total)), Field(str(failed), str(failed))]
        tail += [_cost(costs.get(name, {}).get(cost)) for cost in shown_costs]
        entries = tuple(_entry(part, name, control=control) for _, part in blocks)
        lines.append(Line(name, _rank(row["rank"]), entries, tuple(tail), control))
    return lines


def _rank(rank: Any) -> Field:
    return Field("–", "") if rank is None or pd.isna(rank) else Field(str(int(rank)), str(int(rank)))


def _cost(value: float | None) -> Field:
    return (
        Field("–", "") if value is None else Field(f"{value:,.0f}" if value >= 100 else number(value), sort_key(value))
    )


def _better(part: pd.DataFrame) -> str:
    return str(part["better"].iloc[0])


def _entry(part: pd.DataFrame, name: str, *, control: bool) -> Entry:
    if name not in part.index:
        return Entry("–", "")
    row: Any = part.loc[name]
    failed = int(row["failed"])
    if pd.isna(row["value"]):
        return Entry("failed" if failed else "–", "")
    debiased = not pd.isna(row["debiased"])
    best = float(row["debiased"] if debiased else row["value"])
    # The mean over the runs that did not fail may look better for it: it sorts last, as what is missing does.
    key: float | None = None if failed else best
    if key is not None and _better(part) == "match":
        key = None if pd.isna(row["null"]) else abs(best - float(row["null"]))
    return Entry(
        number(best),
        sort_key(key),
        "" if pd.isna(row["low"]) else f"[{number(row['low'])}, {number(row['high'])}]",
        number(row["value"]) if debiased and number(row["value"]) != number(best) else "",
        not control and not pd.isna(row["rank"]) and int(row["rank"]) == 1,
        f"{failed} failed" if failed else "",
    )


def interval_plots(blocks: Sequence[Block], controls: Sequence[str]) -> list[Plot]:
    """Draw every metric's interval plot, the primary's first."""
    return [_plot(key, part, controls) for key, part in blocks if part["value"].notna().any()]


def _plot(key: str, part: pd.DataFrame, controls: Sequence[str]) -> Plot:
    better = _better(part)
    null = part["null"].dropna()
    real = float(null.mean()) if len(null) else None
    scores = [_score(str(name), row, controls) for name, row in part.iterrows() if not pd.isna(row["value"])]
    target = real if better == "match" and real is not None else None
    scores.sort(key=lambda s: (s.control, _distance(s.best, better, target), s.name))
    numbers = [x for s in scores for x in (s.best, s.plain, s.low, s.high) if x is not None]
    scale = Scale.of([*numbers, *([real] if real is not None else [])], 0.0, 100.0)
    ticks = scale.ticks(11.0)
    rows = [(s.name, _strip(s, scale, ticks, real), _says(s), s.control) for s in scores]
    return Plot(
        key,
        f"{key} {ARROWS[better]}, {part['unit'].iloc[0]}",
        _axis(scale, ticks),
        rows,
        [str(name) for name, row in part.iterrows() if pd.isna(row["value"])],
        scale.soft is not None,
        "" if real is None else number(real),
    )


def _score(name: str, row: Any, controls: Sequence[str]) -> Scored:
    debiased = not pd.isna(row["debiased"])
    low, high = (None if pd.isna(row[end]) else float(row[end]) for end in ("low", "high"))
    value = float(row["value"])
    best = float(row["debiased"]) if debiased else value
    return Scored(
        name, best, value if number(value) != number(best) else None, low, high, name in controls, int(row["failed"])
    )


def _distance(x: float, better: str, target: float | None) -> float:
    if target is not None:
        return abs(x - target)
    return -x if better == "higher" else x


def _percent(scale: Scale, x: float) -> str:
    return f"{scale(x):.2f}%"


def _strip(score: Scored, scale: Scale, ticks: Sequence[float], real: float | None) -> Markup:
    """Draw one model in a strip as wide as its cell: places along it are percentages."""
    middle = 14
    marks = [tag("line", x1=_percent(scale, t), x2=_percent(scale, t), y1="0", y2="100%", class_="grid") for t in ticks]
    if real is not None:
        at = _percent(scale, real)
        marks.append(tag("line", x1=at, x2=at, y1="0", y2="100%", class_="null"))
    if score.low is not None and score.high is not None:
        a, b = _percent(scale, score.low), _percent(scale, score.high)
        marks.append(tag("line", x1=a, x2=b, y1=middle, y2=middle, class_="interval"))
        marks += [tag("line", x1=x, x2=x, y1=middle - 4, y2=middle + 4, class_="interval") for x in (a, b)]
    if score.plain is not None:
        marks.append(tag("circle", cx=_percent(scale, score.plain), cy=middle, r="4", class_="plain"))
    marks.append(tag("circle", cx=_percent(scale, score.best), cy=middle, r="4.5", class_="dot"))
    kind = "strip control" if score.control else "strip"
    return tag("svg", *marks, class_=kind, width="100%", height="28", aria_hidden="true")


def _axis(scale: Scale, ticks: Sequence[float]) -> Markup:
    texts = [tag("text", tick_text(t), x=_percent(scale, t), y="13", text_anchor="middle") for t in ticks]
    return tag("svg", joined(texts), class_="strip axis", width="100%", height="18", aria_hidden="true")


def _says(score: Scored) -> str:
    interval = "" if score.low is None else f" [{number(score.low)}, {number(score.high)}]"
    plain = "" if score.plain is None else f", plain {number(score.plain)}"
    failed = f", {score.failed} failed" if score.failed else ""
    return f"{number(score.best)}{interval}{plain}{failed}"


def primary_key(benchmark: Benchmark, blocks: Sequence[Block]) -> str:
    """Return the metric that ranks: the benchmark's, or the first that there is."""
    keys = [key for key, _ in blocks]
    return benchmark.primary if benchmark.primary in keys or not keys else keys[0]
