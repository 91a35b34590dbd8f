"""What a gate says of itself: a plan of what it can detect, and what an update of its baseline changed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from genbench.gate.baseline import Baseline, score_of
from genbench.gate.layout import columns, percent, visible, wrapped
from genbench.gate.plan import Plan, Power
from genbench.markdown import number
from genbench.records import ARROWS


def plan_text(plans: Sequence[Plan], baseline: Baseline) -> str:
    """Lay out what a gate can detect, for a terminal of 80 columns.

    Parameters
    ----------
    plans : sequence of Plan
        One a gated metric, of `genbench.gate.plan.make_plan`.
    baseline : Baseline
        What they are of.

    Returns
    -------
    str
        A table by size for every metric, and how to read it; ends with a line end.
    """
    run = baseline.runs[0]
    head = f"PLAN: what a check against {baseline.name} can tell, {run.benchmark}"
    parts = [_plan_part(plan, baseline) for plan in plans]
    return "\n\n".join([wrapped(visible(head)), *parts, wrapped(_how_to_read(plans))]) + "\n"


def _how_to_read(plans: Sequence[Plan]) -> str:
    words = dict.fromkeys(_word(plan) for plan in plans)
    asked = any(plan.difference is not None for plan in plans)
    return (
        f"With {' or '.join(words)} as in a row on both sides, a generator that is as good passes with the chance "
        f"'passes', and one that is worse by 'detects' is reported with a chance of {percent(plans[0].power)}"
        + (", one as much worse as asked with the chance 'finds'" if asked else "")
        + f"; of one look, each test at level {number(plans[0].alpha)}."
    )


def _word(plan: Plan) -> str:
    return "n" if plan.unit == "samples" else "seeds"


def _plan_part(plan: Plan, baseline: Baseline) -> str:
    asked = [] if plan.difference is None else [f"finds {number(plan.difference)}"]
    header = [_word(plan), "error", "margin", "passes", "detects", "of score", *asked, ""]
    rows = [_plan_cells(power, plan) for power in plan.sizes]
    better = score_of(baseline.runs[0], plan.metric, "the baseline").better
    title = f"{plan.metric} {ARROWS[better]}: the baseline scores {number(plan.score)} at {_word(plan)} = {plan.have:,}"
    title += ", a distance from what real data score" if better == "match" else ""
    lines = [wrapped(visible(title)), columns(header, rows)]
    if asked:
        lines.append(wrapped(_needed(plan)))
    if plan.bound:
        lines.append(wrapped("The errors are upper bounds: they hold the reference's part, which both sides share."))
    return "\n".join(lines)


def _plan_cells(power: Power, plan: Plan) -> list[str]:
    share = abs(power.detects / plan.score) if plan.score else math.nan
    cells = [f"{power.size:,}", number(power.std_error), number(power.margin), percent(power.passes)]
    cells += [number(power.detects), percent(share) if math.isfinite(share) else "–"]
    cells += [] if power.finds is None else [percent(power.finds)]
    return [*cells, "<- now" if power.size == plan.have else ""]


def _needed(plan: Plan) -> str:
    wanted = f"a generator that is worse by {number(plan.difference)} with a chance of {percent(plan.power)}"
    if plan.needed is None:
        return f"No {_word(plan)} finds {wanted}: that is not above the margin; give a smaller --margin."
    what = f"n = {plan.needed:,} samples" if plan.unit == "samples" else f"{plan.needed:,} trainings"
    return f"To find {wanted}: {what} on both sides."


def plan_json(plans: Sequence[Plan]) -> str:
    """Serialize plans: a list, with the fields of `Plan` and `Power`; what is infinite is null.

    Parameters
    ----------
    plans : sequence of Plan

    Returns
    -------
    str
        JSON that ends with a line end.
    """
    return json.dumps([_finite(asdict(plan)) for plan in plans], indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def change_text(old: Baseline | None, new: Baseline) -> str:
    """Say what an update changed, within 80 columns where names allow it.

    Parameters
    ----------
    old : Baseline or None
        What was there before, if it was a baseline that could be read.
    new : Baseline

    Returns
    -------
    str
        A line on both generators and a table: every metric, its score in both (as the field sees it, debiased where it
        is; a mean over trainings), n and seeds; without a line end.
    """
    name, benchmark = new.name, new.runs[0].benchmark
    if old is None:
        head = f"NEW BASELINE: {name}, {benchmark}"
    else:
        before = f"{old.name}, {old.runs[0].benchmark}"
        head = f"UPDATED: {name}, {benchmark}" + ("" if before == f"{name}, {benchmark}" else f" (was {before})")
    keys = dict.fromkeys([*new.primary, *(old.primary if old else ())])
    sides = [new] if old is None else [old, new]
    header = ["metric", *(["score"] if old is None else ["old", "new"]), "n", "seeds", "margin"]
    rows = []
    for key in keys:
        known = [side if key in side.primary else None for side in sides]
        better = next(score_of(s.runs[0], key, "the baseline").better for s in known if s is not None)
        facts = [[_size(side, key), _seeds(side), _margin(side, key)] for side in known if side is not None]
        changes = [" -> ".join(dict.fromkeys(fact)) for fact in zip(*facts, strict=True)]
        gone = " (no longer gated)" if known[-1] is None else ""
        scores = ["–" if side is None else number(_mean(side, key)) for side in known]
        rows.append([visible(f"{key} {ARROWS[better]}{gone}"), *scores, *changes])
    return f"{wrapped(visible(head))}\n\n{columns(header, rows, left=1)}"


def _mean(baseline: Baseline, key: str) -> float:
    estimates = [score_of(run, key, "the baseline").estimate for run in baseline.runs]
    values = [estimate.best for estimate in estimates if estimate is not None]
    return math.fsum(values) / len(values)


def _size(baseline: Baseline, key: str) -> str:
    return f"{score_of(baseline.runs[0], key, 'the baseline').n_generated:,}"


def _seeds(baseline: Baseline) -> str:
    seeds = [run.train_seed for run in baseline.runs]
    if seeds == [None]:
        return "–"
    return ", ".join(map(str, seeds)) if len(seeds) <= 5 else f"{len(seeds)} trainings"


def _margin(baseline: Baseline, key: str) -> str:
    return baseline.margins.get(key, "default")
