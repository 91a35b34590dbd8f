"""The comparison of two sides under every gated metric, by samples or by trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genbench.errors import SampleError, UsageError
from genbench.gate.baseline import Baseline, score_of
from genbench.gate.margins import Margin, margin_of
from genbench.gate.result import Row, Unit
from genbench.records import Run, Score
from genbench.stats.differences import holm
from genbench.stats.noninferiority import ALPHA, Comparison, Verdict, decide
from genbench.tables.cells import Cell
from genbench.tables.ranking import Side, difference, side_of


def unit_of(new: Sequence[Run], baseline: Sequence[Run], asked: str) -> Unit:
    """Decide what counts as a repeat.

    Trainings, where a side has several of them, or where the two sides are two trainings from unlike seeds; samples
    where each side is one generator.

    Raises
    ------
    UsageError
        If samples were asked for, and a side has several trainings.
    """
    several = len(new) > 1 or len(baseline) > 1
    if asked == "samples" and several:
        raise UsageError(
            f"check: --unit samples compares one generator with one, got {len(new)} new and {len(baseline)} of the "
            "baseline; name one record, or leave --unit out."
        )
    if asked != "auto":
        return "seeds" if asked == "seeds" else "samples"
    seeds = {run.train_seed for run in (*new, *baseline)}
    return "seeds" if several or (None not in seeds and len(seeds) > 1) else "samples"


def concludes(unit: Unit, new: int, baseline: int) -> str:
    """Say what a check can conclude, and what it cannot."""
    if unit == "samples":
        return (
            "Repeats are samples: this says whether this generator is worse than that one, and nothing of what another "
            "training would give."
        )
    if min(new, baseline) > 1:
        return (
            "Repeats are trainings (Welch's t test over seeds): this says whether one way to train is worse than the "
            "other, on average over seeds."
        )
    if max(new, baseline) > 1:
        return (
            "Repeats are trainings, with a single one on one side: this says whether it lies worse than trainings of "
            "the other side do, and takes both to spread alike."
        )
    return (
        "Repeats are trainings, and there is one on each side: nothing is known of how trainings spread, and nothing "
        "can be concluded; train from two seeds at least, better five, or compare these two with --unit samples."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One metric on both sides, before a margin and a level are applied.

    ``worse_by`` is the difference of losses; ``null_error`` the standard error that it would have for a generator that
    is as good as the baseline, by the baseline's own noise.
    """

    key: str
    example: Score
    debiased: bool
    baseline: Side
    new: Side
    worse_by: float
    std_error: float
    degrees: float
    null_error: float
    n_new: int


def pair(baseline: Baseline, new: Sequence[Run], key: str, unit: Unit) -> Pair:
    """Compare two sides under one metric.

    Samples: the delete-a-group jackknife of the difference, which removes the same group from the reference of both
    scores and one of the generated samples of each; without replicates, the sum of variances. Trainings: Welch's t;
    where one side has a single training, Student's t for a further draw of the other side's.

    Raises
    ------
    SampleError
        If the metric cannot be compared; the message says why and what to do.
    """
    old = [score_of(run, key, "the baseline") for run in baseline.runs]
    found = [score_of(run, key, "the new one") for run in new]
    example = old[0]
    debiased = _comparable(key, found, old)
    sides = [side_of(Cell("", tuple(scores), failed=0), example.better) for scores in (found, old)]
    if sides[0] is None or sides[1] is None:
        raise SampleError(f"check: {key} is best where real data score, and that is not known; gate another metric.")
    value = sides[0].mean - sides[1].mean
    worse_by = -value if example.better == "higher" else value
    n_new, n_old = found[0].n_generated, example.n_generated
    if unit == "samples":
        error, degrees = _sample_error(key, sides[0], sides[1])
        noise = baseline.noise.get(key, n_old * (sides[1].std_error or 0.0) ** 2)
        null_error = math.sqrt(noise / n_new + noise / n_old)
    else:
        error, degrees = _seed_error(sides[0], sides[1], differ=worse_by != 0)
        null_error = error
        if math.isfinite(error):
            null_error, _ = _seed_error(_like(sides[1], sides[0]), sides[1], differ=False)
    numbers = (sides[0].mean, sides[1].mean, worse_by)
    if not all(map(math.isfinite, numbers)):
        raise SampleError(f"check: {key}: finite scores expected, got {numbers[0]} and {numbers[1]}; score again.")
    return Pair(
        key=key,
        example=example,
        debiased=debiased,
        baseline=sides[1],
        new=sides[0],
        worse_by=worse_by,
        std_error=error,
        degrees=degrees,
        null_error=null_error if math.isfinite(null_error) else 0.0,
        n_new=n_new,
    )


def _comparable(key: str, new: Sequence[Score], old: Sequence[Score]) -> bool:
    """Whether debiased scores are compared; refuses what must not be."""
    kinds = {s.estimate is not None and s.estimate.debiased is not None for s in (*new, *old)}
    if len({(s.n_reference, s.fingerprint) for s in (*new, *old)}) > 1:
        raise SampleError(f"check: {key}: both sides must be scored against one reference in one space; score again.")
    sizes = {s.n_generated for s in (*new, *old)}
    if kinds == {True}:
        return True
    if len(kinds) > 1:
        raise SampleError(f"check: {key} has a debiased value on one side alone; score both with as many samples.")
    if len(sizes) > 1:
        raise SampleError(
            f"check: {key} has no debiased value, so that sides of unlike n ({', '.join(map(str, sorted(sizes)))}) "
            "cannot be compared; draw as many as the baseline has."
        )
    return False


def _sample_error(key: str, new: Side, old: Side) -> tuple[float, float]:
    if not (len(new.replicates) == len(old.replicates) and new.replicates) and None in (new.std_error, old.std_error):
        raise SampleError(
            f"check: {key} has no standard error, so that nothing can be told from noise; gate another metric, or "
            "several trainings."
        )
    found, _ = difference(new, old)
    return found.std_error or 0.0, found.degrees or 1.0


def _seed_error(new: Side, old: Side, *, differ: bool) -> tuple[float, float]:
    """Standard error of the difference over trainings, and its degrees of freedom.

    Infinite where it is not known: one training on each side; or scores that do not vary, yet ``differ`` between sides
    of so few trainings that chance deals them like that more than once in twenty times.
    """
    if min(new.runs, old.runs) > 1:
        found, _ = difference(new, old)
        error, degrees = found.std_error or 0.0, found.degrees or 1.0
    else:
        several = new if new.runs > 1 else old
        # One further draw against the mean of m: the spread of one, and the error of that mean.
        error = math.inf if several.std_error is None else several.std_error * math.sqrt(several.runs + 1)
        degrees = max(several.runs - 1.0, 1.0)
    if new.runs == old.runs == 1 or (error == 0 and differ and math.comb(new.runs + old.runs, old.runs) * ALPHA < 1):
        return math.inf, 1.0
    return error, degrees


def _like(old: Side, new: Side) -> Side:
    """Return a side of as many trainings as the new one has, that spread as the baseline's do."""
    if old.runs < 2 or old.std_error is None:
        return new
    error = old.std_error * math.sqrt(old.runs / new.runs) if new.runs > 1 else None
    return Side(mean=old.mean, std_error=error, runs=new.runs)


def rows_of(
    pairs: Sequence[Pair], margins: Mapping[str, str], *, alpha: float, two_sided: bool = False
) -> tuple[Row, ...]:
    """Hold every difference against its margin; regressions are adjusted for the number of metrics (Holm)."""
    amounts = [margin_of(p.key, margins, score=p.baseline.mean, std_error=p.null_error) for p in pairs]
    tests = [
        Comparison(worse_by=p.worse_by, std_error=p.std_error, degrees=p.degrees, margin=m.value)
        for p, m in zip(pairs, amounts, strict=True)
    ]
    adjusted = holm([t.p_regression for t in tests])
    return tuple(
        _row(p, m, t, p_adjusted, decide(t, alpha=alpha, p_regression=p_adjusted, two_sided=two_sided), alpha)
        for p, m, t, p_adjusted in zip(pairs, amounts, tests, adjusted, strict=True)
    )


def _row(found: Pair, margin: Margin, test: Comparison, p_adjusted: float, verdict: Verdict, alpha: float) -> Row:
    low, high = test.bounds(alpha)
    turned = found.example.better == "higher"
    bounds = (-high, -low) if turned else (low, high)
    known = math.isfinite(test.std_error)
    return Row(
        metric=found.key,
        better=found.example.better,
        debiased=found.debiased,
        baseline=found.baseline.mean,
        new=found.new.mean,
        difference=-found.worse_by if turned else found.worse_by,
        low=bounds[0] if known else None,
        high=bounds[1] if known else None,
        std_error=test.std_error if known else None,
        degrees=test.degrees,
        margin=margin.value,
        margin_from=margin.source,
        p_regression=p_adjusted,
        p_inferior=test.p_inferior,
        p_better=test.p_better,
        n_new=found.n_new,
        n_baseline=found.example.n_generated,
        verdict=verdict,
    )


def overall(rows: Sequence[Row]) -> Verdict:
    """One verdict of all: a regression anywhere counts, and a pass needs every metric within its margin.

    The second needs no adjustment (an intersection-union test: Berger 1982).
    """
    found = {row.verdict for row in rows}
    order: tuple[Verdict, ...] = ("regression", "improvement", "inconclusive", "pass")
    return next(verdict for verdict in order if verdict in found)
