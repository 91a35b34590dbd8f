"""Starting commands on several processes, on the loopback interface alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

LIMIT = 240.0
"""Seconds after which a command has hung; the longest takes less than a tenth of that."""


def environment(**more: Any) -> dict[str, str]:
    """One thread a process, so that bits can be compared with those of this one."""
    kept = {k: v for k, v in os.environ.items() if k not in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_PORT")}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **{k: str(v) for k, v in more.items()}}


def ranks(
    world: int, *command: str | Path, cwd: Path, limit: float = LIMIT, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command on so many ranks."""
    launcher = [sys.executable, "-m", "genbench.distributed", "--standalone", "--nproc-per-node", str(world)]
    return subprocess.run(
        [*launcher, *map(str, command)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


def genbench(world: int, *arguments: str | Path, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line on so many ranks; on one, without a launcher."""
    if world > 1:
        return ranks(world, "-m", "genbench", *arguments, cwd=cwd, **more)
    return subprocess.run(
        [sys.executable, "-m", "genbench", *map(str, arguments)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def start_alone(rank: int, port: int, *arguments: str | Path, cwd: Path, **more: Any) -> subprocess.Popen[str]:
    """Start one rank of two as a cluster's scheduler does: nobody watches over the processes but themselves."""
    place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return subprocess.Popen(
        [sys.executable, "-m", "genbench", *map(str, arguments)],
        cwd=cwd,
        env=environment(**place, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
