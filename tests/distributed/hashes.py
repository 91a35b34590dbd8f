"""A program for torchrun: what rank 0 has seen of samples in several forms, as hashes of its bits."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

import genbench.inputs
from genbench.cache import FeatureCache
from genbench.distributed.leading import led
from genbench.metrics.features import Features
from genbench.sources import open_source

CASES = {
    "endless": ("tests.distributed.parts:Noise", "images.npy", 601, "digits-cnn"),
    "finite": ("more.npy", "images.npy", 601, "digits-cnn"),
    "moments": ("tests.distributed.parts:Noise", "many.npy", 20_001, "tests.distributed.parts:Counting"),
}


def digest(seen: Any) -> str:
    tables = [seen.values] if isinstance(seen, Features) else [seen.moments().mean, seen.moments().covariance]
    tables += [] if isinstance(seen, Features) else list(seen.without(3)[1:])
    return hashlib.sha256(b"".join(table.numpy().tobytes() for table in tables)).hexdigest()


def look(folder: Path, case: str) -> str:
    sampler, reference, n, extractor = CASES[case]
    genbench.inputs.HELD = 0 if case == "moments" else 2**28
    source = open_source(
        sampler if ":" in sampler else folder / sampler,
        None,
        reference=folder / reference,
        held_out=None,
        reference_n=None,
        metrics=("fd",),
        extractor=extractor,
        extractors={},
        data={},
        download=False,
        features=None,
        n=n,
        machine={"device": "cpu", "cache": FeatureCache(None), "batch_size": None},
        declared={},
    )
    seen = source.see(seed=0)
    evaluator = source.evaluator
    scores = evaluator.score_seen(seen, source.specs, seed=0)
    real = evaluator.spaces.real(next(iter(seen)), "reference", evaluator.inputs.keep(next(iter(seen)), n))
    found = {"kind": type(next(iter(seen.values()))).__name__, "generated": digest(next(iter(seen.values())))}
    found |= {"real": digest(real), "scores": repr([score.estimate for score in scores])}
    return json.dumps(found)


def main() -> None:
    torch.set_num_threads(1)
    found = {c: json.loads(led(lambda c=c: look(Path(sys.argv[1]), c), pack=str, unpack=str)) for c in CASES}
    Path(sys.argv[2] + os.environ.get("RANK", "0")).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
