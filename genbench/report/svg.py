"""Drawing by hand: tags whose text is escaped, and scales that carry their own ticks.

Nothing here has a ``style`` attribute, which the page's content security policy would refuse: looks come from classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup, escape

LINEAR_RATIO = 30
"""Largest over median size of the numbers from which on a scale is logarithmic away from zero."""


def tag(name: str, *inside: str, **attributes: object) -> Markup:
    """Return an element. Text inside is escaped unless it is `Markup`; ``class_`` and ``stroke_width`` lose their line.

    Attributes that are None are left out, and numbers are rounded to two digits.
    """
    words = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    content = "".join(escape(part) for part in inside)
    return Markup(f"<{name}{''.join(words)}>{content}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Return elements one after the other."""
    return Markup().join(parts)


def _short(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def points(pairs: Iterable[tuple[float, float]]) -> str:
    """Return the coordinates of a line, to a tenth of a unit."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from numbers to places.

    Attributes
    ----------
    low, high : float
        The numbers at ``start`` and ``stop``.
    start, stop : float
        Places; ``stop`` may be below ``start``, as upwards is in a picture.
    soft : float or None
        None is linear. Else the scale is ``asinh(x / soft)``: logarithmic where a number is much larger in size, and
        it goes through zero, where debiased scores may lie.
    """

    low: float
    high: float
    start: float
    stop: float
    soft: float | None = None

    @classmethod
    def of(cls, numbers: Sequence[float], start: float, stop: float, *, soft: float | None = None) -> Scale:
        """Fit a scale to numbers, with a margin of 4% on either side.

        It is logarithmic away from zero where the largest is far from the median in size, or from where ``soft`` says.
        """
        finite = [x for x in numbers if math.isfinite(x)] or [0.0, 1.0]
        sizes = sorted(abs(x) for x in finite if x)
        if soft is None and sizes and sizes[-1] > LINEAR_RATIO * median(sizes):
            soft = median(sizes) / 4
        low, high = min(finite), max(finite)
        if low == high:
            low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
        bare = cls(low, high, 0.0, 1.0, soft)
        margin = 0.04
        return cls(bare.number_at(-margin), bare.number_at(1 + margin), start, stop, soft)

    def _bend(self, x: float) -> float:
        return x if self.soft is None else math.asinh(x / self.soft)

    def __call__(self, x: float) -> float:
        """Return the place of a number."""
        low, high = self._bend(self.low), self._bend(self.high)
        return self.start + (self._bend(x) - low) / (high - low) * (self.stop - self.start)

    def number_at(self, place: float) -> float:
        """Return the number at a place."""
        low, high = self._bend(self.low), self._bend(self.high)
        bent = low + (place - self.start) / (self.stop - self.start) * (high - low)
        return bent if self.soft is None else self.soft * math.sinh(bent)

    def ticks(self, gap: float) -> list[float]:
        """Return round numbers whose places are at least ``gap`` apart, ascending."""
        if self.soft is None:
            step = _round_step((self.high - self.low) * gap / abs(self.stop - self.start))
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            return [i * step for i in range(first, last + 1)]
        kept: list[float] = []
        for x in self._candidates():
            if all(abs(self(x) - self(y)) >= gap for y in kept):
                kept.append(x)
        return sorted(kept)

    def _candidates(self) -> list[float]:
        """Zero, then powers of ten, then 5 and 2 times these: what is to have a tick first comes first."""
        assert self.soft is not None
        largest = max(abs(self.low), abs(self.high))
        powers = range(math.floor(math.log10(self.soft)), math.ceil(math.log10(largest)) + 1)
        sized = [factor * 10.0**p for factor in (1, 5, 2) for p in reversed(powers)]
        return [x for x in (0.0, *(sign * x for x in sized for sign in (1, -1))) if self.low <= x <= self.high]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def tick_text(x: float) -> str:
    """Return a tick's number, short: 25k for 25000."""
    if abs(x) < 1e-12:
        return "0"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:.4g}{letter}"
    return f"{x:.4g}"
