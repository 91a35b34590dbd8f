"""The leaderboard as a LaTeX table: whole, escaped, bold where no model is better."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from genbench.errors import UsageError
from genbench.latex import escape, leaderboard_latex
from genbench.records import Run
from tests.makers import make_benchmark, make_estimate, make_run, make_score

BENCHMARK = make_benchmark(name="digits", primary="fd@digits-cnn.pool", curve=("fd@digits-cnn.pool",))


def trainings(model: str, values: list[float], **changes: object) -> list[Run]:
    """One final run per value, with seeds 0, 1, 2 ..."""
    return [make_run(model, seed, value, **changes) for seed, value in enumerate(values)]


def control(name: str, value: float) -> Run:
    """The record of a control."""
    return make_run(name, None, value, recipe={"control": "something known"})


def cells_of(text: str) -> list[list[str]]:
    """The rows of a LaTeX table, cut at the ampersands that are none of the text's."""
    lines = [line.strip() for line in text.splitlines() if line.endswith(r"\\")]
    return [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in lines]


def test_the_latex_table_is_whole() -> None:
    runs = trainings("gan_50%", [1.0, 1.1]) + trainings("vae", [9.0, 9.1]) + [control("real", 1.0)]
    text = leaderboard_latex(runs, BENCHMARK)
    rows = cells_of(text)
    columns = re.search(r"\\begin\{tabular\}\{(l+r+)\}", text)
    assert columns is not None
    assert {len(r) for r in rows} == {len(columns[1])} == {5}
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1] == ["table", "tabular"]
    assert [r[0] for r in rows] == ["model", r"gan\_50\%", "vae", r"\textit{real}"]
    assert rows[1][2] == r"\textbf{1.05}"
    assert rows[2][2] == "9.05"
    assert text.count(r"\midrule") == 2
    assert "$n = 200$" in text
    assert "2 completed trainings" in text


def test_latex_is_bold_for_every_model_that_none_is_better_than_and_never_for_the_unranked() -> None:
    runs = trainings("a", [1.0, 1.2, 1.1]) + trainings("b", [1.1, 1.3, 1.2]) + trainings("c", [0.1, 0.1])
    rows = {r[0]: r for r in cells_of(leaderboard_latex(runs, BENCHMARK))}
    assert [rows[m][2].startswith(r"\textbf") for m in "abc"] == [True, True, False]
    assert rows["c"][1] == "--"
    assert r"Not ranked: c (seed 2 missing)." in leaderboard_latex(runs, BENCHMARK)


def test_latex_escapes_everything_that_means_something() -> None:
    written = escape('\\ { } $ & # % _ ^ ~ < > | "')
    commands = r"\\(text[a-z]+\{\}|[{}$&#%_])"
    assert not re.search(r"[\\{}$&#%_^~<>|\"]", re.sub(commands, "", written))
    assert len(re.findall(commands, written)) == 13


def test_latex_writes_minus_and_powers_as_mathematics() -> None:
    runs = [
        make_run("a", s, scores=(make_score(estimate=make_estimate(v, debiased=-v)),))
        for s, v in ((0, 2e-9), (1, 4e-9))
    ]
    rows = cells_of(leaderboard_latex(runs, BENCHMARK))
    assert rows[1][2:4] == [r"\textbf{3$\times 10^{-9}$}", r"$-$3$\times 10^{-9}$"]


def test_latex_refuses_a_metric_that_was_not_scored() -> None:
    with pytest.raises(UsageError, match="no score under kd"):
        leaderboard_latex(trainings("a", [1.0]), BENCHMARK, ["kd@digits-cnn.pool"])


def test_quick_latex_says_so() -> None:
    text = leaderboard_latex(trainings("a", [1.0, 2.0], quick=True), replace(BENCHMARK, quick=True))
    assert "not comparable with a full one" in text
