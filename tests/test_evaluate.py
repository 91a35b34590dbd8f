"""The line: one pass, the right inputs, honest failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import genbench
from genbench.cache import FeatureCache
from genbench.definitions import MetricSpec
from genbench.errors import ConvergenceError, DeclarationError, SampleError, UnknownNameError
from genbench.evaluate import Evaluator
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.registry import METRICS
from tests.makers import GaussianSampler, make_benchmark


def with_metrics(*specs: MetricSpec) -> Evaluator:
    """A tiny ring8 benchmark with these metrics."""
    primary = specs[0].key
    return Evaluator(make_benchmark(metrics=specs, primary=primary, curve=(primary,)), device="cpu")


def spec(metric: str, **changes: object) -> MetricSpec:
    """A metric in the identity space."""
    return MetricSpec(metric=metric, extractor="identity", layer="pool", **changes)  # type: ignore[arg-type]


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Metric]:
    """Metrics put here are known to the registry."""
    metrics: dict[str, Metric] = {}
    load = METRICS.load
    monkeypatch.setattr(METRICS, "load", lambda name: metrics.get(name) or load(name))
    return metrics


def declare(compute: object, **changes: object) -> Metric:
    """A declaration for a function."""
    fields = {"name": "mine", "space": "pool", "unit": "1", "better": "lower", "ideal": 0.0}
    return Metric(compute=compute, uncertainty="none", source="test", **{**fields, **changes})  # type: ignore[arg-type]


def test_one_pass_serves_every_metric() -> None:
    evaluator = with_metrics(spec("fd"), spec("w2"), spec("coverage"))
    inner, calls = evaluator.spaces.extractors["identity"], []

    class Counting:
        name, fingerprint, layers = inner.name, inner.fingerprint, inner.layers

        def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
            calls.append(len(samples))
            return inner.extract(samples)

    evaluator.spaces.extractors["identity"] = Counting()
    samples = torch.cat(list(evaluator.draw(GaussianSampler(), seed=0)))
    evaluator.score(samples, seed=0)
    evaluator.score(samples, seed=0)
    # One pass over each real split, once; one over the samples in each call.
    assert calls == [200] * 4


def test_a_metric_gets_what_it_names_and_nothing_else(plugged: dict[str, Metric]) -> None:
    seen: dict[str, object] = {}

    def compute(*, generated: Features, train: Features, test: Features, log_prob: object, rng: int) -> float:
        seen.update(generated=generated.n, train=train.n, test=test.n, log_prob=callable(log_prob), rng=rng)
        return 1.0

    plugged["mine"] = declare(compute)
    (score,) = with_metrics(spec("mine", n=50)).score(torch.zeros(200, 2), seed=0)
    assert score.split is None
    assert score.estimate is not None
    assert score.estimate.value == 1.0
    assert isinstance(seen.pop("rng"), int)
    assert seen == {"generated": 50, "train": 50, "test": 50, "log_prob": True}


def test_the_reference_is_the_split_that_the_score_names(plugged: dict[str, Metric]) -> None:
    plugged["mine"] = declare(lambda *, generated, reference: float(reference.values[0, 0]))
    evaluator = with_metrics(spec("mine"))
    train, test = evaluator.score(torch.zeros(200, 2), seed=0)
    assert (train.split, test.split) == ("train", "test")
    for score in (train, test):
        assert score.estimate is not None
        rows = evaluator.dataset.split(score.split)[:, 0]  # type: ignore[arg-type]
        assert np.float32(score.estimate.value) in rows
    assert train.estimate != test.estimate


def test_options_reach_the_function_and_the_record(plugged: dict[str, Metric]) -> None:
    plugged["mine"] = declare(lambda *, generated, k=1: float(k))
    (score,) = with_metrics(spec("mine", options={"k": 7})).score(torch.zeros(200, 2), seed=0)
    assert score.estimate is not None
    assert (score.estimate.value, score.options) == (7.0, {"k": 7})


@pytest.mark.parametrize("error", [ConvergenceError("did not converge"), SampleError("too few")])
def test_a_metric_that_fails_is_a_failed_score_beside_good_ones(plugged: dict[str, Metric], error: Exception) -> None:
    def fail(*, generated: Features) -> float:
        raise error

    plugged["mine"] = declare(fail)
    bad, *good = with_metrics(spec("mine"), spec("fd")).score(torch.rand(200, 2), seed=0)
    assert bad.estimate is None
    assert bad.failure == str(error)
    assert all(s.failure is None for s in good)


def test_a_result_that_is_not_finite_is_a_failure_not_a_number(plugged: dict[str, Metric]) -> None:
    plugged["mine"] = declare(lambda *, generated: float("nan"))
    (score,) = with_metrics(spec("mine")).score(torch.zeros(200, 2), seed=0)
    assert score.estimate is None
    assert "not finite" in (score.failure or "")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (spec("fd", options={"nope": 1}), "no option 'nope'"),
        (MetricSpec(metric="fd", extractor="identity", layer="pol"), "Did you mean 'pool'"),
        (spec("is"), "reads class logits"),
        (spec("fd", n=10**6), "split has"),
    ],
)
def test_what_cannot_work_is_refused_before_any_sample(bad: MetricSpec, said: str) -> None:
    with pytest.raises((DeclarationError, UnknownNameError), match=said):
        with_metrics(bad)


def test_a_mixture_metric_needs_data_with_a_mixture() -> None:
    benchmark = make_benchmark(dataset="digits", metrics=(spec("modes"),), primary="modes@identity.pool", curve=())
    with pytest.raises(DeclarationError, match="known mixture"):
        Evaluator(benchmark, device="cpu")


def test_samples_that_are_not_finite_raise_and_name_the_sampler() -> None:
    class Broken(GaussianSampler):
        def sample(self, n: int, *, seed: int) -> Tensor:
            points = super().sample(n, seed=seed)
            points[3] = float("nan")
            return points

    with pytest.raises(SampleError, match="broken-gan"):
        genbench.score(Broken("broken-gan"), make_benchmark(), device="cpu")


def test_a_file_is_scored_in_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", samples=GaussianSampler().sample(300, seed=0).numpy())
    run = genbench.score(tmp_path / "mine.npz", make_benchmark(), device="cpu", cache=FeatureCache(tmp_path / "cache"))
    assert run.sampler == "mine"
    assert run.failure is None
    assert {s.key for s in run.scores} == {s.key for s in make_benchmark().metrics}
    assert genbench.score(tmp_path / "mine.npz", make_benchmark(), name="other", device="cpu").sampler == "other"


def test_the_cache_changes_no_score(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache")
    runs = [genbench.score(GaussianSampler(), make_benchmark(), device="cpu", cache=c) for c in (None, cache, cache)]
    assert list((tmp_path / "cache").rglob("*.npz"))
    assert runs[0].scores == runs[1].scores == runs[2].scores


def test_the_protocol_follows_the_definition() -> None:
    benchmark = make_benchmark()
    one = Evaluator(benchmark, device="cpu").protocol
    assert one == Evaluator(replace(benchmark, seeds=(9,)), device="cpu").protocol
    assert one != Evaluator(replace(benchmark, n=150), device="cpu").protocol


def test_positional_and_unknown_inputs_are_refused_at_declaration() -> None:
    with pytest.raises(DeclarationError, match="keyword-only"):
        declare(lambda generated: 1.0)
    with pytest.raises(DeclarationError, match="asks for real"):
        declare(lambda *, generated, real: 1.0)
