"""A gate's result for people: on a terminal, and as Markdown."""

from __future__ import annotations

from genbench.gate.layout import escape_markdown, percent, signed, table, visible, wrapped
from genbench.gate.planned import change_text as change_text
from genbench.gate.planned import plan_json as plan_json
from genbench.gate.planned import plan_text as plan_text
from genbench.gate.result import Result, Row
from genbench.markdown import markdown_table, number
from genbench.records import ARROWS

_MEANS = {
    "pass": "Not worse than the baseline by the margin or more.",
    "regression": "Worse than the baseline by more than the margin: {}.",
    "improvement": "Better than the baseline by more than the margin: {}.",
    "inconclusive": "Neither shown to be worse by more than the margin nor to be within it: {}.",
}


def headline(result: Result) -> str:
    """Return the verdict in capitals and what was compared, in one line.

    Parameters
    ----------
    result : Result

    Returns
    -------
    str
        For example ``PASS: new against digits.json (baseline: old), digits@1``; names are made printable.
    """
    against = f"{result.against} (baseline: {result.name_baseline})" if result.against else result.name_baseline
    return visible(f"{result.verdict.upper()}: {result.name_new} against {against}, {result.benchmark}")


def terminal_text(result: Result) -> str:
    """Lay a result out for a terminal of 80 columns.

    Parameters
    ----------
    result : Result

    Returns
    -------
    str
        The verdict, a table with the worst metric first, and what a reader needs in order to trust it; ends with a
        line end. Names are made printable: none can move the cursor.
    """
    names = _short_names(result)
    rows = [[visible(cell) for cell in _cells(row, names)] for row in result.rows]
    listed = [wrapped(f"  {visible(line)}", indent="    ") for line in _metric_lines(result)]
    about = [wrapped(visible(text)) for text in _about(result)]
    notes = [wrapped(f"- {visible(note)}", indent="  ") for note in result.notes]
    parts = [
        f"{wrapped(headline(result))}\n{wrapped(visible(_meaning(result, names)))}",
        table(_header(result), rows),
        "\n".join(["Metrics in full:", *listed]),
        "\n".join(about),
        "\n".join(notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_text(result: Result) -> str:
    """Lay a result out as GitHub Markdown: for a step summary or a comment.

    Parameters
    ----------
    result : Result

    Returns
    -------
    str
        The same facts as `terminal_text`; no name can make markup, HTML or links.
    """
    escape = escape_markdown
    names = _short_names(result)
    rows = [[*map(escape, _cells(row, names))] for row in result.rows]
    rows = [[*cells[:-1], f"**{cells[-1]}**" if cells[-1] != "pass" else cells[-1]] for cells in rows]
    parts = [
        f"## {escape(headline(result))}",
        escape(_meaning(result, names)),
        markdown_table([escape(cell) for cell in _header(result)], rows),
        "\n".join(f"- {escape(line)}" for line in _metric_lines(result)),
        " ".join(escape(text) for text in _about(result)),
        "\n".join(f"- {escape(note)}" for note in result.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(result: Result) -> list[str]:
    level = percent(1 - 2 * result.alpha)
    return ["metric", "baseline", "new", "difference", f"{level} interval", "margin", "verdict"]


def _cells(row: Row, names: dict[str, str]) -> list[str]:
    interval = "unknown" if row.low is None or row.high is None else f"[{number(row.low)}, {number(row.high)}]"
    numbers = [number(row.baseline), number(row.new), signed(row.difference), interval, number(row.margin)]
    return [names[row.metric], *numbers, row.verdict]


def _short_names(result: Result) -> dict[str, str]:
    """Name metrics without their space, where no other has the same name, with their arrow."""
    short = [row.metric.partition("@")[0] for row in result.rows]
    names = [name if short.count(name) == 1 else row.metric for name, row in zip(short, result.rows, strict=True)]
    return {row.metric: f"{name} {ARROWS[row.better]}" for name, row in zip(names, result.rows, strict=True)}


def _meaning(result: Result, names: dict[str, str]) -> str:
    found = ", ".join(names[row.metric] for row in result.rows if row.verdict == result.verdict)
    return _MEANS[result.verdict].format(found)


def _metric_lines(result: Result) -> list[str]:
    """Say of every metric what a table has no room for: its space, n, where its margin comes from, and p-values."""
    lines = []
    for row in result.rows:
        kind = "debiased" if row.debiased else "not debiased"
        n = f"n = {row.n_new:,}"
        n += "" if row.n_new == row.n_baseline else f" new and {row.n_baseline:,} of the baseline"
        lines.append(
            f"{row.metric} {ARROWS[row.better]}: {kind}, {n}; margin {number(row.margin)} ({row.margin_from}); "
            f"p = {number(row.p_regression)} for a regression, {number(row.p_inferior)} for a pass."
        )
    return lines


def _about(result: Result) -> list[str]:
    """Say how the numbers are to be read, and what may be concluded."""
    several = len(result.rows) > 1
    holm = " (for a regression after Holm's adjustment)" if several else ""
    read = (
        f"Difference: new minus baseline. Interval: two one-sided bounds at {percent(1 - result.alpha)} each. A "
        f"verdict needs p < {number(result.alpha)}{holm}; at most {percent(result.level)} of checks of a generator "
        "that is within its margin report a finding."
    )
    found = [read, result.concludes]
    if any(row.better == "match" for row in result.rows):
        found.append("≈: the numbers are distances from what real data score, so lower is better.")
    if result.unit == "seeds":
        found.append(f"Trainings: {result.runs_new} new, {result.runs_baseline} of the baseline.")
    elif result.most_looks > 1:
        found.append(
            f"Looks: {result.looks} of at most {result.most_looks}, with twice the samples each time; each has an "
            "equal part of the check's level."
        )
    else:
        found.append("Looks: one.")
    if result.two_sided:
        found.append("Two-sided: each side has half of the level.")
    return found
