"""Whether the ranks can work together: versions, devices, clocks, and how fast rows travel."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from genbench._version import __version__
from genbench.distributed.rows import Share
from genbench.errors import SetupError

if TYPE_CHECKING:
    from genbench.distributed.team import Team

SKEW = 5.0
"""Seconds by which clocks may differ: more, and logs and the ages of files on a shared disk mislead."""

PINGS = 9

ROWS, WIDTH = 512, 2048
"""Of the table that every rank sends: 4 MB, as of Inception-v3."""


def facts() -> dict[str, Any]:
    """Return what is the same on every rank of a sound job, and where this one is."""
    cuda = torch.cuda.is_available()
    return {
        "genbench": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "host": socket.gethostname(),
        "address": _address(),
        "device": torch.cuda.get_device_name(torch.cuda.current_device()) if cuda else platform.machine(),
        "gpu": str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid) if cuda else None,
        "threads": torch.get_num_threads(),
    }


def examine(team: Team) -> list[str]:
    """Examine all ranks from rank 0: a line a finding; what is wrong starts with ``FAIL``.

    On the other ranks `genbench.distributed.team.Team.serve` answers with `handlers`.
    """
    lines = [f"ok   {'ranks':15} {team.place.world}, rows travel by gloo{_interface()}"]
    mine = facts()
    team.call("facts")
    found = {0: mine, **team.answers("what it is")}
    lines += list(_versions(found)) + list(_places(found))
    lines += [_clock(team, rank) for rank in team.others]
    lines.append(_transfer(team))
    return lines


def handlers(team: Team) -> dict[str, Callable[..., Any]]:
    """Return what the other ranks answer with."""

    def clock(*, rank: int) -> float | None:
        return time.time() if rank == team.place.rank else None

    return {"facts": facts, "clock": clock, "rows": lambda: _send(team)}


def _versions(found: dict[int, dict[str, Any]]) -> Iterator[str]:
    for name in ("genbench", "torch", "python"):
        told = {rank: one[name] for rank, one in found.items()}
        if len(set(told.values())) == 1:
            yield f"ok   {name:15} {told[0]} on every rank"
        else:
            others = ", ".join(f"rank {rank} has {v}" for rank, v in told.items() if v != told[0])
            yield f"FAIL {name:15} rank 0 has {told[0]}, {others}: install one version everywhere"


def _places(found: dict[int, dict[str, Any]]) -> Iterator[str]:
    several = len({one["host"] for one in found.values()}) > 1
    gpus = [one["gpu"] for one in found.values() if one["gpu"] is not None]
    for rank, one in found.items():
        what = f"{'rank ' + str(rank):15} {one['host']} ({one['address']}), {one['device']}, {one['threads']} threads"
        if several and one["address"].startswith("127.") and "GLOO_SOCKET_IFNAME" not in os.environ:
            yield (
                f"FAIL {what}: its host's name leads to itself, where no other machine reaches it; set "
                "GLOO_SOCKET_IFNAME to the interface between the machines"
            )
        elif one["gpu"] is not None and gpus.count(one["gpu"]) > 1:
            yield f"FAIL {what}: shares its GPU with another rank; start as many ranks as there are GPUs"
        else:
            yield f"ok   {what}"


def _clock(team: Team, rank: int) -> str:
    """Compare a rank's clock with that of rank 0, over several questions, of which the quickest counts."""
    best = (float("inf"), 0.0)
    for _ in range(PINGS):
        asked = time.time()
        team.call("clock", rank=rank)
        told = float(team.answer(rank, "its clock"))
        answered = time.time()
        best = min(best, (answered - asked, told - (asked + answered) / 2))
    took, ahead = best
    what = f"{'clock':15} rank {rank} {ahead * 1e3:+.0f} ms (± {took / 2 * 1e3:.0f} ms)"
    if abs(ahead) - took / 2 > SKEW:
        return f"FAIL {what}: more than {SKEW:.0f} s; set the machines' clocks by NTP"
    return f"ok   {what}"


def _transfer(team: Team) -> str:
    """Send a table from every rank, block by block as features are, and time it."""
    team.call("rows")
    start = time.perf_counter()
    taken = sum(len(rows["rows", "test"]) for rows in _share(team).gather(_blocks(team)))
    seconds = time.perf_counter() - start
    expected = ROWS * team.place.world
    if taken != expected:
        raise SetupError(f"doctor: {expected} rows expected from all ranks, got {taken}.")
    sent = ROWS * WIDTH * 4 * len(team.others) / 2**20
    return f"ok   {'transfer':15} {sent:.0f} MiB to rank 0 in {seconds:.2f} s ({sent / seconds:.0f} MiB/s)"


def _send(team: Team) -> None:
    for _ in _share(team).gather(_blocks(team)):
        pass


def _share(team: Team) -> Share:
    return team.share(ROWS * team.place.world, ROWS)


def _blocks(team: Team) -> Iterator[dict[tuple[str, str], torch.Tensor]]:
    yield {("rows", "test"): torch.full((ROWS, WIDTH), float(team.place.rank))}


def _interface() -> str:
    chosen = os.environ.get("GLOO_SOCKET_IFNAME")
    return f" over {chosen}" if chosen else ""


def _address() -> str:
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError as error:
        return f"not resolved: {error}"
