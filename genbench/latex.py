"""The leaderboard as a LaTeX table for a paper (booktabs)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from genbench.definitions import Benchmark
from genbench.errors import UsageError
from genbench.markdown import number
from genbench.records import Run, Score
from genbench.tables import final_cells, leaderboard
from genbench.tables.cells import metric_splits
from genbench.tables.ranking import ranks

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
}

_ARROWS = {"lower": r"$\downarrow$", "higher": r"$\uparrow$", "match": r"$\approx$"}


def escape(text: str) -> str:
    """Return text as LaTeX prints it, whatever it holds."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text).replace("\n", " ")


def leaderboard_latex(runs: Sequence[Run], benchmark: Benchmark, metrics: Sequence[str] | None = None) -> str:
    r"""Lay out the leaderboard as a table of ``booktabs``; it needs ``\usepackage{booktabs}`` and nothing else.

    Parameters
    ----------
    runs : sequence of Run
    benchmark : Benchmark
    metrics : sequence of str or None
        Keys beside the primary one; None takes those of the benchmark's curve.

    Returns
    -------
    str
        Plain values, means over runs, and of the primary metric also the debiased mean with its interval. Bold: every
        model that no other is better than (see `genbench.tables.ranking.ranks`), under each metric for itself. A
        model with a failed run or a missing seed has no rank and is never bold; a note below says why.

    Raises
    ------
    UsageError
        If a metric is not among the scores.
    """
    board = leaderboard(runs, benchmark)
    examples = {s.key: s for s in metric_splits(runs) if s.split != "train"}
    beside = [key for key in benchmark.curve if key in examples] if metrics is None else metrics
    keys = list(dict.fromkeys([benchmark.primary, *beside]))
    unknown = [key for key in keys if key not in examples]
    if unknown:
        raise UsageError(f"latex: no score under {', '.join(unknown)}; there are {', '.join(examples) or 'none'}.")
    eligible = set(board["model"][board["rank"].notna()])
    best = {key: _best(runs, examples[key], eligible) for key in keys}
    named = [escape(key) + " " + _ARROWS[examples[key].better] for key in keys]
    header = ["model", "rank", named[0], "debiased", r"95\% interval", *named[1:]]
    models, controls = (
        [_row(row, keys, best) for _, row in board[board["control"].astype(bool) == control].iterrows()]
        for control in (False, True)
    )
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_caption(board, benchmark)}}}",
        rf"  \label{{tab:{re.sub('[^A-Za-z0-9]+', '-', benchmark.id)}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"    \toprule",
        _line(header),
        r"    \midrule",
        *models,
        *([r"    \midrule"] if models and controls else []),
        *controls,
        r"    \bottomrule",
        r"  \end{tabular}",
        *(rf"  \par\footnotesize Not ranked: {escape(model)} ({escape(note)})." for model, note in _notes(board)),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _best(runs: Sequence[Run], example: Score, eligible: set[str]) -> set[str]:
    cells = [cell for cell in final_cells(runs, example.key, example.split) if cell.model in eligible]
    return {model for model, rank in ranks(cells, example.better).items() if rank == 1}


def _row(row: Any, keys: Sequence[str], best: dict[str, set[str]]) -> str:
    model = str(row["model"])
    name = escape(model)
    values = []
    for key in keys:
        text = _number(row[key])
        values.append(rf"\textbf{{{text}}}" if model in best[key] else text)
    low, high = row[f"{keys[0]}_low"], row[f"{keys[0]}_high"]
    # In a group of its own: a row that begins with "[" would be read as an option of the line break before it.
    interval = "--" if pd.isna(low) else f"{{[{_number(low)}, {_number(high)}]}}"
    rank = "" if row["control"] else "--" if pd.isna(row["rank"]) else str(row["rank"])
    written = rf"\textit{{{name}}}" if row["control"] else name
    return _line([written, rank, values[0], _number(row[f"{keys[0]}_debiased"]), interval, *values[1:]])


def _line(cells: Sequence[str]) -> str:
    return "    " + " & ".join(cells) + r" \\"


def _number(value: Any) -> str:
    """Write a number as text, so that it can be bold; LaTeX's minus is in math alone."""
    text = number(value)
    if text == "–":
        return "--"
    mantissa, exponent, power = text.partition("e")
    text = f"{mantissa}$\\times 10^{{{int(power)}}}$" if exponent else mantissa
    return text.replace("-", "$-$", 1) if text.startswith("-") else text


def _caption(board: pd.DataFrame, benchmark: Benchmark) -> str:
    models = board[~board["control"].astype(bool)]
    counts = sorted(set(models["seeds"].astype(int)))
    seeds = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]]))) if counts else "0"
    over = "fresh trainings" if (models["interval"] == "seeds").any() else "fresh samples of one training"
    quick = " Quick run, not comparable with a full one." if benchmark.quick else ""
    return (
        f"{escape(benchmark.id)}, $n = {benchmark.n}$ samples, {seeds} completed trainings a model. Values are means "
        f"over trainings; the interval covers {over} and belongs to the debiased mean. Bold: no model is better at "
        f"5\\%, one pair at a time. $\\downarrow$ lower is better, $\\uparrow$ higher, $\\approx$ nearest to real "
        f"data.{quick}"
    )


def _notes(board: pd.DataFrame) -> list[tuple[str, str]]:
    return [(str(r["model"]), str(r["note"])) for _, r in board.iterrows() if r["note"] and not r["control"]]
