"""What a metric asks of data and extractors, checked before any sample is drawn."""

from __future__ import annotations

import inspect
from dataclasses import replace

from genbench.definitions import SPLITS, Benchmark, Dataset, MetricSpec, Split
from genbench.errors import DeclarationError, UsageError
from genbench.metrics.metric import Metric
from genbench.metrics.moments import Statistics
from genbench.protocols import FeatureExtractor
from genbench.registry import DATASETS, EXTRACTORS, METRICS, unknown_name


def load_metric(
    spec: MetricSpec,
    *,
    dataset: Dataset,
    extractor: FeatureExtractor,
    splits: tuple[Split, ...],
    n: int,
    statistics: Statistics | None = None,
) -> Metric:
    """Load a metric of a benchmark, and refuse what could not work later.

    Parameters
    ----------
    spec : MetricSpec
    dataset : Dataset
    extractor : FeatureExtractor
        The one that the spec names.
    splits : tuple of str
        Of the real data that samples are scored against.
    n : int
        How many samples the metric reads.
    statistics : Statistics or None
        All that is known of the reference.

    Raises
    ------
    UnknownNameError
        If there is no such metric or layer.
    DeclarationError
        If the data or the extractor lacks something that the metric needs.
    """
    metric = METRICS.load(spec.metric)
    if not isinstance(metric, Metric):
        raise DeclarationError(f"metric {spec.metric!r}: a genbench.Metric expected, got {type(metric).__name__}.")
    metric.check_options(spec.options)
    if spec.layer not in extractor.layers:
        raise unknown_name(f"layer of {spec.extractor}", spec.layer, extractor.layers)
    if metric.space == "logits" and not spec.layer.startswith("logits"):
        raise DeclarationError(f"{spec.key}: {metric.name} reads class logits; name a classifier's '.logits' layer.")
    _check_reserved(spec, metric, extractor)
    for need in ("mixture", "log_prob", "factors"):
        if need in metric.needs and getattr(dataset, need) is None:
            raise DeclarationError(f"{spec.key}: needs data with known {need}, which {dataset.name} has not.")
    if splits == SPLITS:
        for split in SPLITS:
            available = len(dataset.split(split))
            cut = split == "train" and dataset.spare is not None  # on purpose: it is compared with as far as it goes
            if available < n and not cut:
                raise DeclarationError(f"{spec.key}: n = {n}, but the {split} split has {available} samples.")
    elif metric.needs & set(SPLITS):
        raise DeclarationError(f"{spec.key}: needs held-out real samples beside the reference; pass --held-out.")
    if statistics is not None:
        if "reference" in metric.needs and not metric.needs_moments_alone(spec.options):
            raise DeclarationError(f"{spec.key}: needs real samples, got their mean and covariance; pass samples.")
        width = extractor.layers[spec.layer]
        if statistics.d != width:
            raise DeclarationError(f"{spec.key}: statistics of {width} dimensions expected, got {statistics.d}.")
    return metric


def _check_reserved(spec: MetricSpec, metric: Metric, extractor: FeatureExtractor) -> None:
    """Keep names such as FID for the one space that they stand for."""
    if metric.reserved is None:
        return
    space = f"{spec.extractor}.{spec.layer}"
    if space != metric.reserved:
        raise DeclarationError(
            f"{spec.key}: {metric.name} is the name of the score in {metric.reserved} alone; elsewhere it is called "
            f"{metric.elsewhere}: {metric.elsewhere}@{space}."
        )
    if not getattr(extractor, "published", False):
        raise DeclarationError(
            f"{spec.key}: {metric.name} expects the published weights of {spec.extractor} in float32 or float64, got "
            f"others; call the score {metric.elsewhere}@{space}."
        )


def with_download(benchmark: Benchmark) -> Benchmark:
    """Let the benchmark's dataset and extractors fetch what is missing, where they can.

    Raises
    ------
    UsageError
        If none of them can.
    """
    data, extractors = dict(benchmark.data), {name: dict(options) for name, options in benchmark.extractors.items()}
    able = 0
    if benchmark.dataset in DATASETS.entries() and _takes(DATASETS.load(benchmark.dataset), "download"):
        data["download"], able = True, able + 1
    for name in dict.fromkeys(spec.extractor for spec in benchmark.metrics):
        if _takes(EXTRACTORS.load(name), "download"):
            extractors.setdefault(name, {})["download"], able = True, able + 1
    if not able:
        raise UsageError(f"--download: neither data nor extractors of {benchmark.id} are fetched; leave it out.")
    return replace(benchmark, data=data, extractors=extractors)


def _takes(factory: object, option: str) -> bool:
    return callable(factory) and option in inspect.signature(factory).parameters
