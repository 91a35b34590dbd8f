"""Numbers and tables as people see them: in a terminal, in Markdown, in a notebook.

What a notebook shows is a fragment of HTML without scripts or styles from elsewhere; every text in it is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

DASH = "–"
"""Stands where there is no number."""

_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_FAILED = "color:#b00020"


def number(value: Any) -> str:
    """Four significant digits, or a dash where there is no number."""
    try:
        found = float(value)
    except TypeError:  # None, and what pandas has for it
        return DASH
    if math.isnan(found):
        return DASH
    text = f"{found:.4g}"
    return f"{found:.0f}" if "e+" in text and abs(found) < 1e9 else text


def name_of(samples: Any) -> str:
    """Return what samples are called in records: their file's or folder's name, or ``array``."""
    return Path(samples).name if isinstance(samples, (str, Path)) else "array"


def interval(low: Any, high: Any) -> str:
    """Both bounds in brackets, or a dash where there is none."""
    return DASH if number(low) == DASH else f"[{number(low)}, {number(high)}]"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Lay out a Markdown table whose columns line up in plain text too; the first column is left-aligned.

    With a width, in characters, a wider table becomes several, one below the other, that share the first column.
    """
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    if width is not None:
        parts = _columns_within(widths, width)
        cut = [([header[i] for i in part], [[row[i] for i in part] for row in rows]) for part in parts]
        return "\n\n".join(markdown_table(*found) for found in cut)

    def line(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def _columns_within(widths: Sequence[int], width: int) -> list[list[int]]:
    """Share columns out over tables no wider than that, if one column beside the first fits; each has the first."""
    parts: list[list[int]] = [[0]]
    for i in range(1, len(widths)):
        taken = sum(widths[j] + 3 for j in [*parts[-1], i]) + 1
        if taken > width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(i)
    return parts


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, failures: Sequence[str | None] = ()) -> str:
    """Lay out a table as HTML: the first column is left-aligned, numbers stand in columns.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequence of str
        Texts, not HTML: they are escaped.
    failures : sequence of str or None
        Why a row has no numbers, for every row; such a row is red, and says why from its first dash on.
    """
    lines = [f"<tr>{''.join(_cell('th', text, i) for i, text in enumerate(header))}</tr>"]
    for i, row in enumerate(rows):
        why = failures[i] if i < len(failures) else None
        if why is None:
            lines.append(f"<tr>{''.join(_cell('td', text, j) for j, text in enumerate(row))}</tr>")
            continue
        kept = row[: row.index(DASH)]
        cells = "".join(_cell("td", text, j) for j, text in enumerate(kept))
        said = f'<td colspan="{len(header) - len(kept)}" style="text-align:left">{escape(why)}</td>'
        lines.append(f'<tr style="{_FAILED}">{cells}{said}</tr>')
    body = "\n".join(lines[1:])
    return f'<table style="{_TABLE}">\n<thead>{lines[0]}</thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def _cell(tag: str, text: str, column: int) -> str:
    align = "left" if column == 0 else "right"
    return f'<{tag} style="text-align:{align};padding:0.2em 0.7em">{escape(text)}</{tag}>'


def html_note(text: str, *, failed: bool = False) -> str:
    """Return a paragraph of plain text as HTML, in red where it tells of a failure."""
    return f'<p style="margin:0.4em 0;{_FAILED if failed else ""}">{escape(text)}</p>'
