"""Every metric still gives the scores that it gave before it was made faster.

What rounding allows, relative to the largest of an estimate's value, debiased value, error and limits:

- sums and closed forms (kernels, classes, moments, likelihoods) over at most 1,100 rows: n * 2^-53 is 1.2e-13;
- the group jackknife multiplies the rounding of its replicates by 20: 2.4e-12;
- Fréchet and Gaussian scores end in singular values, known to some d * 2^-52 of the trace: 2e-14 at d = 80;
- neighbours and thresholds are counts: they hold exactly, or differ by a whole 1/n, which no tolerance here forgives;
- exact transport is a certified minimum; two optimal plans cost the same to the rounding of their sums;
- classifiers are fitted to convergence, and a Newton step squares what is left.

1e-9 leaves two digits for another order of sums (measured: entries moved by 1e-15 of themselves move no score of a set
without ties by more than 3e-13). Sinkhorn's iterations stop at 1e-8 of the mean cost, and may stop elsewhere.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from tests.golden.scores.make import CASES, FILE, NUMBERS, built_in, offered, score

GOLDEN: dict[tuple[str, str], Any] = {(case, name): found for case, name, found in json.loads(FILE.read_text("utf-8"))}
METRICS = sorted({name for _, name in GOLDEN})
RELATIVE = {"sinkhorn": 1e-5}
ABSOLUTE = 1e-9
"""Between numbers of order 1 that cancel: all sets but the far one, of which no score is 0, have unit deviation."""
DIAGNOSTICS = {"duality_gap", "marginal_error", "iterations"}
"""How far a solver got, which is its own business as long as the score stays."""


@cache
def given(case: str) -> dict[str, Any]:
    return offered(case)


def moved(name: str, case: str) -> dict[str, Any]:
    """The numbers that are not what they were, with what they were."""
    old, new = GOLDEN[case, name], score(name, given(case))
    if isinstance(old, str) or isinstance(new, str):
        return {} if old == new else {case: (old, new)}
    sizes = [abs(old[number]) for number in NUMBERS if old[number] is not None]
    share = RELATIVE.get(name, 1e-9)
    found = {}
    for number, before in old.items():
        if number in DIAGNOSTICS or (number == "direction_share" and case == "the same set"):
            continue  # a share of an error of 0
        size = max(sizes) if number in NUMBERS else abs(before)
        if before is None or new[number] is None:
            same = before is new[number]
        else:
            same = new[number] == pytest.approx(before, rel=0, abs=max(share * size, ABSOLUTE))
        if not same:
            found[number] = (before, new[number])
    return found


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_gives_the_scores_it_gave(name: str) -> None:
    changed = {case: found for case in CASES if (found := moved(name, case))}
    assert changed == {}


def test_no_metric_of_the_file_was_dropped() -> None:
    assert set(METRICS) <= set(built_in())
    assert {case for case, _ in GOLDEN} == set(CASES)


def test_a_score_that_moves_by_a_millionth_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    old = GOLDEN["equal sizes", "fd"]
    monkeypatch.setitem(GOLDEN, ("equal sizes", "fd"), old | {"value": old["value"] * (1 + 1e-6)})
    assert set(moved("fd", "equal sizes")) == {"value"}
