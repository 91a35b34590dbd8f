"""From a metric and its inputs to an estimate, with an interval where the metric's declaration says how to get one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from genbench.definitions import MetricSpec, Split
from genbench.errors import ConvergenceError
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.protocols import FeatureExtractor
from genbench.randomness import derive_seed
from genbench.records import Estimate, Score
from genbench.stats.resampling import resampled_estimate


def compute_estimate(metric: Metric, options: Mapping[str, Any], given: Mapping[str, Any], *, seed: int) -> Estimate:
    """Compute a metric, and its uncertainty where its function returns a bare number.

    Parameters
    ----------
    metric : Metric
    options : mapping
        That differ from the metric's declaration.
    given : mapping
        What the metric needs, by name.
    seed : int
        Of resampling.

    Raises
    ------
    SampleError
        If the inputs have no such score.
    ConvergenceError
        If a solver gave up, or a number of the result is not finite.
    """
    compute = partial(metric.compute, **{**metric.options, **options})
    found = compute(**given)
    if not isinstance(found, Estimate):
        tables = {name: value for name, value in given.items() if isinstance(value, Features)}
        others = {name: value for name, value in given.items() if name not in tables}
        draw = derive_seed(seed, "metrics")
        found = resampled_estimate(float(found), compute, tables, others, method=metric.uncertainty, seed=draw)
    numbers = (found.value, found.debiased, found.std_error, found.low, found.high, found.null)
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise ConvergenceError(f"{metric.name}: the result is not finite ({found.value}).")
    return found


def as_score(
    spec: MetricSpec,
    metric: Metric,
    extractor: FeatureExtractor,
    estimate: Estimate | None,
    failure: str | None,
    *,
    split: Split | None,
    n: int,
    n_reference: int | None,
    label: int | None = None,
) -> Score:
    """Say where an estimate comes from, or why there is none; see `genbench.records.Score` for the fields."""
    return Score(
        metric=spec.label,
        space=f"{spec.extractor}.{spec.layer}",
        fingerprint=extractor.fingerprint,
        split=split,
        unit=metric.unit,
        better=metric.better,
        n_generated=n,
        n_reference=n_reference,
        estimate=estimate,
        failure=failure,
        options={**metric.options, **spec.options},
        label=label,
    )
