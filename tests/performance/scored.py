"""Calls genbench's metrics on raw tables, so that what `Features` does with them is timed as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genbench.metrics.features import Features
from genbench.records import Estimate
from genbench.registry import METRICS
from tests.performance.case import Numbers

SEED = 0


def estimates(
    names: Sequence[str], *, seed: int = SEED, options: dict[str, Any] | None = None, **tables: Any
) -> dict[str, Estimate]:
    """Compute metrics one after another on the same `Features`, made anew from the tables (n, d)."""
    given = {name: Features(table) for name, table in tables.items()} | {"rng": seed}
    found = {}
    for name in names:
        metric = METRICS.load(name)
        chosen = {**metric.options, **(options or {})}
        found[name] = metric.compute(**{need: given[need] for need in metric.needs}, **chosen)
    return found


def values(names: Sequence[str], **given: Any) -> Numbers:
    """Return the values alone."""
    return {name: estimate.value for name, estimate in estimates(names, **given).items()}
