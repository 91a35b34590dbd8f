"""Seconds per 1,000 updates of the harness: models, batch sizes, numbers of seeds, and ways to compute an update.

``python -m tests.performance.training`` measures on CUDA where there is one, else on the CPU. Rounds alternate between
the ways, and the median of each is taken. Every way trains from the same seed: the last columns say how far its losses
are from those of plain updates.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import torch

from genbench.definitions import Dataset
from genbench.devices import resolve_device
from genbench.jobs import build_baseline
from genbench.training import Speed, train

MODELS = {"dcgan": ("baselines.dcgan:DCGAN", 1), "wgan-gp": ("baselines.wgan_gp:WGANGP", 5)}
"""Where they are, and their updates of the critic, each with a batch of its own."""

WAYS = {
    "eager": Speed(),
    "fast": Speed(fast=True),
    "fast bf16": Speed(fast=True, precision="bf16"),
    "bf16": Speed(precision="bf16"),
}
WARM = 20


def images(size: int, channels: int) -> Dataset:
    """Smooth random images, uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2_000, channels, size // 8, size // 8), dtype=np.uint8)
    rows = coarse.repeat(8, axis=2).repeat(8, axis=3)
    return Dataset(name="smooth", train=rows[:1_900], test=rows[1_900:])


def measure(model: str, way: str, batch: int, updates: int, seed: int, device: str, size: int) -> tuple[float, Any]:
    """Train from a seed; return seconds per 1,000 updates, warm-up and recording left out, and the losses."""
    place = torch.device(device)
    target, parts = MODELS[model]
    with tempfile.TemporaryDirectory() as folder:
        stops = train(
            build_baseline(target, {}),
            images(size, 3),
            seed=seed,
            steps=WARM + updates,
            batch=batch * parts,
            device=place,
            stops=(WARM, WARM + updates),
            checkpoint=Path(folder) / "state",
            save_every=1e9,
            speed=WAYS[way],
        )
        next(stops)
        _wait(place)
        start = time.perf_counter()
        losses = next(stops).losses  # reading them waits for the device
        return (time.perf_counter() - start) * 1_000 / updates, losses


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def several(seeds: int, workers: int, *case: Any) -> float:
    """Seconds per 1,000 updates and seed when a pool of processes trains some seeds at once; start-up is left out."""
    model, way, batch, updates, device, size = case
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        list(pool.map(measure, *zip(*[(model, way, batch, 5, s, device, size) for s in range(workers)], strict=True)))
        start = time.perf_counter()
        given = [(model, way, batch, updates, s, device, size) for s in range(seeds)]
        list(pool.map(measure, *zip(*given, strict=True)))
        return (time.perf_counter() - start) * 1_000 / (updates + WARM) / seeds


def _one_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def utilization(device: torch.device) -> Iterator[list[float]]:
    """Ask twice a second how busy the GPU is, in percent; empty where there is none to ask."""
    found: list[float] = []
    done = Event()

    def ask() -> None:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not done.wait(0.5):
            said = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.split()
            found.extend(float(number) for number in said[:1])

    asking = Thread(target=ask)
    if device.type == "cuda" and shutil.which("nvidia-smi"):
        asking.start()
    try:
        yield found
    finally:
        done.set()
        if asking.is_alive():
            asking.join()


def main() -> None:
    """Measure every case and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.training", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["eager", "fast", "fast bf16"])
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=32, help="of the images, a multiple of 8")
    parser.add_argument("--seeds", nargs="*", type=int, default=[], help="also train so many seeds in processes")
    parser.add_argument("--workers", type=int, default=2, help="processes for --seeds, one thread each")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU; the harness itself trains in one")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = resolve_device(args.device)
    print(f"{torch.cuda.get_device_name(device) if device.type == 'cuda' else device}, torch {torch.__version__}")
    print(
        f"{'model':8} {'batch':>5} {'way':10} {'seeds':>5} {'s / 1,000 / seed':>16} {'GPU %':>6}  losses against eager"
    )
    for model in args.models:
        for batch in args.batches:
            case = (batch, args.updates, 0, str(device), args.size)
            found: dict[str, list[tuple[float, Any]]] = {way: [] for way in args.ways}
            busy: dict[str, list[float]] = {way: [] for way in args.ways}
            for _ in range(args.rounds):
                for way in args.ways:
                    with utilization(device) as percent:
                        found[way].append(measure(model, way, *case))
                    busy[way] += percent
            for way, rounds in found.items():
                seconds = statistics.median(r[0] for r in rounds)
                gpu = f"{statistics.mean(busy[way]):6.0f}" if busy[way] else "     -"
                plain = found.get("eager", rounds)[0][1]
                apart = ", ".join(
                    f"{k} {abs(v - plain[k]) / max(abs(plain[k]), 1e-9):.0e}" for k, v in rounds[0][1].items()
                )
                print(f"{model:8} {batch:5} {way:10} {1:5} {seconds:16.2f} {gpu}  {apart}", flush=True)
            for seeds in args.seeds:
                for way in args.ways:
                    seconds = several(seeds, args.workers, model, way, batch, args.updates, str(device), args.size)
                    print(
                        f"{model:8} {batch:5} {way:10} {seeds:5} {seconds:16.2f}  {args.workers} processes", flush=True
                    )


if __name__ == "__main__":
    main()
