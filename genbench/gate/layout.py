"""Text that a gate prints: tables and paragraphs within 80 columns, and names made harmless where they are shown."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Sequence

from genbench.markdown import number

_LINKS = re.compile(r"([^\s(),;:`|\\]*@[^\s(),;:`|\\]*|(?i:\b(?:[a-z]+://|www\.)[^\s(),;`|\\]*))")

WIDTH = 80
"""Characters of a line; a longer path or command stays in one piece, so that it can be copied."""


def visible(text: str) -> str:
    """Write what cannot be printed, such as line ends and terminal controls, as Python escapes it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escape_markdown(text: str) -> str:
    """Make GitHub Markdown show a text as it is, in a table too: no markup, HTML, formula or link comes of it.

    Words that GitHub would turn into links (addresses, and metrics' names, which look like those of mail) become code.
    """
    parts = _LINKS.split(visible(text))
    return "".join(f"`{part}`" if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    found = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", html.escape(text, quote=False))
    # What is left of these has a character that code in a table cannot have.
    return re.sub(r"(?i)(@|://|www)", "\\1\u200b", found)


def wrapped(text: str, *, indent: str = "") -> str:
    """Wrap a paragraph; lines after the first are indented."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def signed(value: float) -> str:
    """Write a difference: as a number, with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


def percent(share: float) -> str:
    """Write a share in percent, with four digits at most; chances that round to certainty keep apart from it."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 < share < 1:
        return ">99.9%"
    return f"{100 * share:.4g}%" if share in (0, 1) or share > 0.9 else f"{100 * share:.3g}%"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table, the first and last columns to the left; rows with the same last cell stand together.

    One too wide for a line has the last cell as a headline of its rows, and long first cells on a line of their own.
    """
    lines = _aligned(header, rows, left={0, len(header) - 1})
    if max(map(len, lines)) <= WIDTH:
        return "\n".join(lines)
    numbers = _aligned(header[1:-1], [row[1:-1] for row in rows], left=set())
    room = WIDTH - max(map(len, numbers)) - 2
    name_width = max(len(row[0]) for row in (header, *rows) if len(row[0]) <= max(room, len(header[0])))
    found = [f"{header[0].ljust(name_width)}  {numbers[0]}"]
    for i, row in enumerate(rows):
        if i == 0 or rows[i - 1][-1] != row[-1]:
            found.append(f"{row[-1]}:")
        fits = len(row[0]) <= name_width
        found += [] if fits else [row[0]]
        found.append(f"{(row[0] if fits else '').ljust(name_width)}  {numbers[i + 1]}")
    return "\n".join(found)


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 0) -> str:
    """Lay out a table of numbers, however wide; the first columns, as many as said, to the left."""
    return "\n".join(_aligned(header, rows, left=set(range(left))))


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: set[int]) -> list[str]:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    return [
        "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        .rstrip()
        for row in (header, *rows)
    ]  # fmt: skip
