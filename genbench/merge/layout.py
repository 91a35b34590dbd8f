"""Boards for reading and for machines: CSV, Markdown, LaTeX, and the HTML page, each with where its rows come from."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from genbench.definitions import Benchmark
from genbench.errors import UsageError
from genbench.latex import leaderboard_latex
from genbench.markdown import leaderboard_markdown
from genbench.merge.boards import Board
from genbench.merge.folders import Found
from genbench.publish import csv_text
from genbench.records import Run
from genbench.report import report_html
from genbench.results import find_benchmark
from genbench.storage import Place
from genbench.tables import leaderboard

FORMATS = ("md", "csv", "latex", "html")

PROVENANCE_COLUMNS = ["sources", "genbench", "revision"]
"""What a merged leaderboard has after ``device``; several values of a row are separated by ``; ``."""

_SHORT = 12
"""Digits of a revision in what is for reading."""


def leaderboards(
    boards: Sequence[Board], form: str, *, benchmark: str | None = None, width: int | None = None
) -> tuple[str, list[str]]:
    """Lay out boards.

    Parameters
    ----------
    boards : sequence of Board
        As of `genbench.merge.merge_folders`. One without a final record is left out.
    form : {"md", "csv", "latex", "html"}
        Several boards stand one after another; as CSV they share a header that has every metric of each. A page of HTML
        has one.
    benchmark : str or None
        A ``.toml`` file that defines the benchmark; None takes the shipped one of that name, or makes one up from the
        records, whose first metric is the primary one.
    width : int or None
        Characters that a line of a Markdown table may have; a wider one is cut into several. None sets no limit.

    Returns
    -------
    text : str
    notes : list of str
        What a reader must know, in sentences. In all forms but CSV they are in the text, too.

    Raises
    ------
    UsageError
        If the form is not one of these, or HTML is asked of several boards.
    """
    if form not in FORMATS:
        raise UsageError(f"leaderboard: one of the forms {', '.join(FORMATS)} expected, got {form!r}.")
    full = [board for board in boards if board.finals]
    if form == "html" and len(full) != 1:
        names = ", ".join(board.benchmark for board in full)
        raise UsageError(
            f"leaderboard: one benchmark a page of HTML expected, got {names}; choose one with --benchmark."
        )
    name = benchmark if benchmark is not None and benchmark.endswith(".toml") else None
    definitions = [find_benchmark(board.runs, name) for board in full]
    notes = [f"{board.benchmark}: no final record yet, and no board." for board in boards if not board.finals]
    notes += [f"{board.benchmark}: {note}" for board in full for note in notes_of(board)]
    both = list(zip(full, definitions, strict=True))
    if form == "csv":
        return _csv([board_frame(*pair) for pair in both]), notes
    if form == "md":
        return "\n".join(_markdown(*pair, width=width) for pair in both), notes
    return ("\n".join(_latex(*pair) for pair in both) if form == "latex" else _html(*both[0])), notes


def board_frame(board: Board, benchmark: Benchmark) -> pd.DataFrame:
    """Return the leaderboard as `genbench.tables.leaderboard` does, with `PROVENANCE_COLUMNS`.

    ``sources`` are the folders of a model's final records, ``genbench`` and ``revision`` the versions and the revisions
    that made them (``+dirty``: with changes that were not committed; none for an installed package). Where several
    folders hold one training, all of them are named; times, and the device that they were taken on, are of the first.
    """
    frame = leaderboard(board.finals, benchmark)
    rows = _provenance(board)
    frame["device"] = [rows[str(model)]["device"] for model in frame["model"]]
    at = list(frame.columns).index("device") + 1
    for i, column in enumerate(PROVENANCE_COLUMNS):
        frame.insert(at + i, column, [rows[str(model)][column] for model in frame["model"]])
    return frame


def notes_of(board: Board) -> list[str]:
    """Return what a reader of a merged board must know, in sentences."""
    notes = []
    everything = [found.run for found in (*board.kept, *board.agreeing)]
    versions = _distinct(everything, "genbench")
    if len(versions) > 1:
        notes.append(
            f"Made by unlike versions of genbench ({', '.join(versions)}); the protocol is one, the code is not."
        )
    dirty = [run for run in everything if str(run.provenance.get("revision", "")).endswith("+dirty")]
    if dirty:
        names = ", ".join(sorted({run.sampler for run in dirty}))
        notes.append(f"Made from code with changes that were not committed, so that nobody can rebuild them: {names}.")
    if board.agreeing:
        said = f"Of {len(board.agreeing)} records there was another with the same scores"
        said += f" ({board.rounded} to rounding)" if board.rounded else ""
        notes.append(f"{said}: each counts once, with the times of the first.")
    return notes


def _distinct(runs: Iterable[Run], key: str) -> list[str]:
    return sorted({str(value) for run in runs if (value := run.provenance.get(key)) is not None})


def _provenance(board: Board) -> dict[str, dict[str, str]]:
    """Return the provenance of every model's final records by column."""
    models: dict[str, list[Found]] = {}
    for found in (*board.kept, *board.agreeing):
        if found.run.final:
            models.setdefault(found.run.sampler, []).append(found)
    devices: dict[str, list[Run]] = {}
    for run in board.finals:
        devices.setdefault(run.sampler, []).append(run)
    rows: dict[str, dict[str, str]] = {}
    for model, mine in models.items():
        folders, runs = {found.folder for found in mine}, [found.run for found in mine]
        rows[model] = {"sources": "; ".join(label for folder, label in board.labels.items() if folder in folders)}
        rows[model] |= {key: "; ".join(_distinct(runs, key)) for key in ("genbench", "revision")}
        rows[model]["device"] = "; ".join(_distinct(devices.get(model, ()), "device"))
    return rows


def _csv(frames: Sequence[pd.DataFrame]) -> str:
    """Stack tables under one header: what all have, then every metric of each."""
    columns = dict.fromkeys(column for frame in frames for column in frame.columns)
    texts = [csv_text(frame.reindex(columns=list(columns))) for frame in frames]
    return texts[0] + "".join(text.partition("\n")[2] for text in texts[1:])


def _markdown(board: Board, benchmark: Benchmark, *, width: int | None) -> str:
    text = leaderboard_markdown(board.finals, benchmark, command=_command(board), width=width)
    lines = ["Where each row comes from:", "", *(f"- {line}" for line in _sources(board, benchmark))]
    for note in notes_of(board):
        lines += ["", note]
    whole = "\n".join([text, *lines]) + "\n"
    return whole if width is None else _wrapped(whole, width)


def _wrapped(text: str, width: int) -> str:
    """Fill the lines of what is no table with words anew."""
    parts = []
    for part in text.strip("\n").split("\n\n"):
        lines = part.strip("\n").split("\n")
        if lines[0].startswith("- "):
            part = "\n".join(_filled(line, width, indent="  ") for line in lines)
        elif not lines[0].startswith("|"):
            part = _filled(" ".join(lines), width)
        parts.append(part)
    return "\n\n".join(parts) + "\n"


def _filled(text: str, width: int, *, indent: str = "") -> str:
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _latex(board: Board, benchmark: Benchmark) -> str:
    said = [f"made by {_command(board)}", *_sources(board, benchmark), *notes_of(board)]
    comments = [f"% {line}" for text in said for line in text.splitlines()]
    return "\n".join([*comments, leaderboard_latex(board.finals, benchmark)])


def _html(board: Board, benchmark: Benchmark) -> str:
    sources = [line.replace("`", "").replace("*", "") for line in _sources(board, benchmark)]
    return report_html(
        [found.read() for found in board.kept],
        benchmark,
        _pictures(board),
        command=_command(board),
        facts=[("merged from", sources)],
        notices=notes_of(board),
    )


def _command(board: Board) -> str:
    """Return what merges these folders again, from the folder that holds all of them."""
    parts = ["genbench", "leaderboard", *(board.labels[folder] for folder in board.folders)]
    for rename in board.renames:
        concerned = [board.labels[folder] for folder in board.folders if rename.concerns(folder)]
        for label in concerned:
            parts += ["--rename", f"{label}:{rename.old}={rename.new}"]
    return shlex.join(parts)


def _sources(board: Board, benchmark: Benchmark) -> list[str]:
    """Say where rows come from, in the order of the board: one line for all rows of the same folders and versions."""
    frame = board_frame(board, benchmark)
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in frame.to_dict("records"):
        name = f"*{row['model']}*" if row["control"] else str(row["model"])
        groups.setdefault(_origin(row), []).append(name)
    return [f"{', '.join(names)}: {'; '.join(filter(None, origin))}" for origin, names in groups.items()]


def _origin(row: dict[Any, Any]) -> tuple[str, ...]:
    revisions = [_shortened(revision) for revision in str(row["revision"]).split("; ") if revision]
    sources = " and ".join(f"`{source}`" for source in str(row["sources"]).split("; "))
    genbench = f"genbench {' and '.join(str(row['genbench']).split('; '))}" if row["genbench"] else ""
    revision = f"{'revision' if len(revisions) == 1 else 'revisions'} {', '.join(revisions)}" if revisions else ""
    return sources, genbench, revision, " and ".join(str(row["device"]).split("; "))


def _shortened(revision: str) -> str:
    digits, plus, dirty = revision.partition("+")
    return f"{digits[:_SHORT]}{plus}{dirty}"


def _pictures(board: Board) -> dict[str, Place]:
    """Return the pictures of the records on the board, under the names that samplers have here, and of real data."""
    pictures: dict[str, Place] = {}
    for found in (*board.kept, *board.agreeing):
        seed = "" if found.run.train_seed is None else f"-seed{found.run.train_seed}"
        for kind in ("", "-nearest", "-influence") if found.run.final else ():
            path = found.folder / "grids" / f"{found.path.parent.name}{seed}{kind}.png"
            if path.is_file():
                pictures.setdefault(f"{found.run.sampler}{seed}{kind}", path)
    real = [path for folder in board.folders if (path := folder / "grids" / "real.png").is_file()]
    return {**pictures, **({"real": real[0]} if real else {})}
