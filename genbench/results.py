"""What lies in a results folder: its records, and the benchmark that they belong to."""

from __future__ import annotations

from pathlib import Path

from genbench.benchmarks import load_benchmark
from genbench.definitions import Benchmark
from genbench.errors import UsageError
from genbench.records import Run
from genbench.store import Store


def read_folder(folder: Path) -> list[Run]:
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


def benchmark_of(folder: Path, given: str | None = None) -> Benchmark:
    """Load the benchmark of a results folder: the one given, by name or as a .toml file, else the folder's name.

    Raises
    ------
    UsageError
        If the one given is another than the folder's.
    """
    name = folder.resolve().name
    benchmark = load_benchmark(given or name.removesuffix("-quick"), quick=name.endswith("-quick"))
    if benchmark.id != name:
        raise UsageError(f"{folder}: records of {name} expected in it by name, and --benchmark gave {benchmark.id}.")
    return benchmark
