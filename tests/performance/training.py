"""Seconds per 1,000 updates of the harness: models, batch sizes, numbers of seeds, and ways to compute an update.

``python -m tests.performance.training`` measures on CUDA where there is one, else on the CPU, and prints a Markdown
table; ``--quick`` takes a few minutes on a CPU. Rounds alternate between the ways, and the least of each is taken: what
else a machine does can only add. Updates that warm up or are recorded are left out. Every way trains from the same
seed, and the last column says how far its first losses are from those of plain updates.

Several seeds are trained by the harness one after another in one process, and by one process a core side by side (on a
GPU: one a seed), each with its share. Processes on one GPU take turns unless MPS runs there: then this is no measure of
what seeds stacked in one process would take, which the harness does not do.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from genbench.definitions import Dataset
from genbench.devices import resolve_device
from genbench.recipes import build_baseline
from genbench.training import Speed, train
from tests.performance.gpu import utilization

MODELS = {"dcgan": 1, "wgan-gp": 5}
"""Baselines, and their updates of the critic in one of the generator, each with a batch of its own."""

WAYS = {
    "eager": Speed(),
    "fast": Speed(fast=True),
    "fast bf16": Speed(fast=True, precision="bf16"),
    "bf16": Speed(precision="bf16"),
}

COMPARED = 10
"""Updates after which losses are compared: later, an adversarial training has amplified any rounding."""

TOLERANCE = {"eager": 0.0, "fast": 0.02, "fast bf16": 0.16, "bf16": 0.16}
"""Largest difference of a mean loss, relative above 1: TF32 keeps 11 bits and bf16 8, so that a product is off by up to
2^-11 or 2^-8; through some five layers, `COMPARED` updates and the fed-back weights about forty times that."""


NOT_MEASURED = """
Not measured, as there is no CUDA device: recorded updates, TF32 and GPU utilization. On a CPU `fast` changes nothing.
That a recorded update gives the losses and weights of a plain one is tested in tests/training/test_recording.py."""


@dataclass(frozen=True)
class Case:
    """What is trained, and where."""

    model: str
    batch: int
    way: str
    updates: int
    warm: int
    device: str
    size: int
    channels: int


@dataclass(frozen=True)
class Timed:
    """Seconds of wall and of this process's CPU, of all timed updates together."""

    wall: float
    cpu: float


def images(size: int, channels: int) -> Dataset:
    """Smooth random images, uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2_000, channels, size // 8, size // 8), dtype=np.uint8)
    rows = coarse.repeat(8, axis=2).repeat(8, axis=3)
    return Dataset(name="smooth", train=rows[:1_900], test=rows[1_900:])


def trained(case: Case, seed: int, stops: tuple[int, ...]) -> Generator[Mapping[str, float], None, None]:
    """Train from a seed; yield the losses at the stops. Reading them has waited for the device."""
    with tempfile.TemporaryDirectory() as folder:
        for stop in train(
            build_baseline(case.model, {}),
            images(case.size, case.channels),
            seed=seed,
            steps=stops[-1],
            batch=case.batch * MODELS[case.model],
            device=torch.device(case.device),
            stops=stops,
            checkpoint=Path(folder) / "state",
            save_every=1e9,
            speed=WAYS[case.way],
        ):
            yield stop.losses


def measure(case: Case, seeds: tuple[int, ...] = (0,)) -> Timed:
    """Train seeds one after another; return the time of their updates after the first ``warm``."""
    wall = cpu = 0.0
    for seed in seeds:
        stops = trained(case, seed, (case.warm, case.warm + case.updates))
        next(stops)
        start, start_cpu = time.perf_counter(), time.process_time()
        next(stops)
        wall, cpu = wall + time.perf_counter() - start, cpu + time.process_time() - start_cpu
        stops.close()
    return Timed(wall, cpu)


def apart(case: Case) -> float:
    """Largest difference of a mean loss over the first updates from that of plain updates, relative above 1."""
    plain, other = (next(trained(Case(**{**vars(case), "way": way}), 0, (COMPARED,))) for way in ("eager", case.way))
    return max(abs(other[name] - value) / max(1.0, abs(value)) for name, value in plain.items())


def side_by_side(case: Case, seeds: int, pool: ProcessPoolExecutor, workers: int) -> Timed:
    """Give each worker its share of the seeds at once; the wall time is that of the slowest share."""
    shares = [tuple(range(first, seeds, workers)) for first in range(workers)]
    found = list(pool.map(measure, [case] * workers, shares))
    return Timed(max(share.wall for share in found), sum(share.cpu for share in found))


def _one_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Start the workers, and let each import what it needs before anything is timed."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        list(pool.map(abs, range(workers)))
        yield pool


class Table:
    """Rows of the printed Markdown table."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        names = ("model", "batch", "way", "seeds", "how", "s / 1,000 updates / seed", "CPU s", "GPU %", "times eager")
        self._row(*names, "losses apart")
        self._row(*["---"] * 10)

    def add(self, case: Case, seeds: int, how: str, timed: Timed, *, busy: float, eager: float, apart: str) -> float:
        """Print a row; return its seconds per 1,000 updates and seed."""
        scale = 1_000 / case.updates / seeds
        wall = timed.wall * scale
        gpu = "-" if math.isnan(busy) else f"{busy:.0f}"
        times = "-" if math.isnan(eager) else f"{eager / wall:.2f}"
        self._row(
            case.model, case.batch, case.way, seeds, how, f"{wall:.1f}", f"{timed.cpu * scale:.1f}", gpu, times, apart
        )
        return wall

    @staticmethod
    def _row(*cells: object) -> None:
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def one_seed(cases: list[Case], rounds: int, table: Table) -> dict[str, float]:
    """Measure the ways of one model and batch in turn; return seconds per 1,000 updates by way."""
    least: dict[str, Timed] = {}
    busy: dict[str, list[float]] = {case.way: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            with utilization(table.device) as percent:
                timed = measure(case)
            busy[case.way] += percent
            least[case.way] = min(least.get(case.way, timed), timed, key=lambda t: t.wall)
    found: dict[str, float] = {}
    for case in cases:
        mean = float(np.mean(busy[case.way])) if busy[case.way] else math.nan
        said = "0"
        if case.way != "eager":
            distance = apart(case)
            said = f"{distance:.1g} ({'within' if distance <= TOLERANCE[case.way] else 'BEYOND'} tolerance)"
        eager = found.get("eager", math.nan)
        found[case.way] = table.add(case, 1, "one process", least[case.way], busy=mean, eager=eager, apart=said)
    return found


def several(case: Case, seeds: int, workers: int, eager: float, table: Table) -> None:
    """Measure some seeds one after another in one process, and shared among processes."""
    with processes(workers) as pool:
        for count, how in ((1, "one after another, one process"), (workers, f"side by side, {workers} processes")):
            with utilization(table.device) as percent:
                timed = side_by_side(case, seeds, pool, count)
            busy = float(np.mean(percent)) if percent else math.nan
            table.add(case, seeds, how, timed, busy=busy, eager=eager, apart="-")


def machine(device: torch.device) -> str:
    """What was measured on, in one line."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, no CUDA device"
    return (
        f"{where}; {os.cpu_count()} cores, {platform.machine()}; "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance.training", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="by default eager, and on CUDA fast and fast bf16")
    parser.add_argument("--updates", "--steps", type=int, help="that are timed; by default 500 on CUDA, 20 on a CPU")
    parser.add_argument("--rounds", type=int, default=3, help="of one seed")
    parser.add_argument("--size", type=int, default=32, help="of the images, a multiple of 8")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=8, help="also train so many; 1: do not")
    parser.add_argument("--workers", type=int, help="processes for the seeds, one thread each")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="one round, few updates, the smallest batch")
    return parser.parse_args()


def main() -> None:
    """Measure every case and print a row for each."""
    args = _options()
    _one_thread()
    device = resolve_device(args.device)
    cuda = device.type == "cuda"
    updates = args.updates or ((100 if cuda else 2) if args.quick else (500 if cuda else 20))
    batches, rounds = ([min(args.batches)], 1) if args.quick else (args.batches, args.rounds)
    ways = args.ways or (["eager", "fast", "fast bf16"] if cuda else ["eager"])
    workers = min(args.seeds, args.workers or (args.seeds if cuda else os.cpu_count() or 1))
    print(f"`python -m tests.performance.training {' '.join(sys.argv[1:])}`\n\n{machine(device)}; images of")
    print(f"{args.channels}x{args.size}x{args.size}, {updates} updates timed, least of {rounds} rounds.\n")
    table = Table(device)
    for model in args.models:
        for batch in batches:
            shared = (updates, 20 if cuda else 1, str(device), args.size, args.channels)
            cases = [Case(model, batch, way, *shared) for way in ways]
            eager = one_seed(cases, rounds, table).get("eager", math.nan)
            for case in cases:
                if args.seeds > 1:
                    several(case, args.seeds, workers, eager, table)
    if not cuda:
        print(NOT_MEASURED)


if __name__ == "__main__":
    main()
