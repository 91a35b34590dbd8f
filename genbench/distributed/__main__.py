"""``python -m genbench.distributed``: torchrun, but the exit code is that of the command.

    python -m genbench.distributed --nproc-per-node 8 -m genbench check my.models:make --against base.json

Options are torchrun's. torchrun itself ends with 1 for every failure, so that a gate could not tell a regression (1)
from data that cannot decide (3); and it takes options such as ``--n`` for its own, unless it is called as
``torchrun --nproc-per-node 8 -m -- genbench check ...``.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from genbench.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the processes, wait for them, and return the exit code of the first that failed, or 0.

    One that was killed is named on stderr, and the code is 4.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what it says is said below
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun sets it, without its warning
    try:
        run.run(run.parse_args(_set_apart(sys.argv[1:] if arguments is None else arguments)))  # type: ignore[no-untyped-call]
    except ChildFailedError as failed:
        return _code(failed.failures)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _set_apart(arguments: Sequence[str]) -> list[str]:
    """Put ``--`` before the module, behind which torchrun looks for no options of its own: it took ``--n`` for one."""
    given = list(arguments)
    if "-m" in given and "--" not in given:
        given.insert(given.index("-m") + 1, "--")
    return given


def _code(failures: Mapping[int, ProcessFailure]) -> int:
    """Return the exit code of the first rank that chose one; name those that were killed, but by torchrun itself."""
    killed = {rank: f for rank, f in failures.items() if f.exitcode < 0 and f.exitcode != -signal.SIGTERM}
    for rank, failure in killed.items():
        sys.stderr.write(
            f"genbench: rank {rank} (process {failure.pid}) was ended by {signal.Signals(-failure.exitcode).name}; "
            "start the same command again: it goes on from the blocks that are done.\n"
        )
    chosen = [failures[rank].exitcode for rank in sorted(failures) if failures[rank].exitcode > 0]
    return EXIT_ENVIRONMENT if killed or not chosen else chosen[0]


if __name__ == "__main__":
    sys.exit(main())
