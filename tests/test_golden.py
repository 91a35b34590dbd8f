"""Every released form of a record still loads: results outlive the version that wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from genbench.records import Run

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.name)
def test_a_released_record_loads_and_keeps_its_numbers(path: Path) -> None:
    run = Run.from_json(path.read_text())
    assert run.sampler == "gan"
    assert [s.estimate.value for s in run.scores if s.estimate] == [0.9, 1.0]
    assert run.to_json() == path.read_text()


def test_there_is_a_golden_record_for_every_schema_version() -> None:
    assert [path.name for path in GOLDEN] == ["run-1.json"]
