"""The corruption ladder: every metric scored on samples with known faults, at several severities of each fault.

A corruption is called detected at a severity where at least j of R corrupted draws lie beyond all of M clean ones, on
one side. If it did nothing, all M + R would be exchangeable, and the j highest all be corrupted with a probability of
C(R, j) / C(M + R, j), whatever the distribution of the score; j is the least, of at least half of the draws, for which
that is at most `LEVEL` over both sides and all severities. So it says what a single evaluation would show: half of the
evaluations or more go beyond what M evaluations of a perfect generator have seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median

from scipy import stats

from genbench._version import __version__
from genbench.audit.corruptions import CORRUPTIONS
from genbench.audit.grounds import TERRAINS
from genbench.audit.ladder_scores import Occasion, Plan, Values, plan, score_occasion
from genbench.audit.processes import mapped
from genbench.findings import Cell, Direction, FailureMap, Ground, Line
from genbench.progress import Progress

LEVEL = 0.05
"""Of calling a corruption detected that does nothing, over both sides and all severities of a ladder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long a ladder is.

    Attributes
    ----------
    n : int or None
        Samples in place of the terrain's own number.
    without : tuple of str
        Metrics that cost as much as all others together, left out where they are not asked for alone.
    """

    severities: tuple[float, ...]
    clean: int
    draws: int
    n: int | None
    without: tuple[str, ...] = ()


FULL = Size(severities=(0.05, 0.1, 0.2, 0.4, 0.8), clean=40, draws=5, n=None)
QUICK = Size(severities=(0.2, 0.8), clean=28, draws=5, n=128, without=("sinkhorn", "max_sliced_w2"))


def climb(
    metrics: Sequence[str] | None = None,
    *,
    quick: bool = False,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
    size: Size | None = None,
    grounds: Sequence[str] = tuple(TERRAINS),
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
) -> FailureMap:
    """Score metrics on every corruption, and say what each of them sees.

    Parameters
    ----------
    metrics : sequence of str or None
        Registered names or ``package.module:attribute``; None is all built-in ones.
    quick : bool
        Fewer severities, draws and samples: about a minute of one core, where the full ladder takes about ten.
    seed : int
        Of everything that is drawn.
    workers : int
        Processes; the map does not depend on their number.
    progress : Progress or None
        None is silent.
    size : Size or None
        In place of `FULL` or `QUICK`.
    grounds, corruptions : sequence of str
        Which, by name; all by default.

    Returns
    -------
    FailureMap
        A metric that cannot be scored on clean samples is under ``unscored`` with the reason.

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    """
    size = size or (QUICK if quick else FULL)
    occasions: list[Occasion] = []
    facts: dict[str, Ground] = {}
    unscored: dict[str, str] = {}
    for name in grounds:
        planned = plan(metrics, name, n=size.n, without=size.without)
        unscored.update({f"{metric} on {name}": reason for metric, reason in planned.unscored.items()})
        occasions += _occasions(name, planned, size, corruptions, seed=seed)
        facts[name] = _facts(name, size)
    found = list(zip(occasions, _scored(occasions, workers, progress or Progress(enabled=False)), strict=True))
    lines: list[Line] = []
    for name in grounds:
        made, missing = _lines(name, [one for one in found if one[0].ground == name], size)
        lines += made
        unscored.update(missing)
    return FailureMap(
        version=__version__,
        seed=seed,
        quick=size != FULL,
        severities=size.severities,
        grounds=facts,
        corruptions={name: _sentence(name) for name in corruptions},
        lines=tuple(lines),
        unscored=unscored,
    )


def _occasions(ground: str, planned: Plan, size: Size, corruptions: Sequence[str], *, seed: int) -> list[Occasion]:
    """List what is drawn: corrupted draws have numbers of their own, and share nothing with clean ones."""
    if not planned.metrics:
        return []
    base = partial(Occasion, ground=ground, n=planned.n, metrics=planned.metrics, seed=seed)
    corrupted = [
        base(number=size.clean + i, corruption=name, severities=size.severities)
        for i in range(size.draws)
        for name in corruptions
    ]
    return [*corrupted, *(base(number=i) for i in range(size.clean))]  # the longest first: processes end together


def _facts(ground: str, size: Size) -> Ground:
    needed, chance = rule(size)
    about = TERRAINS[ground].about
    return Ground(about=about, clean=size.clean, draws=size.draws, needed=needed, false_alarm=round(chance, 4))


def _lines(
    ground: str, found: Sequence[tuple[Occasion, list[Values]]], size: Size
) -> tuple[list[Line], dict[str, str]]:
    """Make the lines of a ground, and say why a metric has none: a clean draw that has no score is no yardstick."""
    clean = [values[0] for occasion, values in found if occasion.corruption is None]
    ladders: dict[str, list[list[Values]]] = {}
    for occasion, values in found:
        if occasion.corruption is not None:
            ladders.setdefault(occasion.corruption, []).append(values)
    lines, unscored = [], {}
    for key in clean[0] if clean else ():
        scores = [values[key].value for values in clean]
        known = [score for score in scores if score is not None]
        if len(known) < len(clean):
            reason = next(values[key].reason for values in clean if values[key].value is None)
            count = f"{len(clean) - len(known)} of {len(clean)}"
            unscored[f"{key.name} on {ground}"] = f"no score in {count} clean draws: {reason}"
            continue
        cells = {
            name: cell([[draw[i][key].value for draw in draws] for i in range(len(size.severities))], known, size)
            for name, draws in ladders.items()
        }
        ends = (_short(min(known)), _short(median(known)), _short(max(known)))
        lines.append(Line(metric=key.metric, form=key.form, ground=ground, n=key.n, clean=ends, cells=cells))
    return lines, unscored


def rule(size: Size) -> tuple[int, float]:
    """Return how many draws must lie beyond all clean ones, and the false-alarm rate of that over a ladder.

    Where not even all draws are enough, as many as there are, and the rate that this has.
    """
    tests = 2 * len(size.severities)
    chances = {
        j: tests * math.comb(size.draws, j) / math.comb(size.clean + size.draws, j)
        for j in range(math.ceil(size.draws / 2), size.draws + 1)
    }
    needed = next((j for j, chance in chances.items() if chance <= LEVEL), size.draws)
    return needed, chances[needed]


def cell(values: Sequence[Sequence[float | None]], clean: Sequence[float], size: Size) -> Cell:
    """Say what a corruption does to a metric.

    Parameters
    ----------
    values : sequence of sequences of float or None
        By severity, then by draw; None where there is no score.
    clean : sequence of float
        Scores of clean samples.
    size : Size
        Whose `rule` decides.
    """
    needed, _ = rule(size)
    directions = [_direction(row, clean, needed) for row in values]
    seen = [i for i, direction in enumerate(directions) if direction]
    medians: list[float | None] = []
    for row in values:
        known = [value for value in row if value is not None]
        medians.append(_short(median(known)) if 2 * len(known) > len(row) else None)
    return Cell(
        first=size.severities[seen[0]] if seen else None,
        direction=directions[seen[0]] if seen else "",
        mixed=len({directions[i] for i in seen}) > 1,
        steps=len(values) - seen[0] if seen else 0,
        spearman=spearman((0.0, *size.severities), (median(clean), *medians)),
        whole=_direction(values[-1], clean, size.draws) in ("+", "-"),
        medians=tuple(medians),
    )


def spearman(severities: Sequence[float], scores: Sequence[float | None]) -> float | None:
    """Return the rank correlation, rounded; None where a score is missing, or all are equal."""
    known = [score for score in scores if score is not None]
    if len(known) < len(scores) or len(known) < 2 or min(known) == max(known):
        return None
    return round(float(stats.spearmanr(severities, known).statistic), 3)


def _direction(values: Iterable[float | None], clean: Sequence[float], needed: int) -> Direction:
    scores = list(values)
    low, high = min(clean), max(clean)
    if sum(score is None for score in scores) >= needed:
        return "×"
    if sum(score is not None and score > high for score in scores) >= needed:
        return "+"
    return "-" if sum(score is not None and score < low for score in scores) >= needed else ""


def _scored(occasions: Sequence[Occasion], workers: int, progress: Progress) -> Iterator[list[Values]]:
    """Score all occasions, in their order."""
    with ExitStack() as stack:
        step = stack.enter_context(progress.bar("ladder", len(occasions)))
        for i, values in enumerate(mapped(score_occasion, occasions, workers, stack), start=1):
            yield values
            step(i, {})


def _short(value: float) -> float:
    """Round to five digits, which the draws do not know better."""
    return float(f"{value:.5g}")


def _sentence(corruption: str) -> str:
    return (CORRUPTIONS[corruption].__doc__ or "").split("\n")[0]
