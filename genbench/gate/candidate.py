"""What a gate looks at: records that exist, or a generator or file that is yet to be scored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genbench.errors import SampleError, UsageError
from genbench.gate.baseline import KIND, Baseline, check_completed, read_baseline, trimmed
from genbench.gate.margins import resolve_keys
from genbench.records import Run, Score
from genbench.results import find_benchmark
from genbench.sides import Side, check_alike, is_recorded, recorded
from genbench.stats.differences import jackknife_difference
from genbench.storage import Place, parse_place

if TYPE_CHECKING:
    from genbench.sources import Source
    from genbench.spaces import Seen, Space


def read_runs(new: Any) -> tuple[Run, ...] | None:
    """Return records, if that is what is given: as `genbench.sides.recorded` takes them, or a baseline's file."""
    if is_recorded(new) and _is_baseline(place := parse_place(new)):
        return read_baseline(place).runs
    side = recorded(new)
    return None if side is None else side.runs


def _is_baseline(place: Place) -> bool:
    return place.suffix == ".json" and f'"{KIND}"' in place.read_text(encoding="utf-8", errors="replace")[:200]


def noise_of_halves(one: Score, other: Score, n: int) -> float | None:
    """Return n times the variance of a score over draws of n samples, from scores of the two halves of one draw.

    The halves share the reference, whose part in the difference cancels as it does for a generator that did not change.
    With v / n the variance of a score over draws of n, that of the difference of halves is 4 v / n. None where the
    scores have no replicates.
    """
    replicates = [score.estimate.replicates if score.estimate else () for score in (one, other)]
    if not replicates[0] or len(replicates[0]) != len(replicates[1]):
        return None
    return n * (jackknife_difference(0.0, *replicates).std_error or 0.0) ** 2 / 4


class Recorded:
    """Records of one model: what they hold can be compared, and no more can be drawn."""

    endless = False

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = tuple(runs)
        if len({run.sampler for run in runs}) > 1:
            names = ", ".join(sorted({run.sampler for run in runs}))
            raise UsageError(f"check: records of one model expected, got those of {names}.")

    @property
    def name(self) -> str:
        """Of the model."""
        return self._runs[0].sampler

    def known(self) -> tuple[str, ...]:
        """Return the keys of all metrics that every record has; refuses failed runs."""
        for run in self._runs:
            check_completed(run, "the new one")
        sets = [[s.key for s in run.scores if s.split != "train"] for run in self._runs]
        return tuple(key for key in dict.fromkeys(sets[0] if sets else ()) if all(key in found for found in sets))

    def primary(self) -> str:
        """Return the benchmark's primary metric."""
        return find_benchmark(self._runs).primary

    def check_protocol(self, baseline: Baseline) -> None:
        """Refuse records that were made under another protocol than the baseline's."""
        check_alike(Side(label=self.name, runs=self._runs), Side(label="the baseline", runs=baseline.runs))

    def runs(self, keys: Sequence[str], n: int | None) -> tuple[Run, ...]:
        """Return the records with the gated scores alone."""
        return tuple(trimmed(run, keys, "the new one") for run in self._runs)

    def noise(self, keys: Sequence[str]) -> dict[str, float]:
        """Nothing is known of how draws vary."""
        return {}

    def settings(self, keys: Sequence[str]) -> dict[str, Any]:
        """Say how a new generator is to be scored."""
        run = self._runs[0]
        name = run.benchmark.removesuffix("-quick").partition("@")[0]
        return {"benchmark": None if name == "reference" else name, "quick": run.quick, "metrics": []}


@dataclass
class Drawn:
    """A generator or a file, scored on demand."""

    source: Source
    name: str
    seed: int
    about: Mapping[str, Any]
    _seen: tuple[Mapping[Space, Seen], int] = field(default=({}, 0), repr=False)

    @property
    def endless(self) -> bool:
        """Whether more samples can be drawn."""
        return self.source.endless

    def known(self) -> tuple[str, ...]:
        """Return the keys of all metrics that can be scored."""
        return tuple(spec.key for spec in self.source.specs)

    def primary(self) -> str:
        """Return the benchmark's primary metric, or the first that can be scored."""
        known, primary = self.known(), self.source.evaluator.benchmark.primary
        return primary if primary in known else known[0]

    def check_protocol(self, baseline: Baseline) -> None:
        """Refuse a protocol other than the baseline's, before anything is drawn."""
        evaluator = self.source.evaluator
        scores = []
        for score in (s for s in baseline.runs[0].scores if s.key in self.known()):
            extractor = evaluator.spaces.extractors[score.space.rpartition(".")[0]]
            scores.append(replace(score, fingerprint=extractor.fingerprint))
        mine = evaluator.record(self.name, tuple(scores), seconds=0.0)
        check_alike(Side(label=self.name, runs=(mine,)), Side(label="the baseline", runs=baseline.runs))

    def runs(self, keys: Sequence[str], n: int | None) -> tuple[Run, ...]:
        """Draw and score n samples, the first of which are the same for every n."""
        clock = time.perf_counter()
        seen, n = self.source.see(seed=self.seed, n=n, only=keys), n or self.source.evaluator.benchmark.n
        scores = self._scores(seen, keys, n)
        self._seen = (seen, n)
        return (self.source.evaluator.record(self.name, scores, seconds=time.perf_counter() - clock),)

    def _scores(self, seen: Any, keys: Sequence[str], n: int) -> tuple[Score, ...]:
        specs = {spec.key: spec for spec in self.source.specs}
        missing = [key for key in keys if key not in specs]
        if missing:
            raise SampleError(f"check: {self.name} cannot be scored by {missing[0]}; choose with --primary.")
        return self.source.evaluator.score_held_out(seen, [specs[key] for key in keys], n=n, seed=self.seed)

    def noise(self, keys: Sequence[str]) -> dict[str, float]:
        """Return `noise_of_halves` by key, from the samples scored last; nothing where those were not kept."""
        from genbench.metrics.features import Features

        seen, n = self._seen
        half = n // 2
        held = {space: features for space, features in seen.items() if isinstance(features, Features)}
        if half < 2 or len(held) < len(seen):
            return {}
        first = np.arange(n) < half
        parts = [{space: f.select(mask) for space, f in held.items()} for mask in (first, ~first)]
        scored = [self._scores(part, keys, int(mask.sum())) for part, mask in zip(parts, (first, ~first), strict=True)]
        found = {}
        for key, one, other in zip(keys, *scored, strict=True):
            noise = noise_of_halves(one, other, n)
            if noise is not None:
                found[key] = noise
        return found

    def settings(self, keys: Sequence[str]) -> dict[str, Any]:
        """Say how a new generator is to be scored."""
        known = {"n": self.source.evaluator.benchmark.n, "metrics": list(keys), "endless": self.endless}
        return {**self.about, **known}


def open_candidate(
    new: Any,
    *,
    benchmark: Any = None,
    quick: bool = False,
    reference: Any = None,
    held_out: Any = None,
    metrics: Sequence[str] = (),
    n: int | None = None,
    seed: int = 0,
    name: str | None = None,
    extractor: str | None = None,
    **given: Any,
) -> Recorded | Drawn:
    """Open records, or a generator or file with what it is to be scored on; arguments as of `genbench.score`.

    Raises
    ------
    UsageError
        If there is nothing to score samples on.
    """
    found = read_runs(new)
    if found is not None:
        return Recorded(found)
    if benchmark is None and reference is None:
        raise UsageError(
            f"check: {new}: samples or a generator, which need a benchmark or a reference to be scored on, and neither "
            "was given; pass --benchmark or --reference (or name records: FOLDER:model)."
        )
    from genbench.benchmarks import load_benchmark
    from genbench.sources import open_source

    definition = None if reference is not None else load_benchmark(benchmark, quick=quick) if benchmark else None
    if definition is not None:
        known = [spec.key for spec in definition.metrics]
        labels = {key.partition("@")[0] for key in known}
        metrics = [resolve_keys([metric], known)[0] if metric in labels else metric for metric in metrics]
    machine = {"device": given.pop("device", "auto"), "cache": given.pop("cache", None)}
    machine["batch_size"] = given.pop("batch_size", None)
    about = {key: given.pop(key, {}) or {} for key in ("extractors", "data")}
    source = open_source(
        new,
        definition,
        reference=reference,
        held_out=held_out,
        reference_n=given.pop("reference_n", None),
        metrics=metrics or (() if definition is not None else ("fd",)),
        extractor=extractor,
        extractors=about["extractors"],
        data=about["data"],
        download=given.pop("download", False),
        features=given.pop("features", None),
        n=n if definition is None else None,
        machine=machine,
        declared={**given, "name": name, "device": machine["device"]},
    )
    settings = {"benchmark": benchmark, "quick": quick, "extractor": extractor, "held_out": held_out is not None}
    return Drawn(source, name or source.sampler.name, seed, settings)
