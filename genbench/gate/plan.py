"""Power, told before it is needed: what difference a gate can detect, and what a wanted one takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from genbench.errors import UsageError
from genbench.gate.baseline import Baseline, score_of
from genbench.gate.compare import pair, unit_of
from genbench.gate.margins import margin_of, parse_margins, resolve_keys
from genbench.gate.result import Row, Unit
from genbench.stats.jackknife import GROUPS
from genbench.stats.noninferiority import ALPHA, POWER, detectable, detection_power, noncentrality, passing_power

LOOKS = 3
"""How often a generator without end is looked at, with twice the samples each time, at a third of the level each."""

SIZES = (1, 2, 4, 8, 16)
"""Multiples of the baseline's n that a plan lists."""

SEEDS = (3, 5, 10, 20, 40)

MOST = 1e9
"""Samples, or trainings, beyond which none are proposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a gate can tell at one size.

    Attributes
    ----------
    size : int
        Generated samples, or trainings, on each side.
    std_error : float
        Of the difference, for a generator that is as good.
    margin : float
    passes : float
        Chance that a generator that is exactly as good passes.
    detects : float
        How much worse a generator must be, to be reported with the chance asked for.
    finds : float or None
        Chance that the difference asked about is reported.
    """

    size: int
    std_error: float
    margin: float
    passes: float
    detects: float
    finds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The powers of one metric at several sizes.

    Attributes
    ----------
    score : float
        Of the baseline, debiased where it is.
    bound : bool
        Whether the noise is but bounded from above, by a standard error that holds the reference's part too.
    difference : float or None
        Asked about.
    needed : int or None
        The least size at which it is reported with the chance asked for; None where none is.
    """

    metric: str
    unit: Unit
    score: float
    have: int
    alpha: float
    power: float
    bound: bool
    sizes: tuple[Power, ...]
    difference: float | None = None
    needed: int | None = None


def make_plan(
    baseline: Baseline,
    *,
    primary: Sequence[str] = (),
    margin: Sequence[str] = (),
    difference: Sequence[str] = (),
    alpha: float = ALPHA,
    power: float = POWER,
    looks: int = LOOKS,
    unit: str = "auto",
) -> tuple[Plan, ...]:
    """Say, for every gated metric, what one look can tell: at ``alpha`` over the number of looks there may be.

    Several metrics are taken at that level over their number, which is what Holm's method asks of the smallest p-value.

    Parameters
    ----------
    baseline : Baseline
    primary, margin, unit
        As of `genbench.check`.
    difference : sequence of str
        As margins are written, ``"fd:10%"``: how much worse a generator may be that is to be found.
    power : float
        The chance asked for, in (0.5, 1).
    looks : int
        As of `genbench.check`; files and records have one.

    Raises
    ------
    UsageError
        If a number is out of its range, or trainings are the unit and the baseline has only one.
    """
    if not (0 < alpha < 0.5 < power < 1):
        raise UsageError(f"check --plan: 0 < alpha < 0.5 < power < 1 expected, got alpha {alpha} and power {power}.")
    keys = resolve_keys(primary, baseline.primary) or baseline.primary
    margins = {**baseline.margins, **parse_margins(margin, keys)}
    wanted = parse_margins(difference, keys)
    by = unit_of(baseline.runs, baseline.runs, unit)
    if by == "seeds" and len(baseline.runs) < 2:
        raise UsageError("check --plan: a baseline of several trainings expected for --unit seeds, got one training.")
    most = looks if baseline.settings.get("endless") and by == "samples" else 1
    level = alpha / most / len(keys)
    return tuple(_plan(baseline, key, by, margins, wanted, level, power) for key in keys)


def _plan(
    baseline: Baseline,
    key: str,
    unit: Unit,
    margins: Mapping[str, str],
    wanted: Mapping[str, str],
    alpha: float,
    power: float,
) -> Plan:
    found = pair(baseline, baseline.runs, key, unit)
    score, have = found.baseline.mean, found.n_new if unit == "samples" else len(baseline.runs)
    # The variance of one side, times its size: of the two sides' together, half.
    one = found.null_error**2 * have / 2
    difference = None
    if key in wanted:
        difference = margin_of(key, wanted, score=score, std_error=0.0).value

    def at(size: int) -> Power:
        error = math.sqrt(2 * one / size)
        degrees = float(GROUPS - 1) if unit == "samples" else 2.0 * (size - 1)
        margin = margin_of(key, margins, score=score, std_error=error).value
        test = {"margin": margin, "std_error": error, "degrees": degrees, "alpha": alpha}
        finds = None if difference is None else detection_power(difference, **test)
        return Power(
            size=size,
            std_error=error,
            margin=margin,
            passes=passing_power(**test),
            detects=detectable(**test, power=power),
            finds=finds,
        )

    sizes = [have * k for k in SIZES] if unit == "samples" else sorted({*SEEDS, have})
    return Plan(
        metric=key,
        unit=unit,
        score=score,
        have=have,
        alpha=alpha,
        power=power,
        bound=unit == "samples" and key not in baseline.noise,
        sizes=tuple(at(size) for size in sizes if size > 1),
        difference=difference,
        needed=None if difference is None else _needed(lambda size: at(size).finds or 0.0, power),
    )


def _needed(power_at: Callable[[int], float], wanted: float) -> int | None:
    """Return the least size with the power wanted, by doubling and bisection; None if there is none."""
    high = 2
    while power_at(high) < wanted:
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_at(middle) >= wanted else (middle, high)
    return high


def samples_needed(row: Row, baseline: Baseline, *, alpha: float) -> float:
    """Return how many samples on both sides decide a difference like this one in four of five times; may be infinite.

    A pass or a regression needs the difference to lie as many standard errors from the margin as the test and the
    chance ask for. A margin that is itself so many standard errors shrinks with them; then 5% of the score stands for
    it.
    """
    score = score_of(baseline.runs[0], row.metric, "the baseline")
    error = score.estimate.std_error if score.estimate is not None else None
    noise = baseline.noise.get(row.metric, score.n_generated * (error or 0.0) ** 2)
    # What was found counts where it is more: a worse generator is often noisier than the baseline.
    noise = max(noise, (row.std_error or 0.0) ** 2 / (1 / row.n_new + 1 / row.n_baseline))
    worse_by = row.difference if row.better != "higher" else -row.difference
    room = abs(margin_of(row.metric, {row.metric: "5%"}, score=row.baseline, std_error=0.0).value - worse_by)
    room = room if "standard errors" in row.margin_from else abs(row.margin - worse_by)
    apart = noncentrality(degrees=float(GROUPS - 1), alpha=alpha)
    n = math.inf if room == 0 else 2 * noise * (apart / room) ** 2
    return n if n <= MOST else math.inf
