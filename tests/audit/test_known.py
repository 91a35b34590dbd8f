"""Broken metrics are caught and intact ones are not; every built-in metric is held against something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genbench.audit.case import FULL, judge_case
from genbench.audit.generic import any_metric
from genbench.audit.known import CASES, cases_of
from genbench.audit.promises import FAMILY_LEVEL, LEVEL, MOST_BOUNDS, Between, Exactly
from genbench.audit.run import built_in
from genbench.registry import METRICS
from tests.audit.broken import BROKEN

DRAWS = {"cross_entropy": 200}
"""Of cases that need more than 24: the error of a deviation over R draws, 1/sqrt(2 R), is a seventh of log sqrt(2)."""


def judged(metric, case):
    """Findings of one case of the quick audit, or of what is asked of any metric."""
    if not case:
        return any_metric(metric, quick=True, seed=0)
    chosen = next(each for each in cases_of(metric.name) if each.name == case)
    draws = min(chosen.draws, DRAWS.get(metric.name, 24))
    return judge_case(replace(chosen, draws=draws), metric, quick=True, seed=0)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_metric_is_caught_under_the_part_that_it_breaks(name):
    broken = BROKEN[name]
    found = judged(broken.metric, broken.case)
    assert any(finding.ok is False and finding.part == broken.part for finding in found)


@pytest.mark.parametrize(("name", "case"), sorted({(b.metric.name, b.case) for b in BROKEN.values()}))
def test_the_intact_metric_passes_the_same_case(name, case):
    assert [f for f in judged(METRICS.load(name), case) if f.ok is not True] == []


@pytest.mark.parametrize("name", built_in())
def test_a_built_in_metric_keeps_its_exact_promises(name):
    cases = [case for case in cases_of(name) if case.draws == 1]
    found = [f for case in cases for f in judge_case(case, METRICS.load(name), quick=True, seed=1)]
    assert [f for f in found if f.ok is not True] == []


def test_the_interval_of_w1_covers_where_sets_lie_apart():
    """12 draws; at a coverage of .92 fewer than 4 intervals cover with probability 1e-6."""
    case = next(each for each in cases_of("w1") if each.name == "Gaussians apart in 8 dimensions")
    found = judge_case(replace(case, draws=12), METRICS.load("w1"), quick=True, seed=0)
    assert [f for f in found if f.ok is not True] == []


def test_every_built_in_metric_has_a_known_answer_and_a_bound_over_draws():
    for name in built_in():
        promises = [promise for case in cases_of(name) for promise in case.promises]
        assert any(p.part == "known answer" for p in promises), name
        assert any(not isinstance(p, Exactly | Between) for p in promises), name
        assert all(case.promises for case in cases_of(name)), name


def test_cases_name_metrics_that_exist_and_no_two_of_a_metric_have_one_name():
    assert {name for case in CASES for name in case.metrics} == set(built_in())
    for name in built_in():
        names = [case.name for case in cases_of(name)]
        assert len(set(names)) == len(names), name


def test_there_are_fewer_bounds_than_the_level_is_shared_out_among():
    """Beside the cases, no metric has more than six bounds: coverage, null, error and direction, and two over n."""
    bounds = sum(len(case.metrics) * sum(not isinstance(p, Exactly | Between) for p in case.promises) for case in CASES)
    assert bounds + 6 * len(built_in()) <= MOST_BOUNDS
    assert pytest.approx(FAMILY_LEVEL) == LEVEL * MOST_BOUNDS


def test_the_full_audit_takes_more_draws_and_another_seed_other_data():
    case = next(each for each in cases_of("high_quality") if each.draws > 1)
    seeds = []
    counted = replace(case, draw=lambda seed: seeds.append(seed) or case.draw(seed), draws=3)
    metric = METRICS.load("high_quality")
    judge_case(counted, metric, quick=True, seed=0)
    judge_case(counted, metric, quick=False, seed=0)
    judge_case(counted, metric, quick=True, seed=1)
    assert len(seeds) == 3 + 3 * FULL + 3
    assert seeds[:3] == seeds[3:6]
    assert not set(seeds[:3]) & set(seeds[-3:])


def test_a_refusal_is_a_missed_promise_that_says_why():
    case = replace(cases_of("fd")[0], draw=lambda seed: {"generated": np.ones((1, 2)), "reference": np.ones((1, 2))})
    found = judge_case(case, METRICS.load("fd"), quick=True, seed=0)
    assert [(f.ok, f.found) for f in found] == [(False, None)]
    assert "at least 2 samples" in found[0].note or "expected" in found[0].note
