"""Learning curves: a panel a model, so that twelve of them stay apart without twelve colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from markupsafe import Markup

from genbench.records import ARROWS, Run, Score
from genbench.report.svg import Scale, joined, points, tag, tick_text

WIDTH, HEIGHT = 220, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 214, 8, 130


class Point(NamedTuple):
    """One training at one stop: updates, seconds of training so far where they are known, and the plain value."""

    step: int
    seconds: float | None
    value: float


@dataclass(frozen=True, slots=True)
class Curves:
    """All trainings under one metric; ``null`` is what real data score."""

    key: str
    label: str
    null: float | None
    by_model: Mapping[str, Mapping[int, tuple[Point, ...]]]

    @property
    def timed(self) -> bool:
        """Whether every point has its seconds."""
        return all(p.seconds is not None for seeds in self.by_model.values() for c in seeds.values() for p in c)


@dataclass(frozen=True, slots=True)
class Panels:
    """The panels of one metric along one axis."""

    key: str
    label: str
    shared: Markup
    panels: list[tuple[str, Markup, str]]
    bent: bool
    null: str


def collect_curves(runs: Sequence[Run], order: Sequence[str]) -> list[Curves]:
    """Collect what was scored along training, held-out or without a split, for every metric scored more than once."""
    found: dict[str, dict[str, dict[int, list[Point]]]] = {}
    examples: dict[str, Score] = {}
    nulls: dict[str, list[float]] = {}
    for run in sorted(runs, key=lambda r: r.step or 0):
        if run.train_seed is None or run.step is None:
            continue
        for score in run.scores:
            if score.split != "train" and score.estimate is not None:
                examples.setdefault(score.key, score)
                seeds = found.setdefault(score.key, {}).setdefault(run.sampler, {})
                point = Point(run.step, run.cost.get("train_seconds"), score.estimate.value)
                seeds.setdefault(run.train_seed, []).append(point)
                if score.estimate.null is not None:
                    nulls.setdefault(score.key, []).append(score.estimate.null)
    curves = []
    for key, models in found.items():
        kept = {m: {s: tuple(c) for s, c in sorted(models[m].items())} for m in order if m in models}
        if any(len(curve) > 1 for seeds in kept.values() for curve in seeds.values()):
            label = f"{key} {ARROWS[examples[key].better]}, {examples[key].unit}"
            curves.append(Curves(key, label, fmean(nulls[key]) if key in nulls else None, kept))
    return curves


def curve_panels(curves: Curves, axis: str, *, number: str) -> Panels:
    """Draw a panel a model, all on the same scales, every other model's mean in grey behind it.

    Parameters
    ----------
    curves : Curves
    axis : {"updates", "seconds"}
    number : str
        Something unlike for every call, of which an element's name is made.
    """
    every = [p for seeds in curves.by_model.values() for c in seeds.values() for p in c]
    values = [p.value for p in every] + ([curves.null] if curves.null is not None else [])
    longest = max(_place(p, axis) for p in every) or 1.0  # 0 s: a training too short for the clock's two digits
    across = Scale(0.0, longest * 1.02, _LEFT, _RIGHT)
    up = Scale.of(values, _BOTTOM, _TOP)
    means = {name: _mean(seeds, axis) for name, seeds in curves.by_model.items()}
    behind = [
        tag("polyline", points=points((across(x), up(y)) for x, y, _, _ in mean), class_="other")
        for mean in means.values()
        if len(mean) > 1
    ]
    name = f"behind-{number}"
    frame = tag("g", _axes(across, up, curves.null), *behind, id=name)
    panels = [
        (model, _panel(model, seeds, means[model], axis, across, up, name), _caption(seeds))
        for model, seeds in curves.by_model.items()
    ]
    shared = tag("svg", tag("defs", frame), width="0", height="0", class_="defs", aria_hidden="true", focusable="false")
    null = "" if curves.null is None else f"{curves.null:.4g}"
    said = "updates" if axis == "updates" else "seconds of training"
    return Panels(f"{curves.key} {axis}", f"{curves.label}, against {said}", shared, panels, up.soft is not None, null)


def _place(point: Point, axis: str) -> float:
    return float(point.step) if axis == "updates" or point.seconds is None else point.seconds


def _complete(seeds: Mapping[int, Sequence[Point]]) -> list[Sequence[Point]]:
    """Return the trainings that got as far as any: one that broke off must not leave a mean that improves by it."""
    most = max(len(curve) for curve in seeds.values())
    return [curve for curve in seeds.values() if len(curve) == most]


def _mean(seeds: Mapping[int, Sequence[Point]], axis: str) -> list[tuple[float, float, float, float]]:
    """Return place, mean, lowest and highest over the complete trainings, stop by stop."""
    rows = zip(*_complete(seeds), strict=True)
    return [
        (fmean(_place(p, axis) for p in stop), fmean(v := [p.value for p in stop]), min(v), max(v)) for stop in rows
    ]


def _axes(across: Scale, up: Scale, null: float | None) -> Markup:
    parts = []
    for tick in up.ticks(24):
        y = up(tick)
        parts.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", tick_text(tick), x=_LEFT - 4, y=y + 4, text_anchor="end", class_="small-text"))
    for tick in across.ticks(56):
        parts.append(
            tag("text", tick_text(tick), x=across(tick), y=HEIGHT - 4, text_anchor="middle", class_="small-text")
        )
        parts.append(tag("line", x1=across(tick), x2=across(tick), y1=_BOTTOM, y2=_BOTTOM + 4, class_="tick"))
    if null is not None:
        parts.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=up(null), y2=up(null), class_="null"))
    return joined(parts)


def _panel(
    model: str,
    seeds: Mapping[int, Sequence[Point]],
    mean: Sequence[tuple[float, float, float, float]],
    axis: str,
    across: Scale,
    up: Scale,
    behind: str,
) -> Markup:
    parts = [tag("use", href=f"#{behind}")]
    if len(mean) > 1 and len(_complete(seeds)) > 1:
        outline = [(across(x), up(high)) for x, _, _, high in mean]
        outline += [(across(x), up(low)) for x, _, low, _ in reversed(mean)]
        parts.append(tag("polygon", points=points(outline), class_="band"))
    complete = _complete(seeds)
    for curve in seeds.values():
        if curve not in complete:
            places = [(across(_place(p, axis)), up(p.value)) for p in curve]
            parts.append(tag("polyline", points=points(places), class_="broken"))
            x, y = places[-1]
            parts.append(tag("path", d=f"M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6", class_="broken"))
    parts.append(tag("polyline", points=points((across(x), up(y)) for x, y, _, _ in mean), class_="mean"))
    end = mean[-1]
    parts.append(tag("circle", cx=across(end[0]), cy=up(end[1]), r="2.6", class_="dot"))
    said = f"{model}: {mean[0][1]:.4g} at first, {end[1]:.4g} at the end, {_trend(mean)}"
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=said, class_="panel")


def _trend(mean: Sequence[tuple[float, float, float, float]]) -> str:
    """Say how often a curve turns: what the eye takes from it."""
    steps = [b[1] - a[1] for a, b in pairwise(mean)]
    turns = sum(a * b < 0 for a, b in pairwise(steps))
    return f"{turns} turns in {len(mean)} stops"


def _caption(seeds: Mapping[int, Sequence[Point]]) -> str:
    whole, total = len(_complete(seeds)), len(seeds)
    return f"{total} seed{'s' if total > 1 else ''}" + (f", {total - whole} broken off" if whole < total else "")
