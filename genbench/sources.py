"""What is to be scored, and against what: made ready from whatever form it has, before anything is computed."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genbench.benchmarks import load_benchmark, with_metrics, with_options
from genbench.definitions import SPLITS, Benchmark, Dataset, MetricSpec
from genbench.display import name_of
from genbench.distributed.sharing import shared
from genbench.errors import UsageError
from genbench.evaluate import Evaluator
from genbench.files.limits import LIMITS
from genbench.load import load_sampler
from genbench.metrics.features import Features
from genbench.protocols import Sampler
from genbench.randomness import derive_seed
from genbench.references import (
    MOST,
    Samples,
    event_shape_of,
    full_keys,
    read_reference,
    read_statistics,
    reference_benchmark,
    reference_dataset,
)
from genbench.registry import unknown_name
from genbench.requirements import with_download
from genbench.sampling.blocks import BLOCK, FiniteSampler, draw_samples
from genbench.sampling.standardized import standardized
from genbench.spaces import Seen, Space
from genbench.training.scaling import ScaledSampler

_DECLARED = tuple(name for name in inspect.signature(load_sampler).parameters if name not in ("source", "event_shape"))
"""What can be said of a generator or file."""


@dataclass(frozen=True, slots=True)
class Source:
    """A sampler and the evaluator that scores it.

    Attributes
    ----------
    sampler : Sampler or FiniteSampler
    evaluator : Evaluator
    space : (str, str) or None
        Of which the sampler gives features, in place of samples.
    """

    sampler: Sampler | FiniteSampler
    evaluator: Evaluator
    space: Space | None = None

    @property
    def specs(self) -> list[MetricSpec]:
        """The benchmark's metrics that can be computed: all, or those of the features' space."""
        specs = self.evaluator.benchmark.metrics
        return [s for s in specs if self.space is None or (s.extractor, s.layer) == self.space]

    @property
    def endless(self) -> bool:
        """Whether as many samples can be drawn as anybody wants."""
        return not isinstance(self.sampler, FiniteSampler)

    def see(self, *, seed: int, n: int | None = None, only: Iterable[str] | None = None) -> dict[Space, Seen]:
        """Draw n samples, by default the benchmark's n, and return what the metrics need of them.

        Raises
        ------
        SampleError
            If they cannot be scored.
        """
        if self.space is None:
            return self._see_samples(seed=seed, n=n, only=only)
        width = self.evaluator.spaces.width(self.space)
        n, seed = n or self.evaluator.benchmark.n, derive_seed(seed, "draw")
        return {self.space: Features(draw_samples(self.sampler, n, seed=seed, event_shape=(width,)))}

    def _see_samples(self, *, seed: int, n: int | None, only: Iterable[str] | None) -> dict[Space, Seen]:
        share, team = None, self.evaluator.spaces.team
        if team is not None:
            only = None if only is None else list(only)
            team.call("see", seed=seed, n=n, only=only)
            share = team.share(n or self.evaluator.benchmark.n, BLOCK)
        drawn = self.evaluator.draw(self.sampler, seed=seed, n=n, share=share)
        return self.evaluator.see(drawn, only=only, n=n, share=share)

    def close(self) -> None:
        """End the sampler's worker processes, if it has any."""
        getattr(self.sampler, "close", lambda: None)()


@shared
def open_source(
    sampler: Any,
    benchmark: Benchmark | str | None,
    *,
    reference: Samples | None,
    held_out: Samples | None,
    reference_n: int | None,
    metrics: Sequence[str],
    extractor: str | None,
    extractors: Mapping[str, Mapping[str, Any]],
    data: Mapping[str, Any],
    download: bool,
    features: str | None,
    n: int | None,
    machine: Mapping[str, Any],
    declared: Mapping[str, Any],
) -> Source:
    """Make a source ready; arguments as of `genbench.score`, ``machine`` the evaluator's, ``declared`` the sampler's.

    Raises
    ------
    UsageError
        If neither or both of benchmark and reference are given, or an option has no meaning there.
    """
    for name in declared:
        if name not in _DECLARED:
            raise unknown_name("option of a generator or of scoring", name, dict.fromkeys(_DECLARED))
    if (benchmark is None) == (reference is None):
        raise UsageError("score: a benchmark or a reference expected, one of the two; pass --benchmark or --reference.")
    if benchmark is None:
        if features is not None or data:
            raise UsageError("score: --features and options of data are for benchmarks; a reference may hold features.")
        chosen = _Chosen(sampler, reference, held_out, reference_n, n, declared)
        return chosen.source(metrics, extractor, extractors, download, machine)
    if n is not None or held_out is not None or reference_n is not None:
        raise UsageError("score: a benchmark has its own n and its own real data; leave n and held-out out.")
    definition = _definition(benchmark, metrics, extractor, extractors, data)
    evaluator = Evaluator(with_download(definition) if download else definition, **machine)
    if features is not None:
        return _feature_source(sampler, features, evaluator, name=declared.get("name"))
    found = _sampler(sampler, declared, evaluator.dataset.event_shape)
    if not isinstance(found, ScaledSampler):  # a model trained here, which knows the data's units
        found = standardized(found, evaluator.dataset.standardization)
    return Source(found, evaluator)


def _sampler(found: Any, declared: Mapping[str, Any], event_shape: tuple[int, ...]) -> Sampler | FiniteSampler:
    """Load a sampler; what is one already is taken as it is."""
    if isinstance(found, (Sampler, FiniteSampler)) and not isinstance(found, (str, Path)):
        return found
    return load_sampler(found, event_shape=event_shape, **declared)


def _definition(
    benchmark: Benchmark | str,
    metrics: Sequence[str],
    extractor: str | None,
    extractors: Mapping[str, Mapping[str, Any]],
    data: Mapping[str, Any],
) -> Benchmark:
    definition = load_benchmark(benchmark) if isinstance(benchmark, str) else benchmark
    definition = with_metrics(definition, full_keys(metrics, definition, extractor))
    return with_options(definition, data=data, extractors=extractors)


class _Chosen:
    """Generated and real samples of the user's own, before anything is computed from them."""

    def __init__(
        self,
        sampler: Any,
        reference: Any,
        held_out: Any,
        reference_n: int | None,
        n: int | None,
        declared: Mapping[str, Any],
    ) -> None:
        given = ("value_range", "layout", "limits")
        known = {key: declared[key] for key in given if declared.get(key) is not None}
        limits = declared.get("limits", LIMITS)
        self.statistics = read_statistics(reference, n=reference_n, limits=limits)
        shape = event_shape_of(sampler if self.statistics else reference, layout=known.get("layout"), limits=limits)
        self.found = _sampler(sampler, declared, shape)
        self.splits = SPLITS if held_out is not None else ("reference",)
        if self.statistics is not None:
            if held_out is not None:
                raise UsageError("score: a reference of mu and sigma has no samples to hold out; leave --held-out out.")
            real, held = np.empty((0, *shape), dtype=np.uint8 if len(shape) == 3 else np.float32), None
        else:
            real = read_reference(reference, shape, **known)
            held = None if held_out is None else read_reference(held_out, shape, **known)
        self.dataset: Dataset = reference_dataset(name_of(reference), real, held)
        sizes = [len(part) for part in (real, held) if part is not None and held is not None]
        available = len(self.found) if isinstance(self.found, FiniteSampler) else MOST
        self.n = n or min([available, *sizes])

    def source(
        self,
        metrics: Sequence[str],
        extractor: str | None,
        extractors: Mapping[str, Mapping[str, Any]],
        download: bool,
        machine: Mapping[str, Any],
    ) -> Source:
        """Return the sampler with an evaluator for it."""
        wanted = metrics or (("fd",) if self.statistics else ())
        benchmark = reference_benchmark(self.dataset, n=self.n, metrics=wanted, extractor=extractor, options=extractors)
        benchmark = with_download(benchmark) if download else benchmark
        evaluator = Evaluator(
            benchmark, dataset=self.dataset, splits=self.splits, statistics=self.statistics, **machine
        )
        return Source(self.found, evaluator)


def _feature_source(source: Any, space: str, evaluator: Evaluator, *, name: str | None) -> Source:
    """Open a file of features that were extracted elsewhere."""
    extractor, _, layer = space.rpartition(".")
    known = sorted({f"{s.extractor}.{s.layer}" for s in evaluator.benchmark.metrics})
    if space not in known:
        raise UsageError(
            f"--features: a space of {evaluator.benchmark.id} expected ({', '.join(known)}), got {space!r}."
        )
    width = evaluator.spaces.width((extractor, layer))
    rows = load_sampler(source, event_shape=(width,), name=name)
    if not isinstance(rows, FiniteSampler):
        raise UsageError(f"--features: a file of features (n, {width}) expected, got a generator.")
    return Source(rows, evaluator, (extractor, layer))
