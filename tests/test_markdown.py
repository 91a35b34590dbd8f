"""The tables for reading say what the records say."""

from __future__ import annotations

import pytest

from genbench.markdown import (
    generalization_markdown,
    leaderboard_markdown,
    markdown_table,
    number,
    score_markdown,
    stability_markdown,
)
from tests.makers import make_benchmark, make_run, make_score

BENCHMARK = make_benchmark(name="digits", primary="fd@digits-cnn.pool", curve=("fd@digits-cnn.pool",))
RUNS = [make_run("gan", s, 2.0 + s / 10) for s in range(3)] + [make_run("vae", s, 8.0 + s / 10) for s in range(3)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (12.34567, "12.35"),
        (0.00012345, "0.0001234"),
        (161.04, "161"),
        (56789.4, "56789"),
    ],
)
def test_numbers_have_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_columns_line_up() -> None:
    lines = markdown_table(["a", "bb"], [["xxx", "1"], ["y", "22222"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "|-----|------:|"


def test_the_leaderboard_lists_the_best_model_first_and_real_data_last() -> None:
    text = leaderboard_markdown(RUNS, BENCHMARK)
    assert text.index("| gan") < text.index("| vae") < text.index("| *real data*")
    assert "digits-cnn `abababababab`" in text
    assert "quick" not in text.lower()


def test_quick_tables_say_so() -> None:
    from dataclasses import replace

    quick = replace(BENCHMARK, quick=True)
    for table in (leaderboard_markdown, stability_markdown, generalization_markdown):
        assert "digits@1-quick" in table(RUNS, quick)
        assert "not comparable with a full run" in table(RUNS, quick)


def test_failures_are_visible() -> None:
    runs = [*RUNS, make_run("gan", 3, scores=(), failure="diverged")]
    assert "1 of 4 [" in stability_markdown(runs, BENCHMARK)


def test_the_generalization_table_has_the_gap_and_its_interval() -> None:
    line = next(x for x in generalization_markdown(RUNS, BENCHMARK).splitlines() if " gan " in x)
    assert [cell.strip() for cell in line.split("|")][3:6] == ["2", "2.1", "0.1"]


def test_a_score_that_failed_is_shown_as_failed() -> None:
    text = score_markdown([make_score(), make_score(estimate=None)])
    assert "failed" in text.splitlines()[-1]
    assert "[0.5, 1]" in text.splitlines()[-2]
