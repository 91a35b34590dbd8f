"""What a generator in training is scored on, made ready before the training begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genbench.benchmarks import load_benchmark, with_metrics, with_options
from genbench.definitions import SPLITS, Benchmark
from genbench.display import name_of
from genbench.errors import UsageError
from genbench.evaluate import Evaluator
from genbench.references import (
    MOST,
    event_shape_of,
    full_keys,
    read_reference,
    reference_benchmark,
    reference_dataset,
)

if TYPE_CHECKING:
    from genbench.references import Samples


@dataclass(frozen=True, slots=True)
class Prepared:
    """An evaluator, and the keys of the metrics that are scored along the training; in the end all are."""

    evaluator: Evaluator
    along: tuple[str, ...]


def on_benchmark(
    benchmark: Benchmark | str,
    *,
    metrics: Sequence[str],
    extractor: str | None,
    extractors: Mapping[str, Mapping[str, Any]],
    machine: Mapping[str, Any],
) -> Prepared:
    """Take a benchmark with further metrics: along the training, those and the benchmark's curve are scored."""
    definition = load_benchmark(benchmark) if isinstance(benchmark, str) else benchmark
    keys = full_keys(metrics, definition, extractor)
    definition = with_options(with_metrics(definition, keys), data={}, extractors=extractors)
    along = {*definition.curve, definition.primary, *keys}
    return Prepared(Evaluator(definition, **machine), tuple(s.key for s in definition.metrics if s.key in along))


def on_reference(
    reference: Samples,
    held_out: Samples | None,
    *,
    n: int | None,
    metrics: Sequence[str],
    extractor: str | None,
    extractors: Mapping[str, Mapping[str, Any]],
    declared: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> Prepared:
    """Take real samples: all metrics are scored every time."""
    shape = event_shape_of(reference, layout=declared.get("layout"))
    real = [read_reference(part, shape, **declared) for part in (reference, held_out) if part is not None]
    dataset = reference_dataset(name_of(reference), real[0], real[1] if len(real) > 1 else None)
    size = min([MOST, *map(len, real)]) if n is None else n
    if len(real) > 1 and size > min(map(len, real)):
        raise UsageError(f"callback: n of at most {min(map(len, real))}, the smallest real set, expected, got {n}.")
    definition = reference_benchmark(dataset, n=size, metrics=metrics, extractor=extractor, options=extractors)
    splits = SPLITS if len(real) > 1 else ("reference",)
    return Prepared(
        Evaluator(definition, dataset=dataset, splits=splits, **machine), tuple(s.key for s in definition.metrics)
    )
