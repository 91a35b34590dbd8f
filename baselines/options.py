"""Checks of the options of a baseline; each failure is a `UsageError` that names the option."""

from __future__ import annotations

import math
from typing import Any

from genbench.errors import UsageError


def check_positive(owner: str, **options: Any) -> None:
    """Refuse options that are not finite numbers above 0."""
    for option, value in options.items():
        _require(_is_number(value) and value > 0, owner, option, "a number above 0", value)


def check_not_negative(owner: str, **options: Any) -> None:
    """Refuse options that are not finite numbers of at least 0."""
    for option, value in options.items():
        _require(_is_number(value) and value >= 0, owner, option, "a number of at least 0", value)


def check_flag(owner: str, **options: Any) -> None:
    """Refuse options that are neither true nor false."""
    for option, value in options.items():
        _require(isinstance(value, bool), owner, option, "true or false", value)


def check_fraction(owner: str, **options: Any) -> None:
    """Refuse options that are not numbers in [0, 1)."""
    for option, value in options.items():
        _require(_is_number(value) and 0 <= value < 1, owner, option, "a number in [0, 1)", value)


def check_count(owner: str, *, least: int = 1, **options: Any) -> None:
    """Refuse options that are not whole numbers of at least ``least``."""
    for option, value in options.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(whole and value >= least, owner, option, f"a whole number of at least {least}", value)


def check_choice(owner: str, option: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse an option that is none of its choices."""
    _require(value in choices, owner, option, f"one of {', '.join(map(repr, choices))}", value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _require(holds: bool, owner: str, option: str, expected: str, value: Any) -> None:
    if not holds:
        raise UsageError(f"{owner}: option {option} must be {expected}, got {value!r}; correct it in the recipe.")
