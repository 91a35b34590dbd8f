"""Calls genbench's metrics on raw tables, so that what `Features` does with them is timed as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genbench.metrics.demand import announce_metric
from genbench.metrics.features import Features
from genbench.records import Estimate
from genbench.registry import METRICS
from genbench.stats.jackknife import values_alone
from tests.performance.case import Numbers

SEED = 0


def estimates(
    names: Sequence[str], *, seed: int = SEED, options: dict[str, Any] | None = None, **tables: Any
) -> dict[str, Estimate]:
    """Compute metrics as an evaluation does, on the same `Features`, made anew from the tables (n, d)."""
    given = {name: Features(table) for name, table in tables.items()} | {"rng": seed}
    metrics = [METRICS.load(name) for name in names]
    needed = [{need: given[need] for need in metric.needs} for metric in metrics]
    for metric, inputs in zip(metrics, needed, strict=True):
        announce_metric(metric, options or {}, inputs)
    return {
        name: metric.compute(**inputs, **{**metric.options, **(options or {})})
        for name, metric, inputs in zip(names, metrics, needed, strict=True)
    }


def bare_values(names: Sequence[str], **given: Any) -> Numbers:
    """Return the values of metrics that were not asked for their intervals."""
    with values_alone():
        return values(names, **given)


def values(names: Sequence[str], **given: Any) -> Numbers:
    """Return the values alone."""
    return {name: estimate.value for name, estimate in estimates(names, **given).items()}
