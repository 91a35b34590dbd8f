"""What a check tells its reader beside the verdict: what to do now, and what else is unlike."""

from __future__ import annotations

import math

from genbench.gate.baseline import Baseline
from genbench.gate.plan import samples_needed
from genbench.gate.result import Result


def notes_on(result: Result, baseline: Baseline, *, endless: bool) -> tuple[str, ...]:
    """Return advice for this verdict, and differences of software and machine."""
    notes = []
    if result.verdict == "inconclusive":
        notes.append(_more(result, baseline, endless=endless))
    if result.verdict == "improvement":
        notes.append("Better by more than the margin: look whether that is meant, then make it the baseline: --update.")
    if result.verdict == "pass" and any(row.p_better < result.alpha for row in result.rows):
        better = ", ".join(row.metric for row in result.rows if row.p_better < result.alpha)
        notes.append(f"Better than the baseline ({better}): make it the new one with --update.")
    if result.unit == "samples" and all(row.difference == 0 for row in result.rows):
        notes.append("Both sides have the same scores to the last bit.")
    return (*notes, *_unlike(result))


def _more(result: Result, baseline: Baseline, *, endless: bool) -> str:
    """Say how many more samples or trainings would decide."""
    open_rows = [row for row in result.rows if row.verdict == "inconclusive"]
    if result.unit == "seeds":
        have = f"{result.runs_new} new and {result.runs_baseline} of the baseline"
        return f"The data cannot tell: train from more seeds ({have} now); genbench check --plan says how many."
    sizes = [samples_needed(row, baseline, alpha=result.alpha) for row in open_rows]
    n = math.ceil(max((size for size in sizes if math.isfinite(size)), default=0))
    if any(not math.isfinite(size) for size in sizes):
        return (
            "The data cannot tell, and the difference is so close to the margin that no number of samples is sure to; "
            "widen the margin, or take this generator as the baseline with --update."
        )
    how = "--n" if endless else "more samples and --n"
    return (
        f"The data cannot tell: about {n:,} samples on both sides would (now {open_rows[0].n_new:,} new, "
        f"{open_rows[0].n_baseline:,} of the baseline); make the baseline anew with {how} {n} --update."
    )


def _unlike(result: Result) -> list[str]:
    """Name what the two sides were made with, where that differs and could matter."""
    old, new = (result.provenance.get(side, {}) for side in ("baseline", "new"))
    found = []
    for what in ("genbench", "device"):
        if old.get(what) != new.get(what):
            found.append(f"{what} {old.get(what)} and {new.get(what)}")
    torches = [side.get("packages", {}).get("torch") for side in (old, new)]
    if torches[0] != torches[1]:
        found.append(f"torch {torches[0]} and {torches[1]}")
    return [f"Baseline and new were made with {', '.join(found)}: scores may differ in rounding."] if found else []
