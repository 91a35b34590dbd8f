"""What metrics are given: which real samples, how many of them, and in what form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.data.sizes import even_order
from genbench.definitions import SPLITS, Benchmark, Dataset, MetricSpec, Split
from genbench.errors import SampleError
from genbench.metrics.demand import announce_metric
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd_groups
from genbench.metrics.metric import Metric
from genbench.metrics.moments import MomentSums, Statistics
from genbench.randomness import derive_seed
from genbench.spaces import Keep, Seen, Space, Spaces

HELD = 2**28
"""Bytes of features that are held even where their sums would do."""


def space_of(spec: MetricSpec) -> Space:
    """Return the space that a metric reads."""
    return spec.extractor, spec.layer


@dataclass(frozen=True)
class Inputs:
    """The inputs of a benchmark's metrics.

    Attributes
    ----------
    metrics : mapping of str to Metric
        By key.
    splits : tuple of str
        What is scored against, as of `genbench.Evaluator`.
    statistics : Statistics or None
        All that is known of the reference, in place of samples.
    """

    benchmark: Benchmark
    dataset: Dataset
    spaces: Spaces
    metrics: Mapping[str, Metric]
    splits: tuple[Split, ...]
    statistics: Statistics | None

    def sides(self, spec: MetricSpec) -> list[tuple[Split | None, int]]:
        """Return what a metric is scored against: which split, and how many rows of it.

        A training split with fewer than n rows cannot be compared with as the held-out one is. Then the metric is
        scored against n held-out rows, as at every size of the training split; and once more, under a label that says
        so, against as many rows of both splits as there are, for the gap between them.
        """
        n = spec.n or self.benchmark.n
        rows = self._n_reference(n)
        if "reference" not in self.metrics[spec.key].needs:
            return [(None, n)]
        if self.splits != SPLITS or rows == n:
            return [(split, rows) for split in self.splits]
        return [("test", n), *((split, rows) for split in SPLITS)]

    def labelled(self, spec: MetricSpec, split: Split | None, rows: int) -> MetricSpec:
        """Return the spec under the name of its score: ``fd``, or ``fd:rows=64`` against that many rows of n."""
        if split is None or self.splits != SPLITS or rows == (spec.n or self.benchmark.n):
            return spec
        return replace(spec, label=f"{spec.label}{':' if spec.label == spec.metric else ','}rows={rows}")

    def most(self, specs: Iterable[MetricSpec], space: Space) -> int:
        """How many samples the metrics of a space read."""
        return max(spec.n or self.benchmark.n for spec in specs if space_of(spec) == space)

    def keep(self, space: Space, n: int) -> Keep:
        """Decide what must be held of a layer: features, or sums where those serve all its metrics and are smaller."""
        width = self.spaces.width(space)
        specs = [spec for spec in self.benchmark.metrics if space_of(spec) == space]
        served = all(self.metrics[s.key].needs_moments_alone(s.options) and s.n in (None, n) for s in specs)
        groups = fd_groups(n, self._n_reference(n), width)
        if served and 8 * n * width > HELD and min(n, self._n_reference(n)) > (groups + 1) * width:
            return Keep(n, groups)
        return Keep(n)

    def _n_reference(self, n: int) -> int:
        """How many real samples of a split n generated ones are scored against.

        As many, if both splits have them; all where there is no benchmark.
        """
        if self.statistics is not None:
            return self.statistics.n
        return min(n, len(self.dataset.train)) if self.splits == SPLITS else len(self.dataset.train)

    def announce(
        self, spec: MetricSpec, generated: Seen, split: Split | None, rows: int, *, seed: int, drawn: int | None = None
    ) -> None:
        """Say what a metric will ask of pairs of samples: the first pass over these then serves all that were said."""
        with suppress(SampleError):  # the metric will say so itself
            given = self.given(spec, generated, split, rows, seed=seed, drawn=drawn)
            announce_metric(self.metrics[spec.key], spec.options, given)

    def given(
        self, spec: MetricSpec, generated: Seen, split: Split | None, rows: int, *, seed: int, drawn: int | None = None
    ) -> dict[str, Any]:
        """Return what a metric names.

        One that names both splits gets n rows of either, or all there are: the label test is exact for unlike sizes,
        and finds an overfitted GAN sooner with all held-out rows than with as few as a small training split has.
        """
        metric, n = self.metrics[spec.key], spec.n or self.benchmark.n

        def real(side: Split) -> Seen | Statistics:
            if self.statistics is not None:
                return self.statistics
            if side == "test" and rows < min(n, len(self.dataset.test)) and isinstance(generated, Features):
                everything = self.spaces.real(space_of(spec), side, Keep(n))
                assert isinstance(everything, Features)
                return everything.select(self._drawn_as_train(n, rows))
            groups = generated.groups if isinstance(generated, MomentSums) else None
            return self.spaces.real(space_of(spec), side, Keep(min(rows, len(self.dataset.split(side))), groups))

        some = generated.head(drawn or n) if isinstance(generated, Features) else generated
        given: dict[str, Any] = {"generated": some}
        for need in metric.needs - {"generated"}:
            if need == "reference":
                given[need] = real(split or "test")
            elif need in SPLITS:
                given[need] = real(need)
            else:
                given[need] = derive_seed(seed, "metrics") if need == "rng" else getattr(self.dataset, need)
        return given

    def _drawn_as_train(self, n: int, rows: int) -> NDArray[np.bool_]:
        """Choose as many of n held-out rows as a small training split has, with its classes' shares, (n,)."""
        labels = self.dataset.test_labels
        known = np.zeros(n, dtype=np.int64) if labels is None else labels[self.spaces.real_rows("test", n)]
        chosen = np.zeros(n, dtype=bool)
        chosen[even_order(known)[:rows]] = True
        return chosen
