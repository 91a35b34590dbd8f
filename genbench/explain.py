"""``genbench list`` and ``genbench explain``: what there is, and what a number means."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from genbench import registry
from genbench.benchmarks import benchmark_names, load_benchmark
from genbench.metrics.catalogue import describe, read_catalogue
from genbench.records import ARROWS
from genbench.registry import METRICS

DIRECTIONS = {"lower": "lower is better", "higher": "higher is better", "match": "best where real data score"}


READING = """\
How to read a score, on an example that you can run: two sets of 500 samples each of one normal distribution in 32
dimensions have fd = 1.12, although nothing is wrong with either (numpy's default_rng(0); generated first).
  value     1.12   what other tools report too; it is too high, because 500 samples never show a distribution exactly
  null      1.18   what a perfect generator scores at this n, on average: what to compare the value with
  debiased -0.04   the distance between the two distributions, 0 here; an unbiased estimate of 0 is half the time below
  interval -0.15 to 0.06   covers the distance between the distributions, not the value
With 5,000 samples each the value is 0.11 and debiased -0.01: only debiased values can be compared across n.
"""


def listing(kind: str, *, details: bool) -> Iterator[str]:
    """Yield a line for every registered object of a kind, without importing any of them.

    Parameters
    ----------
    kind : str
        ``benchmarks``, ``metrics``, ``extractors``, ``datasets``, ``baselines`` or ``samplers``.
    details : bool
        For metrics: unit, needs, options and source too.
    """
    if kind == "benchmarks":
        for benchmark in map(load_benchmark, benchmark_names()):
            yield f"  {benchmark.id:19} {benchmark.summary}"
        return
    known = read_catalogue() if kind == "metrics" else {}
    for entry in getattr(registry, kind.upper()).entries().values():
        arrow = f"{ARROWS[known[entry.name]['better']]} " if entry.name in known else ""
        yield f"  {entry.name:19} {arrow}{entry.summary or f'{entry.target} ({entry.provider})'}"
        if details and entry.name in known:
            yield from (f"{'':24}{line}" for line in _facts(known[entry.name]))


def _facts(facts: Mapping[str, Any]) -> list[str]:
    """What a declaration says, in lines."""
    ideal = "" if facts["ideal"] is None else f", ideal {facts['ideal']:g}"
    options = ", ".join(f"{key}={value}" for key, value in facts["options"].items())
    return [
        f"{DIRECTIONS[facts['better']]}{ideal}, in {facts['unit']}",
        f"reads the {facts['space']} layer; needs {', '.join(facts['needs'])}; options: {options or 'none'}",
        f"uncertainty: {facts['uncertainty']}",
        f"source: {facts['source']}",
    ]


def explanation(name: str) -> str:
    """Return what a metric measures, its estimator, bias, cost, failure cases and sources, from its docstring.

    Those of the built-in ones quote the audit. At the end one example of why value, null and debiased value differ.

    Parameters
    ----------
    name : str
        A registered metric, or ``module:attr``.

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    """
    metric = METRICS.load(name)
    head = [f"{name} {ARROWS[metric.better]}", *_facts(describe(metric))]
    documentation = inspect.getdoc(metric.compute) or "It has no documentation."
    return "\n".join([*head, "", documentation, "", READING])
