"""The door for a model of your own: whatever form it has, one call scores it, on a benchmark or against real data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genbench.benchmarks import load_benchmark, with_metrics, with_options
from genbench.cache import FeatureCache
from genbench.classes import class_scores
from genbench.definitions import SPLITS, Benchmark, Dataset
from genbench.errors import UsageError
from genbench.evaluate import Evaluator
from genbench.files.limits import LIMITS
from genbench.likelihoods import likelihood_scores
from genbench.load import load_sampler
from genbench.metrics.features import Features
from genbench.protocols import Sampler
from genbench.randomness import derive_seed
from genbench.records import Run
from genbench.references import (
    MOST,
    event_shape_of,
    full_key,
    read_reference,
    read_statistics,
    reference_benchmark,
    reference_dataset,
)
from genbench.requirements import with_download
from genbench.sampling.blocks import FiniteSampler, draw_samples
from genbench.sampling.standardized import standardized
from genbench.training.scaling import ScaledSampler


def score(
    sampler: Any,
    benchmark: Benchmark | str | None = None,
    *,
    reference: str | Path | None = None,
    held_out: str | Path | None = None,
    reference_n: int | None = None,
    metrics: Sequence[str] = (),
    extractor: str | None = None,
    extractors: Mapping[str, Mapping[str, Any]] | None = None,
    data: Mapping[str, Any] | None = None,
    download: bool = False,
    features: str | None = None,
    n: int | None = None,
    name: str | None = None,
    seed: int = 0,
    device: str = "auto",
    batch_size: int | None = None,
    cache: FeatureCache | None = None,
    **source: Any,
) -> Run:
    """Score a generator, or samples in a file, on a benchmark or against real samples of your own.

    Parameters
    ----------
    sampler : object, str or Path
        Anything with a ``name`` and ``sample(n, *, seed)``, or any form that `genbench.load_sampler` takes.
    benchmark : Benchmark or str, optional
        For example ``"digits"``.
    reference : str or Path, optional
        In place of a benchmark: real samples in any form that holds a finite set, or an .npz with ``mu`` and ``sigma``.
    held_out : str or Path, optional
        Real samples that the model was not trained on. With them come the scores that a perfect generator would get,
        and metrics of memorization.
    reference_n : int, optional
        Of how many samples ``mu`` and ``sigma`` are, where the file does not say.
    metrics : sequence of str
        Keys such as ``fd@identity.pool``, or names alone, as ``fid``. Beside those of a benchmark; else by default
        `genbench.references.DEFAULTS`.
    extractor : str, optional
        The space of metrics that name none: by default ``pca`` for images, ``identity`` for vectors.
    extractors : mapping, optional
        Options of extractors by name, such as ``{"inception-v3": {"weights": path}}``.
    data : mapping, optional
        Options of the benchmark's dataset, such as ``root``.
    download : bool
        Fetch missing data and weights from their publishers.
    features : str, optional
        A space of the benchmark, such as ``digits-cnn.pool``: the source then holds features of it, not samples, and is
        scored by the metrics of that space.
    n : int, optional
        How many generated samples to score, where there is no benchmark to say so.
    name : str, optional
        In place of the sampler's or the file's own name.
    seed : int
        Of the draw.
    device : str
        ``auto``, or a torch device.
    batch_size : int, optional
        Samples that an extractor is given at a time.
    cache : FeatureCache, optional
        Where the real data's features are kept.
    **source
        What `genbench.load_sampler` needs to know of the source: ``value_range``, ``layout``, ``args``, ``weights``,
        ``latent``, ``trust_code``, ``workers``, ``limits``.

    Returns
    -------
    Run

    Notes
    -----
    Where a benchmark's data were standardized, samples are taken to be in the source's units, and standardized too.

    Raises
    ------
    UsageError
        If neither or both of benchmark and reference are given, or an option has no meaning there.
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
    machine: dict[str, Any] = {"device": device, "cache": cache, "batch_size": batch_size}
    if (benchmark is None) == (reference is None):
        raise UsageError("score: a benchmark or a reference expected, one of the two; pass --benchmark or --reference.")
    if benchmark is None:
        if features is not None or data:
            raise UsageError("score: --features and options of data are for benchmarks; a reference may hold features.")
        chosen = _Chosen(sampler, reference, held_out, reference_n, n, {**source, "name": name, "device": device})
        found, evaluator = chosen.evaluator(metrics, extractor, extractors or {}, download, machine)
    else:
        if n is not None or held_out is not None or reference_n is not None:
            raise UsageError("score: a benchmark has its own n and its own real data; leave n and held-out out.")
        definition = _definition(benchmark, metrics, extractor, extractors or {}, data or {})
        definition = with_download(definition) if download else definition
        evaluator = Evaluator(definition, **machine)
        shape = evaluator.dataset.event_shape
        if features is not None:
            return _score_features(sampler, features, evaluator, name=name, seed=seed, start=start)
        found = _sampler(sampler, {**source, "name": name, "device": device}, shape)
        if not isinstance(found, ScaledSampler):  # a model trained here, which knows the data's units
            found = standardized(found, evaluator.dataset.standardization)
    try:
        seen = evaluator.see(evaluator.draw(found, seed=seed))
    finally:
        getattr(found, "close", lambda: None)()  # a sampler's worker processes
    scores = evaluator.score_seen(seen, evaluator.benchmark.metrics, seed=seed)
    by_class = class_scores(evaluator, found, seen, seed=seed)
    return evaluator.record(
        name or found.name,
        scores,
        seconds=time.perf_counter() - start,
        by_class=by_class,
        likelihood=likelihood_scores(evaluator, found, seed=seed),
    )


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
    space = extractor or definition.primary.partition("@")[2].rpartition(".")[0]
    definition = with_metrics(definition, [full_key(key, space) for key in metrics])
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
        self.statistics = read_statistics(Path(reference), n=reference_n, limits=limits)
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
        self.dataset: Dataset = reference_dataset(Path(reference).name, real, held)
        sizes = [len(part) for part in (real, held) if part is not None and held is not None]
        available = len(self.found) if isinstance(self.found, FiniteSampler) else MOST
        self.n = n or min([available, *sizes])

    def evaluator(
        self,
        metrics: Sequence[str],
        extractor: str | None,
        extractors: Mapping[str, Mapping[str, Any]],
        download: bool,
        machine: Mapping[str, Any],
    ) -> tuple[Sampler | FiniteSampler, Evaluator]:
        """Return the sampler and an evaluator for it."""
        wanted = metrics or (("fd",) if self.statistics else ())
        benchmark = reference_benchmark(self.dataset, n=self.n, metrics=wanted, extractor=extractor, options=extractors)
        benchmark = with_download(benchmark) if download else benchmark
        evaluator = Evaluator(
            benchmark, dataset=self.dataset, splits=self.splits, statistics=self.statistics, **machine
        )
        return self.found, evaluator


def _score_features(source: Any, space: str, evaluator: Evaluator, *, name: str | None, seed: int, start: float) -> Run:
    """Score features that were extracted elsewhere by the metrics of one space."""
    extractor, _, layer = space.rpartition(".")
    specs = [spec for spec in evaluator.benchmark.metrics if (spec.extractor, spec.layer) == (extractor, layer)]
    if not specs:
        known = sorted({f"{s.extractor}.{s.layer}" for s in evaluator.benchmark.metrics})
        raise UsageError(
            f"--features: a space of {evaluator.benchmark.id} expected ({', '.join(known)}), got {space!r}."
        )
    width = evaluator.spaces.extractors[extractor].layers[layer]
    rows = load_sampler(source, event_shape=(width,), name=name)
    if not isinstance(rows, FiniteSampler):
        raise UsageError(f"--features: a file of features (n, {width}) expected, got a generator.")
    drawn = draw_samples(rows, evaluator.benchmark.n, seed=derive_seed(seed, "draw"), event_shape=(width,))
    seen = {(extractor, layer): Features(drawn)}
    scores = evaluator.score_seen(seen, specs, seed=seed)
    return evaluator.record(name or rows.name, scores, seconds=time.perf_counter() - start)
