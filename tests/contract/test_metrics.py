"""Every registered metric keeps the contract, by being registered; and a benchmark's metrics do not disturb each other.

Metrics are scored through the real line: on digits (quick: n = 300) where they fit, else on ring8 (quick: n = 1000) or
shapes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from genbench.evaluate import Evaluator
from genbench.extractors.digits_cnn import DigitsCNN
from genbench.metrics.catalogue import catalogue
from genbench.metrics.metric import Metric
from genbench.registry import METRICS
from genbench.testing.metrics import MetricContract, worse_for
from genbench.testing.stage import Case, Kind, Stage, benchmark_for, spec_for

# The published protocol asks for 1,000 samples a subset; the quick benchmark has 300.
OPTIONS = {"kd_subsets": {"subset_size": 100}}

WORSE: dict[str, Kind] = {"unique_fraction": "repeat"}


def every_case() -> list[Case]:
    """One for every registered metric; all that are scored on one benchmark share its stage."""
    # Reserved: another name of a metric that is here, for a space that needs weights.
    metrics: dict[str, Metric] = {
        name: METRICS.load(name) for name, facts in catalogue().items() if not facts["reserved"]
    }
    specs = {name: spec_for(name, metric, OPTIONS.get(name, {})) for name, metric in metrics.items()}
    stages = {
        stage: Stage(stage, [specs[name] for name, metric in metrics.items() if benchmark_for(metric) == stage])
        for stage in sorted(set(map(benchmark_for, metrics.values())))
    }
    return [
        Case(metric, specs[name], stages[benchmark_for(metric)], WORSE.get(name) or worse_for(metric))
        for name, metric in metrics.items()
    ]


CASES = every_case()
STAGES = {case.stage.benchmark.name: case.stage for case in CASES}
REAL = ("digits", "ring8")


@pytest.mark.parametrize("case", CASES, ids=[f"{c.stage.benchmark.name}-{c.spec.metric}" for c in CASES])
class TestEveryMetric(MetricContract):
    """The contract that plug-ins are held to."""


@pytest.mark.parametrize("name", REAL)
def test_neither_order_nor_company_changes_a_score(name: str) -> None:
    stage = STAGES[name]
    backwards = Evaluator(replace(stage.benchmark, metrics=stage.benchmark.metrics[::-1]), device="cpu")
    reversed_scores = {(s.key, s.split): s for s in backwards.score(stage.samples("noise"), seed=0)}
    assert reversed_scores == {(s.key, s.split): s for s in stage.scores("noise")}


def test_the_extraction_batch_changes_no_score() -> None:
    stage = STAGES["digits"]
    small = Evaluator(stage.benchmark, device="cpu")
    small.spaces.extractors["digits-cnn"] = DigitsCNN(event_shape=(1, 8, 8), device=torch.device("cpu"), batch_size=7)
    assert small.score(stage.samples("noise"), seed=0) == stage.scores("noise")


@pytest.mark.parametrize("name", REAL)
def test_a_perfect_generator_scores_near_the_null(name: str) -> None:
    """Real data against train, beside the null (which is the same real data in another subset): within 6 std errors."""
    for score in STAGES[name].scores("good"):
        estimate = score.estimate
        if score.split == "test" or estimate is None or estimate.std_error in (None, 0.0) or estimate.null is None:
            continue
        assert abs(estimate.value - estimate.null) < 6 * estimate.std_error, score.key
