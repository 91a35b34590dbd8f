"""The audit of a user's own metric, its tables and its exit codes."""

from __future__ import annotations

import argparse
import json
import math

import pytest

from genbench.audit import run
from genbench.audit.finding import Finding, findings_from_json, within
from genbench.audit.generic import any_metric
from genbench.audit.run import Audit, do_task, load_metric, tasks_of
from genbench.audit.stability import over_n, over_spaces
from genbench.audit.text import markdown_text, terminal_text
from genbench.cli import audit as verb
from genbench.errors import DeclarationError, UnknownNameError, UsageError
from genbench.findings import FailureMap
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.registry import METRICS


def mean_gap(*, generated, reference):
    """Distance of the means: a plain number, with the jackknife around it by declaration."""
    return float((generated.values.mean(0) - reference.values.mean(0)).norm())


def needs_thousands(*, generated):
    from genbench.errors import SampleError

    raise SampleError(f"needs_thousands: 5,000 samples expected, got {Features.of(generated).n}.")


def divides(*, generated):
    return 1 / 0


def own(compute, **changes):
    fields = {"space": "pool", "unit": "none", "better": "lower", "ideal": None, "uncertainty": "jackknife"}
    return Metric(name="own", compute=compute, source="nowhere", **{**fields, **changes})


MEAN_GAP = own(mean_gap)
EMPTY = FailureMap(version="0", seed=0, quick=True, severities=(), grounds={}, corruptions={}, lines=(), unscored={})


def audit_of(*findings, quick=True):
    return Audit(findings=findings, ladder=EMPTY, quick=quick, seed=0)


GOOD = within("bias", "fd", "good", 1.0, low=0.0, high=4.0)
BAD = within("null", "w1", "bad", 9.0, low=0.0, high=4.0, note="far off")
TOLD = Finding(part="stability", metric="kd", case="told", expected="not promised", found=0.5, ok=None)
LOST = Finding(
    part="known answer", metric="own", case="120 samples", expected="a score", found=None, ok=None, note="few"
)


def test_a_users_metric_is_asked_what_can_be_asked_of_any():
    found = any_metric(MEAN_GAP, quick=True, seed=0, called="mine:GAP")
    assert {f.metric for f in found} == {"mine:GAP"}
    assert {f.part for f in found} == {"known answer", "direction", "coverage", "stability"}
    assert [f for f in found if f.ok is not True and f.part != "coverage"] == []


def test_a_metric_that_refuses_the_data_is_not_judged_and_one_that_crashes_is_at_fault():
    refused, crashed = (any_metric(own(c), quick=True, seed=0) for c in (needs_thousands, divides))
    assert [(f.ok, f.undecided) for f in refused] == [(None, True)]
    assert "5,000 samples expected" in refused[0].note
    assert [f.ok for f in crashed] == [False]
    assert "ZeroDivisionError" in crashed[0].note


def test_degenerate_sets_are_asked_for_and_a_refusal_by_name_is_an_answer():
    cases = {f.case: f for f in any_metric(METRICS.load("kl_gaussian"), quick=True, seed=0)}
    assert cases["all one point"].ok
    assert "kl_gaussian" in cases["all one point"].note


def test_a_debiased_value_agrees_with_itself_over_n_and_others_are_told():
    judged = over_n(METRICS.load("kl_modes"), quick=True, seed=0)
    assert [(f.ok, f.low is None) for f in judged] == [(True, False)]
    told = over_n(METRICS.load("auth_pct"), quick=True, seed=0)
    assert [(f.ok, f.expected) for f in told] == [(None, "not promised")]
    assert over_n(own(needs_thousands), quick=True, seed=0) == []


def test_spaces_are_compared_by_rank_and_metrics_of_logits_are_left_out():
    found = over_spaces(METRICS.load("fd"), seed=0)
    assert [f.ok for f in found] == [None, None]
    assert all(0.3 < f.found <= 1 for f in found)
    assert over_spaces(METRICS.load("is"), seed=0) == []
    assert over_spaces(own(needs_thousands), seed=0) == []


def test_tasks_are_those_of_the_metric_and_every_one_can_be_done_alone():
    tasks = tasks_of("unique_fraction", quick=False)
    assert [task.work for task in tasks][-3:] == ["any", "size", "spaces"]
    assert tasks_of("unique_fraction", quick=True) == tasks[:-1]
    found = [finding for task in tasks for finding in do_task(task, quick=True, seed=0)]
    assert {f.metric for f in found} == {"unique_fraction"}
    assert all(f.ok is not False for f in found)
    assert found == [finding for task in tasks for finding in do_task(task, quick=True, seed=0)]


def test_names_that_are_no_metrics_are_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'coverage'"):
        load_metric("coverag")
    with pytest.raises(DeclarationError, match=r"a genbench\.Metric expected, got function"):
        load_metric("genbench.metrics.frechet:fd")


@pytest.mark.parametrize(("findings", "code"), [((GOOD, TOLD), 0), ((GOOD, BAD, LOST), 1), ((GOOD, LOST), 3)])
def test_exit_codes(findings, code):
    assert audit_of(*findings).exit_code == code


def test_the_terminal_table_has_the_worst_first_within_80_columns_and_says_what_was_missed():
    text = terminal_text(audit_of(GOOD, TOLD, LOST, BAD))
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["w1", "fd", "kd", "own"]
    assert max(map(len, lines)) <= 80
    assert "w1: null: bad: expected 0 to 4; found 9, allowed 0 to 4 (far off)" in " ".join(text.split())
    assert "A promise is missed. 1 of 2 promises of 4 metrics are kept" in " ".join(text.split())


def test_names_can_neither_move_the_cursor_nor_make_markup():
    evil = within("bias", "a\x1b[2J|<b>", "case | *x*", math.nan, low=0.0)
    assert "\x1b" not in terminal_text(audit_of(evil))
    page = markdown_text(audit_of(evil))
    assert "<b>" not in page
    assert "| *x*" not in page


@pytest.fixture
def parsed():
    top = argparse.ArgumentParser()
    verb.add_parser(top.add_subparsers())
    return lambda *words: top.parse_args(["audit", *words])


def test_the_verb_prints_and_writes_and_returns_the_code(parsed, monkeypatch, tmp_path, capsys):
    asked = {}

    def audit(metrics, **options):
        asked.update(metrics=metrics, **options)
        return audit_of(GOOD, BAD)

    monkeypatch.setattr(run, "audit", audit)
    args = parsed(
        "--quick", "--metric", "fd", "--metric", "w1", "--workers", "3", "--seed", "5", "--out", str(tmp_path)
    )
    assert args.call(args) == 1
    shown = asked.pop("progress")
    assert shown.enabled
    assert asked == {"metrics": ["fd", "w1"], "quick": True, "seed": 5, "workers": 3}
    assert capsys.readouterr().out.startswith("metric")
    assert findings_from_json((tmp_path / "audit.json").read_text()) == [GOOD, BAD]
    assert json.loads((tmp_path / "audit.json").read_text())["exit_code"] == 1
    assert "| w1" in (tmp_path / "audit.md").read_text()
    assert (tmp_path / "map.json").exists()


@pytest.mark.parametrize("words", [("--workers", "0"), ("--seed", "-1")])
def test_wrong_usage_is_refused_before_any_work(parsed, words):
    args = parsed(*words)
    with pytest.raises(UsageError, match=r"^--(workers|seed): "):
        args.call(args)


def test_an_audit_in_processes_is_that_in_one(monkeypatch):
    """All but the ladder, which has tests of its own; most of the time is two processes' import of torch."""
    monkeypatch.setattr(run, "climb", lambda *args, **options: EMPTY)
    alone = run.audit(["unique_fraction"], quick=True, seed=0)
    assert alone.exit_code == 0
    assert {f.part for f in alone.findings} == {"known answer", "null", "direction", "stability"}
    assert run.audit(["unique_fraction"], quick=True, seed=0, workers=2) == alone
