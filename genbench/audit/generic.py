"""What can be asked of any metric, by the inputs that it declares: no truth has to be known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats

from genbench.audit.case import FULL, estimate_of
from genbench.audit.finding import Finding, Part, within
from genbench.audit.promises import LEVEL, Covers, Inputs, Null, Spread, Verdict, numbers_of
from genbench.audit.worlds import Array, Cells, one_hot, ring
from genbench.errors import GenbenchError
from genbench.metrics.metric import Metric
from genbench.randomness import derive_seed
from genbench.records import Estimate

N, D, DRAWS = 120, 2, 24
SETS = ("generated", "reference", "train", "test")

QUICKER: Mapping[str, Mapping[str, Any]] = {
    "kd_subsets": {"subset_size": 30, "subsets": 20},
    "mmd_test": {"permutations": 99},
}
"""Options of built-in metrics that want more samples or time than a generic case has."""


def world(metric: Metric, *, n: int = N, fault: bool = False) -> Callable[[int], Inputs]:
    """Return what draws all inputs that a metric may need, all sets from one distribution.

    Eight modes on a circle; for metrics of logits, a classifier of eight classes that is not quite sure.

    Parameters
    ----------
    metric : Metric
    n : int
        Of every set.
    fault : bool
        The generated samples are of the first two modes alone, half of them wide of the mark, and a tenth are copies.
    """
    truth = ring(8, std=0.3)

    def logits(points: Array, rng: np.random.Generator) -> Array:
        nearest = ((points[:, None] - truth.centres) ** 2).sum(axis=2).argmin(axis=1)
        return 0.1 * one_hot(nearest, 8) + rng.standard_normal((len(points), 8))

    def draw(seed: int) -> Inputs:
        rng = np.random.default_rng(seed)
        sets = {name: truth.sample(n, rng) for name in SETS}
        if fault:
            spoilt = truth.centres[rng.integers(2, size=n)] + 0.3 * rng.standard_normal((n, D))
            spoilt[: n // 2] *= 1.5
            spoilt[: n // 10] = sets["train"][: n // 10]
            sets["generated"] = spoilt
        if metric.space == "logits":
            sets = {name: logits(points, rng) for name, points in sets.items()}
        factors = Cells(12, 4, fine=1e4)
        return {**sets, "mixture": truth, "log_prob": truth.log_prob, "factors": factors}

    return draw


def any_metric(metric: Metric, *, quick: bool, seed: int, called: str | None = None) -> list[Finding]:
    """Check what every metric has to keep.

    Parameters
    ----------
    metric : Metric
    quick : bool
        False takes three times the draws.
    seed : int
    called : str or None
        The name for the findings; by default the metric's own.

    Returns
    -------
    list of Finding
        The same samples give the same score, in whatever order they come (for metrics without ``rng``); degenerate sets
        give a finite score or an error by name; a faulty generator scores worse than a perfect one; and as far as the
        metric gives them: its null is what perfect generators score, its interval covers, its error is the deviation
        over draws.
    """
    name = called or metric.name
    options = QUICKER.get(metric.name, {})
    try:
        return [
            *_repeats(metric, options, name, seed=seed),
            *_degenerate(metric, options, name, seed=seed),
            *_over_draws(metric, options, name, count=DRAWS * (1 if quick else FULL), seed=seed),
        ]
    except GenbenchError as error:
        ok, why = None, str(error)
    except Exception as error:  # whatever a metric of someone else's raises is a finding, not the audit's end
        ok, why = False, f"{type(error).__name__}: {error}"
    case = f"{N} samples of each set"
    return [Finding(part="known answer", metric=name, case=case, expected="a score", found=None, ok=ok, note=why)]


def _repeats(metric: Metric, options: Mapping[str, Any], name: str, *, seed: int) -> list[Finding]:
    """Compute twice, and once more with the rows of every set in another order."""
    given = world(metric)(derive_seed(seed, "audit", "repeats"))
    first, again = (estimate_of(metric, given, options, seed=seed) for _ in range(2))
    found = [
        within("known answer", name, "the same samples again: difference", first.value - again.value, low=0, high=0)
    ]
    if "rng" not in metric.needs:
        rng = np.random.default_rng(derive_seed(seed, "audit", "order"))
        mixed = {key: rng.permutation(what) if key in SETS else what for key, what in given.items()}
        other = estimate_of(metric, mixed, options, seed=seed).value
        room = 1e-6 * max(1.0, abs(first.value))
        case = "rows in another order: difference"
        found.append(within("known answer", name, case, other - first.value, low=-room, high=room, expected="0"))
    return found


def _degenerate(metric: Metric, options: Mapping[str, Any], name: str, *, seed: int) -> list[Finding]:
    """Ask for a score of sets that have none, or almost none; a refusal is an answer."""
    given = world(metric)(derive_seed(seed, "audit", "degenerate"))
    cases = {
        "all one point": {key: np.ones_like(given[key]) for key in SETS},
        "one generated": {"generated": given["generated"][:1]},
        "generated one point": {"generated": np.repeat(given["generated"][:1], N, axis=0)},
        "huge numbers": {key: 1e20 * given[key] for key in SETS},
    }
    found = []
    for case, changes in cases.items():
        try:
            estimate = estimate_of(metric, {**given, **changes}, options, seed=seed)
            numbers = [estimate.value, estimate.debiased, estimate.std_error, estimate.low, estimate.high]
            finite, note = all(number is None or math.isfinite(number) for number in numbers), ""
        except GenbenchError as error:
            finite, note = True, str(error)
        except Exception as error:  # whatever a metric of someone else's raises is a finding, not the audit's end
            finite, note = False, f"{type(error).__name__}: {error}"
        expected = "finite, or an error by name"
        found.append(within("known answer", name, case, float(finite), low=1, high=1, expected=expected, note=note))
    return found


def _over_draws(metric: Metric, options: Mapping[str, Any], name: str, *, count: int, seed: int) -> list[Finding]:
    """Compare perfect and faulty generators, and what is stated of a score with its draws."""
    seeds = [derive_seed(seed, "audit", "draws", i) for i in range(count)]
    perfect, faulty = world(metric), world(metric, fault=True)
    equal = [estimate_of(metric, perfect(s), options, seed=s) for s in seeds]
    spoilt = _scores_or_none(metric, faulty, options, seeds)
    found = [] if spoilt is None else [_direction(metric, name, equal, spoilt)]
    case, judged = "equal mixtures", list[tuple[Part, str, Verdict]]()
    targets = metric.ideal if equal[0].debiased is not None else None
    promises: list[Covers | Null | Spread] = []
    if all(e.low is not None or e.high is not None for e in equal):
        promises.append(Covers(truth=targets, at_least=0.90))
    if all(e.null is not None for e in equal):
        promises.append(Null(bias=0.02 * max(abs(e.null or 0.0) for e in equal) + _rounding(equal)))
    if all(e.std_error is not None for e in equal) and float(numbers_of(equal, "best").std()) > 0:
        promises.append(Spread(low=0.8, high=2.2))
    judged += [(promise.part, promise.about, promise.judge(equal, [])) for promise in promises]
    return found + [
        within(part, name, f"{case}: {about}", v.found, low=v.low, high=v.high, expected=v.expected, note=v.note)
        for part, about, v in judged
    ]


def _rounding(estimates: list[Estimate]) -> float:
    """A twentieth of the score's deviation: what an approximate null may be off by."""
    return 0.05 * float(numbers_of(estimates, "value").std())


def _scores_or_none(
    metric: Metric, draw: Callable[[int], Inputs], options: Mapping[str, Any], seeds: list[int]
) -> list[Estimate] | None:
    """Score a faulty generator; None where the metric refuses it, which is an answer too."""
    try:
        return [estimate_of(metric, draw(s), options, seed=s) for s in seeds]
    except GenbenchError:
        return None


def _direction(metric: Metric, name: str, equal: list[Estimate], spoilt: list[Estimate]) -> Finding:
    """Check that a faulty generator scores worse: the other way round than the declaration says would be a miss."""
    good, bad = numbers_of(equal, "best"), numbers_of(spoilt, "best")
    if metric.better == "match":
        ideal = float(good.mean())
        good, bad = abs(good - ideal), abs(bad - ideal)
    gap = (good - bad if metric.better == "higher" else bad - good) + 0.0
    error = math.sqrt((good.var(ddof=1) + bad.var(ddof=1)) / len(good))
    slack = float(stats.t.isf(LEVEL, len(good) - 1)) * error + 1e-12
    return within(
        "direction",
        name,
        "two of eight modes, noise, copies: how much worse",
        float(gap.mean()),
        low=-slack,
        expected="not better than a perfect generator",
    )
