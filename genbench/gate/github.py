"""What GitHub Actions shows of a gate: a step summary, annotations and outputs; nothing happens elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from genbench.errors import EXIT_NOT_EVALUABLE
from genbench.gate.layout import escape_markdown, visible
from genbench.gate.result import Result, Row
from genbench.gate.text import headline, markdown_text
from genbench.markdown import number

_log = logging.getLogger(__name__)

SUMMARY_BYTES = 1000 * 1024
"""Of the whole summary of a step: GitHub refuses one above 1,024 KiB."""

ANNOTATIONS = 10
"""GitHub shows no more of a kind in a step."""

_CUT = "\n\n*The rest was cut: GitHub shows no more. The command's output has all of it.*\n"


def tell_github(
    found: Result | str,
    *,
    exit_code: int | None = None,
    allow_inconclusive: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Write a step summary, annotations and outputs, if this runs in GitHub Actions (``GITHUB_ACTIONS=true``).

    Parameters
    ----------
    found : Result or str
        A result, or what an error says that left none.
    exit_code : int, optional
        For the output ``exit-code``; by default the result's, and 3 without one.
    allow_inconclusive : bool
        Annotate an inconclusive metric with a warning in place of an error.
    stream : TextIO, optional
        Where annotations go, by default stdout; GitHub reads stderr too, which leaves stdout to data.

    Notes
    -----
    A file that cannot be written is a warning, which the command line has on stderr: a display never changes a verdict.
    The outputs are ``verdict`` (``error`` without a result) and ``exit-code``.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    outcome: tuple[str, int]
    if isinstance(found, Result):
        outcome, markdown = (found.verdict, found.exit_code), markdown_text(found)
        lines = _annotations(found, allow_inconclusive=allow_inconclusive)
    else:
        outcome, markdown = ("error", EXIT_NOT_EVALUABLE), f"## NOT EVALUABLE\n\n{escape_markdown(found)}\n"
        lines = [_annotation("error", "genbench: not evaluable", found)]
    out = sys.stdout if stream is None else stream
    out.writelines(f"{line}\n" for line in lines)
    out.flush()
    _append("GITHUB_STEP_SUMMARY", markdown, limit=SUMMARY_BYTES)
    verdict, code = outcome
    _append("GITHUB_OUTPUT", f"verdict={verdict}\nexit-code={code if exit_code is None else exit_code}\n")


def _annotations(result: Result, *, allow_inconclusive: bool) -> list[str]:
    """One line for every metric that did not pass, the worst first, and none beyond what GitHub shows."""
    open_rows = [row for row in result.rows if row.verdict != "pass"]
    lines: list[str] = []
    for row in open_rows[:ANNOTATIONS]:
        kind = "warning" if row.verdict == "inconclusive" and allow_inconclusive else "error"
        more = len(open_rows) - ANNOTATIONS
        last = f"; and {more} more metrics" if more > 0 and len(lines) == ANNOTATIONS - 1 else ""
        lines.append(_annotation(kind, f"genbench: {row.verdict}", f"{_sentence(row, result)}{last}"))
    return lines


def _sentence(row: Row, result: Result) -> str:
    numbers = f"{number(row.new)}, baseline {number(row.baseline)}, margin {number(row.margin)}"
    return f"{row.metric} ({row.better} is better): {numbers}. {headline(result)}"


def _annotation(kind: str, title: str, message: str) -> str:
    """Write a workflow command, with the escapes of GitHub's toolkit (``command.ts``)."""
    shown = "".join(c if c in "\r\n" else visible(c) for c in message)
    data = shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    value = title.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={value}::{data}"


def _append(variable: str, text: str, *, limit: int | None = None) -> None:
    """Append to a file that GitHub names, cut at a line's end where the whole file would be too long."""
    name = os.environ.get(variable)
    if not name:
        return
    try:
        content = text.encode("utf-8", errors="backslashreplace")
        path = Path(name)
        if limit is not None:
            content = _cut(content, limit - (path.stat().st_size if path.exists() else 0))
        with path.open("ab") as file:
            file.write(content)
    except OSError as error:
        _log.warning("cannot write $%s (%s: %s); the verdict stands.", variable, name, error.strerror or error)


def _cut(content: bytes, room: int) -> bytes:
    if len(content) <= room:
        return content
    kept = content[: max(room - len(_CUT), 0)]
    return kept[: kept.rfind(b"\n") + 1] + _CUT.encode() if room >= len(_CUT) else b""
