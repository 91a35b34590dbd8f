"""The metric-against-failure map, for readers: Markdown, CSV, a heat map and a sentence for every metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from genbench.atomic import write_atomic
from genbench.findings import FILE, Cell, FailureMap, Line, legend, sentence

RISES = ("#fff3e6", "#fdd9b0", "#f9b36b", "#e8862e", "#b85c00")
FALLS = ("#e8f1fb", "#bfd9f2", "#86b6e4", "#4a8cc9", "#1f5f9e")
OTHER = "#8a8f98"
"""Orange rises and blue falls, told apart under every colour blindness; the sign stands in every cell as well."""

WIDTH, HEIGHT, NAMES, HEAD, FOOT = 62, 20, 172, 66, 24
"""Of a cell, of the column of names, of the row of corruptions and of what stands below, in pixels."""


def map_markdown(found: FailureMap) -> str:
    """Return a table for every kind of data, with its legend and every metric's sentence."""
    parts = ["# What metrics see, and what they are blind to", ""]
    for ground, facts in found.grounds.items():
        lines = [line for line in found.lines if line.ground == ground]
        sizes = sorted({line.n for line in lines})
        parts += [f"## {ground.capitalize()}", "", f"{facts.about.capitalize()}; n = {_spans(sizes)}.", ""]
        parts += [*map_table(found, ground), "", legend(found, ground), ""]
        parts += [f"- {sentence(line, severities=found.severities)}" for line in lines]
        parts.append("")
    parts += ["## Corruptions", "", *(f"- **{name}**: {about}" for name, about in found.corruptions.items()), ""]
    if found.unscored:
        parts += ["## Not scored", "", *(f"- {name}: {reason}" for name, reason in found.unscored.items()), ""]
    return "\n".join(parts)


def map_table(found: FailureMap, ground: str) -> Iterator[str]:
    """Yield the lines of one kind of data's Markdown table, metrics by corruptions."""
    yield f"| metric | {' | '.join(found.corruptions)} |"
    yield f"|---|{'---|' * len(found.corruptions)}"
    for line in found.lines:
        if line.ground == ground:
            cells = (line.cells[name].text if name in line.cells else "" for name in found.corruptions)
            yield f"| {line.name} | {' | '.join(cells)} |"


def map_csv(found: FailureMap) -> str:
    """Return the map as CSV: a row for every metric, kind of data and corruption, with medians by severity."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    medians = [f"median_{severity:g}" for severity in found.severities]
    head = ["metric", "form", "data", "n", "corruption", "first_detected", "direction", "mixed", "spearman"]
    writer.writerow([*head, "clean_low", "clean_median", "clean_high", *medians])
    for line in found.lines:
        for name, cell in line.cells.items():
            row = [line.metric, line.form, line.ground, line.n, name, cell.first, cell.direction, cell.mixed]
            writer.writerow([*row, cell.spearman, *line.clean, *cell.medians])
    return text.getvalue()


def heat_map(found: FailureMap, ground: str) -> str:
    """Return an SVG of one kind of data's map, about 900 pixels wide: the darker, the earlier it is detected."""
    lines = [line for line in found.lines if line.ground == ground]
    width, height = NAMES + WIDTH * len(found.corruptions), HEAD + HEIGHT * len(lines) + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>What metrics see on {escape(ground)}, and what they are blind to</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-size="14" font-weight="600" fill="#1b1f24">{escape(ground.capitalize())}</text>',
    ]
    for column, name in enumerate(found.corruptions):
        x = NAMES + WIDTH * column + WIDTH / 2
        for row, word in enumerate(name.split()):
            parts.append(_text(x, HEAD - 22 + 14 * row, word, "#1b1f24", anchor="middle"))
    for row, line in enumerate(lines):
        parts += _row(found, line, HEAD + HEIGHT * row)
    note = "orange + rises, blue − falls, grey both ways or cannot be computed; darker: seen earlier; blank: not seen"
    parts += [_text(8, height - 8, note, "#565f6b"), "</svg>"]
    return "\n".join(parts) + "\n"


def write_map(found: FailureMap, folder: Path) -> list[Path]:
    """Write ``map.json``, ``map.md``, ``map.csv`` and ``map-DATA.svg`` for every kind of data; return the files.

    Raises
    ------
    SetupError
        If a file cannot be written.
    """
    texts = {FILE: found.to_json(), "map.md": map_markdown(found), "map.csv": map_csv(found)}
    texts |= {f"map-{ground}.svg": heat_map(found, ground) for ground in found.grounds}
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return [folder / name for name in texts]


def _row(found: FailureMap, line: Line, y: float) -> Iterator[str]:
    yield _text(8, y + 14, line.name, "#1b1f24")
    for column, name in enumerate(found.corruptions):
        x = NAMES + WIDTH * column
        cell = line.cells.get(name)
        fill, ink = _colours(cell, len(found.severities)) if cell is not None else ("#ffffff", "#1b1f24")
        yield (
            f'<rect x="{x + 1}" y="{y + 1}" width="{WIDTH - 2}" height="{HEIGHT - 2}" fill="{fill}" stroke="#dde1e7"/>'
        )
        if cell is not None and cell.text:
            yield _text(x + WIDTH / 2, y + 14, cell.text, ink, anchor="middle")


def _colours(cell: Cell, steps: int) -> tuple[str, str]:
    """Return fill and ink of a cell of a map with so many severities."""
    if cell.first is None:
        return "#ffffff", "#1b1f24"
    if cell.mixed or cell.direction == "×":
        return OTHER, "#ffffff"
    scale = RISES if cell.direction == "+" else FALLS
    place = max(round(cell.steps / steps * len(scale)), 1) - 1
    return scale[place], "#ffffff" if place >= len(scale) - 2 else "#1b1f24"


def _text(x: float, y: float, text: str, ink: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{ink}" text-anchor="{anchor}">{escape(text)}</text>'


def _spans(sizes: list[int]) -> str:
    return " or ".join(map(str, sizes))
