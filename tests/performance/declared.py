"""How a metric's time may grow by its docstring: ``O((n + m)^2 d) operations`` is at most n^2, and at most d."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any, NamedTuple

from genbench.registry import METRICS

LARGE = 2.0**60
"""Sizes at which lower orders no longer count."""

SIZES = ("n", "m", "l")
"""Samples, which grow together; what is neither these nor d is a constant: groups, classes, lines, components."""

COST = re.compile(r"(?<![\w`])O\(")
STEP = re.compile(r"\s+(operations for T iterations|a (k-means )?step)")
SAME_AS = re.compile(r"(?:those of|that of|As(?: in)?) `(\w+)`")
LOGARITHM = re.compile(r"\blog \w+")
TOKEN = re.compile(r"\d+(?:\.\d+)?|[A-Za-z]+|[-+*/^(),]")


class Declared(NamedTuple):
    """Exponents of n and of d in the cost that a metric's docstring states first; NaN where it states none.

    ``a_step`` where the cost is that of one step, and how many there are depends on the data.
    """

    n: float
    d: float
    a_step: bool


def declared(name: str) -> Declared:
    """Read a metric's docstring, or that of the metric to which it refers."""
    return _declared(inspect.getdoc(METRICS.load(name).compute) or "", {name})


def _declared(doc: str, seen: set[str]) -> Declared:
    found = COST.search(doc)
    if found is not None:
        cost = _balanced(doc[found.end() - 1 :])
        n, d = (round(math.log2(_value(cost, by, 2 * LARGE) / _value(cost, by, LARGE)), 2) for by in ("n", "d"))
        return Declared(n, d, STEP.match(doc, found.end() - 1 + len(cost)) is not None)
    for match in SAME_AS.finditer(" ".join(doc.split())):
        other = match[1]
        if other not in seen and other in METRICS.entries():
            return _declared(inspect.getdoc(METRICS.load(other).compute) or "", seen | {other})
    return Declared(math.nan, math.nan, False)


def _balanced(text: str) -> str:
    depth = 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return text[: at + 1]
    raise ValueError(f"{text[:40]}: a closing parenthesis expected")


def _value(cost: str, by: str, size: float) -> float:
    """Evaluate a cost such as ``((n + m) d^2 + G d^3)`` with one size large and everything else 1."""
    parts: list[str] = []
    for token in TOKEN.findall(LOGARITHM.sub("1", cost)):
        if parts and (token.isalnum() or token == "(") and (parts[-1][-1].isalnum() or parts[-1] == ")"):
            parts += ["*"] * (parts[-1] != "min")
        parts.append("**" if token == "^" else token)
    grows = SIZES if by == "n" else ("d",)
    names: dict[str, Any] = {token: size if token in grows else 1.0 for token in parts if token.isalpha()}
    names |= {"min": max}  # where one of them is reached depends on what does not grow here
    return float(eval(" ".join(parts), {"__builtins__": {}}, names))
