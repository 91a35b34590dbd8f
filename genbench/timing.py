"""Where the seconds go: parts of the work are named where they are done, and timed only while somebody collects.

    with collect() as seconds:
        with measure("sampling"):
            ...
    seconds["sampling"]

Nothing is kept outside of the block that collects, and a thread starts without it: runs never add to each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

Clock = Callable[[], float]

_OFF = nullcontext()
_END = object()


class _Collector:
    """Seconds by name, and the parts that are under way, the innermost last."""

    def __init__(self, clock: Clock, settle: Callable[[], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._clock, self._settle = clock, settle
        self._under_way: list[str] = []
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._charge()
        self.seconds.setdefault(name, 0.0)
        self._under_way.append(name)
        try:
            yield
        finally:
            self._charge()
            self._under_way.pop()

    def _charge(self) -> None:
        """Add what has passed since the last call to the innermost part."""
        if self._settle is not None:
            self._settle()
        now = self._clock()
        if self._under_way:
            self.seconds[self._under_way[-1]] += now - self._since
        self._since = now


_collector: ContextVar[_Collector | None] = ContextVar("_collector", default=None)


@contextmanager
def collect(
    *, settle: Callable[[], None] | None = None, clock: Clock = time.perf_counter
) -> Iterator[dict[str, float]]:
    """Time the parts that are measured inside this block.

    Parameters
    ----------
    settle : callable or None
        Called where a part begins or ends, to wait for work that is still under way, as ``torch.cuda.synchronize``
        does: a device works on after its calls have returned, and its seconds would go to whoever waits for it next.
    clock : callable
        Seconds from any start.

    Yields
    ------
    dict of str to float
        Seconds by name, in the order in which the parts began; filled as the block runs. Those of a part are without
        those of parts that were measured inside it, so that their sum is the time that was measured at all. A block
        inside another that collects takes what is measured inside it; in the end the outer one gets it as well.
    """
    outer, inner = _collector.get(), _Collector(clock, settle)
    token = _collector.set(inner)
    try:
        yield inner.seconds
    finally:
        _collector.reset(token)
        if outer is not None:
            for name, seconds in inner.seconds.items():
                outer.seconds[name] = outer.seconds.get(name, 0.0) + seconds


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return what was collected to the millisecond, for a record."""
    return {name: round(value, 3) for name, value in seconds.items()}


def measure(name: str) -> AbstractContextManager[None]:
    """Time a part under a name, if somebody collects; else do nothing, in less than a microsecond.

    A part must not be left open by a generator that yields inside it: its caller's work would be counted. Use
    `measure_each` for what comes one by one.
    """
    collector = _collector.get()
    return _OFF if collector is None else collector.part(name)


def measure_each(name: str, items: Iterable[T]) -> Iterator[T]:
    """Give the items as they are, and time their making under a name, but not what is done with them."""
    iterator = iter(items)
    while True:
        with measure(name):
            item = next(iterator, _END)
        if item is _END:
            return
        yield item  # type: ignore[misc]
