"""What the metrics of a report can see: their lines of the audit's metric-against-failure map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from genbench.findings import Cell, FailureMap, legend, read_map, sentence

SHADES = 5
"""Of a colour, in the page's style."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The map of one kind of data.

    Attributes
    ----------
    title : str
        The data, in words.
    columns : tuple of str
        Corruptions.
    rows : tuple of (str, tuple of (str, str))
        A metric, and for every corruption what the cell says and its class in the style.
    legend : str
    sentences : tuple of str
    faults : tuple of (str, str)
        What every corruption does.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    legend: str
    sentences: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]


def sights_of(metrics: Iterable[str]) -> list[Sight]:
    """Return the map restricted to metrics by name, a table for every kind of data on which one of them was audited."""
    found = read_map()
    lines = found.of(metrics)
    sights = []
    for ground, facts in found.grounds.items():
        there = [line for line in lines if line.ground == ground]
        if there:
            rows = tuple((line.name, tuple(_shown(found, line.cells[c]) for c in found.corruptions)) for line in there)
            sights.append(
                Sight(
                    title=f"{facts.about[0].upper()}{facts.about[1:]}, n = {max(line.n for line in there)}",
                    columns=tuple(found.corruptions),
                    rows=rows,
                    legend=legend(found, ground),
                    sentences=tuple(sentence(line, severities=found.severities) for line in there),
                    faults=tuple(found.corruptions.items()),
                )
            )
    return sights


def _shown(found: FailureMap, cell: Cell) -> tuple[str, str]:
    if cell.first is None:
        return "", "blind"
    if cell.mixed or cell.direction == "×":
        return cell.text, "seen"
    shade = max(round(cell.steps / len(found.severities) * SHADES), 1)
    return cell.text, f"seen {'rises' if cell.direction == '+' else 'falls'}-{shade}"
