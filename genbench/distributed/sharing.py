"""Where the ranks come together: a source that is open on all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from genbench._version import __version__
from genbench.distributed.leading import team
from genbench.errors import ProtocolError
from genbench.sampling.blocks import FiniteSampler

if TYPE_CHECKING:
    from genbench.distributed.team import Team

P = ParamSpec("P")
S = TypeVar("S", bound="Open")


class Open(Protocol):
    """What is shared: a `genbench.sources.Source`."""

    @property
    def sampler(self) -> Any:
        """What is drawn from."""

    @property
    def evaluator(self) -> Any:
        """With the protocol and the spaces."""

    def see(self, *, seed: int, n: int | None = None, only: Any = None) -> Any:
        """Draw and extract, with the other ranks."""

    def close(self) -> None:
        """End what the sampler has started."""


def shared(opened: Callable[P, S]) -> Callable[P, S]:
    """Open a source on every rank. Rank 0 gets it; the others stay here, and draw and extract what it asks for.

    In a program that nobody leads (`genbench.distributed.leading.led`), the others end with it.
    """

    @wraps(opened)
    def call(*args: P.args, **kwargs: P.kwargs) -> S:
        mine = team()
        if mine is None or mine.joined:
            return opened(*args, **kwargs)
        mine.join()
        if mine.main:
            return _lead(mine, opened(*args, **kwargs))
        return _follow(mine, lambda: opened(*args, **kwargs))

    return call


def _lead(mine: Team, source: S) -> S:
    _prepare(mine, source)
    mine.call("agree", **_facts(source))
    return source


def _follow(mine: Team, opened: Callable[[], S]) -> S:
    from genbench.distributed.team import Finished

    try:
        try:
            source = opened()
        except Exception as error:
            mine.fail(error)
        _prepare(mine, source)
        try:
            mine.serve(
                {
                    "agree": _agree(source),
                    "see": _helping(source.see),
                    "real": source.evaluator.spaces.help_split,
                    "score": source.evaluator.scorer.help,
                }
            )
        finally:
            source.close()
    except Finished as end:
        if mine.led:
            raise
        raise SystemExit(0 if end.error is None else end.error.exit_code) from None


def _prepare(mine: Team, source: Open) -> None:
    spaces = source.evaluator.spaces
    spaces.team = mine
    mine.at_success.append(spaces.blocks.forget)
    mine.at_end.append(partial(setattr, spaces, "team", None))


def _facts(source: Open) -> dict[str, Any]:
    """Return what must be the same on every rank, or scores would be of a mixture."""
    import torch

    return {
        "genbench": __version__,
        "torch": torch.__version__,
        "protocol": source.evaluator.protocol,
        "sampler": source.sampler.name,
        "samples": len(source.sampler) if isinstance(source.sampler, FiniteSampler) else None,
    }


def _agree(source: Open) -> Callable[..., None]:
    def agree(**theirs: Any) -> None:
        for name, mine in _facts(source).items():
            if mine != theirs[name]:
                raise ProtocolError(
                    f"{name} {theirs[name]!r} expected, as on rank 0, got {mine!r}; give every rank the same versions, "
                    "files, data and options."
                )

    return agree


def _helping(see: Callable[..., Any]) -> Callable[..., None]:
    """Let rank 0 alone have what is seen."""

    def help_see(**given: Any) -> None:
        see(**given)

    return help_see
