"""Times contenders in turn, measures their memory in processes of their own, and what the machine can do at most."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from tests.performance.case import Case, Contender, Numbers, Work


@dataclass(frozen=True)
class Rates:
    """What the machine does at most, in one run with the cases: operations and bytes a second."""

    float64: float
    float32: float
    bytes: float

    def seconds(self, work: Work) -> float:
        """The least time that work takes: of its products, or of reading, whichever is longer."""
        return max(work.float64 / self.float64 + work.float32 / self.float32, work.bytes / self.bytes)


@dataclass
class Row:
    """What was found of one contender."""

    case: str
    contender: str
    does: str
    status: str
    version: str = ""
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    ratio: float = math.nan
    """Median over rounds of its time over the first contender's in the same round."""
    of_limit: float = math.nan
    apart: float = math.nan
    """Largest difference of a number from that of whoever returned it first, in units of its tolerance."""
    peak_mib: float = math.nan
    peak_failure: str = ""
    """Why there is no peak, where the process that was to measure it failed."""

    def median(self, clock: str) -> float:
        """Median of the seconds of a clock."""
        times = self.cpu if clock == "cpu" else self.wall
        return statistics.median(times) if times else math.nan


def use_threads(threads: int) -> None:
    """Let every library compute in so many threads."""
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    if "faiss" in sys.modules:
        sys.modules["faiss"].omp_set_num_threads(threads)


def _least(function: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def machine_rates(size: int = 2048, rounds: int = 5) -> Rates:
    """Measure products of square matrices and the sum of a table that no cache holds."""
    found = {}
    for dtype in (torch.float64, torch.float32):
        a = torch.randn(size, size, dtype=dtype)
        out = torch.empty_like(a)
        torch.mm(a, a, out=out)
        found[dtype] = 2 * size**3 / _least(lambda a=a, out=out: torch.mm(a, a, out=out), rounds)
    table = torch.ones(16 * size**2 // 2)
    return Rates(found[torch.float64], found[torch.float32], 4 * table.numel() / _least(table.sum, rounds))


def _timed(contender: Contender, prepared: Any) -> tuple[Numbers, float, float]:
    # Some print what they do, where the tables are printed.
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        wall, cpu = time.perf_counter(), time.process_time()
        numbers = contender.run(prepared)
        return numbers, time.process_time() - cpu, time.perf_counter() - wall


def time_case(
    case: Case, *, scale: float = 1.0, rounds: int = 5, budget: float = 60.0, threads: int = 1, memory: bool = True
) -> list[Row]:
    """Time all contenders of a case in turn.

    Parameters
    ----------
    case : Case
    scale : float
        In (0, 1], of the sizes.
    rounds : int
        Each contender runs once in each, in turn.
    budget : float
        Seconds a contender may take in all; one that took more leaves out the rounds that remain.
    threads : int
    memory : bool
        Whether to measure peaks as well, in a process each.

    Returns
    -------
    list of Row
    """
    sizes = case.scaled(scale)
    inputs = case.make(sizes)
    rows = {c.name: Row(case.name, c.name, c.does, c.missing() or "ok") for c in case.contenders}
    present = [c for c in case.contenders if rows[c.name].status == "ok"]
    for contender in present:
        rows[contender.name].version = contender.version()
    use_threads(threads)
    prepared: dict[str, Any] = {}
    for _ in range(rounds):
        for contender in present:
            row = rows[contender.name]
            if row.status != "ok" or sum(row.wall) > budget:
                continue
            try:
                if contender.name not in prepared:
                    prepared[contender.name] = contender.prepare(inputs)
                numbers, cpu, wall = _timed(contender, prepared[contender.name])
            except Exception as error:  # a peer's failure is a finding, not the end of the run
                row.status = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                continue
            row.numbers = {name: float(value) for name, value in numbers.items()}
            row.cpu.append(cpu)
            row.wall.append(wall)
    compare(case, rows)
    if memory:
        for contender in present:
            if rows[contender.name].status == "ok":
                row = rows[contender.name]
                row.peak_mib, row.peak_failure = peak_of(case.name, contender.name, scale, threads)
    return list(rows.values())


def compare(case: Case, rows: dict[str, Row]) -> None:
    """Set ratios to the first contender, and differences from whoever returned a number first."""
    first = rows[case.contenders[0].name]
    known: dict[str, float] = {}
    for row in rows.values():
        times, ours = (row.cpu, first.cpu) if case.clock == "cpu" else (row.wall, first.wall)
        paired = [a / b for a, b in zip(times, ours, strict=False) if b > 0]
        if paired:
            row.ratio = statistics.median(paired)
        row.apart = max(case.apart(row.numbers, known).values(), default=math.nan)
        known = {**row.numbers, **known}


def add_limits(case: Case, rows: list[Row], rates: Rates, scale: float) -> float:
    """Set how many times the least possible each took; return the least possible, in seconds."""
    if case.work is None:
        return math.nan
    least = rates.seconds(case.work(case.scaled(scale)))
    for row in rows:
        row.of_limit = row.median(case.clock) / least
    return least


def peak_of(case: str, contender: str, scale: float, threads: int) -> tuple[float, str]:
    """Run one contender once in a process of its own: MiB at its peak beyond inputs and libraries, or NaN and why."""
    command = [sys.executable, "-m", "tests.performance.peak", case, contender, str(scale), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout.split()
    if done.returncode or not said:
        return math.nan, f"exit code {done.returncode}: {done.stderr.strip()[-500:]}"
    return float(said[-1]), ""
