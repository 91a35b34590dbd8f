"""What lies in a results folder: its records, and the benchmark that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from genbench.benchmarks import benchmark_names, load_benchmark
from genbench.benchmarks.ladder import train_size_of
from genbench.definitions import Benchmark
from genbench.errors import UsageError
from genbench.records import Run
from genbench.storage import Place
from genbench.store import Store
from genbench.tables.cells import metric_splits


def read_folder(folder: Place) -> list[Run]:
    """Read every record of one benchmark's results folder, such as ``results/digits@1``.

    Raises
    ------
    UsageError
        If it holds no record.
    ProtocolError
        If a file is no record, or records were made under unlike protocols.
    """
    folder = folder.resolve()
    runs = Store(folder.parent, folder.name).runs()
    if not runs:
        raise UsageError(f"{folder}: a folder with records expected, such as results/digits@1; got none.")
    return runs


def find_benchmark(runs: Sequence[Run], name: str | None = None) -> Benchmark:
    """Return the definition that records were made by.

    Parameters
    ----------
    runs : sequence of Run
        At least one.
    name : str or None
        As `genbench.load_benchmark` takes it. None: the shipped benchmark of the records' name and version; where there
        is none, one is made up from the records, whose first metric is the primary one.

    Raises
    ------
    UsageError
        If the benchmark named is not that of the records.
    """
    wanted = runs[0].benchmark
    size = train_size_of(wanted)
    plain = wanted if size is None else wanted.removesuffix(f"-train{size}")
    bare, _, version = plain.removesuffix("-quick").partition("@")
    if name is not None:
        found = replace(load_benchmark(name, quick=runs[0].quick), train_size=size)
        if found.id != wanted:
            raise UsageError(f"--benchmark: that of these records, {wanted}, expected, got {found.id}.")
        return found
    if bare in benchmark_names():
        found = replace(load_benchmark(bare, quick=runs[0].quick), train_size=size)
        if found.id == wanted:
            return found
    scores = [s for s in metric_splits(runs) if s.split != "train"]
    ranked = next((s for s in scores if s.better != "match"), scores[0] if scores else None)
    return Benchmark(
        name=bare,
        version=int(version) if version.isdigit() else 0,
        quick=runs[0].quick,
        dataset=bare,
        n=max((s.n_generated for s in scores), default=0),
        seeds=tuple(sorted({run.train_seed for run in runs if run.train_seed is not None})),
        checkpoints=1,
        primary=ranked.key if ranked else "",
        metrics=(),
        curve=(),
        baselines={},
    )
