"""Whether two records of one training say the same, and two trainings of one name are of one recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from genbench.records import Run, Score

ROUNDING = 1e-6
"""Part of a value by which two computations of it may differ, as they do across processors."""

SHARE = 0.1
"""Part of a standard error by which they may differ: what no interval and no test shows."""


def disagreement(one: Run, other: Run) -> str | None:
    """Say what two records of the same sampler, seed and step disagree on; None where they agree.

    Times, provenance, losses and costs may differ. Scores must be the same to rounding: by no more than `ROUNDING` of
    the value or `SHARE` of its standard error. Scores class by class and likelihoods may be missing from one of the
    two, as from records of an earlier genbench; so may the reason why a training failed differ.
    """
    if (one.failure is None) != (other.failure is None):
        return f"one failed: {one.failure or other.failure}"
    if one.final != other.final:
        return "one is the end of its training"
    for kind in ("scores", "by_class", "likelihood"):
        mine, theirs = (_by_name(getattr(run, kind)) for run in (one, other))
        if kind != "scores" and not (mine and theirs):
            continue
        if apart := mine.keys() ^ theirs.keys():
            return f"one lacks {min(apart)}"
        for name, score in mine.items():
            if said := _apart(score, theirs[name]):
                return f"{name}: {said}"
    return None


def identical(one: Run, other: Run) -> bool:
    """Whether two records agree to the bit in all that both of them have."""
    return (
        (one.failure is None, one.final, one.scores) == (other.failure is None, other.final, other.scores)
        and _same_or_missing(one.by_class, other.by_class)
        and _same_or_missing(one.likelihood, other.likelihood)
    )


def _same_or_missing(one: tuple[Score, ...], other: tuple[Score, ...]) -> bool:
    return not (one and other) or one == other


def fullness(run: Run) -> int:
    """How many of the things are there that earlier records do not have: of two that agree the fuller one is kept."""
    return sum(bool(part) for part in (run.by_class, run.likelihood, run.health, run.cost))


def recipe_difference(one: Run, other: Run) -> str | None:
    """Say in what the recipes of two trainings differ; None where they are one.

    Every option of a recipe is recorded with its value. One that only one of the two knows was added to genbench
    later, and is no difference.
    """
    mine, theirs = (dict(run.recipe.get("options") or {}) for run in (one, other))
    shared = sorted(mine.keys() & theirs.keys())
    known = [f"{key} {mine[key]!r} and {theirs[key]!r}" for key in shared if mine[key] != theirs[key]]
    rest = [{key: value for key, value in run.recipe.items() if key != "options"} for run in (one, other)]
    if not known and rest[0] == rest[1]:
        return None
    keys = sorted(key for key in rest[0].keys() | rest[1].keys() if key != "overrides")
    said = [
        f"{key} {rest[0].get(key)!r} and {rest[1].get(key)!r}" for key in keys if rest[0].get(key) != rest[1].get(key)
    ]
    return ", ".join([*said, *known]) or f"overrides {rest[0].get('overrides')} and {rest[1].get('overrides')}"


def _by_name(scores: Iterable[Score]) -> dict[str, Score]:
    return {_name(score): score for score in scores}


def _name(score: Score) -> str:
    against = f" against {score.split}" if score.split else ""
    return score.key + against + ("" if score.label is None else f", class {score.label}")


def _apart(one: Score, other: Score) -> str | None:
    a, b = one.estimate, other.estimate
    if a is None or b is None:
        return None if a is b else f"one failed ({one.failure or other.failure})"
    if replace(one, estimate=None) != replace(other, estimate=None):
        return "scored in two ways"
    for x, y in ((a.value, b.value), (a.best, b.best)):
        allowed = max(ROUNDING * max(abs(x), abs(y)), SHARE * min(a.std_error or 0.0, b.std_error or 0.0))
        if abs(x - y) > allowed:
            return f"{x:.8g} and {y:.8g}"
    return None
