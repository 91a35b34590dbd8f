"""What a results folder holds beside its records: tables, for machines and for people, and the report."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from genbench import markdown, tables
from genbench.atomic import write_atomic
from genbench.benchmarks.ladder import train_size_of
from genbench.definitions import Benchmark
from genbench.latex import leaderboard_latex
from genbench.records import Run
from genbench.report import report_html
from genbench.storage import Place
from genbench.store import Store


def write_tables(store: Store, benchmark: Benchmark, runs: Sequence[Run]) -> None:
    """Derive the tables from the records: CSV for machines, three of them as Markdown, the leaderboard as LaTeX too.

    Nothing but times differs between two runs of one protocol on one machine: they stand in columns that end in
    ``_seconds`` or ``_per_second``.
    """
    if not any(run.final for run in runs):
        return
    frames = {
        "leaderboard": tables.leaderboard(runs, benchmark),
        "scores": tables.scores(runs),
        "stability": tables.stability(runs),
        "verdicts": tables.verdicts(runs, benchmark),
        "comparisons": tables.comparisons(runs, benchmark),
        "profiles": tables.profiles(runs, benchmark),
        "curves": tables.curves(runs, benchmark),
        "sensitivity": tables.sensitivity(runs, benchmark),
        "generalization": tables.generalization(runs),
        "memorization": tables.memorization(runs),
    }
    texts = {f"{name}.md": text for name, text in markdown_tables(benchmark, runs).items()}
    if any(s.key == benchmark.primary and s.split != "train" for run in runs if run.final for s in run.scores):
        texts["leaderboard.tex"] = leaderboard_latex(runs, benchmark)
    for name, frame in frames.items():
        if len(frame):
            texts[f"{name}.csv"] = csv_text(frame)
    for name, text in texts.items():
        write_atomic(store.folder / name, text.encode())


def markdown_tables(benchmark: Benchmark, runs: Sequence[Run]) -> dict[str, str]:
    """Return the three tables for reading, by name."""
    return {
        "leaderboard": markdown.leaderboard_markdown(runs, benchmark),
        "stability": markdown.stability_markdown(runs, benchmark),
        "generalization": markdown.generalization_markdown(runs, benchmark),
    }


def write_page(store: Store, benchmark: Benchmark, runs: Sequence[Run]) -> None:
    """Write the HTML report beside the tables."""
    if any(run.final for run in runs):
        page = report_html(runs, benchmark, store.folder / "grids")
        write_atomic(store.folder / "report.html", page.encode())


def write_ladder(out: Place, benchmark: Benchmark) -> str:
    """Put the sizes of the training split that lie in a results folder side by side: ``<id>-ladder.csv`` and ``.md``.

    The gap is that of a kernel distance where the benchmark has one: a Fréchet distance has no interval against a few
    rows. Returns the Markdown.
    """
    found = {folder.name: train_size_of(folder.name) for folder in out.glob(f"{benchmark.id}-train*")}
    runs = {size: Store(out, name).runs() for name, size in found.items() if size is not None}
    gap = next((spec.key for spec in benchmark.metrics if spec.label == "kd"), None)
    frame = tables.ladder(runs, benchmark.primary, gap=gap)
    text = markdown.ladder_markdown(frame, benchmark)
    write_atomic(out / f"{benchmark.id}-ladder.csv", csv_text(frame).encode())
    write_atomic(out / f"{benchmark.id}-ladder.md", text.encode())
    return text


def csv_text(frame: pd.DataFrame) -> str:
    """Write a table; eight digits are more than any score is worth, fewer than what differs between two BLAS builds."""
    return frame.to_csv(index=False, float_format="%.8g", lineterminator="\n")
