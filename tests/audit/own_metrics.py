"""Metrics of a user's own: one that works, and two that do not."""

from __future__ import annotations

from typing import Any

from genbench.metrics.metric import Metric


def _declare(name: str, compute: Any) -> Metric:
    return Metric(
        name=name,
        compute=compute,
        space="pool",
        unit="feature units",
        better="lower",
        ideal=0.0,
        uncertainty="jackknife",
        source="for tests",
    )


def mean_gap(*, generated: Any, reference: Any) -> float:
    """Distance between the means."""
    return float((generated.values.mean(dim=0) - reference.values.mean(dim=0)).norm())


def wrong_way(*, generated: Any, reference: Any) -> float:
    """The same with the wrong sign."""
    return -mean_gap(generated=generated, reference=reference)


def unmoved(*, generated: Any) -> float:
    """The number of samples: a score that sees nothing."""
    return float(generated.n)


def choosy(*, generated: Any) -> float:
    """A score that exists of distinct samples alone."""
    from genbench.errors import SampleError

    if len(generated.values.unique(dim=0)) < generated.n:
        raise SampleError("choosy: distinct samples expected; remove the repeated ones.")
    return float(generated.values.mean())


MEAN_GAP, WRONG_WAY, UNMOVED, CHOOSY = (_declare(f.__name__, f) for f in (mean_gap, wrong_way, unmoved, choosy))
