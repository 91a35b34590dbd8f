"""What every metric sees, and what it is blind to: the map that the audit's corruption ladder found, as data.

The packaged map is one that ``genbench audit`` wrote; reading it imports neither torch nor any metric.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from genbench.errors import ProtocolError

SCHEMA_VERSION = 1

FILE = "map.json"

LEGEND = (
    "+ the score rises, − it falls, ± it moves both ways, × it cannot be computed; the number is the lowest severity, "
    "of {severities}, at which at least {needed} of {draws} draws lie beyond all of {clean} draws of clean samples "
    "(false alarms: at most {false_alarm} a cell). A blank is blindness up to {last}."
)

Direction = Literal["+", "-", "×", ""]
"""The score rises, falls, cannot be computed any more; or is not told from that of clean samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one corruption does to one metric.

    Attributes
    ----------
    first : float or None
        The lowest severity at which it was detected; None where it was at none.
    direction : str
        What the score did there.
    mixed : bool
        Whether it did another thing at a higher severity.
    steps : int
        At how many severities, from the first to the highest: what a heat map shades by.
    spearman : float or None
        Rank correlation of the median score with severity, from clean samples up; None where all medians are equal or
        one is missing.
    whole : bool
        Whether at the highest severity every draw lay beyond all clean ones, on one side; see `Ground.false_alarm` for
        what fewer say.
    medians : tuple of float or None
        Over draws, at each severity of the map; None where most draws had no score.
    """

    first: float | None
    direction: Direction
    mixed: bool
    steps: int
    spearman: float | None
    whole: bool
    medians: tuple[float | None, ...]

    @property
    def text(self) -> str:
        """As the tables show it: ``+.1``, ``-.05``, ``±.2`` where it is mixed, ``×.4``, or nothing."""
        if self.first is None:
            return ""
        return ("±" if self.mixed else self.direction.replace("-", "−")) + severity_text(self.first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One metric on one kind of data.

    Attributes
    ----------
    metric : str
        The name under which it is registered, or ``package.module:attribute``.
    form : str
        Empty, or ``per class`` for its mean over classes, each compared with the real samples of that class.
    ground : str
        The data, a key of the map's ``grounds``.
    n : int
        How many samples of each set it was given.
    clean : tuple of three floats
        What clean samples score: lowest, median and highest draw.
    cells : mapping of str to Cell
        By corruption.
    """

    metric: str
    form: str
    ground: str
    n: int
    clean: tuple[float, float, float]
    cells: Mapping[str, Cell]

    @property
    def name(self) -> str:
        """``fd``, or ``fd (per class)``."""
        return f"{self.metric} ({self.form})" if self.form else self.metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Data on which the ladder was climbed.

    Attributes
    ----------
    about : str
        In words.
    clean, draws : int
        Draws of clean samples, and of corrupted ones at each severity.
    needed : int
        How many of the ``draws`` must lie beyond all of the ``clean`` for a corruption to be called detected.
    false_alarm : float
        The most that a corruption that does nothing is called detected with, over all severities and both sides.
    """

    about: str
    clean: int
    draws: int
    needed: int
    false_alarm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureMap:
    """Metrics against failures.

    Attributes
    ----------
    corruptions : mapping of str to str
        In the order of the tables, each with what it does in one sentence.
    unscored : mapping of str to str
        ``metric on ground``, and why it has no line.
    """

    version: str
    seed: int
    quick: bool
    severities: tuple[float, ...]
    grounds: Mapping[str, Ground]
    corruptions: Mapping[str, str]
    lines: tuple[Line, ...]
    unscored: Mapping[str, str] = field(default_factory=dict)

    def of(self, metrics: Iterable[str]) -> tuple[Line, ...]:
        """Return the lines of metrics by name, in the order of the map."""
        wanted = set(metrics)
        return tuple(line for line in self.lines if line.metric in wanted)

    def to_json(self) -> str:
        """Serialize, a line of the map to a line of text, so that two maps can be compared."""
        head = {name: getattr(self, name) for name in ("version", "seed", "quick", "severities", "corruptions")}
        head |= {"grounds": {name: asdict(ground) for name, ground in self.grounds.items()}}
        head |= {"unscored": dict(self.unscored)}
        opened = _dumps({"schema_version": SCHEMA_VERSION, **head}, indent=1).removesuffix("\n}")
        rows = ",\n  ".join(_dumps(asdict(line)) for line in self.lines)
        return f'{opened},\n "lines": [\n  {rows}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> FailureMap:
        """Read back what `to_json` wrote.

        Raises
        ------
        ProtocolError
            If the text is no such map, or of a schema that this version does not know.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            version = document.pop("schema_version", None)
            if version != SCHEMA_VERSION:
                raise ProtocolError(
                    f"map: schema_version {SCHEMA_VERSION} expected, got {version!r}; run 'genbench audit' again."
                )
            document["severities"] = tuple(document["severities"])
            document["grounds"] = {name: Ground(**facts) for name, facts in document["grounds"].items()}
            document["lines"] = tuple(_line(row) for row in document["lines"])
            return cls(**document)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ProtocolError(f"map: no metric-against-failure map ({error}); run 'genbench audit' again.") from error


def severity_text(severity: float) -> str:
    """Return a severity as tables show it: ``.05``, ``.8``, ``1``."""
    return f"{severity:g}".removeprefix("0")


@cache
def read_map() -> FailureMap:
    """Return the packaged map, of a full climb with seed 0."""
    return FailureMap.from_json((files("genbench.audit") / FILE).read_text(encoding="utf-8"))


def sentence(line: Line, *, severities: tuple[float, ...]) -> str:
    """Return in one sentence what a metric sees, from which severity on, and what it is blind to.

    Parameters
    ----------
    line : Line
    severities : tuple of float
        Of the map.
    """
    groups: dict[str, list[str]] = {"rises": [], "falls": [], "cannot be computed": [], "moves both ways": []}
    words: dict[str, str] = {"+": "rises", "-": "falls", "×": "cannot be computed"}
    blind = []
    for corruption, cell in line.cells.items():
        if cell.first is None:
            blind.append(corruption)
        else:
            group = "moves both ways" if cell.mixed else words[cell.direction]
            groups[group].append(f"{corruption} (from {severity_text(cell.first)})")
    seen = [f"{group} with {_listed(names)}" for group, names in groups.items() if names]
    last = severity_text(severities[-1])
    parts = [*seen, *([f"is blind to {_listed(blind)} up to {last}"] if blind else [])]
    return f"{line.name} {'; '.join(parts)}."


def legend(found: FailureMap, ground: str) -> str:
    """Return how to read the map of one kind of data, with its false-alarm rate."""
    facts = found.grounds[ground]
    return LEGEND.format(
        severities=", ".join(map(severity_text, found.severities)),
        needed=facts.needed,
        draws=facts.draws,
        clean=facts.clean,
        false_alarm=f"{facts.false_alarm:.1%}",
        last=severity_text(found.severities[-1]),
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _line(row: dict[str, Any]) -> Line:
    cells = {name: Cell(**{**cell, "medians": tuple(cell["medians"])}) for name, cell in row["cells"].items()}
    low, median, high = row["clean"]
    return Line(**{**row, "clean": (low, median, high), "cells": cells})


def _dumps(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
