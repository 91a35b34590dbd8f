"""What a gate prints: complete, within 80 columns, and safe whatever names say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from genbench.gate.baseline import Baseline
from genbench.gate.layout import WIDTH, percent
from genbench.gate.plan import Plan, Power
from genbench.gate.result import Result
from genbench.gate.text import change_text, headline, markdown_text, plan_json, plan_text, terminal_text
from tests.gate.shown import HOSTILE, make_result, make_row, three_verdicts
from tests.makers import make_estimate, make_run, make_score


def test_a_result_that_fits_is_one_table() -> None:
    assert terminal_text(make_result()) == (
        "PASS: wgan-gp against baselines/digits.json (baseline: gan), digits@1\n"
        "Not worse than the baseline by the margin or more.\n"
        "\n"
        "metric  baseline    new  difference    90% interval  margin  verdict\n"
        "fd ↓       3.214  3.301      +0.087  [-0.02, 0.194]  0.2847  pass\n"
        "\n"
        "Metrics in full:\n"
        "  fd@digits-cnn.pool ↓: debiased, n = 4,000; margin 0.2847 (5% of the baseline\n"
        "    and 2 standard errors); p = 0.997 for a regression, 0.00261 for a pass.\n"
        "\n"
        "Difference: new minus baseline. Interval: two one-sided bounds at 95% each. A\n"
        "verdict needs p < 0.05; at most 5% of checks of a generator that is within its\n"
        "margin report a finding.\n"
        "Repeats are samples: this is about two generators.\n"
        "Looks: one.\n"
    )


def test_a_result_that_is_too_wide_groups_metrics_by_verdict() -> None:
    lines = terminal_text(three_verdicts()).splitlines()
    assert lines[:11] == [
        "REGRESSION: wgan-gp against baselines/digits.json (baseline: gan), digits@1",
        "Worse than the baseline by more than the margin: fd ↓.",
        "",
        "metric         baseline    new  difference        90% interval  margin",
        "regression:",
        "fd ↓              3.214    5.5      +2.286      [2.179, 2.393]  0.2847",
        "inconclusive:",
        "recall ↑          0.912  0.871      -0.041  [-0.0712, -0.0108]  0.0456",
        "pass:",
        "entropy_knn ≈       0.1   0.09       -0.01          [-0.02, 0]   0.005",
        "",
    ]


def test_long_names_and_numbers_stay_within_80_columns() -> None:
    rows = [
        make_row(f"w2,rows=500@extractor-{space}.layer-of-some-length", baseline=-1.23e-9, new=-1.23e-9, low=-1.23e-9)
        for space in ("one", "two")
    ]
    text = terminal_text(make_result(*rows))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "w2,rows=500@extractor-one.layer-of-some-length ↓\n" in text


def test_names_are_shortened_only_where_no_other_metric_has_the_same() -> None:
    found = terminal_text(make_result(make_row("fd@a.pool"), make_row("fd@b.pool"), make_row("kd@a.pool")))
    table = found.split("\n\n")[1]
    assert "fd@a.pool ↓" in table
    assert "fd@b.pool ↓" in table
    assert "\nkd ↓" in table


@pytest.mark.parametrize("text", [terminal_text, markdown_text])
def test_everything_a_reader_needs_is_said(text: Callable[[Result], str]) -> None:
    found = " ".join(text(three_verdicts()).split())
    for fact in (
        "5% of the baseline and 2 standard errors",
        "recall@digits-cnn.pool",
        "not debiased",
        "n = 8,000 new and 4,000 of the baseline",
        "Holm",
        "distances from what real data score",
        "about 9,000 samples",
    ):
        assert fact in found


def test_the_level_of_the_interval_is_that_of_both_bounds() -> None:
    """Three looks at 5% in all: each bound at 1 - 0.05/3 = 98.33%, both together at 1 - 2 * 0.05/3 = 96.67%."""
    text = terminal_text(make_result(alpha=0.05 / 3, looks=2, most_looks=3))
    assert "96.67% interval" in text
    assert "bounds at 98.33% each" in text
    assert "Looks: 2 of at most 3" in text
    assert "at most 5% of" in " ".join(text.split())


def test_trainings_are_counted_and_two_sided_checks_say_so() -> None:
    text = terminal_text(make_result(unit="seeds", runs_new=5, runs_baseline=4, two_sided=True, alpha=0.025))
    assert "Trainings: 5 new, 4 of the baseline." in text
    assert "Two-sided: each side has half of the level." in text


def test_an_unknown_error_is_not_an_interval() -> None:
    row = make_row(low=None, high=None, std_error=None, verdict="inconclusive")
    assert "unknown" in terminal_text(make_result(row))


def test_a_baseline_without_a_file_is_named() -> None:
    assert headline(make_result(against="")) == "PASS: wgan-gp against gan, digits@1"


def test_no_name_can_move_the_cursor_or_start_a_line() -> None:
    row = make_row(HOSTILE, margin_from=HOSTILE)
    found = make_result(
        row, name_new=HOSTILE, name_baseline=HOSTILE, against=HOSTILE, benchmark=HOSTILE, notes=(HOSTILE,)
    )
    text = terminal_text(found)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not any(line.startswith("<img") for line in text.splitlines())


def test_no_name_can_make_markup() -> None:
    """Rendered by a CommonMark implementation with tables and HTML, as GitHub does."""
    markdown_it = pytest.importorskip("markdown_it")
    row = make_row(HOSTILE, margin_from=HOSTILE)
    mails = make_row("https://evil.example/|x@y.zz")
    found = make_result(row, mails, name_new=HOSTILE, against=HOSTILE, benchmark=HOSTILE, notes=(HOSTILE,))
    html = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown_text(found))
    assert "<img" not in html
    assert "<a " not in html
    assert "<em>" not in html
    assert html.count("<tr>") == 3
    assert html.count("<td") == 2 * 7


def test_names_of_metrics_do_not_become_mail_addresses_in_markdown() -> None:
    """GitHub links ``fd@digits-cnn.pool`` as an address of mail, unless it is code."""
    outside_code = re.sub(r"`[^`]*`", "", markdown_text(three_verdicts()))
    assert "@" not in outside_code


def test_markdown_tables_put_the_worst_metric_first_and_stress_it() -> None:
    rows = [line for line in markdown_text(three_verdicts()).splitlines() if line.startswith("| ")]
    assert [row.split("|")[-2].strip() for row in rows] == ["verdict", "**regression**", "**inconclusive**", "pass"]


def test_chances_that_are_not_certain_do_not_read_as_certain() -> None:
    shares = (0, 1e-9, 0.05, 0.9667, 1 - 1e-9, 1)
    assert [percent(share) for share in shares] == ["0%", "<0.1%", "5%", "96.67%", ">99.9%", "100%"]


def make_plan_of(metric: str, *, finds: float | None = None, **changes: Any) -> Plan:
    """A plan of two sizes; at the second, no difference is detectable."""
    sizes = tuple(
        Power(size=n, std_error=0.01, margin=0.02, passes=0.75, detects=detects, finds=finds)
        for n, detects in ((1000, 0.05), (2000, math.inf))
    )
    known = {"unit": "samples", "score": 0.75, "have": 1000, "alpha": 0.05, "power": 0.8, "bound": False}
    return Plan(**{"metric": metric, "sizes": sizes, **known, **changes})


def baseline_of(*values: float, **changes: Any) -> Baseline:
    """A baseline with a training for every value."""
    runs = tuple(make_run(seed=seed, value=value) for seed, value in enumerate(values))
    return replace(Baseline(runs=runs, primary=("fd@digits-cnn.pool",)), **changes)


def test_a_plan_is_a_table_by_size_with_a_sentence_how_to_read_it() -> None:
    plan = make_plan_of("fd@digits-cnn.pool", difference=0.04, needed=1234, finds=0.5, bound=True)
    text = plan_text([plan], baseline_of(1.0))
    assert [line.rstrip() for line in text.splitlines()[2:6]] == [
        "fd@digits-cnn.pool ↓: the baseline scores 0.75 at n = 1,000",
        "    n  error  margin  passes  detects  of score  finds 0.04",
        "1,000   0.01    0.02     75%     0.05     6.67%         50%  <- now",
        "2,000   0.01    0.02     75%      inf         –         50%",
    ]
    assert "n = 1,234 samples on both sides" in " ".join(text.split())
    assert "upper bounds" in text
    assert "reported with a chance of 80%" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_plan_says_where_no_size_is_enough() -> None:
    text = plan_text([make_plan_of("fd@digits-cnn.pool", difference=0.01, finds=0.01)], baseline_of(1.0))
    assert "No n finds a generator that is worse by 0.01" in text


def test_plans_are_json_without_infinities() -> None:
    (found,) = json.loads(plan_json([make_plan_of("fd@digits-cnn.pool")]))
    assert found["sizes"][1]["detects"] is None
    assert found["sizes"][0]["detects"] == 0.05


def test_a_first_baseline_has_one_column_of_scores() -> None:
    text = change_text(None, baseline_of(1.0, 1.5, margins={"fd@digits-cnn.pool": "10%"}))
    # Debiased values lie 0.25 below; the mean over trainings is (0.75 + 1.25) / 2.
    assert text.splitlines()[0] == "NEW BASELINE: gan, digits@1"
    assert text.splitlines()[-1].split() == ["fd@digits-cnn.pool", "↓", "1", "599", "0,", "1", "10%"]


def test_an_update_says_what_changed_and_what_went() -> None:
    old = baseline_of(1.0)
    kd = replace(make_score(estimate=make_estimate(2.0)), metric="kd", n_generated=400)
    new = Baseline(runs=(make_run("new", seed=3, scores=(kd,)),), primary=("kd@digits-cnn.pool",))
    lines = change_text(old, new).splitlines()
    assert lines[0] == "UPDATED: new, digits@1 (was gan, digits@1)"
    assert lines[3].split() == ["kd@digits-cnn.pool", "↓", "–", "1.75", "400", "3", "default"]
    assert lines[4].split()[:5] == ["fd@digits-cnn.pool", "↓", "(no", "longer", "gated)"]


def test_an_update_of_size_and_seeds_shows_both() -> None:
    text = change_text(baseline_of(1.0), baseline_of(1.0, 1.5, 2.0, 2.5, 3.0, 3.5))
    assert "0 -> 6 trainings" in text
