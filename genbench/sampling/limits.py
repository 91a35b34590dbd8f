"""How much an untrusted file may ask for. Every limit is checked before the memory is taken."""

from __future__ import annotations

from dataclasses import dataclass, fields

from genbench.errors import SampleError, UsageError

UNITS = {"pixels": "pixels", "members": "members", "expanded_bytes": "bytes", "array_bytes": "bytes"}
"""What each limit counts, for messages."""


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
