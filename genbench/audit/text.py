"""An audit for people: on a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from genbench._version import __version__
from genbench.audit.finding import PARTS, Finding, findings_to_json
from genbench.audit.promises import FAMILY_LEVEL, LEVEL
from genbench.audit.run import Audit
from genbench.gate.layout import WIDTH, escape_markdown, visible, wrapped
from genbench.markdown import markdown_table, number

_HEADLINES: Mapping[int, str] = {
    0: "Every promise is kept.",
    1: "A promise is missed.",
    3: "A metric could not be judged.",
}


def by_metric(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Sort findings by metric, those with missed promises first, then those that come closest to missing one."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(_metric(finding), []).append(finding)

    def order(name: str) -> tuple[int, float, str]:
        missed = sum(finding.ok is False for finding in found[name])
        return (-missed, -max((f.miss for f in found[name] if f.ok is not None), default=0.0), name)

    return {name: found[name] for name in sorted(found, key=order)}


def summary(audit: Audit) -> list[str]:
    """Say in a few sentences what came out, and how often it would by chance."""
    judged = [finding for finding in audit.findings if finding.ok is not None]
    missed = sum(finding.ok is False for finding in judged)
    metrics = len(by_metric(audit.findings))
    told = sum(finding.ok is None for finding in audit.findings)
    kind = "quick" if audit.quick else "full"
    counts = ", ".join(f"{part}: {sum(f.part == part for f in judged)}" for part in PARTS)
    return [
        f"{_HEADLINES[audit.exit_code]} {len(judged) - missed:,} of {len(judged):,} promises of {metrics} metrics are "
        f"kept ({kind} audit, genbench {__version__}, seed {audit.seed}).",
        f"Promises by part: {counts}; and {told} numbers that are told, of which nothing is promised.",
        f"A statistical bound is missed by chance with probability {LEVEL:.0e}, so that at most {FAMILY_LEVEL:.1%} of "
        "audits of metrics that keep their promises report a miss; the ladder states rates of its own.",
    ]


def terminal_text(audit: Audit) -> str:
    """Lay an audit out for a terminal of 80 columns: a line a metric, the worst first, then what was missed.

    Parameters
    ----------
    audit : Audit

    Returns
    -------
    str
        Ends with a line end. Names are made printable: none can move the cursor.
    """
    found = by_metric(audit.findings)
    width = max(len("metric"), *(len(visible(name)) for name in found))
    lines = [f"{'metric'.ljust(width)}  {'kept':>7}  nearest to a miss"]
    for name, findings in found.items():
        judged = [finding for finding in findings if finding.ok is not None]
        kept = f"{sum(bool(f.ok) for f in judged)}/{len(judged)}"
        worst = max(judged, key=lambda f: (f.ok is False, f.miss), default=None)
        about = "" if worst is None else visible(f"{worst.part}: {worst.case}")
        line = f"{visible(name).ljust(width)}  {kept:>7}  {about}"
        lines.append(line if len(line) <= max(WIDTH, width + 30) else f"{line[: max(WIDTH, width + 30) - 1]}…")
    bad = [finding for finding in audit.findings if finding.ok is False or finding.undecided]
    listed = [wrapped(f"  {visible(_sentence(finding))}", indent="    ") for finding in bad]
    parts = ["\n".join(lines), *(["\n".join(["Missed, or not judged:", *listed])] if bad else [])]
    return "\n\n".join([*parts, "\n".join(map(wrapped, summary(audit)))]) + "\n"


def markdown_text(audit: Audit) -> str:
    """Lay an audit out as Markdown: metrics by parts, then every finding of every metric.

    Parameters
    ----------
    audit : Audit

    Returns
    -------
    str
        No name can make markup, HTML or links.
    """
    found = by_metric(audit.findings)
    rows = [
        [escape_markdown(name), *(_count([f for f in findings if f.part == part]) for part in PARTS)]
        for name, findings in found.items()
    ]
    parts = ["# The audit", *map(escape_markdown, summary(audit)), "## Promises kept"]
    parts.append(markdown_table(["metric", *PARTS], rows))
    for name, findings in found.items():
        parts += [f"## {escape_markdown(name)}", markdown_table(_HEADER, [_row(finding) for finding in findings])]
    return "\n\n".join(parts) + "\n"


def audit_json(audit: Audit) -> str:
    """Serialize the findings of an audit, with what made them; `genbench.audit.finding` reads them back."""
    about = {"genbench": __version__, "quick": audit.quick, "seed": audit.seed, "exit_code": audit.exit_code}
    return findings_to_json(audit.findings, **about)


_HEADER = ["promise", "part", "expected", "found", "allowed", "kept"]


def _metric(finding: Finding) -> str:
    """Return the metric's name without the space or the form in which it was scored."""
    return finding.metric.partition("@")[0].partition(" (")[0]


def _row(finding: Finding) -> list[str]:
    kept = {True: "yes", False: "**no**", None: "–"}[finding.ok]
    cells = [finding.case, finding.part, finding.expected, number(finding.found), _allowed(finding)]
    return [*map(escape_markdown, cells), kept]


def _count(findings: list[Finding]) -> str:
    judged = [finding for finding in findings if finding.ok is not None]
    kept = sum(bool(finding.ok) for finding in judged)
    cell = f"{kept}/{len(judged)}" if judged else "–"
    return cell if kept == len(judged) else f"**{cell}**"


def _allowed(finding: Finding) -> str:
    low, high = finding.low, finding.high
    if low is None and high is None:
        return "–"
    if low is None or high is None:
        return f"≤ {number(high)}" if low is None else f"≥ {number(low)}"
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _sentence(finding: Finding) -> str:
    note = f" ({finding.note})" if finding.note else ""
    found = f"found {number(finding.found)}, allowed {_allowed(finding)}"
    return f"{finding.metric}: {finding.part}: {finding.case}: expected {finding.expected}; {found}{note}"
