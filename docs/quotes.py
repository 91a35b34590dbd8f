"""What the committed audit found of a metric, as the ``Audit`` section of its docstring: ``python docs/quotes.py``.

Bias, coverage, direction and blindness are promised nowhere else in a metric's docstring than in words that the audit
tests; its numbers are quoted, not typed.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path

from genbench.audit.finding import Finding, findings_from_json
from genbench.findings import FailureMap, read_map, sentence
from genbench.registry import METRICS

AUDIT = Path(__file__).resolve().parent.parent / "results" / "audit" / "audit.json"

HEADING = "Audit"

LEAD = "What ``genbench audit`` found; results/audit says on what data, of how many samples."

AFTER = ("References", "Examples", "See Also")
"""The sections before which it stands."""

WIDTH = 120

INDENT = "    "

BIAS = re.compile(r"(mean|mean of the value|mean of extra\.\w+|value less its null)")


def quoted_sources() -> dict[Path, str]:
    """Return the sources that declare metrics, with the ``Audit`` section of every docstring written anew."""
    findings = findings_from_json(AUDIT.read_text(encoding="utf-8"))
    names: dict[tuple[Path, str], list[str]] = {}
    for name, entry in METRICS.entries().items():
        if entry.provider == "genbench":
            function = METRICS.load(name).compute
            names.setdefault((Path(inspect.getsourcefile(function) or ""), function.__name__), []).append(name)
    sources = {path: path.read_text(encoding="utf-8") for path, _ in names}
    for (path, function_name), shared in names.items():
        # A name that one layer alone has, as fid, adds nothing to the other.
        told = [name for name in shared if read_map().of([name])] or shared
        paragraphs = [
            f"- {name}: {each}" if len(told) > 1 else f"- {each}"
            for name in told
            for each in _paragraphs(name, [finding for finding in findings if finding.metric == name], read_map())
        ]
        sources[path] = _with_section(sources[path], function_name, [LEAD, *paragraphs])
    return sources


def _paragraphs(name: str, findings: Sequence[Finding], found: FailureMap) -> Iterator[str]:
    """Yield what the audit found of one metric: bias, coverage, false alarms, direction and blindness."""
    for title, said in (
        ("Mean over draws, and what is true or promised: ", _means(findings)),
        ("Coverage of 95% intervals: ", _coverage(findings)),
        ("False alarms: ", _false_alarms(findings)),
    ):
        if text := "; ".join(said):
            yield f"{title}{text}."
    for (ground, n), there in groupby(found.of([name]), key=lambda line: (line.ground, line.n)):
        said_there = " ".join(sentence(line, severities=found.severities) for line in there)
        yield f"On {ground}, n = {n}: {said_there}"


def _means(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        case, _, quantity = finding.case.rpartition(": ")
        if finding.part in ("known answer", "null", "bias") and BIAS.fullmatch(quantity) and finding.found is not None:
            what = quantity.removeprefix("mean").removeprefix(" of ").removeprefix("the ").removeprefix("extra.")
            yield f"{case}{what and ', '}{what} {_number(finding.found)} ({finding.expected})"


def _coverage(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        case, _, quantity = finding.case.rpartition(": ")
        if finding.part == "coverage" and finding.found is not None:
            draws = finding.note.rpartition("; ")[2]
            of = ", of the mean score at this n" if quantity.endswith("its mean") else ""
            yield f"{case} {_number(finding.found)} ({draws}{of})"


def _false_alarms(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        case, _, quantity = finding.case.rpartition(": ")
        if quantity.startswith("share of p_value") and finding.found is not None:
            yield f"{case}, p_value at most .05 in {_number(finding.found)} ({finding.note})"


def _number(value: float) -> str:
    return f"{round(value, 4) + 0:.4g}"


def _with_section(source: str, function: str, paragraphs: Sequence[str]) -> str:
    """Replace or insert the section in the docstring of a function of the module."""
    tree = ast.parse(source)
    node = next(each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == function)
    statement = node.body[0]
    lines = source.splitlines(keepends=True)
    start, end = statement.lineno - 1, statement.end_lineno or 0
    docstring = _without(lines[start:end])
    wrap = partial(textwrap.wrap, width=WIDTH - len(INDENT), break_on_hyphens=False)
    wrapped = [line for each in paragraphs for line in wrap(each, subsequent_indent="  " * each.startswith("- "))]
    section = [f"{INDENT}{line}\n" for line in (HEADING, "-" * len(HEADING), *wrapped)]
    at = next((i for i, name in _headings(docstring) if name in AFTER), len(docstring) - 1)
    docstring[at:at] = [*section, "\n"] if at < len(docstring) - 1 else ["\n", *section]
    return "".join([*lines[:start], *docstring, *lines[end:]])


def _headings(docstring: Sequence[str]) -> Iterator[tuple[int, str]]:
    for at, line in enumerate(docstring[1:], start=1):
        if re.fullmatch(r" {4}-{3,}\n", line):
            yield at - 1, docstring[at - 1].strip()


def _without(docstring: list[str]) -> list[str]:
    """Take the section out, if there is one, with the blank line before it or after it."""
    headings = [*_headings(docstring), (len(docstring) - 1, "")]
    for (at, name), (following, _) in pairwise(headings):
        if name == HEADING:
            start = at if following < len(docstring) - 1 else at - 1
            return docstring[:start] + docstring[following:]
    return docstring


if __name__ == "__main__":
    stale = {path: text for path, text in quoted_sources().items() if text != path.read_text(encoding="utf-8")}
    if sys.argv[1:] == ["--check"]:
        names = ", ".join(sorted(path.name for path in stale))
        sys.exit(f"{names}: Audit sections of {AUDIT} expected; run python docs/quotes.py." if stale else 0)
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
