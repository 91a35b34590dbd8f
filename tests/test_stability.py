"""Stability: spreads, verdicts and times by hand; nothing that is missing or failed is hidden; records are enough."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, trim_mean

from genbench.records import Run, Score
from genbench.stats.seeds import wilson_interval
from genbench.store import Store
from genbench.tables.comparisons import comparisons, profiles
from genbench.tables.curves import curves, judging_score, verdict_sentences, verdicts
from genbench.tables.history import History
from genbench.tables.sensitivity import sensitivity
from genbench.tables.stability import stability
from tests.makers import make_benchmark, make_estimate, make_run, make_score

KEY = "fd@digits-cnn.pool"
BENCHMARK = make_benchmark(name="digits", primary=KEY, curve=(KEY,))
FALL = (40.0, 20.0, 12.0, 8.0, 6.0, 5.0, 4.5, 4.2, 4.0, 3.9, 3.8, 3.7)
SWING = (*FALL[:6], 3.0, 6.0, 3.0, 6.0, 3.0, 6.0)


def score(value: float, split: str | None = "test", **changes: Any) -> Score:
    """A score with an error of a fiftieth, whose debiased value is the value."""
    estimate = make_estimate(value, debiased=None, std_error=abs(value) / 50, replicates=())
    return make_score(split=split, estimate=estimate, **changes)


def training(model: str, seed: int, values: tuple[float, ...], **changes: Any) -> list[Run]:
    """A training that is scored every 100 updates, with a loss and a clock."""
    return [
        make_run(
            model,
            seed,
            step=100 * i,
            final=i == len(values),
            scores=(score(value, "train"), score(value)),
            health={"g_loss": 1.0 / i},
            cost={"train_seconds": 2.0 * i},
            **changes,
        )
        for i, value in enumerate(values, 1)
    ]


def scaled(values: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(factor * v for v in values)


def models() -> list[Run]:
    """Two models of three trainings: one that falls, one that swings."""
    calm = [run for seed in range(3) for run in training("calm", seed, scaled(FALL, 1 + seed / 10))]
    return calm + [run for seed in range(3) for run in training("wild", seed, scaled(SWING, 1 + seed / 10))]


def row(frame: pd.DataFrame, **where: Any) -> Any:
    """Return the one row that matches."""
    found = frame
    for column, value in where.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_regret_is_the_distance_from_the_best_checkpoint() -> None:
    curve = [make_run(step=s, final=s == 3, value=v) for s, v in ((1, 5.0), (2, 2.0), (3, 3.5))]
    assert row(stability(curve), split="test")["regret"] == pytest.approx(1.5)


def test_the_spread_is_the_unbiased_deviation_of_debiased_scores() -> None:
    found = row(stability([make_run("gan", s, v) for s, v in enumerate([1.0, 2.0, 6.0])]), split="test")
    assert found["sd"] == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert (found["median"], found["best"], found["worst"]) == (1.75, 0.75, 5.75)
    assert (found["sampling_std_error"], found["best_run_seed"]) == (0.125, 0)


def test_aggregates_over_eight_runs_by_hand() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    runs = [make_run("gan", s, scores=(score(v),)) for s, v in enumerate(values)]
    found = row(stability(runs), model="gan")
    assert found["iqm"] == pytest.approx(trim_mean(values, 0.25))
    assert found["cvar"] == pytest.approx((8 + 0.6 * 7) / 1.6)
    assert found["best_of_3"] == pytest.approx(np.mean([min(c) for c in itertools.combinations(values, 3)]))
    assert found["relative_iqr"] == pytest.approx((6.25 - 2.75) / 4.5)
    assert pd.isna(found["iqm_low"])  # eight runs are too few for the bootstrap


def test_fifty_runs_have_a_bootstrap_interval_around_the_interquartile_mean() -> None:
    values = np.random.default_rng(0).normal(5, 1, 50)
    found = row(stability([make_run("gan", s, scores=(score(float(v)),)) for s, v in enumerate(values)]), model="gan")
    assert found["iqm_low"] < found["iqm"] < found["iqm_high"]


@pytest.mark.parametrize(("better", "worst", "best"), [("lower", 3.0, 1.0), ("higher", 1.0, 3.0)])
def test_the_worst_fifth_and_the_best_seed_follow_the_direction(better: str, worst: float, best: float) -> None:
    runs = [make_run("gan", s, scores=(score(v, better=better),)) for s, v in enumerate([1.0, 2.0, 3.0])]
    found = row(stability(runs), model="gan")
    assert (found["cvar"], found["best_of_3"], found["best_run_seed"]) == (worst, best, int(best) - 1)


def test_runs_that_differ_by_their_noise_alone_are_tested_by_chi_squared() -> None:
    found = row(stability([make_run("gan", s, v) for s, v in enumerate([1.0, 1.1, 1.2])]), split="test")
    assert found["sampling_noise"] == pytest.approx(0.125, rel=1e-9)  # replicates are the same against both splits
    assert found["sd_p"] == pytest.approx(chi2.sf(2 * 0.01 / 0.125**2, 2), rel=1e-9)


def test_noise_that_both_splits_share_is_the_samples_own() -> None:
    """Replicates against train and held-out that share a part a and have parts b of their own: share a² / (a² + b²).

    Orthogonal patterns over the 20 groups make it exact up to rounding.
    """
    a, b, c = (np.sin(2 * np.pi * k * np.arange(20) / 20) for k in (1, 2, 3))
    runs = [
        make_run(
            scores=tuple(
                make_score(split=split, estimate=make_estimate(1.0, replicates=tuple(2 * a + own)))
                for split, own in (("train", b), ("test", c))
            )
        )
    ]
    assert History(runs).own_share("gan", runs[0].scores[1]) == pytest.approx(4 / 5, rel=1e-9)
    assert row(stability(runs), split="test")["sampling_noise"] == pytest.approx(0.125 * math.sqrt(0.8), rel=1e-9)


def test_a_score_without_replicates_counts_all_its_noise() -> None:
    runs = training("gan", 0, FALL)
    assert History(runs).own_share("gan", runs[0].scores[1]) == 1.0


def test_verdicts_are_counted_and_the_lost_have_an_interval() -> None:
    failed = make_run("calm", 3, scores=(), failure="diverged, g_loss is not finite")
    table = stability([*models(), failed])
    calm, wild = (row(table, model=m, split="test") for m in ("calm", "wild"))
    assert (calm["judged"], calm["ok"], calm["diverged"], calm["lost"], calm["failed"]) == (4, 3, 1, 1, 1)
    assert (calm["lost_low"], calm["lost_high"]) == pytest.approx(wilson_interval(1, 4), rel=1e-12)
    assert (wild["judged"], wild["oscillating"], wild["ok"], wild["lost"]) == (3, 3, 0, 0)
    assert wild["sentence"] == (
        "wild: 3 oscillating; lost 0 of n = 3 runs (Wilson 95% interval of the share: 0 to 0.56)."
    )


def test_a_run_of_few_stops_and_a_control_have_no_verdict() -> None:
    control = make_run("gaussian", None, 9.0, recipe={"control": "two moments"})
    table = stability([*training("gan", 0, FALL[:3]), control])
    for model in ("gan", "gaussian"):
        assert table[table["model"] == model][["judged", "ok", "diverged", "lost_low"]].isna().all(axis=None)


def test_a_failure_beside_runs_that_nobody_can_judge_gives_no_share() -> None:
    runs = [*training("gan", 0, FALL[:3]), make_run("gan", 1, scores=(), failure="diverged")]
    found = row(stability(runs), split="test")
    assert (found["judged"], found["diverged"]) == (1, 1)
    assert pd.isna(found["lost_low"])


def test_modes_in_the_records_make_a_mode_collapse() -> None:
    few = score(4.0, None, metric="modes", better="higher", unit="modes")
    assert few.estimate is not None
    few = replace(few, estimate=replace(few.estimate, null=8.0))
    *before, end = training("gan", 0, FALL)
    found = row(stability([*before, replace(end, scores=(*end.scores, few))]), split="test")
    assert found["mode_collapsed"] == 1


def test_the_gaussian_control_tells_a_fast_learner_from_one_that_learned_nothing() -> None:
    runs = training("gan", 0, (4.0,) * 12)
    control = make_run("gaussian", None, recipe={"control": "two moments"}, scores=(score(20.0),))
    assert row(stability(runs), split="test")["unlearned"] == 1
    assert row(stability([*runs, control]), split="test", model="gan")["ok"] == 1


def test_curve_columns_are_those_of_the_curves() -> None:
    found = row(stability(training("gan", 0, FALL)), split="test")
    assert found["aulc"] == pytest.approx(math.exp(np.mean(np.log(FALL))), rel=1e-12)
    assert (found["setback"], found["late_gap"]) == (0.0, 1.0)
    assert found["oscillation_noise"] == pytest.approx(1 / 50, rel=1e-12)


def test_oscillation_is_pooled_over_runs_before_the_noise_is_removed() -> None:
    runs = [run for seed, values in enumerate((FALL, SWING)) for run in training("gan", seed, values)]
    squares = []
    for values in (FALL, SWING):
        late, at = np.log(values[6:]), np.arange(6)
        squares.append(((late - np.polyval(np.polyfit(at, late, 1), at)) ** 2).sum() / 4)
    found = row(stability(runs), split="test")
    assert found["oscillation"] == pytest.approx(math.sqrt(np.mean(squares) - 1 / 2500), rel=1e-9)


def test_times_are_those_of_the_first_stop_that_is_good_enough() -> None:
    """The best median is 3.7 * 1.1, and 1.5 times that is 6.105."""
    runs = [run for seed in range(3) for run in training("calm", seed, scaled(FALL, 1 + seed / 10))]
    slow = [run for seed in range(3) for run in training("slow", seed, scaled(FALL, 3.0))]
    table = stability([*runs, *slow])
    calm, late = row(table, model="calm", split="test"), row(table, model="slow", split="test")
    assert calm["quality"] == pytest.approx(1.5 * 3.7 * 1.1)
    # Seeds reach it at 6.0 (stop 5), 5 * 1.1 (stop 6) and 5 * 1.2 (stop 6).
    assert (calm["reached"], calm["updates_to"], calm["seconds_to"]) == (3, 600.0, 12.0)
    assert late["reached"] == 0
    assert pd.isna(late["updates_to"])
    assert pd.isna(late["seconds_to"])


def test_a_run_that_never_gets_there_counts_in_the_median() -> None:
    runs = [*training("gan", 0, FALL), *training("gan", 1, scaled(FALL, 3.0))]
    runs.append(make_run("gan", 2, scores=(), failure="diverged"))
    other = [run for seed in range(3) for run in training("best", seed, FALL)]
    found = row(stability([*runs, *other]), model="gan", split="test")
    assert found["reached"] == 1
    assert pd.isna(found["updates_to"])


def test_a_missing_record_is_named() -> None:
    runs = models()
    assert (stability(runs)["missing"] == "").all()
    without_end = [r for r in runs if not (r.sampler == "calm" and r.train_seed == 1 and r.final)]
    without_stop = [r for r in runs if not (r.sampler == "wild" and r.train_seed == 2 and r.step == 600)]
    without_seed = [r for r in runs if not (r.sampler == "wild" and r.train_seed == 0)]
    cases = ((without_end, "calm", "1"), (without_stop, "wild", "2@600"), (without_seed, "wild", "0"))
    for kept, model, missing in cases:
        table = stability(kept)
        assert set(table[table["model"] == model]["missing"]) == {missing}
        assert set(table[table["model"] != model]["missing"]) == {""}
        assert any(f"{model}: records are missing of {missing} " in s for s in verdict_sentences(kept, BENCHMARK))
    assert row(verdicts(without_end, BENCHMARK), model="calm", seed=1)["missing"] == "end"
    assert row(verdicts(without_stop, BENCHMARK), model="wild", seed=2)["missing"] == "600"
    assert row(verdicts(without_seed, BENCHMARK), model="wild", seed=0)[["missing", "stops"]].tolist() == ["end", 0]


def test_a_failed_run_misses_no_stop() -> None:
    runs = [*models(), *training("calm", 3, FALL)[:2], make_run("calm", 3, scores=(), step=1200, failure="diverged")]
    runs += training("wild", 3, SWING)
    assert (stability(runs)["missing"] == "").all()


def test_every_verdict_sentence_names_its_numbers() -> None:
    failed = make_run("wild", 3, scores=(), failure="diverged, g_loss is not finite after update 7")
    sentences = verdict_sentences([*models(), failed], BENCHMARK)
    assert "wild, seed 3: diverged; diverged, g_loss is not finite after update 7." in sentences
    for sentence in (s for s in sentences if "oscillating;" in s and "seed" in s):
        assert "chi-squared test, p = " in sentence
        assert "n = 6 stops" in sentence
    assert all("Wilson" in s and "n = " in s for s in sentences if "lost" in s)


def test_trainings_are_judged_by_a_metric_that_was_taken_along_them() -> None:
    runs = [replace(run, scores=(*run.scores, score(1.0, metric="w1"))) if run.final else run for run in models()]
    found = judging_score(runs, make_benchmark(primary="w1@digits-cnn.pool", curve=(KEY,)))
    assert found is not None
    assert found.key == KEY


def test_the_curves_hold_scores_losses_and_times_of_every_stop() -> None:
    table = curves(models(), BENCHMARK)
    assert len(table) == 2 * 3 * 12
    found = row(table, model="calm", seed=0, step=400)
    assert found[[f"{KEY} test", "g_loss", "train_seconds", "final"]].tolist() == [8.0, 0.25, 8.0, False]
    assert found[f"{KEY} test std_error"] == pytest.approx(8 / 50)


def test_pairs_of_models_are_compared_once_and_corrected_for_their_number() -> None:
    runs = [
        run
        for model, shift in (("a", 0.0), ("b", 10.0), ("c", 10.0))
        for seed in range(5)
        for run in [make_run(model, seed, shift + seed)]
    ]
    runs += [make_run("b", 5, scores=(), failure="diverged"), make_run("real", None, 0.0, recipe={"control": "real"})]
    table = comparisons(runs, BENCHMARK)
    assert list(zip(table["model"], table["other"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    first, last = row(table, model="a", other="c"), row(table, model="b", other="c")
    assert first["probability"] == 1.0
    assert first["p_value"] == pytest.approx(2 / 252)
    assert first["p_holm"] == pytest.approx(2 * 2 / 252)  # the pair with the failed run has 2 / 462
    assert (last["probability"], last["runs"], last["failed"]) == (pytest.approx(12.5 / 30), 6, 1)


def test_profiles_step_at_every_score_and_end_at_the_share_that_did_not_fail() -> None:
    runs = [make_run("a", 0, 1.0), make_run("a", 1, 3.0), make_run("b", 0, 2.0)]
    runs.append(make_run("b", 1, scores=(), failure="diverged"))
    table = profiles(runs, BENCHMARK)
    assert table[table["model"] == "a"]["threshold"].tolist() == [0.75, 1.75, 2.75]  # debiased
    assert table[table["model"] == "a"]["share"].tolist() == [0.5, 0.5, 1.0]
    assert table[table["model"] == "b"]["share"].tolist() == [0.0, 0.5, 0.5]


def varied(settings: dict[str, tuple[float, ...]]) -> list[Run]:
    recipe = {"steps": 1200, "batch": 64, "overrides": {}, "baseline": "gan"}
    return [r for s, values in settings.items() for r in training(f"gan.lr-{s}", 0, values, recipe=recipe)]


def test_sensitivity_is_the_share_of_settings_that_train() -> None:
    runs = varied({"x0.3": scaled(FALL, 1.5), "x1": FALL, "x3": SWING, "x10": (40.0,) * 12, "x30": scaled(FALL, 4.0)})
    runs.append(make_run("gan.lr-x100", 0, scores=(), failure="diverged", recipe={"baseline": "gan"}))
    found = row(sensitivity([*runs, *models()], BENCHMARK), model="gan", option="lr")
    assert (found["settings"], found["trained"], found["best_setting"], found["best"]) == (6, 3, "x1", 3.7)
    assert found["untrained"] == "x10 x100 x30"
    assert (found["low"], found["high"]) == pytest.approx(wilson_interval(3, 6), rel=1e-12)


def test_models_that_only_look_like_variants_are_none() -> None:
    runs = [r for name in ("my.lr-x1", "my.lr-x3") for r in training(name, 0, FALL)]
    assert sensitivity(runs, BENCHMARK).empty


def test_tables_are_rebuilt_from_records_alone(tmp_path: Path) -> None:
    store, runs = Store(tmp_path, "digits@1"), [*models(), *varied({"x1": FALL, "x3": SWING})]
    for run in runs:
        store.write(run)
    tables = (
        stability,
        *(lambda rs, t=t: t(rs, BENCHMARK) for t in (curves, verdicts, comparisons, profiles, sensitivity)),
    )
    for table in tables:
        assert table(store.runs()).to_csv() == table(runs[::-1]).to_csv()
        assert len(table(runs)) > 0


def test_columns_of_times_are_told_by_their_names() -> None:
    """Two runs of one benchmark differ in nothing else: with the times changed, no other column may change."""
    runs = models()
    slower = [replace(run, seconds=99.0, cost={"train_seconds": 3 * run.cost["train_seconds"]}) for run in runs]
    for table in (stability, lambda rs: curves(rs, BENCHMARK)):
        one, other = table(runs), table(slower)
        changed = {c for c in one.columns if not one[c].equals(other[c])}
        assert changed
        assert all(c.endswith(("_seconds", "seconds_to", "per_second")) for c in changed)
