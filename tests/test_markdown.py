"""The tables for reading say what the records say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genbench.markdown import (
    generalization_markdown,
    leaderboard_markdown,
    markdown_table,
    number,
    score_markdown,
    stability_markdown,
)
from genbench.records import Run, Score
from tests.makers import make_benchmark, make_estimate, make_run, make_score

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


def test_a_table_that_is_too_wide_becomes_several_that_share_the_first_column() -> None:
    header, rows = ["a", "bb", "c" * 30, "dd"], [["x", "1", "2", "3"], ["y", "4", "5", "6"]]
    assert markdown_table(header, rows, width=80) == markdown_table(header, rows)
    parts = markdown_table(header, rows, width=20).split("\n\n")
    assert parts == [markdown_table([header[0], header[i]], [[r[0], r[i]] for r in rows]) for i in (1, 2, 3)]
    assert [max(map(len, part.splitlines())) <= 20 for part in parts] == [True, False, True], "one column is not cut"
    assert len(markdown_table(header, rows, width=38).split("\n\n")) == 3
    assert len(markdown_table(header, rows, width=43).split("\n\n")) == 2


def test_the_leaderboard_lists_the_best_model_first_and_real_data_last() -> None:
    text = leaderboard_markdown(RUNS, BENCHMARK)
    assert text.index("| gan") < text.index("| vae") < text.index("| *real data*")
    assert "digits-cnn `abababababab`" in text
    assert "quick" not in text.lower()


def label_test(value: float, p_value: float) -> Score:
    """A score of the label test."""
    estimate = make_estimate(value, debiased=None, null=0.5, extra={"p_value": p_value})
    return make_score(split=None, metric="label_test", better="match", estimate=estimate)


def with_label_test(run: Run, value: float, p_value: float) -> Run:
    """The record with one score more."""
    return replace(run, scores=(*run.scores, label_test(value, p_value)))


REAL = make_run("real", None, 1.0, recipe={"control": "real samples that no score compares with"})
REPLAY = make_run("replay", None, 0.1, recipe={"control": "training samples as they are"})


def test_controls_are_below_the_models_in_italics_and_explained() -> None:
    for table in (leaderboard_markdown, stability_markdown, generalization_markdown):
        text = table([REPLAY, *RUNS, REAL], BENCHMARK)
        assert text.index(" vae ") < text.index(" *real* ") < text.index(" *replay* ")
        assert "Controls, not ranked: *real*, real samples that no score compares with; *replay*, training" in text


def test_the_real_control_takes_the_place_of_the_score_of_real_data() -> None:
    for table in (leaderboard_markdown, generalization_markdown):
        assert "real data" in table(RUNS, BENCHMARK).replace("to real data", "").lower()
        assert "real data" not in table([*RUNS, REAL], BENCHMARK).replace("to real data", "").lower()
        assert "real data" in table([*RUNS, REPLAY], BENCHMARK).replace("to real data", "").lower()


def test_the_verdict_on_memorization_corrects_for_the_number_of_seeds() -> None:
    runs = [with_label_test(run, 0.5, p) for run, p in zip(RUNS, (0.02, 0.3, 0.9, 0.8, 0.9, 0.7), strict=True)]
    text = generalization_markdown([*runs, with_label_test(REPLAY, 1.0, 1e-9)], BENCHMARK)
    assert verdicts(text) == {
        "gan": ["no evidence", "0.5", "0.5", "0.06", "0.12", "599"],
        "vae": ["no evidence", "0.5", "0.5", "1", "1", "599"],
        "*replay*": ["memorized", "1", "0.5", "1e-09", "1e-09", "599"],
    }


def verdicts(text: str) -> dict[str, list[str]]:
    """Cells of the table of verdicts, by model."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n\n")[2].splitlines()[2:]]
    return {row[0]: row[1:7] for row in rows}


def test_a_label_test_that_failed_for_a_model_is_a_dash() -> None:
    text = generalization_markdown([*RUNS, with_label_test(REPLAY, 1.0, 1e-9)], BENCHMARK)
    assert verdicts(text)["gan"] == ["not tested", *"–––––"]


def test_what_memorized_is_said_in_a_sentence_with_test_p_and_n() -> None:
    text = generalization_markdown([*RUNS, with_label_test(REPLAY, 1.0, 1e-9)], BENCHMARK)
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- replay (control): memorized; of the generated samples nearest to real ones, 100% are nearest to a training "
        "sample, where chance gives 50% (label test: p = 1e-09; n = 599)."
    ]


def test_a_record_that_is_missing_is_named() -> None:
    text = generalization_markdown([run for run in RUNS if run is not RUNS[1]], BENCHMARK)
    assert "No record of gan from seed 1, which others have." in text


def test_quick_tables_say_so() -> None:
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
