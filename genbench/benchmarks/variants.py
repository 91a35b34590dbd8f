"""Variants: the baselines of a benchmark with one option changed, to see how much a result hangs on it."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from genbench.definitions import Benchmark, Budget
from genbench.errors import UsageError
from genbench.registry import BASELINES, unknown_name

_NAME = re.compile(r"(?P<model>.+)\.(?P<option>[A-Za-z_]\w*)-(?P<setting>[\w.-]+)")

_SETTING = re.compile(r"[\w.-]+", flags=re.ASCII)


class Variant(NamedTuple):
    """A model that was trained with an option at a setting: ``gan``, ``lr``, ``x0.3``."""

    model: str
    option: str
    setting: str

    @property
    def name(self) -> str:
        """``gan.lr-x0.3``, which can be the name of a folder."""
        return f"{self.model}.{self.option}-{self.setting}"


def parse_variant(name: str) -> Variant | None:
    """Read a variant's name back; None for any other name."""
    found = _NAME.fullmatch(name)
    return None if found is None else Variant(**found.groupdict())


def vary(benchmark: Benchmark, variation: str) -> Benchmark:
    """Return the benchmark with those of its baselines that have an option, each at every setting of it.

    Parameters
    ----------
    benchmark : Benchmark
    variation : str
        ``lr=x0.3,x1,x3``: an option and settings. ``x3`` is three times what the benchmark has, a plain value stands
        for itself. The option may stand for several of a recipe: ``lr`` is ``lr``, ``g_lr`` and ``d_lr``.

    Returns
    -------
    Benchmark
        Of the same protocol, so that its records may lie beside those of the benchmark itself. Its baselines are
        named as by `Variant`, ``gan.lr-x0.3``; a variation may be varied again.

    Raises
    ------
    UsageError
        If the variation is malformed, or multiplies what is no number.
    UnknownNameError
        If no baseline of the benchmark has the option.
    """
    option, equals, text = variation.partition("=")
    settings = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if not (option and equals) or not all(_SETTING.fullmatch(setting) for setting in settings):
        raise UsageError(f"--vary: 'option=setting,...' as in lr=x0.3,x1,x3 expected, got {variation!r}.")
    found: dict[str, Budget] = {}
    known: dict[str, None] = {}
    for name, budget in benchmark.baselines.items():
        defaults = _defaults(budget.baseline or name)
        known |= dict.fromkeys(defaults)
        current = {
            o: {**defaults, **budget.options}[o] for o in (option, f"g_{option}", f"d_{option}") if o in defaults
        }
        for setting in settings if current else ():
            options = {o: _set(f"{name}: {o}", value, setting) for o, value in current.items()}
            variant = Variant(name.replace(":", "."), option, setting)
            found[variant.name] = replace(
                budget, options={**budget.options, **options}, baseline=budget.baseline or name
            )
    if not found:
        raise unknown_name(f"option of the baselines of {benchmark.id}:", option, known)
    return replace(benchmark, baselines=found)


def _defaults(baseline: str) -> Mapping[str, Any]:
    """Return the options of a recipe with their defaults, where there is one."""
    recipe = BASELINES.load(baseline)
    if not dataclasses.is_dataclass(recipe):
        return {}
    return {
        f.name: None if f.default is dataclasses.MISSING else f.default for f in dataclasses.fields(recipe) if f.init
    }


def _set(who: str, value: Any, setting: str) -> Any:
    factor = re.fullmatch(r"x(\d+(?:\.\d*)?(?:e-?\d+)?)", setting)
    if factor is None:
        try:
            return tomllib.loads(f"value = {setting}")["value"]
        except tomllib.TOMLDecodeError:
            return setting
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"--vary: {who} is {value!r}, which cannot be multiplied by {setting[1:]}; give plain values.")
    product = value * float(factor[1])
    if isinstance(value, float):
        return product
    if product != round(product):
        raise UsageError(
            f"--vary: {who} is the whole number {value}, times {setting[1:]} is {product:g}; give plain values."
        )
    return round(product)
