"""The three tables for reading: Markdown that is also aligned for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from statistics import fmean
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from genbench.definitions import Benchmark
from genbench.records import ARROWS, Estimate, Run, Score
from genbench.tables import controls_of, final_cells, generalization, leaderboard, primary_order, stability


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table whose columns line up in plain text too; the first column is left-aligned."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def number(value: Any) -> str:
    """Four significant digits, or a dash where there is no number."""
    if value is None or pd.isna(value):
        return "–"
    text = f"{float(value):.4g}"
    return f"{float(value):.0f}" if "e+" in text and abs(float(value)) < 1e9 else text


def leaderboard_markdown(runs: Sequence[Run], benchmark: Benchmark) -> str:
    """Quality: the ranking under the primary metric, then every metric against held-out data."""
    table = _named(leaderboard(runs))
    table = table[table["split"] != "train"]
    names = _names(runs, benchmark)
    main = table[table["short"] == benchmark.primary].set_index("model")
    # The control called real is scored as models are; without it, what real data score at this n stands in its place.
    null = "real" not in names
    rows = []
    for short, part in _by_metric(table):
        values = [number(part["value"].get(name)) for name in names]
        rows.append([_arrowed(short, part), *values, *([number(part["null"].dropna().mean())] if null else [])])
    return _render(
        "leaderboard",
        runs,
        benchmark,
        ranking=_ranking(main, names, benchmark.primary, null=null) if len(main) else "",
        over_seeds=bool((main["interval"] == "seeds").any()),
        everything=markdown_table(["metric", *names.values(), *(["*real data*"] if null else [])], rows),
    )


def _names(runs: Sequence[Run], benchmark: Benchmark) -> dict[str, str]:
    """Models, best first, then controls, each with how it is written: controls in italics."""
    controls = [run.sampler for run in controls_of(runs)]
    return {name: name for name in primary_order(runs, benchmark)} | {name: f"*{name}*" for name in controls}


def _ranking(main: pd.DataFrame, names: Mapping[str, str], primary: str, *, null: bool) -> str:
    header = ["model", "rank", _arrowed(primary, main), "debiased", "95% interval", "seeds", "failed"]
    rows = []
    for name, written in names.items():
        row = main.loc[name]
        rank = "" if written != name else _count(row["rank"])
        cells = [rank, number(row["value"]), number(row["debiased"]), _interval(row)]
        rows.append([written, *cells, _count(row["seeds"]), _count(row["failed"])])
    if null:
        rows.append(["*real data*", "", number(main["null"].dropna().mean()), "", "", "", ""])
    return markdown_table(header, rows)


def stability_markdown(runs: Sequence[Run], benchmark: Benchmark) -> str:
    """Stability: the spread over training seeds and the regret along training, for the metrics of the curve."""
    table = _named(stability(runs))
    table = table[table["split"] != "train"]
    header = ["metric", "model", "mean", "95% interval", "sd", "sampling s.e.", "best", "worst", "regret", "failed"]
    wanted = {benchmark.primary, *benchmark.curve}
    names = _names(runs, benchmark)
    rows = []
    for short, part in _by_metric(table[table["short"].isin(wanted)]):
        for name, written in names.items():
            row = part.loc[name]
            failed = f"{row['failed']} of {row['seeds']} [{number(row['failed_low'])}, {number(row['failed_high'])}]"
            cells = [number(row[c]) for c in ("sd", "sampling_std_error", "best", "worst", "regret")]
            rows.append([_arrowed(short, part), written, number(row["mean"]), _interval(row), *cells, failed])
    return _render("stability", runs, benchmark, table=markdown_table(header, rows))


def generalization_markdown(runs: Sequence[Run], benchmark: Benchmark) -> str:
    """Generalization: the score against train, against held-out data, the gap with its interval, and memorization."""
    names = _names(runs, benchmark)
    null = "real" not in names
    header = [
        "metric",
        "model",
        "train",
        "held-out",
        "gap",
        "95% interval of the gap",
        *(["real data"] if null else []),
    ]
    rows = []
    for short, part in _by_metric(_named(generalization(runs))):
        for name, written in names.items():
            row = part.loc[name]
            cells = [number(row[c]) for c in ("train", "test", "gap")]
            floor = [number(row["null"])] if null else []
            rows.append([_arrowed(short, part), written, *cells, _interval(row), *floor])
    verdict = _memorization(runs, names) if controls_of(runs) else ""  # tables from before controls stay as they were
    return _render("generalization", runs, benchmark, table=markdown_table(header, rows), memorization=verdict)


def _memorization(runs: Sequence[Run], names: Mapping[str, str]) -> str:
    """Lay out the label test, the one score that decides whether a model copied; empty where it was not taken."""
    keys = dict.fromkeys(s.key for run in runs for s in run.scores if s.metric.partition(":")[0] == "label_test")
    rows = []
    for key in keys:
        cells = {cell.model: cell for cell in final_cells(runs, key, None)}
        for name, written in names.items():
            found = [s.estimate for s in cells[name].scores if s.estimate is not None]
            share, chance = (fmean(values) if values else None for values in _columns(found))
            # Bonferroni: the smallest of the seeds' p-values, times how many there are.
            p_value = min(1.0, len(found) * min(e.extra["p_value"] for e in found)) if found else None
            rows.append([f"{key} {ARROWS['match']}", written, number(share), number(chance), number(p_value)])
    return markdown_table(["metric", "model", "nearest to train", "by chance", "p-value"], rows) if rows else ""


def _columns(found: Sequence[Estimate]) -> tuple[list[float], list[float]]:
    return [e.value for e in found], [e.null for e in found if e.null is not None]


def score_markdown(scores: Sequence[Score]) -> str:
    """Every number of one run's scores, a row each."""
    header = ["metric", "against", "value", "debiased", "s.e.", "95% interval", "real data", "n"]
    rows = []
    for score in scores:
        name, e = f"{score.key} {ARROWS[score.better]}", score.estimate
        name += "" if score.label is None else f", class {score.label}"
        if e is None:
            rows.append([name, score.split or "", "failed", *["–"] * 4, str(score.n_generated)])
            continue
        interval = "–" if e.low is None else f"[{number(e.low)}, {number(e.high)}]"
        cells = [number(x) for x in (e.value, e.debiased, e.std_error)]
        rows.append([name, score.split or "", *cells, interval, number(e.null), str(score.n_generated)])
    return markdown_table(header, rows) + "\n"


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Add the metrics' names without fingerprints, which stand below the table: ``fd@digits-cnn.pool``."""
    return table.assign(short=table["metric"].str.replace(r"#[0-9a-f]+", "", regex=True))


def _by_metric(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split a table by metric, in the order of the benchmark; each part is indexed by model."""
    return [(str(short), part.set_index("model")) for short, part in table.groupby("short", sort=False)]


def _arrowed(short: str, part: pd.DataFrame) -> str:
    return f"{short} {ARROWS[str(part['better'].iloc[0])]}"


def _interval(row: Any) -> str:
    return "–" if pd.isna(row["low"]) else f"[{number(row['low'])}, {number(row['high'])}]"


def _count(value: Any) -> str:
    return "–" if pd.isna(value) else str(value)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("genbench"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,  # Markdown, not HTML
    )


def _render(name: str, runs: Sequence[Run], benchmark: Benchmark, **parts: object) -> str:
    fingerprints = {s.space.rpartition(".")[0]: s.fingerprint[:12] for run in runs for s in run.scores}
    return (
        _templates()
        .get_template(f"{name}.md.jinja")
        .render(
            benchmark=benchmark,
            command=f"genbench run {benchmark.name}" + (" --quick" if benchmark.quick else ""),
            controls=[(run.sampler, run.recipe["control"]) for run in controls_of(runs)],
            extractors=", ".join(f"{extractor} `{digest}`" for extractor, digest in sorted(fingerprints.items())),
            **parts,
        )
        + "\n"
    )
