"""Figures for papers, from the same tables as everything else: they draw numbers and compute none."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from genbench.atomic import write_atomic
from genbench.definitions import Benchmark
from genbench.errors import SampleError, UsageError
from genbench.files.extras import import_extra
from genbench.records import ARROWS, Run
from genbench.tables import leaderboard, learning_curves
from genbench.tables.cells import metric_splits

FORMATS = ("pdf", "svg", "png")

COLUMN = 3.3
"""Width of one column of a paper, in inches; text is 7 points there."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, which the colour-blind can tell apart; without the yellow, which paper swallows."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_STYLE: dict[str, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "legend.fontsize": 6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "savefig.dpi": 300,
    "svg.hashsalt": "genbench",
    "pdf.fonttype": 42,
}

_UNDATED: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
"""Without a date, the same records give the same bytes."""


def write_plots(runs: Sequence[Run], benchmark: Benchmark, out: Path, *, form: str = "pdf") -> list[Path]:
    """Draw the figures that the records have data for, and return their files.

    ``primary``: the primary metric with its interval. ``curve-<metric>``: a panel a model along training, with the band
    over seeds. ``precision-recall-<space>``. ``cost``: the primary metric against training time and parameters.

    Parameters
    ----------
    runs : sequence of Run
    benchmark : Benchmark
    out : Path
        A folder; files in it are replaced.
    form : {"pdf", "svg", "png"}

    Raises
    ------
    UsageError
        If there is no such form.
    SampleError
        If no record has anything to draw.
    SetupError
        If matplotlib is not installed, or the folder cannot be written to.
    """
    if form not in FORMATS:
        raise UsageError(f"plots: one of {', '.join(FORMATS)} expected, got {form!r}.")
    matplotlib = import_extra("matplotlib", extra="plots", who="plots")
    import_extra("matplotlib.figure", extra="plots", who="plots")
    written = []
    with matplotlib.rc_context(_STYLE):
        for name, figure in figures(runs, benchmark):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=form, metadata=_UNDATED[form])
            path = out / f"{name}.{form}"
            write_atomic(path, buffer.getvalue())
            written.append(path)
    if not written:
        raise SampleError(f"plots: no score of {benchmark.id} to draw; finish the run first.")
    return written


def figures(runs: Sequence[Run], benchmark: Benchmark) -> Iterator[tuple[str, Any]]:
    """Yield every figure that there are data for, with its file's name."""
    board = leaderboard(runs, benchmark)
    better = {score.key: score.better for run in runs for score in run.scores}
    finals = {s.key for s in metric_splits(runs)}
    primary = benchmark.primary
    if primary in finals:
        yield "primary", interval_plot(board, primary, f"{primary} {ARROWS[better[primary]]}")
    for key in dict.fromkeys([primary, *benchmark.curve]):
        curves = learning_curves(runs, key)
        if curves["step"].nunique() > 1:
            order = [m for m in board["model"] if m in set(curves["model"])]
            order += sorted(set(curves["model"]) - set(order))
            yield f"curve-{_file(key)}", curve_plot(curves, order, f"{key} {ARROWS[better[key]]}")
    for precision in sorted(k for k in finals if k.startswith("precision@")):
        recall = precision.replace("precision@", "recall@")
        if recall in finals:
            name = f"precision-recall-{_file(precision.partition('@')[2])}"
            yield name, scatter_plot(board, recall, precision, f"{recall} ↑", f"{precision} ↑")
    costs = [c for c in ("train_seconds", "parameters") if board[c].notna().any()]
    if costs and primary in finals:
        yield "cost", cost_plot(board, costs, primary, f"{primary} {ARROWS[better[primary]]}")


def interval_plot(board: pd.DataFrame, key: str, label: str) -> Any:
    """Draw one metric: a row a model in the order of the leaderboard, debiased with its interval; controls in grey."""
    figure, (axes,) = _canvas(COLUMN, 0.6 + 0.16 * len(board))
    centre = board[f"{key}_debiased"].fillna(board[key])
    for place, (_, row) in enumerate(board.iterrows()):
        colour = "0.55" if row["control"] else PALETTE[0]
        if pd.notna(row[f"{key}_low"]):
            axes.plot([row[f"{key}_low"], row[f"{key}_high"]], [place, place], color=colour, solid_capstyle="butt")
        if pd.notna(centre.iloc[place]):
            ranked = pd.notna(row["rank"]) or row["control"]
            axes.plot(centre.iloc[place], place, "o", color=colour, markerfacecolor=colour if ranked else "white")
    axes.set_yticks(range(len(board)), [_named(row) for _, row in board.iterrows()])
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    return figure


def curve_plot(curves: pd.DataFrame, order: Sequence[str], label: str) -> Any:
    """Draw one metric along training: a panel a model, the mean over seeds with its band before the others' in grey."""
    columns = min(3, len(order))
    rows = math.ceil(len(order) / columns)
    figure, panels = _canvas(COLUMN, 0.55 + 0.85 * rows, rows=rows, columns=columns, sharey=True)
    parts = {model: curves[curves["model"] == model] for model in order}
    for place, (axes, model) in enumerate(zip(panels, order, strict=False)):
        for other in order:
            axes.plot(parts[other]["step"], parts[other]["mean"], color="0.85", linewidth=0.5)
        part = parts[model]
        axes.fill_between(part["step"], part["low"], part["high"], color=PALETTE[0], alpha=0.25, linewidth=0)
        axes.plot(part["step"], part["mean"], color=PALETTE[0])
        axes.set_title(model, pad=2)
        axes.tick_params(labelbottom=place + columns >= len(order), length=2)
        axes.locator_params(axis="x", nbins=3)
    # Bands of few seeds are far wider than what is to be seen; the means set the scale.
    low, high = curves["mean"].min(), curves["mean"].max()
    margin = 0.08 * (high - low) or 0.5
    panels[0].set_ylim(low - margin, high + margin)
    for axes in panels[len(order) :]:
        axes.set_visible(False)
    figure.supxlabel("updates", fontsize=7)
    figure.supylabel(label, fontsize=7)
    return figure


def scatter_plot(board: pd.DataFrame, x: str, y: str, x_label: str, y_label: str) -> Any:
    """Draw two metrics against each other, with both intervals."""
    figure, (axes,) = _canvas(COLUMN, 2.9)
    for place, (_, row) in enumerate(board.iterrows()):
        _point(axes, row, place, x, y)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    _legend(figure, axes)
    return figure


def cost_plot(board: pd.DataFrame, costs: Sequence[str], key: str, label: str) -> Any:
    """Draw one metric against what a model costs: one panel a cost, logarithmic over a decade; models only."""
    figure, panels = _canvas(COLUMN, 2.9, columns=len(costs), sharey=True)
    names = {"train_seconds": "training time (s)", "parameters": "parameters"}
    models = board[~board["control"].astype(bool)]
    for axes, cost in zip(panels, costs, strict=True):
        for place, (_, row) in enumerate(models.iterrows()):
            if pd.notna(row[cost]):
                _point(axes, row, place, cost, key)
        if models[cost].max() > 10 * models[cost].min() > 0:
            axes.set_xscale("log")
        else:
            axes.locator_params(axis="x", nbins=3)
        axes.set_xlabel(names[cost])
    panels[0].set_ylabel(label)
    _legend(figure, panels[0])
    return figure


def _point(axes: Any, row: Any, place: int, x: str, y: str) -> None:
    """One model: a colour and a marker of its own for the first 49, with what intervals there are."""
    centre = [_centre(row, key) for key in (x, y)]
    colour = "0.55" if row["control"] else PALETTE[place % len(PALETTE)]
    marker = MARKERS[(place + place // len(PALETTE)) % len(MARKERS)]
    for axis, key in enumerate((x, y)):
        low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
        if low is not None and pd.notna(low):
            ends = [low, high]
            both = (ends, [centre[1]] * 2) if axis == 0 else ([centre[0]] * 2, ends)
            axes.plot(*both, color=colour, linewidth=0.5, alpha=0.6)
    axes.plot(*centre, linestyle="", marker=marker, color=colour, label=_named(row))


def _centre(row: Any, key: str) -> float:
    """What the interval is around: the debiased mean where there is one."""
    debiased = row.get(f"{key}_debiased")
    return float(row[key] if debiased is None or pd.isna(debiased) else debiased)


def _canvas(width: float, height: float, *, rows: int = 1, columns: int = 1, sharey: bool = False) -> tuple[Any, Any]:
    """Make a figure without pyplot, whose global state is not ours to touch; returns it and its axes, row by row."""
    figure = import_extra("matplotlib.figure", extra="plots", who="plots").Figure(
        figsize=(width, height), layout="constrained"
    )
    axes = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    return figure, list(axes.flat)


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, handletextpad=0.1)


def _named(row: Any) -> str:
    """The model's name; controls and models without a rank say so."""
    if row["control"]:
        return f"({row['model']})"
    return f"{row['model']} (no rank)" if pd.isna(row["rank"]) else str(row["model"])


def _file(key: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in key)
