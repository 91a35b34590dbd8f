"""Finished trainings as trackers of experiments see them: numbers by step, and a recipe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genbench.records import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The records of one training in the order of their steps, the last one final; or the one of given samples."""

    runs: tuple[Run, ...]

    @property
    def final(self) -> Run:
        """The record at the end."""
        return self.runs[-1]

    @property
    def name(self) -> str:
        """``gan-seed0``, or the sampler's name alone."""
        seed = self.final.train_seed
        return self.final.sampler if seed is None else f"{self.final.sampler}-seed{seed}"

    @property
    def config(self) -> dict[str, str | int | float | bool]:
        """Recipe and provenance, flat: ``recipe.options.lr``; what is neither text nor number is left out."""
        run = self.final
        known: dict[str, Any] = {"benchmark": run.benchmark, "quick": run.quick, "model": run.sampler}
        known |= {"train_seed": run.train_seed, "protocol": run.protocol, "recipe": run.recipe}
        return dict(_flat({**known, "provenance": run.provenance}))


def trainings(runs: Sequence[Run]) -> list[Training]:
    """Group records by training; those without a final record are left out."""
    cells: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        cells.setdefault((run.sampler, -1 if run.train_seed is None else run.train_seed), []).append(run)
    ordered = (sorted(cell, key=lambda r: (r.final, r.step or 0)) for _, cell in sorted(cells.items()))
    return [Training(runs=tuple(cell)) for cell in ordered if cell[-1].final]


def values_of(run: Run) -> dict[str, float]:
    """Return every number of a record by a name that all trackers allow.

    ``test/fd/digits-cnn.pool``, ``samples/...`` for scores without a reference, ``.../debiased``, ``.../std_error``;
    ``health/...`` and ``cost/...``.
    """
    values: dict[str, float] = {}
    for score in (*run.scores, *run.likelihood):
        if score.estimate is None:
            continue
        name = tag(f"{score.split or 'samples'}/{score.key.replace('@', '/')}")
        values[name] = score.estimate.value
        for field in ("debiased", "std_error", "low", "high"):
            number = getattr(score.estimate, field)
            if number is not None:
                values[f"{name}/{field}"] = number
    for kind, numbers in (("health", run.health), ("cost", run.cost)):
        values |= {tag(f"{kind}/{name}"): float(number) for name, number in numbers.items()}
    return values


def tag(text: str) -> str:
    """Replace what TensorBoard or MLflow refuse in a name."""
    return re.sub(r"[^A-Za-z0-9_./-]", "_", text)


def _flat(items: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    for key, value in items.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, (str, int, float, bool)):
            yield f"{prefix}{key}", value
