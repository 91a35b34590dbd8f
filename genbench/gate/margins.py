"""How much worse is still as good: the margin of every metric, as it is written and as a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genbench.errors import UnknownNameError, UsageError
from genbench.registry import unknown_name

SHARE = 0.05
"""Of the baseline's score: the default margin."""

ERRORS = 2.0
"""Standard errors of the difference that the default margin has beside: what noise alone makes is no regression."""


@dataclass(frozen=True, slots=True)
class Margin:
    """A margin as a number, and where it comes from."""

    value: float
    source: str


def resolve_keys(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Complete metrics' names, ``fd`` to ``fd@digits-cnn.pool``, among known keys: to the first that fits.

    Raises
    ------
    UnknownNameError
        If there is no such key.
    """
    return tuple(dict.fromkeys(_resolve(name, known) for name in names))


def _resolve(name: str, known: Sequence[str]) -> str:
    if name in known:
        return name
    found = [key for key in known if key.partition("@")[0] == name]
    if found:
        return found[0]
    raise unknown_name("metric of this gate", name, dict.fromkeys([*known, *(k.partition("@")[0] for k in known)]))


def parse_margins(texts: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """Read margins: ``fd:5%``, ``fd@digits-cnn.pool:0.3``, or ``5%`` alone for every metric.

    Raises
    ------
    UsageError
        If a text is no margin, or names a metric that is not gated.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, colon, amount = text.rpartition(":")
        _amount(amount, text)
        try:
            named = resolve_keys([name], keys) if colon else keys
        except UnknownNameError as error:
            raise UsageError(f"--margin {text}: {error}") from error
        found |= dict.fromkeys(named, amount)
    return found


def _amount(text: str, whole: str) -> tuple[float, bool]:
    """Return a number, and whether it is a share of the baseline's score."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"--margin: METRIC:5% or METRIC:0.3, of at least 0, expected, got {whole!r}.")
    return (value / 100, True) if text.endswith("%") else (value, False)


def margin_of(key: str, given: Mapping[str, str], *, score: float, std_error: float) -> Margin:
    """Return a metric's margin: as given, else 5% of the baseline's score and two standard errors on top.

    Parameters
    ----------
    key : str
    given : mapping of str to str
        Texts by key.
    score : float
        Of the baseline, debiased where it is.
    std_error : float
        Of the difference between the baseline and a generator that is as good.
    """
    if key in given:
        value, share = _amount(given[key], given[key])
        return Margin(value * abs(score) if share else value, f"{given[key]} of the baseline" if share else "as given")
    return Margin(
        SHARE * abs(score) + ERRORS * std_error, f"{SHARE:.0%} of the baseline and {ERRORS:g} standard errors"
    )
