"""How much an untrusted file may ask for. Every limit is checked before the memory is taken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from fractions import Fraction

from genbench.errors import SampleError, UsageError
from genbench.registry import unknown_name

UNITS = {"pixels": "pixels", "members": "members", "expanded_bytes": "bytes", "array_bytes": "bytes"}
"""What each limit counts, for messages."""

FIGURE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?(?:e[0-9]{1,2})?)([KMG]?)", re.IGNORECASE)
"""How a limit is written: 8589934592, 8e9, 8G."""

SUFFIXES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that is taken from one file of samples.

    Attributes
    ----------
    pixels : int
        Of one image file, by its header; its encoded form may take four bytes for each. Default 2**26, which is
        8192 x 8192. A PNG of 47 KiB can unpack to six times as many.
    members : int
        Entries of an archive, or files of a folder. Default 2**21, about two million.
    expanded_bytes : int
        All images of an archive together, still encoded. Default 64 GiB.
    array_bytes : int
        An array that must be held in memory, as stored. Arrays that are mapped from their file (.npy, .npz that is
        not compressed, .pt, .safetensors) take none and have no limit. Default 8 GiB.
    """

    pixels: int = 2**26
    members: int = 2**21
    expanded_bytes: int = 2**36
    array_bytes: int = 2**33

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"limits: {field.name} must be a whole number of at least 1, got {value!r}.")

    def check(self, limit: str, figure: int, *, who: str) -> None:
        """Refuse what is above a limit.

        Parameters
        ----------
        limit : str
            Name of the limit.
        figure : int
            What the file asks for.
        who : str
            The file, for the message.

        Raises
        ------
        SampleError
            Naming both figures.
        """
        allowed = getattr(self, limit)
        if figure > allowed:
            raise SampleError(
                f"{who}: at most {allowed:,} {UNITS[limit]} are read, got {figure:,}; "
                f"make it smaller, or raise the limit {limit!r} if you trust it."
            )


LIMITS = Limits()
"""The defaults."""


def parse_limits(texts: Iterable[str]) -> Limits:
    """Read limits written as ``NAME=N``; those that are not named keep their defaults.

    Parameters
    ----------
    texts : iterable of str
        N is a whole number, also as ``8e9``, or with K, M or G for 2**10, 2**20 or 2**30 behind it.

    Raises
    ------
    UnknownNameError
        If there is no limit of a name; the message names the nearest.
    UsageError
        If a text has another form, or a name comes twice.

    Examples
    --------
    >>> parse_limits(["array_bytes=16G", "members=5e6"])
    Limits(pixels=67108864, members=5000000, expanded_bytes=68719476736, array_bytes=17179869184)
    """
    found: dict[str, int] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name in found:
            raise UsageError(f"--limit: NAME=N, each name once, expected, got {text!r}; write array_bytes=16G.")
        if name not in UNITS:
            raise unknown_name("limit", name, UNITS)
        figure = FIGURE.fullmatch(value)
        number = Fraction(figure[1]) * SUFFIXES[figure[2].upper()] if figure else Fraction(0)
        if number < 1 or number.denominator != 1:
            raise UsageError(
                f"--limit: a whole number of {UNITS[name]} from 1 expected for {name}, got {value!r}; write it as "
                "8589934592, 8e9 or 8G."
            )
        found[name] = int(number)
    return Limits(**found)
