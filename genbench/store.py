"""Records on disk: one JSON file per (benchmark, sampler, train seed, step), complete or absent.

Tables are derived from these files and can be rebuilt at any time; the files are the truth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from genbench.atomic import write_atomic
from genbench.errors import ProtocolError, UsageError
from genbench.records import Run
from genbench.storage import Place, Remote, read_together

AT_ONCE = 64
"""Records that are asked for together, where a store can answer many requests at a time."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """Return a sampler's name if it can be a folder's name.

    Raises
    ------
    UsageError
        If it holds anything but letters, digits, dot, dash and underscore.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"sampler name: letters, digits, '.', '-' and '_' expected, got {name!r}; choose one with --name."
        )
    return name


def place_of(sampler: str, train_seed: int | None, step: int | None) -> str:
    """Return the folder and the file of a record, as ``gan/seed0-step0003000.json``.

    Raises
    ------
    UsageError
        If the sampler's name cannot be a folder's.
    """
    cell = "samples.json" if train_seed is None else f"seed{train_seed}-step{step:07d}.json"
    return f"{check_name(sampler)}/{cell}"


def read_records(paths: Sequence[Place]) -> Iterator[tuple[Place, Run]]:
    """Yield the records in files, in order, each read when it is asked for; in a store elsewhere, `AT_ONCE` together.

    Raises
    ------
    ProtocolError
        If one holds none, or cannot be read; the message names the file.
    SetupError
        If a store does not answer.
    """
    rest = iter(paths)
    while batch := list(islice(rest, AT_ONCE)):
        known = read_together([path for path in batch if isinstance(path, Remote)])
        for path in batch:
            try:
                yield path, Run.from_json((known.get(path) or path.read_bytes()).decode())
            except (ProtocolError, UnicodeDecodeError) as error:
                raise ProtocolError(f"{path}: {error}") from error
            except OSError as error:
                raise ProtocolError(f"{path}: cannot be read ({error.strerror or error}).") from error


def read_record(path: Place) -> Run:
    """Read the record in a file; errors as of `read_records`."""
    return next(read_records([path]))[1]


class Store:
    """The records of one benchmark in one results folder.

    Parameters
    ----------
    out : Path or Remote
        The results folder; the benchmark gets a folder of its own in it.
    benchmark_id : str
        ``digits@1`` or ``digits@1-quick``: quick and full runs never share a folder.
    """

    def __init__(self, out: Place, benchmark_id: str) -> None:
        self.folder = out / benchmark_id
        self.benchmark_id = benchmark_id

    def path(self, sampler: str, train_seed: int | None, step: int | None) -> Place:
        """Return the file of one record."""
        return self.folder / "records" / place_of(sampler, train_seed, step)

    def write(self, run: Run) -> None:
        """Write a record, atomically."""
        write_atomic(self.path(run.sampler, run.train_seed, run.step), run.to_json().encode())

    def read(self, paths: Sequence[Place]) -> list[Run]:
        """Read records.

        Raises
        ------
        ProtocolError
            If a file is no record, or one of another benchmark.
        """
        runs = []
        for path, run in read_records(paths):
            if run.benchmark != self.benchmark_id:
                raise ProtocolError(
                    f"{path}: a record of {self.benchmark_id} expected, got one of {run.benchmark}; remove it."
                )
            runs.append(run)
        return runs

    def find(self, sampler: str, train_seed: int | None, step: int | None) -> Run | None:
        """Return the record of a cell, or None where it was not made yet."""
        path = self.path(sampler, train_seed, step)
        return self.read([path])[0] if path.exists() else None

    def runs(self) -> list[Run]:
        """Return every record, in the order of their files' names.

        Raises
        ------
        ProtocolError
            If two records were made under unlike protocols.
        """
        runs = self.read(sorted((self.folder / "records").glob("*/*.json")))
        protocols = {run.protocol: run for run in runs}
        if len(protocols) > 1:
            one, other, *_ = protocols.values()
            raise ProtocolError(
                f"{self.folder}: the records of {one.sampler} and {other.sampler} were made under unlike protocols "
                "(data, extractor or metric options differ); keep them in separate folders with --out."
            )
        return runs

    def check_protocol(self, protocol: str) -> None:
        """Refuse to put a record beside records of another protocol.

        Raises
        ------
        ProtocolError
            If there are such records.
        """
        if {run.protocol for run in self.runs()} - {protocol}:
            raise ProtocolError(
                f"{self.folder}: holds records of another protocol (its data, extractor or metric options differ from "
                f"{self.benchmark_id} of this genbench); choose another --out or remove the folder."
            )
