"""What a user declares beside a source of samples: checked once, and refused where it has no meaning."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genbench.errors import UsageError
from genbench.files.conversion import ValueRange, as_events, check_declaration, check_values
from genbench.files.limits import Limits
from genbench.sampling.conversion import as_array, to_samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of `genbench.load.load_sampler`, by the same names.

    Raises
    ------
    UsageError
        If a range or layout does not exist.
    """

    event_shape: tuple[int, ...]
    value_range: ValueRange | None
    layout: str | None
    name: str | None
    args: Mapping[str, Any]
    weights: Path | None
    latent: str | None
    trust_code: bool
    device: torch.device
    limits: Limits
    workers: int

    def __post_init__(self) -> None:
        images = len(self.event_shape) == 3
        check_declaration(images=images, value_range=self.value_range, layout=self.layout)

    def refuse(self, form: str, *unused: str) -> None:
        """Refuse what was declared and has no meaning for a form: it would be ignored without a word.

        Raises
        ------
        UsageError
            Naming it.
        """
        for option in unused:
            if getattr(self, option):
                raise UsageError(f"{form}: has no use for {option}, got {getattr(self, option)}; leave it out.")

    def finish(self, found: Any, *, who: str) -> Tensor:
        """Make samples of what a generator returned.

        Raises
        ------
        SampleError
            If it is no array, of another shape, not finite, or out of range.
        UsageError
            If its range is not declared.
        """
        events = as_events(as_array(found, self.limits, who=who), self.event_shape, self.layout, who=who)
        check_values(events, self.value_range, who=who)
        return to_samples(events, self.value_range)


def parse_args(texts: Iterable[str]) -> dict[str, Any]:
    """Read arguments written as ``NAME=VALUE``.

    Parameters
    ----------
    texts : iterable of str
        A value is a number, true, false or quoted text as in TOML, or else the words as they stand.

    Raises
    ------
    UsageError
        If a text has another form, or a name comes twice.

    Examples
    --------
    >>> parse_args(["width=64", "ema=true", "path=runs/gan.pt", 'label="3"'])
    {'width': 64, 'ema': True, 'path': 'runs/gan.pt', 'label': '3'}
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier() or key in found:
            raise UsageError(f"--arg: NAME=VALUE, each name once, expected, got {text!r}.")
        found[key] = _scalar(value)
    return found


def _scalar(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = table["value"]
    return value if len(table) == 1 and isinstance(value, (str, bool, int, float)) else text
