"""The ladder detects what is there, at a false-alarm rate that is counted here, and finds nothing where nothing is."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from genbench.audit.grounds import TERRAINS, Modes
from genbench.audit.ladder import FULL, LEVEL, QUICK, Size, cell, climb, rule, spearman
from genbench.audit.ladder_checks import SEES, ladder_findings
from genbench.audit.ladder_scores import plan
from genbench.errors import UnknownNameError
from genbench.extractors.identity import Identity
from genbench.findings import FailureMap, Line
from genbench.metrics.catalogue import read_catalogue

OWN = "tests.audit.own_metrics"
SMALL = Size(severities=(0.4, 0.8), clean=16, draws=3, n=64)
CORRUPTIONS = ("mode drop", "duplicates", "copies", "label noise", "foreign")
METRICS = (
    "fd",
    "unique_fraction",
    "label_test",
    f"{OWN}:MEAN_GAP",
    f"{OWN}:WRONG_WAY",
    f"{OWN}:UNMOVED",
    f"{OWN}:CHOOSY",
)


@pytest.fixture(scope="module")
def found() -> FailureMap:
    return climb(METRICS, size=SMALL, seed=1, grounds=("mixture",), corruptions=CORRUPTIONS)


def line(found: FailureMap, name: str) -> Line:
    return next(one for one in found.lines if one.name == name)


@pytest.mark.parametrize(("clean", "draws"), [(3, 2), (4, 3), (5, 4)])
def test_the_false_alarm_rate_is_that_of_all_orders(clean: int, draws: int) -> None:
    """Of all ways to choose which ranks the corrupted draws have, all equally likely if nothing was done to them."""
    orders = list(itertools.combinations(range(clean + draws), draws))
    for needed in range(1, draws + 1):
        beyond = sum(
            sum(rank >= max(set(range(clean + draws)) - set(order)) for rank in order) >= needed for order in orders
        )
        assert beyond / len(orders) == pytest.approx(math.comb(draws, needed) / math.comb(clean + draws, needed))


@pytest.mark.parametrize("size", [FULL, QUICK])
def test_the_rule_needs_half_of_the_draws_and_keeps_the_level(size: Size) -> None:
    needed, chance = rule(size)
    assert size.draws / 2 <= needed <= size.draws
    assert chance <= LEVEL
    tests = 2 * len(size.severities)
    assert chance == tests * math.comb(size.draws, needed) / math.comb(size.clean + size.draws, needed)


def test_a_ladder_too_short_for_the_level_says_what_rate_it_has() -> None:
    assert rule(Size(severities=(0.5,), clean=2, draws=1, n=None)) == (1, 2 / 3)


RULED = Size(severities=(0.1, 0.2, 0.4), clean=30, draws=4, n=None)
CLEAN = [i / 29 for i in range(30)]


@pytest.mark.parametrize(
    ("values", "text", "steps", "whole"),
    [
        ([[0.5] * 4, [0.9] * 4, [1.0] * 4], "", 0, False),  # the highest clean draw itself is not beyond it
        ([[0.5] * 4, [2.0] * 4, [3.0] * 4], "+.2", 2, True),
        ([[0.5] * 4, [-1.0, -1.0, -1.0, 0.5], [-2.0] * 4], "−.2", 2, True),
        ([[0.5] * 4, [2.0, 2.0, 0.5, 0.5], [2.0, 2.0, 2.0, 0.5]], "+.4", 1, False),
        ([[2.0] * 4, [0.5] * 4, [-1.0] * 4], "±.1", 3, True),
        ([[0.5] * 4, [None, None, None, 0.5], [None] * 4], "×.2", 2, False),
        ([[2.0, 2.0, -2.0, -2.0], [0.5] * 4, [0.5] * 4], "", 0, False),
    ],
)
def test_a_cell_says_where_and_which_way_a_score_first_leaves_the_clean_ones(
    values: list[list[float | None]], text: str, steps: int, whole: bool
) -> None:
    assert rule(RULED)[0] == 3
    found = cell(values, CLEAN, RULED)
    assert (found.text, found.steps, found.whole) == (text, steps, whole)


def test_ranks_are_those_of_medians_from_clean_samples_on() -> None:
    assert cell([[1.0] * 4, [2.0] * 4, [3.0] * 4], CLEAN, RULED).spearman == 1
    assert cell([[1.0] * 4, [None, None, 2.0, 2.0], [3.0] * 4], CLEAN, RULED).spearman is None
    assert cell([[0.5] * 4, [0.5] * 4, [0.5] * 4], [0.5] * 30, RULED).spearman is None
    assert spearman((0.0, 1.0, 2.0), (3.0, 1.0, 2.0)) == -0.5


def test_faults_are_seen_by_the_metrics_that_look_at_them_and_by_no_other(found: FailureMap) -> None:
    """Seed 1; a blank cell that is not one would be a false alarm: in .4% of cells at most."""
    texts = {one.name: {name: found_cell.text for name, found_cell in one.cells.items()} for one in found.lines}
    assert texts["unique_fraction"] == {
        "mode drop": "", "duplicates": "−.4", "copies": "", "label noise": "", "foreign": "",
    }  # fmt: skip
    assert texts["label_test"]["copies"] == "+.4"
    assert texts["fd"]["mode drop"] == texts["fd"]["foreign"] == "+.4"
    assert texts["fd"]["label noise"] == texts["fd"]["copies"] == ""
    assert texts["fd (per class)"]["label noise"] == "+.4"
    assert set(texts[f"{OWN}:UNMOVED"].values()) == {""}
    assert texts[f"{OWN}:CHOOSY"]["duplicates"] == "×.4"


def test_a_label_is_seen_by_scores_that_read_it_alone(found: FailureMap) -> None:
    """Other scores of relabelled samples are those of clean ones of the same draws, at every severity."""
    for one in found.lines:
        if not one.form:
            assert len(set(one.cells["label noise"].medians)) == 1


def test_a_metric_scores_the_same_whatever_its_company(found: FailureMap) -> None:
    alone = climb(["label_test"], size=SMALL, seed=1, grounds=("mixture",), corruptions=CORRUPTIONS)
    assert alone.lines == (line(found, "label_test"),)


def test_another_seed_is_another_ladder(found: FailureMap) -> None:
    other = climb(["fd"], size=SMALL, seed=2, grounds=("mixture",), corruptions=("foreign",))
    assert other.lines[0].clean != line(found, "fd").clean


@pytest.mark.slow
def test_the_map_does_not_depend_on_the_number_of_processes() -> None:
    """Two new processes import torch, which takes seconds."""
    size = Size(severities=(0.8,), clean=2, draws=1, n=32)
    one, two = (
        climb(["fd"], size=size, grounds=("mixture",), corruptions=("foreign",), workers=workers) for workers in (1, 2)
    )
    assert one == two


def test_what_cannot_be_scored_is_listed_with_the_reason() -> None:
    size = Size(severities=(0.8,), clean=2, draws=1, n=32)
    found = climb(
        ["fid", "kl_log_prob", "novel_combinations"], size=size, grounds=("mixture", "digits"), corruptions=("foreign",)
    )
    assert found.lines == ()
    assert found.unscored["fid on digits"] == "the name of fd in inception-v3.pool alone"
    assert found.unscored["kl_log_prob on digits"] == "needs data with known log_prob"
    assert (
        "no score in 2 of 2 clean draws: kl_log_prob: at most 5 dimensions" in found.unscored["kl_log_prob on mixture"]
    )
    with pytest.raises(UnknownNameError, match="Did you mean 'recall'"):
        climb(["recal"], size=size)


@pytest.mark.parametrize("name", TERRAINS)
def test_generated_train_and_held_out_samples_have_nothing_in_common(name: str) -> None:
    data, material = TERRAINS[name].draw(100, 5)
    sets = [{row.tobytes() for row in rows} for rows in (data.train, data.test, material.samples)]
    assert [len(rows) for rows in sets] == [100, 100, len(material.samples)]
    assert len(set.union(*sets)) == sum(map(len, sets))
    other, _ = TERRAINS[name].draw(100, 6)
    assert not np.array_equal(other.train, data.train)


def test_the_classes_of_the_mixture_are_those_of_its_truth() -> None:
    """Centres are 20 apart where the deviation is 1: no sample of 1,000 is nearer to another centre."""
    _, material = TERRAINS["mixture"].draw(125, 5)
    modes = Modes(event_shape=(24,), device=torch.device("cpu"))
    logits = modes.extract(torch.from_numpy(material.samples))["logits"]
    assert logits.argmax(dim=1).tolist() == material.labels.tolist()
    assert modes.fingerprint != Identity.fingerprint


def test_every_built_in_metric_is_scored_or_has_a_reason() -> None:
    for ground in ("mixture", "digits"):
        planned = plan(None, ground, n=None)
        assert {*planned.metrics, *planned.unscored} == set(read_catalogue())
        assert len(planned.metrics) > 40


def test_a_costly_metric_is_left_out_of_a_quick_ladder_unless_it_is_asked_for_alone() -> None:
    assert "sinkhorn" not in plan(None, "mixture", n=64, without=QUICK.without).metrics
    assert "for its cost" in plan(None, "mixture", n=64, without=QUICK.without).unscored["sinkhorn"]
    assert plan(["sinkhorn"], "mixture", n=64, without=QUICK.without).metrics == ("sinkhorn",)
    assert FULL.without == ()


def test_a_quick_ladder_takes_copies_for_a_fault_in_less_than_one_audit_of_a_thousand() -> None:
    """Some 90 lines are held against it, on both sides, at one severity."""
    for size in (FULL, QUICK):
        assert 90 * 2 / math.comb(size.clean + size.draws, size.draws) < 1e-3


def test_promises_are_of_metrics_that_exist_and_corruptions_that_exist(found: FailureMap) -> None:
    from genbench.audit.corruptions import CORRUPTIONS as ALL

    assert set(SEES) <= set(ALL)
    assert {name.removesuffix(" (per class)") for names in SEES.values() for name in names} <= set(read_catalogue())


def test_a_metric_that_works_keeps_its_promises_and_a_broken_one_does_not(found: FailureMap) -> None:
    missed: dict[str, list[str]] = {}
    for finding in ladder_findings(found):
        assert finding.part == "ladder"
        if not finding.ok:
            missed.setdefault(finding.metric, []).append(finding.case)
    assert missed == {
        f"{OWN}:WRONG_WAY": ["mixture: mode drop", "mixture: foreign"],
        f"{OWN}:UNMOVED": ["mixture: all corruptions"],
    }


def test_a_metric_that_is_moved_by_copies_it_cannot_know_misses_its_promise(found: FailureMap) -> None:
    fd = line(found, "fd")
    moved = replace(fd, cells={**fd.cells, "copies": replace(fd.cells["duplicates"], whole=True)})
    missed = [f for f in ladder_findings(replace(found, lines=(moved,))) if not f.ok]
    assert [f.case for f in missed] == ["mixture: exact copies of train, severity 0.8"]


def test_a_score_that_falls_back_while_severity_rises_misses_its_promise(found: FailureMap) -> None:
    fd = line(found, "fd")
    foreign = replace(fd.cells["foreign"], first=0.4, medians=(90.0, 70.0))
    missed = [f for f in ladder_findings(replace(found, lines=(replace(fd, cells={"foreign": foreign}),))) if not f.ok]
    assert [f.case for f in missed] == ["mixture: foreign, rank correlation with severity"]
