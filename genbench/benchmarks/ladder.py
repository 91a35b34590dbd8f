"""The data-size ladder: one benchmark at several sizes of its training split, from memorizing to generalizing."""

from __future__ import annotations

import re
from dataclasses import replace

from genbench.definitions import Benchmark
from genbench.errors import UsageError

_SIZE = re.compile(r"-train(\d+)$")


def with_train_size(benchmark: Benchmark, size: int) -> Benchmark:
    """Return a benchmark whose models see only so many training samples.

    It has an id of its own, as ``digits@1-train64``, and so a folder of its own. Data, extractors, metrics and held-out
    samples stay what they are; the training split is the part that `genbench.data.sizes.with_fewer` takes, nested and
    stratified. Where that is less than the n that is scored, metrics that compare with real samples are scored against
    n held-out ones (comparable over the ladder) and, as ``fd:rows=64``, against 64 of either split (for the gap).

    Parameters
    ----------
    benchmark : Benchmark
    size : int
        At least 2. Whether the data have more than that is known when they are loaded.

    Raises
    ------
    UsageError
        If the size is below 2, or the benchmark is one of a ladder already.
    """
    if size < 2:
        raise UsageError(f"train size: at least 2 expected, got {size}.")
    if benchmark.train_size is not None:
        raise UsageError(f"{benchmark.id}: has a train size already; choose the benchmark that it was made of.")
    return replace(benchmark, train_size=size)


def train_size_of(benchmark_id: str) -> int | None:
    """Return the size that a record's benchmark names: 64 for ``digits@1-train64``, None for ``digits@1``."""
    found = _SIZE.search(benchmark_id)
    return int(found.group(1)) if found else None
