"""The straight line: a sampler in, one pass over its samples, scores out.

``Sampler.sample -> check -> extract (once) -> Features -> Metric -> Estimate -> Score -> Run``
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from genbench.benchmarks import load_benchmark
from genbench.cache import FeatureCache
from genbench.definitions import Benchmark, Dataset, MetricSpec, Split, protocol_hash
from genbench.devices import one_thread, resolve_device
from genbench.errors import ConvergenceError, DeclarationError, SampleError
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.protocols import Sampler
from genbench.provenance import provenance
from genbench.randomness import derive_seed
from genbench.records import Estimate, Run, Score
from genbench.registry import DATASETS, METRICS, unknown_name
from genbench.sampling.blocks import FiniteSampler, draw_samples
from genbench.sampling.files import load_samples
from genbench.spaces import Spaces
from genbench.stats.resampling import resampled_estimate

SPLITS: tuple[Split, Split] = ("train", "test")

SMALL = 10**9
"""Multiplications in the distances of two sets below which metrics compute in one thread."""


class Evaluator:
    """A benchmark made ready: its data loaded, its extractors built, its real features at hand.

    Parameters
    ----------
    benchmark : Benchmark
    device : str
        ``auto``, or a torch device, for sampling, extraction and metrics.
    cache : FeatureCache or None
        Where the real data's features are kept between runs.

    Raises
    ------
    DeclarationError
        If the benchmark asks a metric for something that its data or extractor does not have.
    """

    def __init__(self, benchmark: Benchmark, *, device: str = "auto", cache: FeatureCache | None = None) -> None:
        self.benchmark = benchmark
        self.device = resolve_device(device)
        self.dataset = cast(Dataset, DATASETS.load(benchmark.dataset)())
        names = [spec.extractor for spec in benchmark.metrics]
        self.spaces = Spaces(names, self.dataset, device=self.device, cache=cache or FeatureCache(None))
        self.metrics = {spec.key: self._metric(spec) for spec in benchmark.metrics}
        self._nulls: dict[tuple[str, Split | None], float | None] = {}

    def _metric(self, spec: MetricSpec) -> Metric:
        """Load a metric and refuse, before any sample is drawn, what could not work later."""
        metric = METRICS.load(spec.metric)
        if not isinstance(metric, Metric):
            raise DeclarationError(f"metric {spec.metric!r}: a genbench.Metric expected, got {type(metric).__name__}.")
        metric.check_options(spec.options)
        layers = self.spaces.extractors[spec.extractor].layers
        if spec.layer not in layers:
            raise unknown_name(f"layer of {spec.extractor}", spec.layer, layers)
        if metric.space == "logits" and spec.layer != "logits":
            raise DeclarationError(
                f"{spec.key}: {metric.name} reads class logits; name a classifier's '.logits' layer."
            )
        for need in ("mixture", "log_prob"):
            if need in metric.needs and getattr(self.dataset, need) is None:
                raise DeclarationError(
                    f"{spec.key}: needs data with a known {need}, which {self.dataset.name} has not."
                )
        for split in SPLITS:
            available, wanted = len(self.dataset.split(split)), spec.n or self.benchmark.n
            if available < wanted:
                raise DeclarationError(f"{spec.key}: n = {wanted}, but the {split} split has {available} samples.")
        return metric

    @cached_property
    def protocol(self) -> str:
        """Sha256 of everything that decides the numbers except the sampler."""
        fingerprints = {f"extractor {name}": e.fingerprint for name, e in self.spaces.extractors.items()}
        return protocol_hash(self.benchmark, dataset=self.dataset.fingerprint, **fingerprints)

    def record(
        self,
        sampler: str,
        scores: tuple[Score, ...],
        *,
        seconds: float,
        train_seed: int | None = None,
        step: int | None = None,
        final: bool = True,
        failure: str | None = None,
        recipe: Mapping[str, Any] | None = None,
    ) -> Run:
        """Make the record of scores found here; the arguments are the fields of `genbench.records.Run`."""
        return Run(
            benchmark=self.benchmark.id,
            quick=self.benchmark.quick,
            sampler=sampler,
            train_seed=train_seed,
            step=step,
            final=final,
            scores=scores,
            failure=failure,
            protocol=self.protocol,
            seconds=round(seconds, 2),
            recipe=recipe or {},
            provenance=provenance(self.device),
        )

    def draw(self, sampler: Sampler | FiniteSampler, *, seed: int) -> Tensor:
        """Draw and check the benchmark's n samples; they come back on the CPU.

        Raises
        ------
        SampleError
            If they cannot be scored; the sampler is named.
        """
        return draw_samples(
            sampler, self.benchmark.n, seed=derive_seed(seed, "draw"), event_shape=self.dataset.event_shape
        )

    def score(self, samples: Tensor, *, seed: int, only: Iterable[str] | None = None) -> tuple[Score, ...]:
        """Score checked samples.

        Parameters
        ----------
        samples : (n, *event) tensor
            As `draw` returns them.
        seed : int
            For metrics that resample. Every metric gets the same one: neither order nor company changes a score.
        only : iterable of str or None
            Keys such as ``fd@digits-cnn.pool``; by default all of the benchmark's metrics.

        Returns
        -------
        tuple of Score
            A metric that names ``reference`` gives one against each split. A metric that cannot be computed gives
            a score with ``failure`` set and no estimate.
        """
        wanted = set(self.metrics) if only is None else set(only)
        specs = [spec for spec in self.benchmark.metrics if spec.key in wanted]
        generated = {name: self.spaces.features(samples, name) for name in dict.fromkeys(s.extractor for s in specs)}
        scores: list[Score] = []
        for spec in specs:
            splits = SPLITS if "reference" in self.metrics[spec.key].needs else (None,)
            n, width = spec.n or self.benchmark.n, self.spaces.extractors[spec.extractor].layers[spec.layer]
            with one_thread(where=n * n * width < SMALL):
                scores += [self._score(spec, generated[spec.extractor], split, seed=seed) for split in splits]
        return tuple(scores)

    def _score(self, spec: MetricSpec, generated: Mapping[str, Features], split: Split | None, *, seed: int) -> Score:
        metric, n = self.metrics[spec.key], spec.n or self.benchmark.n
        estimate, failure = None, None
        try:
            estimate = self._estimate(spec, generated[spec.layer], split, seed=seed)
            if estimate.null is None:
                estimate = replace(estimate, null=self._null(spec, split))
        except (SampleError, ConvergenceError) as error:
            failure = str(error)
        return Score(
            metric=spec.label,
            space=f"{spec.extractor}.{spec.layer}",
            fingerprint=self.spaces.extractors[spec.extractor].fingerprint,
            split=split,
            unit=metric.unit,
            better=metric.better,
            n_generated=n,
            n_reference=None if split is None else n,
            estimate=estimate,
            failure=failure,
            options={**metric.options, **spec.options},
        )

    def _estimate(self, spec: MetricSpec, generated: Features, split: Split | None, *, seed: int) -> Estimate:
        """Hand a metric what it names, and nothing else."""
        metric, n = self.metrics[spec.key], spec.n or self.benchmark.n

        def real(side: Split) -> Features:
            return self.spaces.real(spec.extractor, side)[spec.layer].head(n)

        given: dict[str, Any] = {"generated": generated.head(n)}
        for need in metric.needs - {"generated"}:
            if need == "reference":
                given[need] = real(split or "test")
            elif need in SPLITS:
                given[need] = real(need)
            else:
                given[need] = derive_seed(seed, "metrics") if need == "rng" else getattr(self.dataset, need)
        compute = partial(metric.compute, **{**metric.options, **spec.options})
        found = compute(**given)
        if not isinstance(found, Estimate):
            tables = {name: value for name, value in given.items() if isinstance(value, Features)}
            others = {name: value for name, value in given.items() if name not in tables}
            draw = derive_seed(seed, "metrics")
            found = resampled_estimate(float(found), compute, tables, others, method=metric.uncertainty, seed=draw)
        return _finite(metric.name, found)

    def _null(self, spec: MetricSpec, split: Split | None) -> float | None:
        """What a perfect generator scores at this n: one split's real data played as generated, against the other's.

        A metric that is given both splits has no third set of real data to play with, and says itself what it expects.
        """
        key = (spec.key, split)
        if self.metrics[spec.key].needs & set(SPLITS):
            return None
        if key not in self._nulls:
            player: Split = "train" if split == "test" else "test"
            try:
                played = self._estimate(spec, self.spaces.real(spec.extractor, player)[spec.layer], split, seed=0)
                self._nulls[key] = played.value
            except (SampleError, ConvergenceError):
                self._nulls[key] = None
        return self._nulls[key]


def _finite(metric: str, estimate: Estimate) -> Estimate:
    numbers = (estimate.value, estimate.debiased, estimate.std_error, estimate.low, estimate.high, estimate.null)
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise ConvergenceError(f"{metric}: the result is not finite ({estimate.value}).")
    return estimate


def score(
    sampler: Sampler | FiniteSampler | str | Path,
    benchmark: Benchmark | str,
    *,
    name: str | None = None,
    value_range: tuple[float, float] | None = None,
    seed: int = 0,
    device: str = "auto",
    cache: FeatureCache | None = None,
) -> Run:
    """Score a sampler, or a file or folder of samples, on a benchmark.

    Parameters
    ----------
    sampler : Sampler, str or Path
        Anything with a ``name`` and ``sample(n, *, seed)``; or an .npy or .npz file, or a folder of images.
    benchmark : Benchmark or str
        For example ``"digits"``.
    name : str or None
        In place of the sampler's or the file's own name.
    value_range : (float, float) or None
        Of float images in a file, which are refused without it.
    seed : int
        Of the draw.
    device : str
        ``auto``, or a torch device.
    cache : FeatureCache or None
        Where the real data's features are kept.

    Returns
    -------
    Run

    Raises
    ------
    SampleError
        If the samples cannot be scored.

    Examples
    --------
    >>> import numpy as np, torch, genbench
    >>> class Noise:
    ...     name = "noise"
    ...     def sample(self, n, *, seed):
    ...         pixels = np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)
    ...         return torch.from_numpy(pixels)
    >>> run = genbench.score(Noise(), "digits")
    >>> next(s for s in run.scores if s.key == "fd@digits-cnn.pool").estimate.value > 50
    True
    """
    start = time.perf_counter()
    definition = load_benchmark(benchmark) if isinstance(benchmark, str) else benchmark
    evaluator = Evaluator(definition, device=device, cache=cache)
    if isinstance(sampler, (str, Path)):
        sampler = load_samples(sampler, event_shape=evaluator.dataset.event_shape, value_range=value_range)
    scores = evaluator.score(evaluator.draw(sampler, seed=seed), seed=seed)
    return evaluator.record(name or sampler.name, scores, seconds=time.perf_counter() - start)
