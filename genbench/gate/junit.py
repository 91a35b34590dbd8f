"""A gate's result as JUnit XML, which every CI server can show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from genbench.gate.result import Result, Row
from genbench.gate.text import headline, terminal_text
from genbench.markdown import number

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (section 2.2)."""


def junit_xml(result: Result, *, seconds: float | None = None, allow_inconclusive: bool = False) -> str:
    """Write a result as one suite of tests, one for every metric.

    Parameters
    ----------
    result : Result
    seconds : float, optional
        That the check took; it is not known for its metrics, which are scored together.
    allow_inconclusive : bool
        Write an inconclusive metric as skipped.

    Returns
    -------
    str
        A document to be encoded as UTF-8; what XML cannot write, such as control characters, is escaped as Python does.
        A regression (or improvement, where asked for) is a failure. An inconclusive metric is an error, as a check is
        that could not be evaluated: viewers show skipped tests as fine, and a gate that cannot tell must not look as if
        it had passed. Where that is allowed, it is skipped.
    """
    cases = []
    for row in result.rows:
        case = ElementTree.Element(
            "testcase", classname=_clean(f"genbench.{result.benchmark}"), name=_clean(row.metric)
        )
        _add_properties(case, _numbers(row))
        if row.verdict != "pass":
            kind = {"inconclusive": "skipped" if allow_inconclusive else "error"}.get(row.verdict, "failure")
            attributes = {"message": _clean(_message(row, result)), "type": row.verdict}
            ElementTree.SubElement(case, kind, attributes)
        cases.append(case)
    facts = {
        "verdict": result.verdict,
        "new": result.name_new,
        "baseline": result.name_baseline,
        "against": result.against,
        "unit": result.unit,
        "looks": f"{result.looks} of at most {result.most_looks}",
        "level": repr(result.level),
    }
    return _document(cases, facts, output=terminal_text(result), seconds=seconds)


def junit_error(message: str) -> str:
    """Write a check that could not be evaluated, as a suite with one test that is an error.

    Parameters
    ----------
    message : str
        What the error says.

    Returns
    -------
    str
        A document as of `junit_xml`.
    """
    case = ElementTree.Element("testcase", classname="genbench", name="check")
    ElementTree.SubElement(case, "error", {"message": _clean(message), "type": "not evaluable"})
    return _document([case], {"verdict": "not evaluable"}, output=message)


def _document(
    cases: list[ElementTree.Element], facts: dict[str, str], *, output: str, seconds: float | None = None
) -> str:
    counts = {"tests": len(cases)}
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        counts[attribute] = sum(case.find(kind) is not None for case in cases)
    attributes = {"name": "genbench check", **{key: str(count) for key, count in counts.items()}}
    if seconds is not None:
        attributes["time"] = f"{seconds:.3f}"
    suites = ElementTree.Element("testsuites", attributes)
    suite = ElementTree.SubElement(suites, "testsuite", attributes)
    _add_properties(suite, facts)
    suite.extend(cases)
    ElementTree.SubElement(suite, "system-out").text = _clean(output)
    ElementTree.indent(suites, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _add_properties(parent: ElementTree.Element, facts: dict[str, str]) -> None:
    properties = ElementTree.SubElement(parent, "properties")
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})


def _numbers(row: Row) -> dict[str, str]:
    """Every number of a row, to the last digit; what is not known is left out."""
    names = ("baseline", "new", "difference", "low", "high", "std_error", "margin", "p_regression", "p_inferior")
    found = {name: getattr(row, name) for name in (*names, "n_new", "n_baseline")}
    facts = {name: repr(value) for name, value in found.items() if value is not None}
    return {"verdict": row.verdict, "better": row.better, "margin_from": row.margin_from, **facts}


def _message(row: Row, result: Result) -> str:
    values = f"{number(row.new)}, baseline {number(row.baseline)}, margin {number(row.margin)}"
    return f"{headline(result)}: {row.metric} ({row.better} is better): {row.verdict}: {values}"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
