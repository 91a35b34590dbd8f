"""Who leads and who follows: a program as rank 0 runs it, and what the other ranks do meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from genbench.distributed.places import place
from genbench.errors import (
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    GenbenchError,
    SetupError,
    UsageError,
)

if TYPE_CHECKING:
    from genbench.distributed.team import Team

T = TypeVar("T")

ALONE = ("run", "train")
"""Verbs that would leave all ranks but one idle for hours."""


def team() -> Team | None:
    """Return this process's part in a distributed evaluation, or None where it is the only process.

    Raises
    ------
    SetupError
        If the other processes cannot be reached.
    """
    return None if place().world == 1 else _team()


@cache
def _team() -> Team:
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else a lost store is told of in pages of stack frames
    from genbench.distributed.team import Team  # imports torch.distributed

    return Team(place())


def led(call: Callable[[], T], *, pack: Callable[[T], str], unpack: Callable[[str], T]) -> T:
    """Call something on every rank: rank 0 does it, the others help where it needs them, and all get what it got.

    Parameters
    ----------
    call : callable
        What comes to `genbench.sources.open_source` shares the work from there on.
    pack, unpack : callable
        From the result to text and back.

    Raises
    ------
    GenbenchError
        The one that the call ended in, on every rank.
    """
    mine = team()
    if mine is None or mine.led:
        return call()
    mine.led = True
    try:
        return _lead(mine, call, pack) if mine.main else _follow(mine, call, unpack)
    finally:
        mine.led = False


def _lead(mine: Team, call: Callable[[], T], pack: Callable[[T], str]) -> T:
    try:
        result = call()
    except BaseException as error:
        mine.end(error=error)
        raise
    mine.end(pack(result))
    return result


def _follow(mine: Team, call: Callable[[], T], unpack: Callable[[str], T]) -> T:
    from genbench.distributed.team import Finished

    try:
        try:
            call()
        except Exception as error:
            mine.fail(error)
        while True:  # it needed no help
            mine.listen()
    except Finished as end:
        if end.error is not None:
            raise end.error from None
        return unpack(end.result)


def as_one(main: Callable[[], int], arguments: Sequence[str] | None = None) -> int:
    """Run a command line on every rank as if it were one process, and return this rank's exit code.

    Rank 0 runs it, prints and writes, and its code is the command's. The others wait until it has something to share,
    follow it up to there and help; where it shares nothing, they do nothing. Theirs is 0, whatever became of it: what
    starts the ranks reports the first code that is not.

    Parameters
    ----------
    main : callable
        Prints its errors itself, and returns an exit code.
    arguments : sequence of str or None
        By default those of the process.

    Notes
    -----
    torchrun itself ends with 1 whatever its processes end with; ``python -m genbench.distributed`` keeps their code.
    """
    try:
        if place().world == 1:
            return main()
        verb = next(iter(sys.argv[1:] if arguments is None else arguments), "")
        if verb in ALONE:
            raise UsageError(
                f"{verb}: one process expected, got {place().world}: only score, check and doctor are spread over "
                "ranks; start it without torchrun, and use --workers on one machine."
            )
        mine = team()
        assert mine is not None
    except GenbenchError as error:
        if place().rank == 0:
            sys.stderr.write(f"genbench: {error}\n")
        elif isinstance(error, UsageError):
            return EXIT_OK  # rank 0 makes the same mistake: ending before it, with an error, would cut it short
        return error.exit_code
    mine.led = True
    return _first(mine, main) if mine.main else _other(mine, main)


def _first(mine: Team, main: Callable[[], int]) -> int:
    from genbench.distributed.team import let_go

    try:
        code = main()
    except BaseException as error:
        mine.end(1, error=error)
        raise
    mine.end(code, success=code not in (EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_INTERRUPTED))
    let_go(mine)
    return code


def _other(mine: Team, main: Callable[[], int]) -> int:
    from genbench.distributed.team import Finished

    try:
        while mine.listen()["do"] != "join":
            pass
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            code = main()
        if mine.orphaned:
            return code
        mine.fail(SetupError(f"it ended with exit code {code} where rank 0 went on; see its message"))
    except Finished:
        return EXIT_OK
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except GenbenchError as error:
        sys.stderr.write(f"genbench: {error}\n")
        return error.exit_code
    finally:
        mine.line.close()
