"""Tables: failures are counted and never ranked or averaged; ranks respect intervals; gaps are paired."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit
from scipy.stats import ttest_ind

from genbench.records import Run
from genbench.tables import generalization, leaderboard, primary_order, stability
from tests.makers import make_benchmark, make_estimate, make_run, make_score


def trainings(model: str, values: list[float]) -> list[Run]:
    """One final run per value, with seeds 0, 1, 2 ..."""
    return [make_run(model, seed, value) for seed, value in enumerate(values)]


def row(frame, **where):  # type: ignore[no-untyped-def]
    """Return the one row that matches."""
    found = frame
    for column, value in where.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_value_debiased_and_null_are_means_over_seeds() -> None:
    found = row(leaderboard(trainings("gan", [1.0, 2.0, 6.0])), split="test")
    assert (found["value"], found["debiased"], found["null"], found["seeds"]) == (3.0, 2.75, 0.5, 3)
    half = stdtrit(2, 0.975) * np.std([1, 2, 6], ddof=1) / math.sqrt(3)
    assert found["low"] == pytest.approx(2.75 - half, rel=1e-12)
    assert found["interval"] == "seeds"


def test_a_single_run_keeps_the_interval_of_its_samples() -> None:
    found = row(leaderboard([make_run(seed=None, sampler="mine", value=1.0)]), split="test")
    assert (found["low"], found["high"], found["interval"]) == (0.5, 1.0, "samples")


def test_models_that_cannot_be_told_apart_share_a_rank() -> None:
    runs = trainings("best", [1.0, 1.1, 1.2]) + trainings("close", [1.1, 1.2, 1.3]) + trainings("far", [9.0, 9.1, 9.2])
    table = leaderboard(runs)
    ranks = {m: row(table, split="test", model=m)["rank"] for m in ("best", "close", "far")}
    assert ranks == {"best": 1, "close": 1, "far": 3}


@pytest.mark.parametrize(("better", "first"), [("lower", "small"), ("higher", "large")])
def test_ranks_follow_the_metrics_direction(better: str, first: str) -> None:
    runs = [
        make_run(model, seed, scores=(make_score(value, better=better),))
        for model, values in (("small", [1.0, 1.1]), ("large", [50.0, 50.1]))
        for seed, value in enumerate(values)
    ]
    assert row(leaderboard(runs), model=first)["rank"] == 1
    assert leaderboard(runs)["model"].iloc[0] == first


def test_a_score_to_match_is_ranked_by_its_distance_from_real_data() -> None:
    runs = [
        make_run(
            model, seed, scores=(make_score(estimate=make_estimate(value, debiased=None, null=2.0), better="match"),)
        )
        for model, values in (("near", [2.1, 2.2]), ("under", [1.0, 1.1]), ("over", [4.0, 4.1]))
        for seed, value in enumerate(values)
    ]
    assert list(leaderboard(runs)["model"]) == ["near", "under", "over"]


def test_ranks_are_those_of_scipys_welch_test() -> None:
    """A model is outranked exactly where scipy's two-sided Welch test has p < .05 against a better one."""
    rng = np.random.default_rng(3)
    values = {f"m{i}": list(rng.normal(i / 3, 1 + i % 2, size=2 + i % 3)) for i in range(8)}
    runs = [run for model, scores in values.items() for run in trainings(model, scores)]
    table = leaderboard(runs)
    for model, mine in values.items():
        better = [m for m, v in values.items() if np.mean(v) < np.mean(mine) and welch(v, mine) < 0.05]
        assert row(table, split="test", model=model)["rank"] == 1 + len(better)


def welch(a: list[float], b: list[float]) -> float:
    """The p value of scipy's Welch test."""
    return float(ttest_ind(a, b, equal_var=False).pvalue)


def test_single_runs_are_ranked_by_the_errors_of_their_samples() -> None:
    runs = [make_run(seed=None, sampler=m, value=v) for m, v in (("a", 1.0), ("b", 1.3), ("c", 1.5))]
    table = leaderboard(runs)  # std_error .125 each: a difference of 1.96 * .18 = .36 to .40 is needed
    assert [row(table, split="test", model=m)["rank"] for m in "abc"] == [1, 1, 2]


def test_a_failed_run_is_counted_and_neither_averaged_nor_ranked() -> None:
    runs = [
        *trainings("gan", [1.0, 2.0]),
        make_run("gan", 2, scores=(), failure="diverged"),
        *trainings("vae", [9.0, 9.1]),
    ]
    table = leaderboard(runs)
    gan = row(table, split="test", model="gan")
    assert (gan["value"], gan["seeds"], gan["failed"]) == (1.5, 2, 1)
    assert pd.isna(gan["rank"])
    assert row(table, split="test", model="vae")["rank"] == 1
    spread = row(stability(runs), split="test", model="gan")
    assert (spread["seeds"], spread["completed"], spread["failed"]) == (3, 2, 1)
    assert spread["failed_low"] < 1 / 3 < spread["failed_high"]


def test_a_model_that_only_failed_has_a_row_without_numbers() -> None:
    runs = [*trainings("gan", [1.0]), make_run("vae", 0, scores=(), failure="diverged")]
    vae = row(leaderboard(runs), split="test", model="vae")
    assert vae["failed"] == 1
    assert np.isnan(vae["value"])
    assert primary_order(runs, make_benchmark(primary="fd@digits-cnn.pool")) == ["gan", "vae"]


def test_a_metric_that_failed_is_not_a_number() -> None:
    runs = [make_run("gan", 0, scores=(make_score(split="train"), make_score(estimate=None)))]
    assert row(leaderboard(runs), split="test")["failed"] == 1
    assert np.isnan(row(generalization(runs), model="gan")["gap"])


def test_runs_along_training_are_not_final_scores() -> None:
    early = make_run(step=3000, final=False, value=100.0)
    assert row(leaderboard([early, make_run(value=1.0)]), split="test")["value"] == 1.0


def test_regret_is_the_distance_from_the_best_checkpoint() -> None:
    curve = [make_run(step=s, final=s == 3, value=v) for s, v in ((1, 5.0), (2, 2.0), (3, 3.5))]
    assert row(stability(curve), split="test")["regret"] == pytest.approx(1.5)


def test_the_spread_is_the_unbiased_deviation_of_debiased_scores() -> None:
    found = row(stability(trainings("gan", [1.0, 2.0, 6.0])), split="test")
    assert found["sd"] == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert (found["median"], found["best"], found["worst"]) == (1.75, 0.75, 5.75)
    assert found["sampling_std_error"] == 0.125


def test_the_gap_is_held_out_minus_train_with_the_jackknife_of_the_difference() -> None:
    rng = np.random.default_rng(0)
    runs, differences = [], []
    for seed in range(3):
        a, b = rng.standard_normal(20), rng.standard_normal(20)
        differences.append(b - a)
        scores = (
            make_score(split="train", estimate=make_estimate(1.0, replicates=tuple(a))),
            make_score(split="test", estimate=make_estimate(1.5 + seed, replicates=tuple(b))),
        )
        runs.append(make_run("gan", seed, scores=scores))
    found = row(generalization(runs), model="gan")
    mean = np.mean(differences, axis=0)
    half = stdtrit(19, 0.975) * math.sqrt(19 / 20 * ((mean - mean.mean()) ** 2).sum())
    assert (found["train"], found["test"], found["gap"]) == (1.0, 2.5, 1.5)
    assert (found["low"], found["high"]) == pytest.approx((1.5 - half, 1.5 + half), rel=1e-12)
    assert found["method"] == "jackknife"


def test_a_gap_without_replicates_adds_the_variances() -> None:
    scores = tuple(make_score(split=s, estimate=make_estimate(1.0, replicates=())) for s in ("train", "test"))
    found = row(generalization([make_run(scores=scores)]), model="gan")
    assert found["high"] == pytest.approx(1.96 * math.sqrt(2) * 0.125)
    assert found["method"] == "sum of variances"


def control(name: str, value: float) -> Run:
    """The record of a control."""
    return make_run(name, None, value, recipe={"control": "something known"})


def test_controls_stand_below_the_models_and_change_no_rank() -> None:
    models = trainings("gan", [5.0, 5.1]) + trainings("vae", [9.0, 9.1]) + [make_run("mine", None, 7.0)]
    runs = [control("replay", 0.0), *models, control("real", 1.0), control("gaussian", 99.0)]
    with_controls, alone = leaderboard(runs), leaderboard(models)
    part = with_controls[with_controls["split"] == "test"]
    assert list(part["model"]) == ["gan", "mine", "vae", "real", "gaussian", "replay"]
    assert part["rank"].isna().tolist() == [False] * 3 + [True] * 3
    assert part.iloc[:3].reset_index(drop=True).equals(alone[alone["split"] == "test"].reset_index(drop=True))
    assert part.iloc[3]["interval"] == "samples"
    assert primary_order(runs, make_benchmark(primary="fd@digits-cnn.pool")) == ["gan", "mine", "vae"]
    for table in (stability, generalization):
        assert list(table(runs)["model"].unique()) == ["gan", "mine", "vae", "real", "gaussian", "replay"]


def test_samples_of_a_users_own_are_no_control_whatever_they_are_called() -> None:
    table = leaderboard([make_run("real", None, 1.0), make_run("mine", None, 2.0)])
    assert row(table, split="test", model="real")["rank"] == 1


def test_controls_alone_make_tables_too() -> None:
    runs = [control("real", 1.0), control("replay", 0.5)]
    assert list(leaderboard(runs)["model"].unique()) == ["real", "replay"]
    assert primary_order(runs, make_benchmark(primary="fd@digits-cnn.pool")) == []


def test_row_order_of_the_records_does_not_matter() -> None:
    runs = trainings("gan", [1.0, 2.0]) + trainings("vae", [3.0, 4.0])
    for table in (leaderboard, stability, generalization):
        assert table(runs).equals(table(runs[::-1]))
