"""What a metric said: an Estimate, and the Score that says where it came from; and how they are laid out.

Both are frozen. `genbench.records` holds the runs that they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from genbench.definitions import Split
from genbench.display import DASH, interval, number

Better = Literal["lower", "higher", "match"]
"""Which way a score improves. ``match``: it is best where real data score, as an entropy is."""

ARROWS: dict[str, str] = {"lower": "↓", "higher": "↑", "match": "≈"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a metric says of two sets of samples.

    Attributes
    ----------
    value : float
        The number as the field reports it, at this n.
    debiased : float or None
        Corrected to the population; None where no correction is trusted (``notes`` says why).
    std_error : float or None
        Standard error of ``best`` over fresh samples of both sets.
    low, high : float or None
        Interval for the population's score (around ``best``), at confidence ``level``.
    null : float or None
        What a perfect generator scores at this n.
    replicates : tuple of float
        Group jackknife replicates of ``value``: group g removed from both sets. Kept because they make
        the difference of two scores testable without the samples.
    extra : mapping of str to float
        Further numbers of the same estimate, by name.
    notes : tuple of str
        What a reader must know to trust the number.
    """

    value: float
    debiased: float | None = None
    std_error: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    null: float | None = None
    replicates: tuple[float, ...] = field(default=(), repr=False)
    extra: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> float:
        """The debiased value where there is one, else the value."""
        return self.value if self.debiased is None else self.debiased


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Score:
    """An estimate, or the reason why there is none, plus where it came from.

    Attributes
    ----------
    space : str
        ``extractor.layer``.
    fingerprint : str
        Sha256 of the extractor.
    split : {"train", "test", "reference"} or None
        Which real samples were the reference; None for metrics that use none.
    label : int or None
        The class that both sides are restricted to; None for all.
    """

    metric: str
    space: str
    fingerprint: str
    split: Split | None
    unit: str
    better: Better
    n_generated: int
    n_reference: int | None
    estimate: Estimate | None
    failure: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    label: int | None = None

    @property
    def key(self) -> str:
        """The short name, for example ``fd@digits-cnn.pool``."""
        return f"{self.metric}@{self.space}"

    @property
    def name(self) -> str:
        """The full name, which holds the extractor's fingerprint: ``fd@digits-cnn#1a2b3c4d5e6f.pool``."""
        extractor, _, layer = self.space.rpartition(".")
        return f"{self.metric}@{extractor}#{self.fingerprint[:12]}.{layer}"

    def __repr__(self) -> str:
        against = f" against {self.split}" if self.split else ""
        return f"<Score {self.key}{against}: {self.brief}>"

    @property
    def brief(self) -> str:
        """The number to go by and its interval, or that there is none: ``2.46 [1.17, 1.71]``."""
        e = self.estimate
        if e is None:
            return f"failed: {self.failure}"
        return number(e.best) if e.low is None else f"{number(e.best)} {interval(e.low, e.high)}"


def score_cells(scores: Sequence[Score]) -> tuple[list[str], list[list[str]]]:
    """Lay scores out for reading: the header of a table, and a row of texts for every score."""
    header = ["metric", "against", "value", "debiased", "s.e.", "95% interval", "real data", "n"]
    rows = []
    for score in scores:
        name, e = f"{score.key} {ARROWS[score.better]}", score.estimate
        name += "" if score.label is None else f", class {score.label}"
        if e is None:
            rows.append([name, score.split or "", "failed", *[DASH] * 4, str(score.n_generated)])
            continue
        cells = [number(x) for x in (e.value, e.debiased, e.std_error)]
        cells += [interval(e.low, e.high), number(e.null), str(score.n_generated)]
        rows.append([name, score.split or "", *cells])
    return header, rows


def frame_row(score: Score) -> dict[str, Any]:
    """Return the columns of a tidy table that a score fills; those of an estimate are left out where there is none."""
    names = ("metric", "space", "split", "label", "better", "unit", "n_generated", "n_reference", "failure")
    numbers = ("value", "debiased", "std_error", "low", "high", "level", "null")
    row = {name: getattr(score, name) for name in names}
    return row if score.estimate is None else row | {name: getattr(score.estimate, name) for name in numbers}
