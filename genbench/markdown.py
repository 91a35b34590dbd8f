"""The three tables for reading: Markdown that is also aligned for a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from genbench.definitions import Benchmark
from genbench.display import DASH, interval
from genbench.display import markdown_table as markdown_table
from genbench.display import number as number
from genbench.estimates import ARROWS, Score, score_cells
from genbench.records import Run
from genbench.tables import (
    controls_of,
    generalization,
    leaderboard,
    memorization,
    primary_order,
    scores,
    stability,
    timings,
)
from genbench.tables.curves import verdict_counts, verdict_sentences
from genbench.tables.memorization import MEMORIZATION_COLUMNS


def command_of(runs: Sequence[Run], benchmark: Benchmark) -> str:
    """Return the command that makes the records."""
    seeds = sorted({run.train_seed for run in runs if run.train_seed is not None})
    parts = [f"genbench run {benchmark.name}"]
    parts += ["--quick"] if benchmark.quick else []
    parts += [] if benchmark.train_size is None else [f"--train-size {benchmark.train_size}"]
    parts += [f"--seeds {','.join(map(str, seeds))}"] if seeds else []
    return " ".join(parts)


def timings_markdown(runs: Sequence[Run]) -> str:
    """Lay out where the time of scoring went, the longest part first; nothing where no record says."""
    rows = [[r["part"], f"{r['seconds']:.2f}", f"{r['share']:.0%}"] for _, r in timings(runs).iterrows()]
    return markdown_table(["part", "seconds", "share"], rows) if rows else ""


def leaderboard_markdown(
    runs: Sequence[Run], benchmark: Benchmark, *, command: str | None = None, width: int | None = None
) -> str:
    """Quality: the ranking under the primary metric, then every metric against held-out data.

    Parameters
    ----------
    runs : sequence of Run
    benchmark : Benchmark
    command : str or None
        What made these records; None is `command_of` them.
    width : int or None
        Characters that a line of a table may have (see `markdown_table`); None sets no limit.
    """
    board = leaderboard(runs, benchmark)
    table = _named(scores(runs))
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
        ranking=_ranking(board, main, names, null=null, width=width) if len(main) else "",
        over_seeds=bool((board["interval"] == "seeds").any()),
        over_samples=bool((board["interval"][~board["control"].astype(bool)] == "samples").any()),
        unranked=[(row["model"], row["note"]) for _, row in board.iterrows() if row["note"] and not row["control"]],
        everything=markdown_table(["metric", *names.values(), *(["*real data*"] if null else [])], rows, width=width),
        command=command,
    )


def _names(runs: Sequence[Run], benchmark: Benchmark) -> dict[str, str]:
    """Models, best first, then controls, each with how it is written: controls in italics."""
    controls = [run.sampler for run in controls_of(runs)]
    return {name: name for name in primary_order(runs, benchmark)} | {name: f"*{name}*" for name in controls}


def _ranking(
    board: pd.DataFrame, main: pd.DataFrame, names: Mapping[str, str], *, null: bool, width: int | None
) -> str:
    """Lay out ranks; no times, which differ from run to run: they are in the CSV."""
    key = str(board["primary"].iloc[0])
    sized = bool(board["parameters"].notna().any())
    header = ["model", "rank", _arrowed(key, main), "debiased", "95% interval", "seeds", "failed"]
    header += ["parameters"] if sized else []
    rows = []
    for name, row in board.set_index("model").iterrows():
        bounds = {"low": row[f"{key}_low"], "high": row[f"{key}_high"]}
        rank = "" if row["control"] else _count(row["rank"])
        cells = [rank, number(row[key]), number(row[f"{key}_debiased"]), _interval(bounds)]
        size = [f"{row['parameters']:,}" if pd.notna(row["parameters"]) else ""] if sized else []
        rows.append([names[str(name)], *cells, _count(row["seeds"]), _count(row["failed"]), *size])
    if null:
        rows.append(["*real data*", "", number(main["null"].dropna().mean()), *[""] * (len(header) - 3)])
    return markdown_table(header, rows, width=width)


def stability_markdown(runs: Sequence[Run], benchmark: Benchmark) -> str:
    """Stability: the spread over training seeds and what became of the runs, for the metrics of the curve."""
    table = _named(stability(runs))
    table = table[table["split"] != "train"]
    header = [
        "metric", "model", "verdicts", "mean", "95% interval", "sd", "s.e.", "CVaR", "regret", "AULC", "oscillation",
        "failed",
    ]  # fmt: skip
    wanted = {benchmark.primary, *benchmark.curve}
    names = _names(runs, benchmark)
    rows = []
    for short, part in _by_metric(table[table["short"].isin(wanted)]):
        for name, written in names.items():
            row = part.loc[name]
            failed = f"{row['failed']} of {row['seeds']} [{number(row['failed_low'])}, {number(row['failed_high'])}]"
            cells = [number(row[c]) for c in ("sd", "sampling_noise", "cvar", "regret", "aulc", "oscillation")]
            known = [_arrowed(short, part), written, verdict_counts(row), number(row["mean"]), _interval(row)]
            rows.append([*known, *cells, failed])
    sentences = verdict_sentences(runs, benchmark)
    return _render("stability", runs, benchmark, table=markdown_table(header, rows), sentences=sentences)


def generalization_markdown(runs: Sequence[Run], benchmark: Benchmark) -> str:
    """Generalization: the verdict on memorization, and the gap between held-out and training data with its interval."""
    names = _names(runs, benchmark)
    table = _named(generalization(runs))
    header = ["metric", "model", "train", "held-out", "gap", "95% interval of the gap"]
    header += [] if "real" in names else ["real data"]
    rows, others = [], []
    for short, part in _by_metric(table):
        # Likelihoods have no space in their name.
        main = "@" not in short or re.sub(r"[:,]rows=\d+", "", short) == benchmark.primary
        if not main:
            others.append([_arrowed(short, part), *(_marked_gap(part, name) for name in names)])
        for name, written in names.items() if main else ():
            if name in part.index:
                row = part.loc[name]
                cells = [number(row[c]) for c in ("train", "test", "gap")]
                floor = [] if "real" in names else [number(row["null"])]
                rows.append([_arrowed(short, part), written, *cells, _interval(row), *floor])
    verdicts = memorization(runs)
    return _render(
        "generalization",
        runs,
        benchmark,
        table=markdown_table(header, rows) if rows else "",
        others=markdown_table(["gap of", *names.values()], others) if others else "",
        verdicts=_verdicts(verdicts, names),
        sentences=list(verdicts.loc[verdicts["verdict"] == "memorized", "sentence"]),
        missing=[(row.model, row.missing) for row in verdicts.drop_duplicates("model").itertuples() if row.missing],
    )


def ladder_markdown(table: pd.DataFrame, benchmark: Benchmark) -> str:
    """Data size: held-out score, gap and the label test at every size of the training split."""
    header = [
        "model",
        "train size",
        f"{benchmark.primary}",
        "95% interval",
        "gap",
        "95% interval of the gap",
        "verdict",
    ]
    rows = []
    for _, row in table.iterrows():
        test, gap = (_interval({"low": row[f"{of}_low"], "high": row[f"{of}_high"]}) for of in ("test", "gap"))
        name = f"*{row['model']}*" if row["control"] else str(row["model"])
        rows.append(
            [name, _count(row["train_size"]), number(row["test"]), test, number(row["gap"]), gap, row["verdict"]]
        )
    sentences = [f"- trained on {row['train_size']}: {row['sentence']}" for _, row in table.iterrows()]
    title = f"# {benchmark.id}: from memorizing to generalizing"
    about = "By the size of the training split. Gap: held-out minus train."
    return "\n\n".join([title, about, markdown_table(header, rows), "\n".join(sentences)]) + "\n"


def _marked_gap(part: pd.DataFrame, name: str) -> str:
    """Write a gap, with a star where its interval leaves out zero."""
    if name not in part.index:
        return DASH
    row = part.loc[name]
    return number(row["gap"]) + ("*" if row["low"] > 0 or row["high"] < 0 else "")


def _verdicts(table: pd.DataFrame, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Lay out each label test, with what describes closeness beside it."""
    known = [*MEMORIZATION_COLUMNS, "sentence"]
    described = [c for c in table.columns if c not in known and not c.endswith(" null")]
    header = ["model", "verdict", "nearest to train", "by chance", "p-value", "corrected", "n", *described]
    found = []
    for key, part in table[table["metric"] != ""].groupby("metric", sort=False):
        by_model = part.set_index("model")
        rows = []
        for name, written in names.items():
            row = by_model.loc[name]
            cells = [number(row[c]) for c in ("share", "chance", "p_value", "p_corrected")]
            cells += [_count(row["n_generated"]), *(number(row[c]) for c in described)]
            rows.append([written, str(row["verdict"]), *cells])
        found.append((str(key), markdown_table(header, rows)))
    return found


def score_markdown(scores: Sequence[Score]) -> str:
    """Every number of one run's scores, a row each."""
    return markdown_table(*score_cells(scores)) + "\n"


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Add the metrics' names without fingerprints, which stand below the table: ``fd@digits-cnn.pool``."""
    return table.assign(short=table["metric"].str.replace(r"#[0-9a-f]+", "", regex=True))


def _by_metric(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split a table by metric, in the order of the benchmark; each part is indexed by model."""
    return [(str(short), part.set_index("model")) for short, part in table.groupby("short", sort=False)]


def _arrowed(short: str, part: pd.DataFrame) -> str:
    return f"{short} {ARROWS[str(part['better'].iloc[0])]}"


def _interval(row: Any) -> str:
    return interval(row["low"], row["high"])


def _count(value: Any) -> str:
    return DASH if pd.isna(value) else str(value)


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


def _render(name: str, runs: Sequence[Run], benchmark: Benchmark, command: str | None = None, **parts: object) -> str:
    fingerprints = {s.space.rpartition(".")[0]: s.fingerprint[:12] for run in runs for s in run.scores}
    return (
        _templates()
        .get_template(f"{name}.md.jinja")
        .render(
            benchmark=benchmark,
            command=command or command_of(runs, benchmark),
            controls=[(run.sampler, run.recipe["control"]) for run in controls_of(runs)],
            extractors=", ".join(f"{extractor} `{digest}`" for extractor, digest in sorted(fingerprints.items())),
            **parts,
        )
        + "\n"
    )
