"""The map as a reader gets it: table, CSV, heat map, sentences; and the one that is packaged."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from genbench.audit.corruptions import CORRUPTIONS
from genbench.audit.failure_map import heat_map, map_csv, map_markdown, map_table, write_map
from genbench.audit.ladder_checks import ladder_findings
from genbench.errors import ProtocolError
from genbench.findings import Cell, FailureMap, Ground, Line, legend, read_map, sentence, severity_text
from genbench.metrics.catalogue import read_catalogue

BLANK = Cell(first=None, direction="", mixed=False, steps=0, spearman=None, whole=False, medians=(1.0, 1.0))
RISES = replace(BLANK, first=0.2, direction="+", steps=2, spearman=1.0, whole=True, medians=(2.0, 3.0))
FALLS = replace(BLANK, first=0.8, direction="-", steps=1, spearman=-1.0, whole=True, medians=(1.0, 0.1))
GONE = replace(BLANK, first=0.8, direction="×", steps=1, medians=(1.0, None))
BOTH = replace(RISES, mixed=True)

FD = Line(
    metric="fd",
    form="",
    ground="mixture",
    n=400,
    clean=(0.5, 1.0, 1.5),
    cells={"mode drop": RISES, "noise": FALLS, "blur": BLANK, "copies": GONE},
)
MAP = FailureMap(
    version="0.1.0",
    seed=0,
    quick=False,
    severities=(0.2, 0.8),
    grounds={"mixture": Ground(about="ten <normals>", clean=40, draws=5, needed=3, false_alarm=0.007)},
    corruptions={name: f"What {name} does." for name in FD.cells},
    lines=(FD, replace(FD, form="per class", cells={**FD.cells, "blur": BOTH})),
    unscored={"fid on mixture": "another name"},
)


def test_a_map_survives_json() -> None:
    assert FailureMap.from_json(MAP.to_json()) == MAP
    assert MAP.to_json().count('\n  {"metric"') == 2  # a line of the map to a line of text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 2}', '{"schema_version": 1, "severities": []}'])
def test_what_is_no_map_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ProtocolError, match="run 'genbench audit' again"):
        FailureMap.from_json(text)


def test_a_sentence_says_what_is_seen_and_what_is_not() -> None:
    assert sentence(FD, severities=MAP.severities) == (
        "fd rises with mode drop (from .2); falls with noise (from .8); cannot be computed with copies (from .8); "
        "is blind to blur up to .8."
    )
    assert "moves both ways with blur (from .2)" in sentence(MAP.lines[1], severities=MAP.severities)
    assert sentence(replace(FD, cells={"noise": FALLS}), severities=(0.8,)) == "fd falls with noise (from .8)."


def test_severities_are_short() -> None:
    assert [severity_text(s) for s in (0.05, 0.8, 1.0)] == [".05", ".8", "1"]


def test_the_table_has_a_row_for_every_line_and_a_column_for_every_corruption() -> None:
    assert list(map_table(MAP, "mixture")) == [
        "| metric | mode drop | noise | blur | copies |",
        "|---|---|---|---|---|",
        "| fd | +.2 | −.8 |  | ×.8 |",
        "| fd (per class) | +.2 | −.8 | ±.2 | ×.8 |",
    ]
    text = map_markdown(MAP)
    assert legend(MAP, "mixture") in text
    assert (
        "at least 3 of 5 draws lie beyond all of 40 draws of clean samples (false alarms: at most 0.7% a cell)" in text
    )
    assert "- **noise**: What noise does." in text
    assert "- fid on mixture: another name" in text


def test_the_csv_has_a_row_for_every_cell() -> None:
    rows = list(csv.DictReader(io.StringIO(map_csv(MAP))))
    assert len(rows) == 8
    assert rows[0] == {
        "metric": "fd", "form": "", "data": "mixture", "n": "400", "corruption": "mode drop", "first_detected": "0.2",
        "direction": "+", "mixed": "False", "spearman": "1.0", "clean_low": "0.5", "clean_median": "1.0",
        "clean_high": "1.5", "median_0.2": "2.0", "median_0.8": "3.0",
    }  # fmt: skip
    assert rows[3]["median_0.8"] == ""


def test_the_heat_map_is_an_svg_that_says_in_signs_what_it_says_in_colours() -> None:
    root = ET.fromstring(heat_map(MAP, "mixture"))
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    for text in ("fd", "fd (per class)", "mode", "drop", "+.2", "−.8", "×.8", "±.2"):
        assert text in texts
    fills = {node.get("fill") for node in root.iter() if node.tag.endswith("rect")}
    assert len(fills) == 4  # white; dark orange; light blue; grey
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for node in root.iter():
        if node.get("x"):
            assert 0 <= float(node.get("x", "0")) + float(node.get("width", "0")) <= width
            assert 0 <= float(node.get("y", "0")) + float(node.get("height", "0")) <= height


def test_all_forms_are_written(tmp_path: Path) -> None:
    written = write_map(MAP, tmp_path)
    assert sorted(path.name for path in written) == ["map-mixture.svg", "map.csv", "map.json", "map.md"]
    assert FailureMap.from_json((tmp_path / "map.json").read_text(encoding="utf-8")) == MAP
    assert (tmp_path / "map.md").read_text(encoding="utf-8") == map_markdown(MAP)


def test_the_packaged_map_names_metrics_and_corruptions_that_exist() -> None:
    found = read_map()
    known = set(read_catalogue())
    assert {line.metric for line in found.lines} <= known
    assert {name.partition(" on ")[0].removesuffix(" (per class)") for name in found.unscored} <= known
    assert set(found.corruptions) == set(CORRUPTIONS)
    assert found.seed == 0
    for line in found.lines:
        assert list(line.cells) == list(found.corruptions)
        assert line.ground in found.grounds


def test_every_built_in_metric_stands_in_the_packaged_map_or_has_a_reason() -> None:
    found = read_map()
    for ground in found.grounds:
        scored = {line.metric for line in found.lines if line.ground == ground}
        reasons = {name.partition(" on ")[0] for name in found.unscored if name.endswith(f" on {ground}")}
        assert scored | reasons == set(read_catalogue())


def test_the_packaged_map_keeps_what_the_metrics_promise() -> None:
    found = ladder_findings(read_map())
    assert len(found) > 300
    assert [(f.metric, f.case, f.note) for f in found if not f.ok] == []


def test_reading_the_map_imports_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys; from genbench.findings import read_map; read_map(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
