"""The data-size ladder: benchmarks of their own, equal sizes where they matter, scores that compare over sizes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from genbench.benchmarks import load_benchmark, with_metrics
from genbench.benchmarks.ladder import train_size_of, with_train_size
from genbench.controls import make_controls
from genbench.data.sizes import even_order
from genbench.definitions import Benchmark
from genbench.errors import UsageError
from genbench.evaluate import Evaluator
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd
from genbench.records import Run, Score
from genbench.tables import ladder
from tests.makers import make_estimate, make_run, make_score

KEPT = ("fd", "label_test", "copy_rate", "unique_fraction")


@cache
def benchmark() -> Benchmark:
    """The digits in a few scores."""
    whole = load_benchmark("digits")
    return replace(whole, metrics=tuple(s for s in whole.metrics if s.metric in KEPT and s.extractor == "digits-cnn"))


@cache
def evaluator(size: int | None) -> Evaluator:
    """The digits with so many training rows, made ready."""
    return Evaluator(benchmark() if size is None else with_train_size(benchmark(), size), device="cpu")


@cache
def samples() -> torch.Tensor:
    """599 real digits with a little noise."""
    rng = np.random.default_rng(0)
    images = evaluator(None).dataset.train[:599].astype(np.int64)
    return torch.from_numpy((images + rng.integers(-20, 21, images.shape)).clip(0, 255).astype(np.uint8))


@cache
def scores(size: int | None) -> dict[tuple[str, str | None], Score]:
    """Every score of the samples, by metric and split."""
    return {(s.metric, s.split): s for s in evaluator(size).score(samples(), seed=0)}


def test_a_rung_has_an_id_of_its_own_and_no_other_way_back() -> None:
    rung = with_train_size(load_benchmark("digits", quick=True), 64)
    assert rung.id == "digits@1-quick-train64"
    assert [train_size_of(b.id) for b in (rung, benchmark(), with_train_size(benchmark(), 256))] == [64, None, 256]


def test_protocols_differ_by_size_and_that_of_the_whole_is_what_it_was() -> None:
    protocols = {size: evaluator(size).protocol for size in (None, 64, 256)}
    assert len(set(protocols.values())) == 3
    assert Evaluator(replace(benchmark(), train_size=None), device="cpu").protocol == protocols[None]


def test_below_n_the_held_out_score_is_that_of_the_whole_benchmark() -> None:
    whole, few = scores(None)["fd", "test"], scores(64)["fd", "test"]
    assert (few.n_generated, few.n_reference) == (599, 599)
    assert few.estimate is not None
    assert whole.estimate is not None
    assert replace(few.estimate, null=None) == replace(whole.estimate, null=None)
    assert ("fd", "train") not in scores(64)


def test_below_n_the_gap_is_between_as_many_rows_of_either_split() -> None:
    """Both with the classes' shares: of 599 held-out rows, 64 that are drawn as the training ones were."""
    ready = evaluator(64)
    for split in ("train", "test"):
        found = scores(64)["fd:rows=64", split]
        assert (found.n_generated, found.n_reference) == (599, 64)
        order = ready.spaces.real_rows(split, 599)  # type: ignore[arg-type]
        if split == "test":
            order = order[np.sort(even_order(ready.dataset.test_labels[order])[:64])]
            assert np.ptp(np.bincount(ready.dataset.test_labels[order], minlength=10)) <= 2
        rows = ready.dataset.split(split)[order]  # type: ignore[arg-type]
        real, ours = (
            ready.spaces.extractors["digits-cnn"].extract(x)["pool"] for x in (torch.from_numpy(rows), samples())
        )
        expected = fd(generated=Features(ours), reference=Features(real))
        assert found.estimate is not None
        assert found.estimate.value == pytest.approx(expected.value, rel=1e-9)


def test_the_label_test_takes_every_training_row_and_all_n_held_out_ones() -> None:
    found = scores(64)["label_test", None].estimate
    assert found is not None
    assert found.null == 64 / (64 + 599)


def test_from_n_on_every_score_has_its_plain_name() -> None:
    assert set(scores(1000)) == set(scores(None))


def test_the_real_data_that_a_small_split_leaves_out_are_what_a_perfect_generator_scores() -> None:
    """Fresh real data against 599 held-out rows: the same as the whole benchmark's null but for the rows drawn."""
    null, whole = (scores(size)["fd", "test"].estimate for size in (64, None))
    assert null is not None
    assert whole is not None
    assert null.null == pytest.approx(whole.null, rel=0.5)
    assert null.null != whole.null


def test_replays_of_a_small_split_repeat_it_and_real_samples_are_those_that_it_leaves_out() -> None:
    ready = evaluator(64)
    data = ready.dataset
    made = make_controls(data, n=599, order=lambda split: ready.spaces.real_rows(split, len(data.split(split))))
    drawn = {name: list(ready.draw(made[name].sampler, seed=0)) for name in ("real", "replay", "replay-noise")}
    rows = {name: {x.numpy().tobytes() for x in torch.cat(blocks)} for name, blocks in drawn.items()}
    assert rows["replay"] == {x.tobytes() for x in data.train}
    assert data.spare is not None
    assert rows["real"] <= {x.tobytes() for x in data.spare}
    assert sum(map(len, drawn["real"])) == 599
    assert len(rows["replay-noise"]) == 599


def test_extractors_are_fitted_on_the_whole_training_split() -> None:
    """So that the rungs are measured in one space."""
    pca = with_metrics(load_benchmark("digits", quick=True), ["fd@pca.pool"])
    prints = {Evaluator(b, device="cpu").spaces.extractors["pca"].fingerprint for b in (pca, with_train_size(pca, 300))}
    assert len(prints) == 1


@pytest.mark.parametrize("size", [-5, 0, 1])
def test_sizes_that_make_no_sense_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="at least 2"):
        with_train_size(benchmark(), size)


def test_a_rung_of_a_rung_is_refused() -> None:
    with pytest.raises(UsageError, match="has a train size already"):
        with_train_size(with_train_size(benchmark(), 64), 32)


def test_a_size_beyond_the_data_is_refused_when_they_are_loaded() -> None:
    with pytest.raises(UsageError, match="fewer than the 1198"):
        Evaluator(with_train_size(benchmark(), 1198), device="cpu")


# The table


def rung(size: int, model: str, seed: int, *, test: float, gap: float, p_value: float) -> Run:
    """A final run with a score against n held-out rows, a pair against as few as were trained on, and a label test."""
    few = "fd:rows=64" if size < 599 else "fd"
    extra = {"p_value": p_value, "p_all": 1.0}
    verdict = make_estimate(0.5, debiased=None, null=0.1, extra=extra)
    pair = [
        make_score(gap + 1.0, split="test", metric=few, n_reference=64),
        make_score(1.0, split="train", metric=few, n_reference=64),
    ]
    held_out = [make_score(test)] if size < 599 else []
    found = (*held_out, *pair, make_score(split=None, metric="label_test", better="match", estimate=verdict))
    return make_run(model, seed, scores=found, benchmark=f"digits@1-train{size}")


def test_the_ladder_has_a_row_for_every_model_and_size_smallest_first() -> None:
    runs = {
        size: [
            rung(size, m, s, test=100.0 / size, gap=10.0 / size, p_value=p) for m in ("vae", "gan") for s in range(2)
        ]
        for size, p in ((1000, 0.4), (64, 1e-9))
    }
    table = ladder(runs, "fd@digits-cnn.pool")
    assert list(zip(table["model"], table["train_size"], strict=True)) == [
        ("gan", 64), ("gan", 1000), ("vae", 64), ("vae", 1000),
    ]  # fmt: skip
    first, second = table.iloc[0], table.iloc[1]
    assert (first["verdict"], second["verdict"]) == ("memorized", "no evidence")
    assert first["test"] == pytest.approx(100 / 64)
    assert first["gap"] == pytest.approx(10 / 64)
    assert second["gap"] == pytest.approx(0.01)
    assert first["n_gap"] == 64
    assert first["chance"] == 0.1


def test_a_model_that_failed_at_one_size_keeps_its_row_there() -> None:
    good = [rung(64, m, 0, test=1.0, gap=0.1, p_value=0.5) for m in ("gan", "vae")]
    failed = make_run("vae", 0, scores=(), failure="diverged", benchmark="digits@1-train1000")
    found = ladder(
        {64: good, 1000: [rung(1000, "gan", 0, test=1.0, gap=0.1, p_value=0.5), failed]}, "fd@digits-cnn.pool"
    )
    row = found[(found["model"] == "vae") & (found["train_size"] == 1000)].iloc[0]
    assert (row["failed"], row["verdict"]) == (1, "not tested")
    assert np.isnan(row["test"])
