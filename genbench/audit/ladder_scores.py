"""What a draw of the ladder scores: all metrics from one pass over each set of samples, by the ordinary line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.audit.corruptions import Labelled, corrupt
from genbench.audit.grounds import TERRAINS, Terrain
from genbench.definitions import Benchmark, Dataset, MetricSpec, Split
from genbench.devices import one_thread
from genbench.errors import ConvergenceError, SampleError
from genbench.estimation import compute_estimate
from genbench.evaluate import Evaluator
from genbench.inputs import space_of
from genbench.metrics.catalogue import read_catalogue
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.randomness import derive_seed
from genbench.registry import METRICS
from genbench.spaces import Keep, Seen, Space
from genbench.stats.jackknife import values_alone

OPTIONS: Mapping[str, Mapping[str, Any]] = {"kd_subsets": {"subset_size": 100}}
"""Options without which a metric does not work at the ladder's n."""

FEWER: Mapping[str, int] = {"sinkhorn": 64}
"""Samples of each set for metrics whose cost would be most of the ladder's."""

PER_CLASS = ("fd",)
"""Metrics that are scored class by class as well: what labels say is seen by nothing else."""


class Key(NamedTuple):
    """What a score is of: the metric, ``per class`` or nothing, and how many samples of each set it reads."""

    metric: str
    form: str
    n: int

    @property
    def name(self) -> str:
        """``fd``, or ``fd (per class)``."""
        return f"{self.metric} ({self.form})" if self.form else self.metric


class Value(NamedTuple):
    """A score, or the reason why there is none."""

    value: float | None
    reason: str


Values = dict[Key, Value]


class Plan(NamedTuple):
    """What is scored on a ground: the metrics that can be, how many samples, and why the others are not."""

    metrics: tuple[str, ...]
    n: int
    unscored: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """One draw of data: clean samples, or one corruption of them at several severities."""

    ground: str
    n: int
    metrics: tuple[str, ...]
    seed: int
    number: int
    corruption: str | None = None
    severities: tuple[float, ...] = (0.0,)


def plan(metrics: Sequence[str] | None, ground: str, *, n: int | None, without: Sequence[str] = ()) -> Plan:
    """Choose the metrics that a ground can be asked for.

    Parameters
    ----------
    metrics : sequence of str or None
        None is all built-in ones.
    ground : str
    n : int or None
        In place of the ground's own number of samples.
    without : sequence of str
        Metrics that are left out for their cost, unless they are all that is asked for.

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    """
    terrain = TERRAINS[ground]
    n = n or terrain.n
    data, _ = terrain.draw(n, 0)
    names = tuple(read_catalogue() if metrics is None else metrics)
    unscored = {}
    for name in names:
        reason = _obstacle(METRICS.load(name), data)
        if not reason and name in without and len(names) > 1:
            reason = "left out of the quick ladder for its cost; ask for it alone, or for the full ladder"
        if reason:
            unscored[name] = reason
    wanted = tuple(name for name in names if name not in unscored)
    return Plan(wanted, n, unscored)


def _obstacle(metric: Metric, data: Dataset) -> str:
    if metric.reserved is not None:
        return f"the name of {metric.elsewhere} in {metric.reserved} alone"
    for need in ("mixture", "log_prob", "factors"):
        if need in metric.needs and getattr(data, need) is None:
            return f"needs data with known {need}"
    return ""


def score_occasion(occasion: Occasion) -> list[Values]:
    """Score one draw at each of its severities; nothing depends on the process that does it."""
    terrain = TERRAINS[occasion.ground]
    seed = derive_seed(occasion.seed, "audit", "ladder", occasion.ground, occasion.number)
    data, material = terrain.draw(occasion.n, seed)
    found = []
    with one_thread(), values_alone():
        evaluator = _evaluator(terrain, data, occasion)
        for severity in occasion.severities:
            if occasion.corruption is None:
                made = Labelled(material.samples[: occasion.n], material.labels[: occasion.n])
            else:
                made = corrupt(occasion.corruption, material, severity, seed=seed)
            found.append(_score(evaluator, made, seed=seed))
    return found


def _evaluator(terrain: Terrain, data: Dataset, occasion: Occasion) -> Evaluator:
    specs = tuple(
        MetricSpec(
            metric=name,
            extractor=terrain.extractor,
            layer=METRICS.load(name).space,
            n=min(FEWER.get(name, occasion.n), occasion.n),
            options=OPTIONS.get(name, {}),
        )
        for name in occasion.metrics
    )
    benchmark = Benchmark(
        name="ladder",
        version=1,
        quick=False,
        dataset=occasion.ground,
        n=occasion.n,
        seeds=(),
        checkpoints=1,
        primary=specs[0].key,
        metrics=specs,
        curve=(),
        baselines={},
    )
    return Evaluator(benchmark, device="cpu", dataset=data)


def _score(evaluator: Evaluator, made: Labelled, *, seed: int) -> Values:
    specs = evaluator.benchmark.metrics
    seen = evaluator.see(torch.from_numpy(made.samples))
    found: Values = {}
    sides = [(spec, seen[space_of(spec)], *_side(evaluator, spec)) for spec in specs]
    for spec, generated, split, n in sides:  # one pass over pairs of samples then serves all
        evaluator.inputs.announce(spec, generated, split, n, seed=seed)
    for spec, generated, split, n in sides:
        given = evaluator.inputs.given(spec, generated, split, n, seed=seed)
        found[Key(spec.metric, "", n)] = _value(evaluator, spec, given, seed=seed)
    for spec in specs:
        if spec.metric in PER_CLASS:
            found[Key(spec.metric, "per class", evaluator.benchmark.n)] = _by_class(evaluator, spec, seen, made.labels)
    return {key: found[key] for key in sorted(found, key=lambda key: (_place(specs, key), key.form))}


def _place(specs: Sequence[MetricSpec], key: Key) -> int:
    return [spec.metric for spec in specs].index(key.metric)


def _side(evaluator: Evaluator, spec: MetricSpec) -> tuple[Split | None, int]:
    """Return what a metric is compared with: held-out samples, and how many of them."""
    return next(side for side in evaluator.inputs.sides(spec) if side[0] != "train")


def _value(evaluator: Evaluator, spec: MetricSpec, given: Mapping[str, Any], *, seed: int) -> Value:
    """Compute a metric; what a perfect generator scores is not asked for, since the clean draws say it."""
    try:
        return Value(compute_estimate(evaluator.metrics[spec.key], spec.options, given, seed=seed).value, "")
    except (SampleError, ConvergenceError) as error:
        return Value(None, str(error))


def _by_class(evaluator: Evaluator, spec: MetricSpec, seen: Mapping[Space, Seen], labels: NDArray[np.int64]) -> Value:
    """Average a metric over the classes that both sides have, each against the held-out samples of its label."""
    space, n = space_of(spec), evaluator.benchmark.n
    generated, real = seen[space], evaluator.spaces.real(space, "test", Keep(n))
    known = evaluator.dataset.test_labels
    assert known is not None
    assert isinstance(generated, Features)
    assert isinstance(real, Features)
    known = known[evaluator.spaces.real_rows("test", n)]
    values: list[Value] = []
    for label in np.unique(known):
        if min((labels == label).sum(), (known == label).sum()) < 2:
            continue
        sides = {"generated": generated.select(labels == label), "reference": real.select(known == label)}
        values.append(_value(evaluator, spec, sides, seed=0))
    failed = [value for value in values if value.value is None]
    if failed or not values:
        return failed[0] if failed else Value(None, "no class has two samples on both sides")
    return Value(float(np.mean([value.value for value in values])), "")
