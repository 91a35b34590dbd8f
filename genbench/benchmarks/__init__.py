"""Benchmarks are data: TOML files that name a dataset, metrics, sample sizes, seeds and budgets.

``load_benchmark("digits")`` reads the one shipped here, ``load_benchmark("my.toml")`` your own. Where the dataset takes
options, they stand in ``[data]``; those of an extractor in ``[extractors.NAME]``. Without ``[baselines]`` nothing is
trained, and only samples from elsewhere are scored.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from genbench.definitions import Benchmark, Budget, MetricSpec
from genbench.errors import DeclarationError, UsageError
from genbench.registry import BASELINES, DATASETS, EXTRACTORS, METRICS, Registry, unknown_name

_KEYS = {
    "name",
    "version",
    "summary",
    "dataset",
    "n",
    "seeds",
    "checkpoints",
    "primary",
    "curve",
    "metrics",
    "baselines",
    "quick",
    "data",
    "extractors",
    "schedule",
}
_QUICK_KEYS = {"models", "n", "seeds", "checkpoints", "metrics", "baselines", "data", "extractors"}


def benchmark_names() -> list[str]:
    """Return the names of the shipped benchmarks, sorted."""
    return sorted(f.name.removesuffix(".toml") for f in files(__name__).iterdir() if f.name.endswith(".toml"))


def load_benchmark(name: str, *, quick: bool = False) -> Benchmark:
    """Read and check a benchmark.

    Parameters
    ----------
    name : str
        A shipped name (``digits``, or ``digits@1`` where the version must agree), or a path that ends in ``.toml``.
    quick : bool
        Apply the benchmark's ``[quick]`` table: fewer samples, seeds and updates. The id says so.

    Raises
    ------
    UnknownNameError
        If there is no such benchmark, or it names a metric, extractor, dataset or baseline that does not exist.
    DeclarationError
        If the file is not a benchmark; the message names the key.
    """
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"benchmark {name!r}: cannot be read ({error.strerror or error}).") from error
        return _parse(text, name, quick=quick)
    short, _, version = name.partition("@")
    if short not in benchmark_names():
        raise unknown_name("benchmark", short, dict.fromkeys(benchmark_names()))
    found = _parse((files(__name__) / f"{short}.toml").read_text(encoding="utf-8"), short, quick=quick)
    if version and version != str(found.version):
        raise UsageError(
            f"benchmark {name!r}: this genbench has version {found.version}; install the one that has {version}."
        )
    return found


def _parse(text: str, who: str, *, quick: bool) -> Benchmark:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"benchmark {who}: not TOML ({error}).") from error
    _known_keys(table, _KEYS, who)
    fast = table.pop("quick", {})
    _known_keys(fast, _QUICK_KEYS, f"{who} [quick]")
    if quick:
        if not fast:
            raise UsageError(f"benchmark {who}: has no [quick] table, so it cannot be run with --quick.")
        table = _merge(table, {key: value for key, value in fast.items() if key != "models"})
        if "models" in fast:
            table["baselines"] = _chosen(table["baselines"], fast["models"], who)
    if not table.get("baselines"):  # nothing is trained, so that neither seeds nor checkpoints mean anything
        table = {"baselines": {}, "seeds": [], "checkpoints": 1, **table}
    try:
        budgets = {
            baseline: Budget(
                steps=int(b["steps"]),
                batch=int(b["batch"]),
                options=b.get("options", {}),
                baseline=str(b.get("baseline", "")),
            )
            for baseline, b in table["baselines"].items()
        }
        benchmark = Benchmark(
            name=str(table["name"]),
            version=int(table["version"]),
            quick=quick,
            summary=str(table.get("summary", "")),
            dataset=str(table["dataset"]),
            n=int(table["n"]),
            seeds=tuple(int(s) for s in table["seeds"]),
            checkpoints=int(table["checkpoints"]),
            primary=str(table["primary"]),
            metrics=tuple(metric_spec(key, options, who) for key, options in table["metrics"].items()),
            curve=tuple(table.get("curve", [table["primary"]])),
            baselines=budgets,
            schedule=_schedule(table.get("schedule", "even"), who),
            data=dict(table.get("data", {}).items()),
            extractors={name: dict(options.items()) for name, options in table.get("extractors", {}).items()},
        )
    except KeyError as error:
        raise DeclarationError(f"benchmark {who}: the key {error} is missing.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DeclarationError(f"benchmark {who}: a value has the wrong type ({error}).") from error
    _check(benchmark, who)
    return benchmark


def _schedule(value: Any, who: str) -> Literal["even", "log"]:
    if value == "even" or value == "log":
        return value  # type: ignore[no-any-return]
    raise DeclarationError(f"benchmark {who}: schedule 'even' or 'log' expected, got {value!r}.")


def _chosen(baselines: Mapping[str, Any], models: Sequence[str], who: str) -> dict[str, Any]:
    for name in models:
        if name not in baselines:
            raise unknown_name(f"baseline in {who} [quick] models", name, baselines)
    return {name: baselines[name] for name in models}


def _known_keys(table: Mapping[str, Any], known: set[str], who: str) -> None:
    for key in table:
        if key not in known:
            raise unknown_name(f"key in benchmark {who}", key, dict.fromkeys(known))


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Overlay nested tables: what the quick form does not say stays as in the full one."""
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merge(merged.get(key, {}), value) if isinstance(value, Mapping) else value
    return merged


def metric_spec(key: str, options: Mapping[str, Any], who: str) -> MetricSpec:
    """Parse ``"fd:mode=analytic@digits-cnn.pool" = {n = 500}``; ``n`` is the sample size, the rest are options.

    Raises
    ------
    DeclarationError
        If the key is malformed; ``who`` names its benchmark.
    """
    label, at, space = key.partition("@")
    extractor, dot, layer = space.rpartition(".")
    if not (at and dot and extractor and layer):
        raise DeclarationError(f"benchmark {who}: metrics are named 'metric@extractor.layer', got {key!r}.")
    metric, colon, inline = label.rpartition(":")
    if not colon or "=" not in inline:
        metric, inline = label, ""
    bound = {**_inline_options(inline, key), **options}
    n = bound.pop("n", None)
    if n is not None and (not isinstance(n, int) or n < 1):
        raise DeclarationError(f"benchmark {who}: {key}: n must be a whole number of at least 1, got {n!r}.")
    return MetricSpec(metric=metric, label=label, extractor=extractor, layer=layer, n=n, options=bound)


def _inline_options(text: str, key: str) -> dict[str, Any]:
    """Parse ``mode=analytic,k=3``: values are TOML numbers or booleans, and words without quotes."""
    options: dict[str, Any] = {}
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise DeclarationError(f"metric {key!r}: options are written 'name:option=value,...', got {part!r}.")
        try:
            options[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            options[name] = value
    return options


def _check(benchmark: Benchmark, who: str) -> None:
    """Names are checked here, before anything heavy is imported, so that a typo costs no training."""
    keys = {spec.key for spec in benchmark.metrics}
    for wanted in (benchmark.primary, *benchmark.curve):
        if wanted not in keys:
            raise unknown_name(f"metric in {who}", wanted, dict.fromkeys(keys))
    _check_known(
        (
            (DATASETS, [benchmark.dataset]),
            (BASELINES, [budget.baseline or name for name, budget in benchmark.baselines.items()]),
        )
    )
    check_spaces(benchmark)
    positive = {"n": benchmark.n, "checkpoints": benchmark.checkpoints, "version": benchmark.version}
    for baseline, budget in benchmark.baselines.items():
        positive |= {f"{baseline}.steps": budget.steps, f"{baseline}.batch": budget.batch}
    for key, value in positive.items():
        if value < 1:
            raise DeclarationError(f"benchmark {who}: {key} must be at least 1, got {value}.")


def check_spaces(benchmark: Benchmark) -> None:
    """Refuse metrics and extractors that do not exist.

    Raises
    ------
    UnknownNameError
        With the nearest name that does.
    """
    metrics = [spec.metric for spec in benchmark.metrics]
    extractors = [*(spec.extractor for spec in benchmark.metrics), *benchmark.extractors]
    _check_known(((METRICS, metrics), (EXTRACTORS, extractors)))


def _check_known(wanted: Iterable[tuple[Registry, Sequence[str]]]) -> None:
    for registry, names in wanted:
        entries = registry.entries()
        for name in names:
            if ":" not in name and name not in entries:
                raise unknown_name(registry.kind, name, entries)


def restrict(
    benchmark: Benchmark, *, seeds: tuple[int, ...] | None = None, baselines: tuple[str, ...] | None = None
) -> Benchmark:
    """Return the benchmark with other training seeds, or with only some of its baselines.

    Raises
    ------
    UnknownNameError
        If a baseline has no budget in this benchmark.
    """
    if seeds is not None:
        benchmark = replace(benchmark, seeds=seeds)
    if baselines is not None:
        for name in baselines:
            if name not in benchmark.baselines:
                raise unknown_name(f"baseline in benchmark {benchmark.id}", name, benchmark.baselines)
        benchmark = replace(benchmark, baselines={name: benchmark.baselines[name] for name in baselines})
    return benchmark


def with_metrics(benchmark: Benchmark, keys: Sequence[str]) -> Benchmark:
    """Return the benchmark with further metrics, named as in its file: ``fd@identity.pool``, ``module:attr@...``.

    It is another protocol then: its records are not put beside those of the benchmark itself.

    Raises
    ------
    DeclarationError
        If a key is malformed.
    UnknownNameError
        If a metric or an extractor does not exist.
    """
    known = {spec.key for spec in benchmark.metrics}
    extra = tuple(metric_spec(key, {}, "--metric") for key in dict.fromkeys(keys) if key not in known)
    found = replace(benchmark, metrics=(*benchmark.metrics, *extra))
    _check(found, benchmark.id)
    return found


def with_options(
    benchmark: Benchmark, *, data: Mapping[str, Any], extractors: Mapping[str, Mapping[str, Any]]
) -> Benchmark:
    """Return the benchmark with further options of its dataset and of its extractors.

    Raises
    ------
    UnknownNameError
        If an extractor is none of the benchmark's.
    """
    used = {spec.extractor for spec in benchmark.metrics}
    for name in extractors:
        if name not in used:
            raise unknown_name(f"extractor in benchmark {benchmark.id}", name, dict.fromkeys(used))
    options = {name: {**benchmark.extractors.get(name, {}), **more} for name, more in extractors.items()}
    return replace(benchmark, data={**benchmark.data, **data}, extractors={**benchmark.extractors, **options})
