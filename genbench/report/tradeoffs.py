"""Trade-offs: two scores, or a score and a cost, against each other; a point a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from genbench.records import ARROWS
from genbench.report.quality import COST, Block
from genbench.report.svg import Scale, tag, tick_text

WIDTH, HEIGHT = 440, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 428, 12, 286
_LETTER, _LINE = 6.6, 13.0  # of a label in 12 px type, for keeping labels apart

PAIRS = (
    ("precision", "recall"),
    ("precision_symmetric", "recall_symmetric"),
    ("density", "coverage"),
    ("high_quality", "modes_share"),
    ("high_quality", "modes"),
)
"""Scores that are bought with each other: how good the samples are, and how much of the data they reach."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A model's place, with its intervals where they are known."""

    name: str
    x: float
    y: float
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    control: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its title."""

    title: str
    picture: Markup
    bent: bool


def score_figures(blocks: Sequence[Block], controls: Sequence[str]) -> list[Figure]:
    """Draw each of `PAIRS` that was scored in one space; of modes, the share where there is one."""
    parts, figures, seen = dict(blocks), [], set()
    for first, second in PAIRS:
        for key, part in blocks:
            metric, _, space = key.partition("@")
            if metric != first or (other := parts.get(f"{second}@{space}")) is None or key in seen:
                continue
            seen.add(key)
            marks = [
                Mark(
                    str(n),
                    _best(part.loc[n]),
                    _best(other.loc[n]),
                    _ends(part.loc[n]),
                    _ends(other.loc[n]),
                    n in controls,
                )
                for n in part.index
                if n in other.index and _known(part.loc[n]) and _known(other.loc[n])
            ]
            if marks:
                title = f"{second} against {first}, {space}"
                figures.append(_figure(title, marks, _name(key, part), _name(f"{second}@{space}", other)))
    return figures


def cost_figures(block: Block, costs: Mapping[str, Mapping[str, float]]) -> list[Figure]:
    """Draw the primary metric against each cost that is known; controls cost nothing and are left out."""
    key, part = block
    figures = []
    for cost, (head, better) in COST.items():
        marks = [
            Mark(str(n), costs[str(n)][cost], _best(part.loc[n]), None, _ends(part.loc[n]))
            for n in part.index
            if cost in costs.get(str(n), {}) and _known(part.loc[n])
        ]
        if marks:
            arrow = ARROWS["lower" if better == "ascending" else "higher"]
            title = f"{key.partition('@')[0]} against {head}"
            figures.append(_figure(title, marks, f"{head} {arrow}", _name(key, part), log_x=True))
    return figures


def _name(key: str, part: pd.DataFrame) -> str:
    return f"{key.partition('@')[0]} {ARROWS[str(part['better'].iloc[0])]}"


def _known(row: pd.Series) -> bool:
    return not pd.isna(row["value"])


def _best(row: pd.Series) -> float:
    return float(row["value"] if pd.isna(row["debiased"]) else row["debiased"])


def _ends(row: pd.Series) -> tuple[float, float] | None:
    return None if pd.isna(row["low"]) else (float(row["low"]), float(row["high"]))


def _figure(title: str, marks: Sequence[Mark], x_name: str, y_name: str, *, log_x: bool = False) -> Figure:
    sizes = [m.x for m in marks if m.x > 0]
    soft = min(sizes) / 10 if log_x and sizes and max(sizes) > 4 * min(sizes) else None
    xs = Scale.of([v for m in marks for v in (m.x, *(m.x_ends or ()))], _LEFT, _RIGHT, soft=soft)
    ys = Scale.of([v for m in marks for v in (m.y, *(m.y_ends or ()))], _BOTTOM, _TOP)
    parts = _frame(xs, ys, x_name, y_name)
    parts += [mark for m in marks for mark in _crosses(m, xs, ys)]
    parts += _labels(marks, xs, ys)
    picture = tag(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="scatter", aria_label=_says(title, marks)
    )
    return Figure(title, picture, ys.soft is not None or xs.soft is not None)


def _says(title: str, marks: Sequence[Mark]) -> str:
    return f"{title}: " + "; ".join(f"{m.name} {m.x:.3g}, {m.y:.3g}" for m in marks)


def _frame(xs: Scale, ys: Scale, x_name: str, y_name: str) -> list[Markup]:
    parts = []
    for tick in xs.ticks(48):
        parts.append(tag("line", x1=xs(tick), x2=xs(tick), y1=_TOP, y2=_BOTTOM, class_="grid"))
        parts.append(tag("text", tick_text(tick), x=xs(tick), y=_BOTTOM + 16, text_anchor="middle"))
    for tick in ys.ticks(32):
        parts.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=ys(tick), y2=ys(tick), class_="grid"))
        parts.append(tag("text", tick_text(tick), x=_LEFT - 6, y=ys(tick) + 4, text_anchor="end"))
    middle = (_TOP + _BOTTOM) / 2
    parts.append(tag("text", x_name, x=(_LEFT + _RIGHT) / 2, y=HEIGHT - 8, text_anchor="middle", class_="name"))
    turned = f"translate(13 {middle}) rotate(-90)"
    parts.append(tag("text", y_name, transform=turned, text_anchor="middle", class_="name"))
    return parts


def _crosses(mark: Mark, xs: Scale, ys: Scale) -> list[Markup]:
    x, y, parts = xs(mark.x), ys(mark.y), []
    kind = " control" if mark.control else ""
    if mark.x_ends:
        parts.append(tag("line", x1=xs(mark.x_ends[0]), x2=xs(mark.x_ends[1]), y1=y, y2=y, class_=f"interval{kind}"))
    if mark.y_ends:
        parts.append(tag("line", x1=x, x2=x, y1=ys(mark.y_ends[0]), y2=ys(mark.y_ends[1]), class_=f"interval{kind}"))
    title = tag("title", f"{mark.name}: {mark.x:.4g}, {mark.y:.4g}")
    if mark.control:
        return [*parts, tag("path", title, d=f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z", class_="dot control")]
    return [*parts, tag("circle", title, cx=x, cy=y, r="4.5", class_="dot")]


def _labels(marks: Sequence[Mark], xs: Scale, ys: Scale) -> list[Markup]:
    """Put every name beside its point, where it covers no other name and no point if there is such a place."""
    taken = [(xs(m.x) - 5, ys(m.y) - 5, xs(m.x) + 5, ys(m.y) + 5) for m in marks]
    parts = []
    for mark in sorted(marks, key=lambda m: (m.control, xs(m.x))):
        x, y, width = xs(mark.x), ys(mark.y), _LETTER * len(mark.name)
        boxes = [_box(x, y, width, dx, dy) for dx, dy in _PLACES]
        box = min(boxes, key=lambda b: sum(_overlap(b, other) for other in taken) + 4 * _outside(b))
        taken.append(box)
        height = (box[1] + box[3]) / 2
        if abs(height - y) > _LINE:  # so far away that a line must lead there
            near = min(max(x, box[0]), box[2])
            parts.append(tag("line", x1=x, y1=y, x2=near, y2=height, class_="leader"))
        kind = "label control" if mark.control else "label"
        parts.append(tag("text", mark.name, x=box[0], y=box[3] - 3, class_=kind))
    return parts


_PLACES = [
    (side, shift)
    for shift in (0.0, -13.0, 13.0, -26.0, 26.0, -40.0, 40.0, -56.0, 56.0)
    for side in ("right", "left", "middle")
    if side != "middle" or shift
]
"""Where a label may stand beside its point, the places that are liked best first."""


def _box(x: float, y: float, width: float, side: str, shift: float) -> tuple[float, float, float, float]:
    left = {"right": x + 8, "left": x - 8 - width, "middle": x - width / 2}[side]
    return (left, y + shift - _LINE / 2, left + width, y + shift + _LINE / 2)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def _outside(box: tuple[float, float, float, float]) -> float:
    over = (_LEFT - box[0], box[2] - _RIGHT, _TOP - box[1], box[3] - _BOTTOM)
    return math.fsum(_LINE * max(0.0, x) for x in over)
