"""The page: sections put together, with a content security policy that names its one style and its one script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from genbench import tables
from genbench._version import __version__
from genbench.atomic import write_atomic
from genbench.definitions import Benchmark
from genbench.errors import UsageError
from genbench.markdown import command_of
from genbench.records import Run
from genbench.report.curves import collect_curves, curve_panels
from genbench.report.facts import facts_of, failures_of, recipes_of
from genbench.report.frames import Sheet, sheet_of
from genbench.report.gallery import pictures_in, read_albums
from genbench.report.quality import (
    COST,
    blocks_of,
    costs_of,
    interval_plots,
    leaderboard_lines,
    metric_columns,
    primary_key,
    tail_columns,
)
from genbench.report.sights import sights_of
from genbench.report.tradeoffs import cost_figures, score_figures
from genbench.results import find_benchmark, read_folder
from genbench.storage import Place


@dataclass(frozen=True, slots=True)
class Part:
    """A table of `genbench.tables` on the page: its function, and one sentence on what it shows."""

    name: str
    title: str
    table: Callable[[Sequence[Run], Benchmark], pd.DataFrame]
    about: str


PARTS = (
    Part(
        "stability",
        "Stability",
        lambda runs, _: tables.stability(runs),
        "How much a score moves from one training seed to another, and how often training fails; an sd near the "
        "sampling standard error is noise of measurement, not of training.",
    ),
    Part(
        "trainings",
        "Trainings",
        tables.verdicts,
        "What became of every training, and why: the first that holds of diverged, collapsed, mode-collapsed, "
        "unlearned, oscillating and ok.",
    ),
    Part(
        "generalization",
        "Generalization",
        lambda runs, _: tables.generalization(runs),
        "The score against training data and against held-out data at the same n: a gap (held-out minus train) whose "
        "interval leaves out zero, on the side on which training data score better, is what copying looks like.",
    ),
    Part(
        "memorization",
        "Memorization",
        lambda runs, _: tables.memorization(runs),
        "Whether samples were copied from the training data, which is decided by the label test alone; the other "
        "columns describe how close samples come to it.",
    ),
    Part(
        "timings",
        "Where the time went",
        lambda runs, _: tables.timings(runs),
        "Seconds of every part of scoring, summed over the records made with --profile; parts do not overlap.",
    ),
)
"""The tables below the figures. Their columns are taken as they come."""


def write_report(folder: Place, out: Place | None = None, *, benchmark: str | None = None) -> Place:
    """Write the report of one benchmark's results.

    Parameters
    ----------
    folder : Path or Remote
        As ``results/digits@1``: it holds ``records`` and, perhaps, ``grids``.
    out : Path, Remote or None
        The file; None is ``report.html`` in the folder.
    benchmark : str or None
        A name or a ``.toml`` file, where the folder's name is not that of a shipped benchmark.

    Returns
    -------
    Path or Remote
        The file that was written.

    Raises
    ------
    UsageError
        If the folder holds no finished records, or the benchmark is another one than theirs.
    ProtocolError
        If a file is no record, or records were made under unlike protocols.
    SetupError
        If the file cannot be written.
    """
    place = folder.resolve()
    runs = read_folder(place)
    if not any(run.final for run in runs):
        raise UsageError(
            f"report: a folder with records of finished runs expected, such as results/digits@1, got {folder}, which "
            "has none; make them with 'genbench run'."
        )
    target = place / "report.html" if out is None else out
    write_atomic(target, report_html(runs, find_benchmark(runs, benchmark), place / "grids").encode())
    return target


def report_html(
    runs: Sequence[Run],
    benchmark: Benchmark,
    grids: Place | Mapping[str, Place] | None = None,
    *,
    command: str | None = None,
    facts: Sequence[tuple[str, list[str]]] = (),
    notices: Sequence[str] = (),
) -> str:
    """Return the page of one benchmark's records.

    Parameters
    ----------
    runs : sequence of Run
        All of one benchmark; at least one is final.
    benchmark : Benchmark
        Its primary metric ranks.
    grids : Path, Remote, mapping of str to these, or None
        The folder of pictures, ``NAME-seedK.png``, ``NAME-seedK-nearest.png`` and ``NAME-seedK-influence.png``; or
        pictures of several folders, by these names without the ending.
    command : str or None
        What made these records; None is `genbench.markdown.command_of` them.
    facts : sequence of (str, list of str)
        What else to say under "What was run": names, each with its lines.
    notices : sequence of str
        What a reader must know of these records, in sentences.

    Notes
    -----
    The same records give the same bytes: the page has no date of its own.
    """
    style, script = (_asset(name) for name in ("report.css", "report.js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _templates().get_template("report.html.jinja")
    # Markup, because the two stand in the page as they are: their hashes are of these bytes.
    return page.render(
        policy=policy,
        notices=notices,
        again=command or "genbench report",
        style=Markup(style),
        script=Markup(script),
        version=__version__,
        benchmark=benchmark,
        **_contents(runs, benchmark, grids, command or command_of(runs, benchmark), facts),
    )


def _contents(
    runs: Sequence[Run],
    benchmark: Benchmark,
    grids: Place | Mapping[str, Place] | None,
    command: str,
    facts: Sequence[tuple[str, list[str]]],
) -> dict[str, Any]:
    board = tables.leaderboard(runs, benchmark)
    controls = [run.sampler for run in tables.controls_of(runs)]
    names = [name for name in board["model"] if name not in controls]
    blocks = blocks_of(tables.scores(runs), benchmark.primary)
    primary = primary_key(benchmark, blocks)
    costs = costs_of(runs)
    albums = read_albums(pictures_in(grids) if isinstance(grids, Place) else grids or {}, names, controls)
    shown_costs = [name for name in COST if any(name in found for found in costs.values())]
    curves = collect_curves(runs, names)
    curves.sort(key=lambda c: c.key != primary)
    axes = [(c, axis) for c in curves for axis in ("updates", "seconds") if axis == "updates" or c.timed]
    return {
        "primary": primary,
        "columns": metric_columns(blocks),
        "tail": tail_columns(shown_costs),
        "lines": leaderboard_lines(blocks, board, costs, shown_costs),
        "plots": interval_plots(blocks, controls),
        "panels": [curve_panels(c, axis, number=str(i)) for i, (c, axis) in enumerate(axes)],
        "figures": score_figures(blocks, controls),
        "costs": cost_figures(blocks[0], costs) if blocks else [],
        "sheets": [(part, _sheet(part.table(runs, benchmark), names, controls, primary)) for part in PARTS],
        "sights": sights_of({score.metric.partition(":")[0] for run in runs for score in run.scores}),
        "controls": [(run.sampler, str(run.recipe["control"])) for run in tables.controls_of(runs)],
        "facts": [("command", [command]), *facts, *facts_of(runs)],
        "recipes": recipes_of(runs, names),
        "failures": failures_of(runs),
        "models": names,
        "finished": sum(run.final and run.failure is None and run.sampler in names for run in runs),
        "command": command,
        "real": next((a for a in albums if a.name == "real"), None),
        "albums": [a for a in albums if a.name != "real"],
        "notes": [(row["model"], row["note"]) for row in board.to_dict("records") if row["note"]],
    }


def _sheet(table: pd.DataFrame, names: Sequence[str], controls: Sequence[str], primary: str) -> Sheet:
    return sheet_of(table, [*names, *controls], controls, first=primary)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("genbench", "report/assets"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )


@cache
def _asset(name: str) -> str:
    """Read a file of the package, as the browser sees it: with line ends of one character."""
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    """Return the source expression that lets an inline element of exactly this text run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
