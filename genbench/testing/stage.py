"""Where metrics are tried: a quick benchmark, made ready once, and samples of which everybody knows what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from genbench.benchmarks import load_benchmark
from genbench.definitions import MetricSpec, Mixture
from genbench.evaluate import Evaluator
from genbench.inputs import space_of
from genbench.metrics.metric import Metric
from genbench.randomness import derive_seed
from genbench.records import Score

Kind = Literal["good", "noise", "replay", "repeat"]
"""Real data that no reference holds; noise, or half of the modes and too wide; training rows; each sample twice."""


def benchmark_for(metric: Metric) -> str:
    """Name the quick benchmark that has what a metric needs: digits, ring8 (density) or shapes (factors)."""
    if {"mixture", "log_prob"} & metric.needs:
        return "ring8"
    return "shapes" if "factors" in metric.needs else "digits"


def spec_for(name: str, metric: Metric, options: Mapping[str, Any]) -> MetricSpec:
    """Say how a metric of that name is scored there."""
    extractor, layer = ("digits-cnn", metric.space) if benchmark_for(metric) == "digits" else ("identity", "pool")
    return MetricSpec(metric=name, extractor=extractor, layer=layer, options=options)


class Stage:
    """A quick benchmark, with some metrics beside its own.

    Parameters
    ----------
    name : {"digits", "ring8", "shapes"}
    specs : sequence of MetricSpec
        What to score there.
    alone : bool
        Whether to leave out the benchmark's own metrics.
    """

    def __init__(self, name: str, specs: Sequence[MetricSpec], *, alone: bool = False) -> None:
        quick = load_benchmark(name, quick=True)
        own = () if alone else quick.metrics
        known = {spec.key for spec in own}
        self.benchmark = replace(quick, metrics=(*own, *(spec for spec in specs if spec.key not in known)))
        self._samples: dict[Kind, Tensor] = {}
        self._scores: dict[Kind, tuple[Score, ...]] = {}

    @cached_property
    def evaluator(self) -> Evaluator:
        """The benchmark made ready, on the CPU."""
        return Evaluator(self.benchmark, device="cpu")

    def scores(self, kind: Kind) -> tuple[Score, ...]:
        """Every score of such samples, computed once."""
        if kind not in self._scores:
            self._scores[kind] = self.evaluator.score(self.samples(kind), seed=0)
        return self._scores[kind]

    def samples(self, kind: Kind) -> Tensor:
        """Samples of a kind, (n, *event), made once."""
        if kind not in self._samples:
            self._samples[kind] = self._made(kind)
        return self._samples[kind]

    def given(self, case: Case, kind: Kind) -> dict[str, Any]:
        """Return what a metric is called with for such samples."""
        seen = self.evaluator.see(self.samples(kind), only=[case.spec.key])
        split, rows = next(side for side in self.evaluator.inputs.sides(case.spec) if side[0] in ("train", None))
        return self.evaluator.inputs.given(case.spec, seen[space_of(case.spec)], split, rows, seed=0)

    def _made(self, kind: Kind) -> Tensor:
        n, data = self.benchmark.n, self.evaluator.dataset
        if kind == "repeat":
            good = self.samples("good")[: n // 2]
            return torch.cat([good, good])
        if self.benchmark.name == "shapes":  # a perfect generator makes what no training row has
            return torch.from_numpy(data.split("test" if kind == "good" else "train")[:n])
        if kind == "noise":
            return self._noise(np.random.default_rng(derive_seed(0, "noise")))
        order = np.random.default_rng(derive_seed(0, "reference", "train")).permutation(len(data.train))
        return torch.from_numpy(data.train[order[:n] if kind == "replay" else order[n : 2 * n]])

    def _noise(self, rng: np.random.Generator) -> Tensor:
        """Images without any order, or half of the modes, each four times too wide."""
        n, data = self.benchmark.n, self.evaluator.dataset
        if data.mixture is None:
            return torch.from_numpy(rng.integers(0, 256, (n, *data.event_shape), dtype=np.uint8))
        half = Mixture(centres=data.mixture.centres[::2], std=4 * data.mixture.std)
        return torch.from_numpy(half.sample(n, rng).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Case:
    """A metric, and where it is scored.

    Attributes
    ----------
    worse : str
        The kind of samples that it must find worse than real data.
    """

    metric: Metric
    spec: MetricSpec
    stage: Stage
    worse: Kind

    def score(self, kind: Kind) -> Score:
        """Its score of such samples: against train, or the only one."""
        return self.pick(self.stage.scores(kind))

    def pick(self, scores: Sequence[Score]) -> Score:
        """Its score among others: against train, or the only one."""
        return next(s for s in scores if s.key == self.spec.key and s.split in ("train", None))
