"""Progress on stderr, so that what stdout carries stays data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Step = Callable[[int, Mapping[str, float]], None]
"""Called with the updates made so far and the recent losses."""


class Progress:
    """A bar for each piece of work and lines between them; silent where asked to be.

    Parameters
    ----------
    enabled : bool
        False prints nothing.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled

    def say(self, message: str) -> None:
        """Print a line on stderr, above any bar."""
        if self.enabled:
            from tqdm import tqdm

            tqdm.write(message, file=sys.stderr)

    @contextmanager
    def bar(self, label: str, total: int, *, place: int = 0) -> Iterator[Step]:
        """Show a bar that is set to the number of updates made, with the losses behind it, ``place`` lines down."""
        if not self.enabled:
            yield lambda step, losses: None
            return
        from tqdm import tqdm

        # A log file gets a line every ten seconds instead of a redrawn bar.
        pause = 0.2 if sys.stderr.isatty() else 10.0
        with tqdm(
            total=total,
            desc=label,
            file=sys.stderr,
            mininterval=pause,
            leave=False,
            unit="step",
            ncols=100,
            position=place,
        ) as bar:

            def update(step: int, losses: Mapping[str, Any]) -> None:
                bar.set_postfix({k: f"{v:.3g}" for k, v in losses.items()}, refresh=False)
                bar.update(step - bar.n)

            yield update
