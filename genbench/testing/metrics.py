"""What every metric keeps: honest numbers that depend on the samples and the seed, and on nothing else."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import pytest
import torch

from genbench.errors import GenbenchError
from genbench.evaluate import Evaluator
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.records import Estimate
from genbench.registry import METRICS
from genbench.stats.jackknife import values_alone
from genbench.testing.stage import Case, Kind, Stage, benchmark_for, spec_for

ROUNDING = 1e-9
"""Of a score, relative to it or to 1: sums over thousands of float64 numbers in another order differ by less."""

ERRORS = 6
"""Standard errors that a metric with an ``rng`` may move by when its samples change places: it draws other subsets.

The two values share their samples, so that their difference has a standard error well below twice the declared one.
"""


class MetricContract:
    """The contract of a metric; subclass it in a test file.

    Attributes
    ----------
    part : str
        A registered name, or ``package.module:ATTRIBUTE`` of a `genbench.Metric`.
    worse : {"noise", "replay", "repeat"} or None
        What the metric must find worse than real data: images of noise (or, for a metric that needs a known density,
        half of its modes and too wide), training rows played back, or each sample twice. None: ``replay`` for a metric
        that is given training rows as such, ``noise`` for others.
    options : mapping
        Of the metric, where those of its declaration do not fit 300 digits in 64 features.
    """

    part: ClassVar[str]
    worse: ClassVar[Kind | None] = None
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest) -> Case:
        """The metric, alone on the quick benchmark that has what it needs."""
        return self.staged(getattr(request, "param", None) or self.part)

    @classmethod
    @cache
    def staged(cls, part: str) -> Case:
        """Make ready what a metric is scored on, the first time that it is asked for."""
        metric = METRICS.load(part)
        assert isinstance(metric, Metric), f"{part}: a genbench.Metric expected, got {type(metric).__name__}."
        spec = spec_for(part, metric, cls.options)
        stage = Stage(benchmark_for(metric), [spec], alone=True)
        return Case(metric, spec, stage, cls.worse or worse_for(metric))

    def test_the_declaration_is_complete(self, case: Case) -> None:
        """Name, unit, direction and source are given, and the docstring has the sections that ``explain`` shows."""
        metric = case.metric
        doc = metric.compute.__doc__ or ""
        assert ":" in case.spec.metric or metric.name == case.spec.metric, (
            f"registered as {case.spec.metric!r}, but its declaration says name={metric.name!r}; make them the same."
        )
        assert metric.unit, "unit is empty; say what the value is measured in, or 'none'."
        assert metric.source, "source is empty; name the paper and equation."
        assert metric.better in ("lower", "higher", "match"), (
            f"better is 'lower', 'higher' or 'match', not {metric.better!r}."
        )
        for section in ("Parameters", "Returns"):
            assert section in doc, f"the docstring of {_name(metric)} has no section {section!r} (numpydoc)."
        assert "Raises" in doc or "errors" in doc, f"the docstring of {_name(metric)} does not say what it raises."

    def test_the_same_seed_gives_the_same_score(self, case: Case) -> None:
        """A second evaluation, in a fresh `genbench.Evaluator` and alone, gives the same record to the last bit."""
        fresh = Evaluator(replace(case.stage.benchmark, metrics=(case.spec,)), device="cpu")
        again = case.pick(fresh.score(case.stage.samples("noise"), seed=0))
        first = case.score("noise")
        assert again == first, (
            f"scored twice with seed 0: {first.estimate} first, {again.estimate} then; draw all that is random from "
            "a generator seeded by the input rng."
        )

    def test_better_points_the_right_way(self, case: Case) -> None:
        """Real data that nobody has seen score better than the samples that the metric is made to find."""
        good, bad = self._estimate(case, "good"), self._estimate(case, case.worse)
        target = case.metric.ideal if case.metric.ideal is not None else good.null
        better = case.metric.better
        if better == "match":
            assert target is not None, "better='match' needs an ideal, or a null to be matched."
            right = abs(good.best - target) < abs(bad.best - target)
        else:
            right = good.best < bad.best if better == "lower" else good.best > bad.best
        assert right, (
            f"declared better={better!r}, but real data score {good.best:g} and {case.worse} scores {bad.best:g}; "
            "correct the direction, or say in `worse` what the metric is made to find (noise, replay, repeat)."
        )

    def test_the_score_follows_the_samples(self, case: Case) -> None:
        """Other samples have another score, and a metric with a reference has one against either split."""
        good, bad = case.score("good"), case.score(case.worse)
        assert good.estimate != bad.estimate, (
            "real data and bad samples get one and the same score; which does it read?"
        )
        splits = {s.split for s in case.stage.scores("noise") if s.key == case.spec.key}
        assert splits == ({"train", "test"} if "reference" in case.metric.needs else {None})

    def test_an_estimate_is_in_order(self, case: Case) -> None:
        """Numbers are finite floats, intervals are not upside down, and a missing correction says why."""
        for kind in ("good", case.worse):
            estimate = self._estimate(case, kind)
            for name in ("value", "best"):
                number = getattr(estimate, name)
                assert isinstance(number, float), f"{name} of {kind}: a float expected, got {type(number).__name__}."
                assert math.isfinite(number), f"{name} of {kind}: a finite number expected, got {number}."
            if not case.metric.needs & {"train", "test"}:
                assert estimate.null is not None, "no null: the metric fails on real data played as generated."
            if estimate.low is not None and estimate.high is not None:
                assert estimate.low <= estimate.high, f"the interval [{estimate.low}, {estimate.high}] is upside down."
            assert estimate.std_error is None or estimate.std_error >= 0, f"std_error is {estimate.std_error}."
            if estimate.debiased is None and case.metric.uncertainty == "jackknife":
                assert estimate.notes, "a value that is not debiased must say why, in notes."
            n = case.spec.n or case.stage.benchmark.n
            assert case.score(kind).n_generated == n, "the score says another n than was scored."

    def test_the_order_of_samples_changes_nothing(self, case: Case) -> None:
        """A set has no order; only a metric that names ``rng`` may move, within its standard errors."""
        first = self._estimate(case, case.worse)
        allowed = ROUNDING * max(1.0, abs(first.value))
        if "rng" in case.metric.needs:
            if first.std_error is None:
                pytest.skip("it draws at random and states no standard error, so that nobody can say what is too much")
            allowed += ERRORS * first.std_error
        given = case.stage.given(case, case.worse)
        generated: Features = given["generated"]
        order = torch.randperm(generated.n, generator=torch.Generator().manual_seed(1))
        then = _value(case, {**given, "generated": Features(generated.values[order])})
        assert abs(first.value - then) <= allowed, (
            f"{first.value!r} became {then!r} when the generated samples changed places; nothing may depend on their "
            "order, unless the metric names rng."
        )

    @pytest.mark.parametrize("what", ["one sample", "two samples", "equal samples"])
    def test_too_little_is_an_error_in_words(self, case: Case, what: str) -> None:
        """Samples that have no such score give a finite number or a `genbench.GenbenchError`: no traceback, no NaN."""
        given = case.stage.given(case, "good")
        poor = {name: CUTS[what](value) if name == "generated" else value for name, value in given.items()}
        try:
            value = _value(case, poor)
        except GenbenchError:
            return
        except Exception as error:
            pytest.fail(
                f"{what}: {type(error).__name__} ({error}); check the samples, and raise genbench.errors.SampleError "
                "with a sentence that says how many are needed."
            )
        assert math.isfinite(value), f"{what}: the score is {value}; raise genbench.errors.SampleError instead."

    def test_inputs_are_not_written_to(self, case: Case) -> None:
        """Features are shared by all metrics of an evaluation."""
        given = case.stage.given(case, "noise")
        tables = {name: value for name, value in given.items() if isinstance(value, Features)}
        before = {name: table.values.clone() for name, table in tables.items()}
        _value(case, given)
        for name, table in tables.items():
            assert torch.equal(table.values, before[name]), f"the metric wrote to its input {name!r}; copy it first."

    def _estimate(self, case: Case, kind: Kind) -> Estimate:
        score = case.score(kind)
        assert score.failure is None, f"scoring {kind} failed: {score.failure}"
        assert score.estimate is not None
        return score.estimate


CUTS: dict[str, Callable[[Features], Features]] = {
    "one sample": lambda features: Features(features.values[:1]),
    "two samples": lambda features: Features(features.values[:2]),
    "equal samples": lambda features: Features(features.values[:1].expand(features.n, -1)),
}
"""Sets of samples from which few scores can be computed."""


def worse_for(metric: Metric) -> Kind:
    """Say what a metric is made to find, if nobody says otherwise."""
    return "replay" if "train" in metric.needs else "noise"


def _value(case: Case, given: Mapping[str, Any]) -> float:
    """Call the metric itself, without what genbench puts around it."""
    with values_alone():
        found = case.metric.compute(**{**case.metric.options, **case.spec.options}, **given)
    return found.value if isinstance(found, Estimate) else float(found)


def _name(metric: Metric) -> str:
    return getattr(inspect.unwrap(metric.compute), "__name__", metric.name)
