"""The leaderboard and the scores: failures and gaps take a rank, ranks respect intervals, every form says the same."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit
from scipy.stats import ttest_ind

from genbench.errors import ProtocolError
from genbench.markdown import leaderboard_markdown
from genbench.records import Run
from genbench.stats.differences import jackknife_difference
from genbench.tables import leaderboard, primary_order, scores
from genbench.tables.ranking import Side, difference
from tests.makers import make_benchmark, make_estimate, make_run, make_score

BENCHMARK = make_benchmark(name="digits", primary="fd@digits-cnn.pool", curve=("fd@digits-cnn.pool",))
KEY = "fd@digits-cnn.pool"


def trainings(model: str, values: list[float], **changes: object) -> list[Run]:
    """One final run per value, with seeds 0, 1, 2 ..."""
    return [make_run(model, seed, value, **changes) for seed, value in enumerate(values)]


def control(name: str, value: float) -> Run:
    """The record of a control."""
    return make_run(name, None, value, recipe={"control": "something known"})


def single(model: str, value: float, replicates: np.ndarray | None = None, **changes: object) -> Run:
    """The record of given samples."""
    kept = () if replicates is None else tuple(replicates.tolist())
    return make_run(model, None, scores=(make_score(estimate=make_estimate(value, replicates=kept, **changes)),))


def row(frame, **where):  # type: ignore[no-untyped-def]
    """Return the one row that matches."""
    found = frame
    for column, value in where.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def ranks_of(runs: list[Run]) -> dict[str, object]:
    """Ranks by model; None where there is none."""
    board = leaderboard(runs, BENCHMARK)
    return {str(r["model"]): None if pd.isna(r["rank"]) else int(r["rank"]) for _, r in board.iterrows()}


# The long table.


def test_value_debiased_and_null_are_means_over_seeds() -> None:
    found = row(scores(trainings("gan", [1.0, 2.0, 6.0])), split="test")
    assert (found["value"], found["debiased"], found["null"], found["seeds"]) == (3.0, 2.75, 0.5, 3)
    half = stdtrit(2, 0.975) * np.std([1, 2, 6], ddof=1) / math.sqrt(3)
    assert found["low"] == pytest.approx(2.75 - half, rel=1e-12)
    assert found["interval"] == "seeds"


def test_a_single_run_keeps_the_interval_of_its_samples() -> None:
    found = row(scores([make_run(seed=None, sampler="mine", value=1.0)]), split="test")
    assert (found["low"], found["high"], found["interval"]) == (0.5, 1.0, "samples")


def test_a_metric_that_failed_is_not_a_number() -> None:
    runs = [make_run("gan", 0, scores=(make_score(split="train"), make_score(estimate=None)))]
    assert row(scores(runs), split="test")["failed"] == 1
    assert pd.isna(row(scores(runs), split="test")["value"])


def test_runs_along_training_are_not_final_scores() -> None:
    early = make_run(step=3000, final=False, value=100.0)
    assert row(scores([early, make_run(value=1.0)]), split="test")["value"] == 1.0
    assert leaderboard([early, make_run(value=1.0)], BENCHMARK)[KEY].tolist() == [1.0]


@pytest.mark.parametrize(("better", "first"), [("lower", "small"), ("higher", "large")])
def test_ranks_follow_the_metrics_direction(better: str, first: str) -> None:
    runs = [
        make_run(model, seed, scores=(make_score(value, better=better),))
        for model, values in (("small", [1.0, 1.1]), ("large", [50.0, 50.1]))
        for seed, value in enumerate(values)
    ]
    assert row(scores(runs), model=first)["rank"] == 1
    for table in (scores(runs), leaderboard(runs, BENCHMARK)):
        assert table["model"].iloc[0] == first


def test_a_score_to_match_is_ranked_by_its_distance_from_real_data() -> None:
    runs = [
        make_run(
            model, seed, scores=(make_score(estimate=make_estimate(value, debiased=None, null=2.0), better="match"),)
        )
        for model, values in (("near", [2.1, 2.2]), ("under", [1.0, 1.1]), ("over", [4.0, 4.1]))
        for seed, value in enumerate(values)
    ]
    assert list(scores(runs)["model"]) == list(leaderboard(runs, BENCHMARK)["model"]) == ["near", "under", "over"]


# Ranks.


def test_models_that_cannot_be_told_apart_share_a_rank() -> None:
    runs = trainings("best", [1.0, 1.1, 1.2]) + trainings("close", [1.1, 1.2, 1.3]) + trainings("far", [9.0, 9.1, 9.2])
    assert ranks_of(runs) == {"best": 1, "close": 1, "far": 3}


def test_ranks_are_those_of_scipys_welch_test() -> None:
    """A model is outranked exactly where scipy's two-sided Welch test has p < .05 against a better one."""
    rng = np.random.default_rng(3)
    values = {f"m{i}": list(rng.normal(i / 3, 1 + i % 2, size=2 + i % 3)) for i in range(8)}
    runs = [run for model, numbers in values.items() for run in trainings(model, numbers)]
    table = scores(runs)
    for model, mine in values.items():
        better = [m for m, v in values.items() if np.mean(v) < np.mean(mine) and welch(v, mine) < 0.05]
        assert row(table, split="test", model=model)["rank"] == 1 + len(better)


def welch(a: list[float], b: list[float]) -> float:
    """The p value of scipy's Welch test."""
    return float(ttest_ind(a, b, equal_var=False).pvalue)


def test_single_runs_without_replicates_are_ranked_by_the_sum_of_their_variances() -> None:
    runs = [single("a", 1.0), single("b", 1.3), single("c", 1.5)]
    # std_error .125 each, 38 degrees of freedom: a difference of 2.02 * .177 = .358 is needed.
    assert ranks_of(runs) == {"a": 1, "b": 1, "c": 2}


def test_single_runs_that_share_the_reference_are_ranked_by_the_jackknife_of_the_difference() -> None:
    """The reference moves both scores alike by far more than they differ; the difference itself is known well.

    Replicates a_g = shared_g, b_g = shared_g + own_g: the error of the difference is that of own_g alone, by hand
    sqrt(19/20 * sum own_g^2) = sqrt(19/20 * 20 * .001^2) = .00436; t19 = 2.09; so .3 is seen and .005 is not.
    """
    shared = np.random.default_rng(0).normal(0, 1, 20)
    own = 0.001 * np.tile([1.0, -1.0], 10)
    assert ranks_of([single("a", 1.0, shared), single("b", 1.3, shared + own)]) == {"a": 1, "b": 2}
    assert ranks_of([single("a", 1.0, shared), single("b", 1.005, shared + own)]) == {"a": 1, "b": 1}
    found = jackknife_difference(0.3, list(shared + own), list(shared))
    assert found.std_error == pytest.approx(math.sqrt(19) * 0.001, rel=1e-9)
    assert found.high == pytest.approx(0.3 + stdtrit(19, 0.975) * math.sqrt(19) * 0.001, rel=1e-9)


def test_one_run_against_several_counts_the_spread_of_the_several() -> None:
    """Welch of the jackknife of the difference (19 degrees) and the trainings' spread (2 degrees), by hand."""
    own = 0.001 * np.tile([1.0, -1.0], 10)
    several = Side(mean=1.0, std_error=0.1, runs=3, replicates=tuple(np.zeros(20)))
    one = Side(mean=2.0, std_error=5.0, runs=1, replicates=tuple(own))
    found, unit = difference(several, one)
    assert unit == "mixed"
    assert found.value == -1.0
    assert found.std_error == pytest.approx(math.hypot(0.1, math.sqrt(19) * 0.001), rel=1e-9)


def test_scores_without_any_error_are_ranked_as_they_stand() -> None:
    runs = [single(m, v, std_error=None, low=None, high=None) for m, v in (("a", 1.0), ("b", 1.0), ("c", 1.1))]
    assert ranks_of(runs) == {"a": 1, "b": 1, "c": 3}


# The wide table.


def test_a_row_has_everything_about_a_model() -> None:
    cost = {"parameters": 50145, "train_seconds": 60.0, "samples_per_second": 1000.0}
    runs = trainings("gan", [1.0, 2.0, 6.0], cost=cost, provenance={"device": "cpu"})
    found = row(leaderboard(runs, BENCHMARK), model="gan")
    assert found[["rank", "seeds", "failed", "missing", "note", "interval"]].tolist() == [1, 3, 0, "", "", "seeds"]
    assert found[["n_generated", "n_reference", "parameters"]].tolist() == [599, 599, 50145]
    assert found[["train_seconds", "samples_per_second", "device"]].tolist() == [60.0, 1000.0, "cpu"]
    long = row(scores(runs), split="test")
    for wide, narrow in (
        (KEY, "value"),
        (f"{KEY}_debiased", "debiased"),
        (f"{KEY}_low", "low"),
        (f"{KEY}_high", "high"),
    ):
        assert found[wide] == long[narrow]


def test_a_failed_run_is_counted_and_neither_averaged_nor_ranked() -> None:
    runs = [
        *trainings("gan", [1.0, 2.0]),
        make_run("gan", 2, scores=(), failure="diverged"),
        *trainings("vae", [9.0, 9.1, 9.2]),
    ]
    gan = row(leaderboard(runs, BENCHMARK), model="gan")
    assert gan[[KEY, "seeds", "failed", "missing"]].tolist() == [1.5, 2, 1, ""]
    assert gan["note"] == "1 of 3 runs failed: diverged"
    assert ranks_of(runs) == {"vae": 1, "gan": None}


def test_a_model_without_a_seed_that_the_others_have_has_no_rank() -> None:
    runs = [run for model in "abc" for run in trainings(model, [1.0, 1.1, 1.2])]
    without = [run for run in runs if (run.sampler, run.train_seed) != ("b", 1)]
    found = row(leaderboard(without, BENCHMARK), model="b")
    assert found[["missing", "note", "seeds"]].tolist() == ["1", "seed 1 missing", 2]
    assert ranks_of(without) == {"a": 1, "c": 1, "b": None}
    assert ranks_of(runs) == {"a": 1, "b": 1, "c": 1}


def test_a_further_seed_of_one_model_takes_nobodys_rank() -> None:
    runs = [*(run for model in "abc" for run in trainings(model, [1.0, 1.1])), make_run("a", 7, 1.05)]
    assert ranks_of(runs) == {"a": 1, "b": 1, "c": 1}
    assert row(leaderboard(runs, BENCHMARK), model="b")["missing"] == "7"


def test_given_samples_have_no_seeds_to_miss() -> None:
    runs = [*trainings("gan", [1.0, 1.1]), make_run("mine", None, 9.0)]
    assert ranks_of(runs) == {"gan": 1, "mine": 2}
    assert row(leaderboard(runs, BENCHMARK), model="mine")["note"] == ""


def test_a_model_that_only_failed_has_a_row_without_numbers() -> None:
    runs = [*trainings("gan", [1.0]), make_run("vae", 0, scores=(), failure="diverged")]
    vae = row(leaderboard(runs, BENCHMARK), model="vae")
    assert vae["failed"] == 1
    assert pd.isna(vae[KEY])
    assert primary_order(runs, BENCHMARK) == ["gan", "vae"]


def test_without_the_primary_metric_nothing_is_ranked() -> None:
    board = leaderboard(trainings("gan", [1.0, 2.0]), make_benchmark(primary="kd@digits-cnn.pool"))
    assert pd.isna(board["rank"].iloc[0])
    assert board["note"].iloc[0] == "kd@digits-cnn.pool was not scored"


def test_controls_stand_below_the_models_and_change_no_rank() -> None:
    models = trainings("gan", [5.0, 5.1]) + trainings("vae", [9.0, 9.1]) + [make_run("mine", None, 7.0)]
    runs = [control("replay", 0.0), *models, control("real", 1.0), control("gaussian", 99.0)]
    with_controls, alone = leaderboard(runs, BENCHMARK), leaderboard(models, BENCHMARK)
    assert list(with_controls["model"]) == ["gan", "mine", "vae", "real", "gaussian", "replay"]
    assert with_controls["rank"].isna().tolist() == [False] * 3 + [True] * 3
    assert with_controls.iloc[:3].equals(alone)
    part = scores(runs)[scores(runs)["split"] == "test"]
    assert list(part["model"]) == ["gan", "mine", "vae", "real", "gaussian", "replay"]
    assert primary_order(runs, BENCHMARK) == ["gan", "mine", "vae"]


def test_samples_of_a_users_own_are_no_control_whatever_they_are_called() -> None:
    assert ranks_of([make_run("real", None, 1.0), make_run("mine", None, 2.0)])["real"] == 1


def test_controls_alone_make_a_table_too() -> None:
    runs = [control("real", 1.0), control("replay", 0.5)]
    assert list(leaderboard(runs, BENCHMARK)["model"]) == list(scores(runs)["model"].unique()) == ["real", "replay"]
    assert primary_order(runs, BENCHMARK) == []


def test_two_records_of_one_training_and_unlike_protocols_are_refused() -> None:
    with pytest.raises(ProtocolError, match="several of"):
        leaderboard([make_run(), make_run()], BENCHMARK)
    with pytest.raises(ProtocolError, match="one protocol"):
        leaderboard([make_run(), make_run(seed=1, protocol="ef" * 32)], BENCHMARK)


def test_the_order_of_the_records_does_not_matter() -> None:
    runs = trainings("gan", [1.0, 2.0]) + trainings("vae", [3.0, 4.0]) + [control("real", 1.0), control("replay", 0.0)]
    assert leaderboard(runs, BENCHMARK).equals(leaderboard(runs[::-1], BENCHMARK))
    assert scores(runs).equals(scores(runs[::-1]))


# For reading.


def test_the_markdown_says_why_a_model_is_not_ranked() -> None:
    failed = make_run("gan", 2, scores=(), failure="diverged")
    runs = [*trainings("gan", [1.0, 2.0]), failed, *trainings("vae", [9.0, 9.1, 9.2])]
    text = leaderboard_markdown(runs, BENCHMARK)
    assert "Not ranked: gan (1 of 3 runs failed: diverged)." in text
    assert text.index("| vae") < text.index("| gan")


def test_the_markdown_shows_parameters_where_they_are_known_and_never_times() -> None:
    cost = {"parameters": 50145, "train_seconds": 61.75, "samples_per_second": 1234.5}
    text = leaderboard_markdown(trainings("gan", [1.0, 2.0], cost=cost), BENCHMARK)
    assert "50,145" in text
    assert "61.75" not in text
    assert "1234" not in text
    assert "parameters" not in leaderboard_markdown(trainings("gan", [1.0, 2.0]), BENCHMARK)


@pytest.mark.parametrize(("models", "said", "unsaid"), [("seeds", "Welch", "jackknife"), ("one", "jackknife", "Welch")])
def test_the_markdown_says_what_counts_as_a_repeat(models: str, said: str, unsaid: str) -> None:
    runs = trainings("gan", [1.0, 2.0]) if models == "seeds" else [make_run("mine", None, 1.0)]
    text = leaderboard_markdown(runs, BENCHMARK)
    assert said in text
    assert unsaid not in text
