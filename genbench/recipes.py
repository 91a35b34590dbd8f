"""Recipes: what a benchmark asks a baseline to be trained by, and what a record says of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genbench.definitions import Benchmark
from genbench.errors import DeclarationError
from genbench.registry import BASELINES, unknown_name

if TYPE_CHECKING:
    from genbench.protocols import Baseline
    from genbench.training import Speed


def cell_name(baseline: str) -> str:
    """Return the name of a baseline in folders and tables: its own, or ``my.models.Mine`` for ``my.models:Mine``."""
    return baseline.replace(":", ".")


def recipe_of(benchmark: Benchmark, baseline: str, speed: Speed | None) -> dict[str, Any]:
    """Return what a record must say of a training to be that which the benchmark asks for."""
    budget = benchmark.baselines[baseline]
    chosen = {} if speed is None else speed.identity()
    variant = {"baseline": budget.baseline} if budget.baseline else {}
    return {"steps": budget.steps, "batch": budget.batch, "overrides": plain(dict(budget.options)), **variant, **chosen}


def build_baseline(name: str, options: Mapping[str, Any]) -> Baseline:
    """Make a registered recipe, or that of ``module:attr``, with some of its options changed.

    Raises
    ------
    UnknownNameError
        If there is no such baseline, or it has no such option.
    DeclarationError
        If it does not take them for another reason.
    """
    factory = BASELINES.load(name)
    if dataclasses.is_dataclass(factory):
        known = {field.name: field.type for field in dataclasses.fields(factory) if field.init}
        for option in options:
            if option not in known:
                raise unknown_name(f"option of baseline {name!r}:", option, known)
    try:
        baseline: Baseline = factory(**options)
    except TypeError as error:
        raise DeclarationError(f"baseline {name!r}: {error}; its options are its dataclass fields.") from error
    return baseline


def options_of(baseline: Any) -> dict[str, Any]:
    """Every option with its value, as JSON has it: the recipe's identity."""
    if not dataclasses.is_dataclass(baseline) or isinstance(baseline, type):
        raise DeclarationError(
            f"baseline {type(baseline).__name__}: a dataclass expected, whose fields are its options."
        )
    return plain(dataclasses.asdict(baseline))


def plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as JSON has them."""
    found: dict[str, Any] = json.loads(json.dumps(options))
    return found
