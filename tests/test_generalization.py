"""Generalization: gaps are paired, verdicts are calibrated, and nothing that is missing goes unsaid."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import binom, ttest_ind

from genbench.benchmarks import load_benchmark
from genbench.benchmarks.ladder import with_train_size
from genbench.definitions import Budget
from genbench.likelihoods import mean_loss
from genbench.records import Run, Score
from genbench.run import run_benchmark
from genbench.stats.permutation import labelled_sum
from genbench.store import Store
from genbench.tables import generalization, ladder, memorization
from genbench.tables.memorization import p_over_seeds
from tests.makers import make_estimate, make_run, make_score

RESULTS = Path(__file__).resolve().parent.parent / "results"


def row(frame, **where):  # type: ignore[no-untyped-def]
    """Return the one row that matches."""
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def label_test(p_value: float, p_all: float = 1.0, *, share: float = 0.5) -> Score:
    """A score of the label test."""
    extra = {"p_value": p_value, "p_all": p_all, "share_all": share, "n_tail": 60.0}
    estimate = make_estimate(share, debiased=None, null=0.5, extra=extra)
    return make_score(split=None, metric="label_test", better="match", estimate=estimate)


def trainings(model: str, p_values: list[tuple[float, float]]) -> list[Run]:
    """Final runs of seeds 0, 1 ... with their p-values, of the nearest samples and of all."""
    return [make_run(model, seed, scores=(label_test(*pair),)) for seed, pair in enumerate(p_values)]


def control(name: str, p_value: float) -> Run:
    """The record of a control."""
    return make_run(name, None, scores=(label_test(p_value),), recipe={"control": "something known"})


# The gap


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


def test_a_metric_that_failed_against_one_split_has_no_gap() -> None:
    runs = [make_run("gan", 0, scores=(make_score(split="train"), make_score(estimate=None)))]
    assert np.isnan(row(generalization(runs), model="gan")["gap"])


def test_the_floor_is_real_held_out_data_against_the_training_data() -> None:
    scores = tuple(
        make_score(split=split, estimate=make_estimate(1.0, null=null)) for split, null in (("train", 0.3), ("test", 9))
    )
    assert row(generalization([make_run(scores=scores)]), model="gan")["null"] == 0.3


# Likelihoods


def likelihoods(train: np.ndarray, test: np.ndarray, **options: object) -> tuple[Score, ...]:
    """Scores of losses of both splits."""
    return tuple(
        make_score(
            split=split,
            metric="bits_per_dim",
            space="data",
            n_generated=len(losses),
            n_reference=len(losses),
            estimate=mean_loss(losses),
            options={"levels": 17, "bound": False, **options},
        )
        for split, losses in (("train", train), ("test", test))
    )


def test_the_likelihoods_gap_is_the_difference_of_means_with_welchs_interval() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(1.7, 0.2, 64), rng.normal(1.9, 0.4, 599)
    found = row(
        generalization([make_run("pixelcnn", likelihood=likelihoods(train, test))]), metric="bits_per_dim:levels=17"
    )
    interval = ttest_ind(test, train, equal_var=False).confidence_interval()
    assert found["gap"] == pytest.approx(test.mean() - train.mean(), rel=1e-12)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert (found["method"], found["n_generated"], found["n_reference"]) == ("Welch", 64, 599)


def test_seeds_that_share_the_events_do_not_narrow_the_likelihoods_interval() -> None:
    rng = np.random.default_rng(0)
    scores = likelihoods(rng.normal(size=100), rng.normal(size=100))
    one, three = (
        row(generalization([make_run("vae", s, likelihood=scores) for s in range(n)]), metric="bits_per_dim:levels=17")
        for n in (1, 3)
    )
    assert three["high"] - three["low"] == pytest.approx(one["high"] - one["low"], rel=1e-12)


def test_unlike_likelihoods_are_not_in_one_row_and_models_without_one_have_none() -> None:
    values = np.linspace(1, 2, 20)
    runs = [
        make_run("pixelcnn", likelihood=likelihoods(values, values)),
        make_run("vae", likelihood=likelihoods(values, values, bound=True)),
        make_run("realnvp", likelihood=likelihoods(values, values, levels=None)),
        make_run("gan"),
    ]
    table = generalization(runs)
    part = table[table["metric"].str.startswith("bits_per_dim")]
    assert dict(zip(part["metric"], part["model"], strict=True)) == {
        "bits_per_dim": "realnvp",
        "bits_per_dim:levels=17": "pixelcnn",
        "bits_per_dim:levels=17,bound": "vae",
    }


def test_a_likelihood_that_failed_is_counted_and_not_averaged() -> None:
    good = likelihoods(np.linspace(1, 2, 20), np.linspace(2, 3, 20))
    bad = tuple(replace(score, estimate=None, failure="not finite") for score in good)
    runs = [make_run("vae", 0, likelihood=good), make_run("vae", 1, likelihood=bad)]
    found = row(generalization(runs), metric="bits_per_dim:levels=17")
    assert (found["seeds"], found["failed"], found["gap"]) == (1, 1, pytest.approx(1.0))


# Verdicts


def test_a_models_p_value_is_the_smallest_of_all_its_tests_times_their_number() -> None:
    estimates = [run.scores[0].estimate for run in trainings("gan", [(0.02, 0.5), (0.9, 0.004)])]
    assert p_over_seeds([e for e in estimates if e]) == (pytest.approx(4 * 0.004), 4)


def test_verdicts_are_corrected_for_the_number_of_models_but_not_for_the_controls() -> None:
    """4.5e-3 is below the level for one model; of two, Holm asks for twice as much, and of the other nothing."""
    sole = memorization([*trainings("gan", [(0.00225, 1.0)]), control("real", 0.5), control("replay", 1e-9)])
    assert row(sole, model="gan")["verdict"] == "memorized"
    both = memorization([*trainings("gan", [(0.003, 1.0)]), *trainings("vae", [(1e-9, 1.0)])])
    assert list(both["verdict"]) == ["memorized", "memorized"]
    both = memorization([*trainings("gan", [(0.003, 1.0)]), *trainings("vae", [(0.0035, 1.0)])])
    assert list(both["p_corrected"]) == pytest.approx([0.012, 0.012])
    assert list(both["verdict"]) == ["no evidence", "no evidence"]


def test_a_model_without_a_label_test_is_not_tested_and_the_sentence_says_why() -> None:
    runs = [
        *trainings("gan", [(0.5, 0.5)]),
        make_run("vae", 0, scores=(), failure="diverged: g_loss is not finite"),
        make_run("wgan", 0, scores=(replace(label_test(1.0), estimate=None, failure="no held-out row"),)),
    ]
    table = memorization(runs).set_index("model")
    assert list(table["verdict"]) == ["no evidence", "not tested", "not tested"]
    assert table.loc["vae", "sentence"] == "vae: not tested, as the run failed (diverged: g_loss is not finite)."
    assert table.loc["wgan", "sentence"] == "wgan: not tested, as the score failed (no held-out row)."
    assert (table.loc["vae", "seeds"], table.loc["vae", "failed"]) == (0, 1)


def test_records_without_any_label_test_make_a_table_of_untested_models() -> None:
    assert list(memorization([make_run("gan"), make_run("vae")])["verdict"]) == ["not tested", "not tested"]


def test_every_sentence_names_the_test_its_p_value_and_its_n() -> None:
    runs = [*trainings("gan", [(1e-7, 0.5), (0.4, 0.6)]), *trainings("vae", [(0.4, 0.03), (0.9, 0.8)])]
    assert list(memorization(runs)["sentence"]) == [
        "gan: memorized; of the 60 generated samples nearest to real ones, 50% are nearest to a training sample, where "
        "chance gives 50% (label test over 2 trainings: p = 4e-07, p = 8e-07 corrected for 2 models; n = 599).",
        "vae: no evidence of memorizing; of the 599 generated samples, 50% are nearest to a training sample, where "
        "chance gives 50% (label test over 2 trainings: p = 0.12, p = 0.12 corrected for 2 models; n = 599).",
    ]


def test_a_seed_whose_record_is_gone_is_named_in_both_tables() -> None:
    scores = (make_score(split="train"), make_score(), label_test(0.5))
    runs = [make_run(model, seed, scores=scores) for model in ("gan", "vae") for seed in range(3)]
    runs += [make_run("mine", None, scores=scores), control("real", 0.5)]
    left = [run for run in runs if (run.sampler, run.train_seed) not in {("gan", 0), ("gan", 2)}]
    for table in (generalization(left), memorization(left)):
        assert dict(zip(table["model"], table["missing"], strict=False)) == {
            "gan": "0 2",
            "vae": "",
            "mine": "",
            "real": "",
        }
    assert set(memorization(runs)["missing"]) == {""}


def test_a_failed_run_is_no_missing_record() -> None:
    runs = [
        *trainings("gan", [(0.5, 0.5)] * 2),
        *trainings("vae", [(0.5, 0.5)]),
        make_run("vae", 1, scores=(), failure="x"),
    ]
    found = row(memorization(runs), model="vae")
    assert (found["missing"], found["failed"]) == ("", 1)


def test_closeness_and_unique_share_stand_beside_the_verdict() -> None:
    extra = tuple(
        make_score(split=None, metric=name, better="match", estimate=make_estimate(value, null=null))
        for name, value, null in (("copy_rate", 0.4, 0.01), ("unique_fraction", 0.9, 1.0))
    )
    found = row(memorization([make_run(scores=(label_test(0.5), *extra))]), model="gan")
    space = "digits-cnn.pool"
    assert (found[f"copy_rate@{space}"], found[f"copy_rate@{space} null"]) == (0.4, 0.01)
    assert (found[f"unique_fraction@{space}"], found[f"unique_fraction@{space} null"]) == (0.9, 1.0)


def honest_table(seed: int, *, models: int, seeds: int, n: int = 30, real: int = 24) -> list[Run]:
    """Label tests of generators that know nothing: all against one split of the real samples, which is drawn last."""
    rng = np.random.default_rng([seed, 0])
    hits = [
        [rng.multinomial(n, rng.dirichlet(np.full(real, rng.choice([0.1, 1.0])))) for _ in range(seeds)]
        for _ in range(models)
    ]
    labels = rng.permutation(np.arange(real) < real // 2)
    runs = []
    for model, counts in enumerate(hits):
        pairs = []
        for count in counts:
            nearest = rng.multivariate_hypergeometric(count, n // 2)
            pairs.append((labelled_sum(nearest, labels).p_value, labelled_sum(count, labels).p_value))
        runs += trainings(f"m{model}", pairs)
    return runs


def test_at_the_stated_rate_any_honest_model_of_a_table_is_accused() -> None:
    """Four models of two seeds that share the real sets: a false alarm at 5% in at most 5% of tables.

    Of 100 tables, the bound is exceeded by chance alone in less than 1 of 10^4 cases. Uncorrected over seeds and models
    far more tables have one, so that the test can fail.
    """
    corrected = uncorrected = 0
    for seed in range(100):
        runs = honest_table(seed, models=4, seeds=2)
        corrected += bool((memorization(runs)["p_corrected"] < 0.05).any())
        estimates = [score.estimate for run in runs for score in run.scores if score.estimate]
        uncorrected += any(min(e.extra["p_value"], e.extra["p_all"]) < 0.05 for e in estimates)
    assert corrected <= binom.ppf(1 - 1e-4, 100, 0.05) < uncorrected


# What must be found and what must not


@pytest.mark.parametrize("benchmark", ["digits@1", "ring8@1"])
def test_the_committed_run_accuses_the_replays_and_nobody_else(benchmark: str) -> None:
    """Chance of a false alarm: `LEVEL` for the models of a table, and as much for its controls."""
    table = memorization(Store(RESULTS, benchmark).runs())
    assert set(table["model"]) >= {"real", "gaussian", "replay-noise", "replay"}
    assert set(table[table["verdict"] == "memorized"]["model"]) == {"replay-noise", "replay"}
    assert (table[table["verdict"] == "memorized"]["p_corrected"] < 1e-3).all()
    assert set(table["verdict"]) == {"memorized", "no evidence"}


def rung(size: int, folder: Path) -> list[Run]:
    """Train one GAN on so many digits and score it, by what decides about memorization and one gap."""
    benchmark = load_benchmark("digits")
    metrics = tuple(spec for spec in benchmark.metrics if spec.metric in ("label_test", "fd", "kd"))
    gan = Budget(steps=2000, batch=64, options={"lr": 1e-3})
    few = replace(
        benchmark, baselines={"gan": gan}, seeds=(0,), checkpoints=1, metrics=metrics, curve=(benchmark.primary,)
    )
    return run_benchmark(with_train_size(few, size), out=folder, device="cpu")


@pytest.mark.slow
def test_a_gan_overfitted_on_64_samples_is_accused_and_the_same_on_1000_is_not(tmp_path: Path) -> None:
    sizes = {size: rung(size, tmp_path) for size in (64, 1000)}
    table = ladder(sizes, "fd@digits-cnn.pool", gap="kd@digits-cnn.pool").set_index(["model", "train_size"])
    few, many = table.loc[("gan", 64)], table.loc[("gan", 1000)]
    assert (few["verdict"], many["verdict"]) == ("memorized", "no evidence")
    assert few["p_value"] < 1e-3
    assert many["gap_low"] < 0 < many["gap_high"]
    assert (few["n_gap"], many["n_gap"]) == (64, 599)
    assert few["test"] > many["test"]
    # A replay is nearer to what it repeats than to fresh rows, if only by chance of 64 of them.
    assert table.loc[("replay", 64), "gap"] > 0
    for size in sizes:
        accused = {name: table.loc[(name, size), "verdict"] for name in ("real", "gaussian", "replay-noise", "replay")}
        assert accused == {
            "real": "no evidence",
            "gaussian": "no evidence",
            "replay-noise": "memorized",
            "replay": "memorized",
        }
