"""Times one evaluation over several processes: ``python -m tests.performance.distributed [PART ...]``.

Parts: ``extraction``, from one process to two, each with one thread; ``merge``, what it costs to bring rows of 2,048
columns together; ``growth``, the memory of 20,000 to 2,000,000 samples that are scored by their moments alone. Where
other work shares the cores, believe the processor's seconds: wall time can be no shorter than those of the rank that
has the most of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tests.distributed.launching import ROOT, environment, ranks
from tests.performance.peak import STATUS

IMAGES, ROWS = 512, 20_480
GROWTH = (20_000, 200_000, 2_000_000)
WIDTH = 32


class Wide:
    """2,048 columns at no cost, as of a very fast network."""

    name = "wide"
    fingerprint = "w" * 64
    layers: ClassVar = {"pool": 2048}

    def __init__(self, event_shape: Any, device: Any) -> None:
        pass

    def extract(self, samples: Tensor) -> dict[str, Tensor]:
        return {"pool": samples.flatten(1)[:, :1].float().repeat(1, 2048)}


class Pictures:
    """Noise of 32 x 32 in colour."""

    name = "pictures"

    def sample(self, n: int, *, seed: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8))


class Points:
    """A Gaussian."""

    name = "points"

    def sample(self, n: int, *, seed: int) -> Tensor:
        return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(seed))


PARTS: dict[str, tuple[Any, str, str]] = {
    "extraction": (Pictures, "pictures.npy", "inception-v3"),
    "merge": (Pictures, "pictures.npy", "tests.performance.distributed:Wide"),
    "growth": (Points, "points.npy", "identity"),
}


def main(parts: list[str]) -> None:
    """Print what every part took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder)
        for part in parts or PARTS:
            for n in {"extraction": (IMAGES,), "merge": (ROWS,), "growth": GROWTH}[part]:
                for world in (1, 2):
                    _print(part, n, world, _measured(folder, part, n, world))


def _measured(folder: Path, part: str, n: int, world: int) -> list[dict[str, float]]:
    """Measure in processes of their own: a number of things by rank."""
    command = ["-m", "tests.performance.distributed", "--rank", part, str(n), str(folder)]
    if world == 1:
        subprocess.run([sys.executable, *command], cwd=ROOT, env=environment(), check=True)
    else:
        done = ranks(world, *command, cwd=ROOT, limit=3600)
        assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world)]


def _print(part: str, n: int, world: int, found: list[dict[str, float]]) -> None:
    first = found[0]
    processor = " + ".join(f"{rank['processor']:.1f}" for rank in found)
    line = f"{part}: {n:,} samples, {world} process{'es' * (world > 1)}: {first['wall']:.1f} s"
    peaks = " and ".join(f"{rank['peak']:.0f}" for rank in found)
    line += f" ({processor} s of processor), at most {peaks} MiB more than before"
    if part == "merge" and world > 1:
        sent = n / 2 * 2048 * 4 / 2**20
        line += f"; {sent:.0f} MiB from rank 1, for which rank 0 waited {first['waited']:.2f} s"
    print(line, flush=True)


def one_rank(part: str, n: int, folder: Path) -> None:
    """Be one process of those that are measured."""
    from genbench.distributed.leading import led

    torch.set_num_threads(1)
    start = time.process_time()
    told = led(lambda: _evaluate(part, n, folder), pack=json.dumps, unpack=json.loads)
    peak = next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    mine = {**told, "peak": peak - told["before"]}
    mine["processor"] = told["processor"] if os.environ.get("RANK", "0") == "0" else time.process_time() - start
    (folder / f"{os.environ.get('RANK', '0')}.json").write_text(json.dumps(mine))


def _evaluate(part: str, n: int, folder: Path) -> dict[str, float]:
    import genbench.inputs
    from genbench.cache import FeatureCache
    from genbench.sources import open_source
    from genbench.timing import collect

    sampler, reference, extractor = PARTS[part]
    genbench.inputs.HELD = 0 if part == "growth" else 2**40
    source = open_source(
        sampler(),
        None,
        reference=folder / reference,
        held_out=None,
        reference_n=None,
        metrics=("fd",),
        extractor=extractor,
        extractors=json.loads((folder / "options.json").read_text()) if part == "extraction" else {},
        data={},
        download=False,
        features=None,
        n=n,
        machine={"device": "cpu", "cache": FeatureCache(None), "batch_size": None},
        declared={},
    )
    before = next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmRSS")) / 1024
    wall, processor = time.perf_counter(), time.process_time()
    with collect() as seconds:
        seen = source.see(seed=0)
        if part == "growth":
            source.evaluator.score_seen(seen, source.specs, seed=0)
    found = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor, "before": before}
    return {**found, "waited": seconds.get("rows of other ranks", 0.0)}


def _make(folder: Path) -> None:
    """Write what the parts read: real samples, and the weights with what says of which network they are."""
    from tests.extractors.networks import inception_state, save_state

    np.save(folder / "pictures.npy", Pictures().sample(64, seed=1).numpy())
    np.save(folder / "points.npy", Points().sample(20_000, seed=1).numpy())
    options = save_state(inception_state(), folder / "weights.pth").declared
    (folder / "options.json").write_text(json.dumps({"inception-v3": options}, default=str))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rank"]:
        one_rank(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(sys.argv[1:])
