"""What the ladder must show: promises of metrics about controlled corruptions, each held against the map.

Bounds that depend on chance are four deviations of what they bound, so that one is missed by chance alone in 6e-5 of
audits; where they are exact, their rate is in the finding's note.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

from genbench.audit.finding import Finding, within
from genbench.audit.grounds import CLASSES
from genbench.audit.ladder import spearman
from genbench.findings import Cell, FailureMap, Ground, Line
from genbench.metrics.metric import Metric
from genbench.registry import METRICS

COPY_METRICS = frozenset({"train", "test"})
"""A metric that is given both sees copies; no other can, as copies of real samples are distributed as they are."""

SEES: Mapping[str, Mapping[str, str]] = {
    "mode drop": {
        "fd": "+",
        "kd": "+",
        "mmd_rbf": "+",
        "sliced_w2": "+",
        "w2": "+",
        "kl_class": "+",
        "kl_knn_reverse": "+",
        "modes": "-",
        "modes_class": "-",
        "recall": "-",
        "coverage": "-",
        "is": "-",
        "entropy_class": "-",
        "rke": "-",
        "vendi": "-",
        "knn_two_sample": "+",
    },
    "imbalance": {"fd": "+", "kd": "+", "kl_class": "+", "is": "-", "entropy_class": "-"},
    "noise": {"precision": "-", "entropy_gap_knn": "+", "c_t": "+", "coverage": "-"},
    "shrink": {"recall": "-", "precision": "+", "entropy_gap_knn": "-", "c_t": "-"},
    "collapse": {"recall": "-", "coverage": "-", "unique_fraction": "-", "knn_two_sample": "+"},
    "duplicates": {"unique_fraction": "-", "coverage": "-"},
    "copies": {
        "label_test": "+",
        "lower_tail_copies": "+",
        "copy_rate": "+",
        "c_t": "-",
        "auth_pct": "-",
        "nn_distance_ratio": "-",
    },
    "near copies": {"label_test": "+", "lower_tail_copies": "+", "copy_rate": "+", "c_t": "-"},
    "foreign": {"fd": "+", "kd": "+", "precision": "-", "density": "-", "coverage": "-", "c_t": "+"},
    "label noise": {"fd (per class)": "+"},
}
"""What metrics must see by the highest severity, and which way they move."""

BLIND: Mapping[str, Mapping[str, float]] = {
    "blur": {"fd": 0.4, "kd": 0.4, "is": 1.0},
    "shrink": {"label_test": 1.0},
    "collapse": {"is": 1.0, "label_test": 1.0, "ndb": 1.0},
    "duplicates": {"label_test": 1.0},
    "copies": {"is": 1.0, "ndb": 1.0},
}
"""What metrics say of themselves that they do not see, up to which severity; on the mixture, with its classes apart."""

UNHEARD: Mapping[tuple[str, str], str] = {
    ("recall", "foreign"): "the balls of the few samples that are left reach from one class to another",
}
"""Where a metric gets better with a fault, for a reason that is known."""

EXCUSED: Mapping[tuple[str, str, str], str] = {
    ("digits", "precision", "shrink"): "clean digits have nine tenths, and there is little room above",
    ("mixture", "recall", "collapse"): "few balls are left, but wide ones: it falls at n = 200 and rises at n = 400",
}
"""Promises of `SEES` that are not asked for on one kind of data, with the reason."""

WORSE: Mapping[str, str] = {"lower": "+", "higher": "-"}


def ladder_findings(found: FailureMap) -> list[Finding]:
    """Hold a map against what the metrics of it promise.

    Parameters
    ----------
    found : FailureMap
        As of `genbench.audit.ladder.climb`.

    Returns
    -------
    list of Finding
        For every line: that exact copies move no metric that is not given the training set, and that the metric sees
        at least one corruption; the directions of `SEES`, that they are kept with rising severity, and the blindness of
        `BLIND`; on the mixture, the values that theory gives.
    """
    findings: list[Finding] = []
    for line in found.lines:
        ground = found.grounds[line.ground]
        metric: Metric = METRICS.load(line.metric)
        findings += _of_any_metric(line, metric, ground, found.severities)
        findings += _directions(line, found.severities)
        if line.ground == "mixture":
            findings += _blindness(line)
            findings += _known_values(line, ground, found.severities)
    return findings


def _of_any_metric(line: Line, metric: Metric, ground: Ground, severities: tuple[float, ...]) -> Iterator[Finding]:
    """Yield what holds of any metric, a user's own too."""
    if line.form:  # a mean over classes, whose sizes corruptions change
        return
    exact = 2 / math.comb(ground.clean + ground.draws, ground.draws)
    if "copies" in line.cells and not metric.needs >= COPY_METRICS:
        yield _finding(
            line,
            f"exact copies of train, severity {severities[-1]:g}",
            not line.cells["copies"].whole,
            "is not moved",
            f"{ground.draws} of {ground.draws} draws beyond all clean ones by chance: {exact:.1g}",
        )
    yield _finding(
        line,
        "all corruptions",
        any(cell.first is not None for cell in line.cells.values()),
        "sees at least one",
        "",
    )
    for corruption in ("mode drop", "foreign"):
        cell = line.cells.get(corruption)
        if cell is None or cell.first is None or cell.direction == "×" or metric.better not in WORSE:
            continue
        if (line.metric, corruption) not in UNHEARD:
            yield _finding(
                line,
                corruption,
                cell.direction == WORSE[metric.better] and not cell.mixed,
                f"gets worse where it moves ({metric.better} is better)",
                f"moves from {cell.first:g} on: {cell.text}",
            )


def _directions(line: Line, severities: tuple[float, ...]) -> Iterator[Finding]:
    for corruption, expected in SEES.items():
        wanted = expected.get(line.name)
        cell = line.cells.get(corruption)
        if wanted is None or cell is None or (line.ground, line.name, corruption) in EXCUSED:
            continue
        seen = cell.direction == wanted and not cell.mixed
        word = "rises" if wanted == "+" else "falls"
        yield _finding(line, corruption, seen, f"{word} by {severities[-1]:g}", f"found: {cell.text or 'not seen'}")
        if seen:
            yield from _climbing(line, corruption, cell, severities, sign=1.0 if wanted == "+" else -1.0)


def _climbing(
    line: Line, corruption: str, cell: Cell, severities: tuple[float, ...], *, sign: float
) -> Iterator[Finding]:
    """Yield whether the score keeps its direction from clean samples over all severities where it was detected."""
    assert cell.first is not None
    start = severities.index(cell.first)
    points = [(0.0, line.clean[1]), *zip(severities[start:], cell.medians[start:], strict=True)]
    # A score that stays where it is, as at its bound, is one point, not a tie.
    points = [point for i, point in enumerate(points) if i == 0 or point[1] != points[i - 1][1]]
    correlation = spearman(*zip(*points, strict=True))
    if correlation is not None:
        yield within(
            "ladder",
            line.name,
            f"{line.ground}: {corruption}, rank correlation with severity",
            sign * correlation,
            low=0.9,
            note="medians of clean draws and of every severity from the first detected",
        )


def _blindness(line: Line) -> Iterator[Finding]:
    for corruption, metrics in BLIND.items():
        cell = line.cells.get(corruption)
        if line.name not in metrics or cell is None:
            continue
        if line.metric == "label_test":
            # A corruption may widen the share's spread, for which the test's p-value allows: some draws then lie beyond
            # all clean ones, to either side, but not all of them. Fewer than by chance is no copying either.
            ok, words = not cell.whole or cell.direction == "-", "is not taken for copying"
        else:
            ok, words = cell.first is None or cell.first > metrics[line.name], f"blind up to {metrics[line.name]:g}"
        yield _finding(line, corruption, ok, words, f"found: {cell.text or 'not seen'}")


def _known_values(line: Line, ground: Ground, severities: tuple[float, ...]) -> Iterator[Finding]:
    """Yield the values of the mixture that theory gives, at the severities from .1 on that drop whole classes.

    A median of R draws deviates 1.25 / sqrt(R) times as much as one draw.
    """
    error = 4 * 1.2533 / math.sqrt(ground.draws)
    share = error * 0.5 / math.sqrt(line.n)
    drop, mixed, uneven = (line.cells.get(name) for name in ("mode drop", "foreign", "imbalance"))
    clean = line.clean[1]
    for i, severity in enumerate(severities):
        left = CLASSES * (1 - severity)
        whole = math.isclose(left, round(left)) and left >= 1
        score = None if drop is None else drop.medians[i]
        if score is not None and whole:
            if line.name in ("recall", "coverage"):
                # Neighbourhoods get smaller where the classes that are left have more samples: .04 at .8.
                case, tolerance = f"mode drop {severity:g}, over clean", share / clean + 0.04
                yield _value(line, case, score / clean, 1 - severity, tolerance)
            if line.name == "entropy_class":
                # The plug-in value lacks (left - 1) / (2 n), and deviates by sqrt((left - 1) / 2) / n.
                yield _value(line, f"mode drop {severity:g}", score, math.log(left), error * CLASSES / line.n)
            if line.name == "kl_class":
                deviation = math.sqrt(CLASSES / line.n / left)
                truth = math.log(CLASSES / left)
                yield _value(line, f"mode drop {severity:g}, over clean", score - clean, truth, error * deviation)
            if line.name == "modes":
                yield _value(line, f"mode drop {severity:g}", score, round(left), 0.0)
        score = None if mixed is None else mixed.medians[i]
        if score is not None and line.name == "precision":
            yield _value(line, f"foreign {severity:g}, over clean", score / clean, 1 - severity, share / clean)
        score = None if uneven is None else uneven.medians[i]
        if score is not None and line.name == "kl_class":
            shares = [1 / (2 - severity) / 5, (1 - severity) / (2 - severity) / 5]
            truth = sum(5 * p * math.log(CLASSES * p) for p in shares if p)
            deviation = math.sqrt(CLASSES / line.n * 5 * sum(p * p for p in shares))
            yield _value(line, f"imbalance {severity:g}, over clean", score - clean, truth, error * deviation)
    if line.name == "fd" and mixed is not None:
        yield from _faster_than_the_share(line, mixed, severities)


def _faster_than_the_share(line: Line, mixed: Cell, severities: tuple[float, ...]) -> Iterator[Finding]:
    """Yield that the distance grows at least as the foreign share does: the square of a shift, and a wider spread."""
    known = [(s, m) for s, m in zip(severities, mixed.medians, strict=True) if m is not None and s <= 0.5]
    for (less, before), (more, after) in itertools.pairwise(known):
        grown = (after - line.clean[1]) / (before - line.clean[1])
        case = f"{line.ground}: foreign {less:g} to {more:g}, growth over clean"
        yield within("ladder", line.name, case, grown, low=more / less, note="at least that of the share")


def _value(line: Line, case: str, found: float, truth: float, tolerance: float) -> Finding:
    return within(
        "ladder",
        line.name,
        f"{line.ground}: {case}",
        found,
        low=truth - tolerance,
        high=truth + tolerance,
        expected=f"{truth:.3g} within {tolerance:.2g}",
        note="median of the draws",
    )


def _finding(line: Line, case: str, ok: bool, expected: str, note: str) -> Finding:
    return Finding(
        part="ladder",
        metric=line.name,
        case=f"{line.ground}: {case}",
        expected=expected,
        found=None,
        ok=ok,
        note=note,
    )
