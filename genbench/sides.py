"""The sides of a comparison: the records of a model, and whether those of two may be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genbench.errors import ProtocolError, SampleError, UsageError
from genbench.records import Run
from genbench.storage import Remote, parse_place
from genbench.store import read_record, read_records


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Final records of one model, or one record of any step."""

    label: str
    runs: tuple[Run, ...]

    @property
    def completed(self) -> tuple[Run, ...]:
        """Those with scores."""
        return tuple(run for run in self.runs if run.failure is None)

    @property
    def failed(self) -> int:
        """How many have none."""
        return len(self.runs) - len(self.completed)

    @property
    def counted(self) -> str:
        """How many runs there are, in words."""
        return f"{len(self.completed)}" + (f", and {self.failed} failed, which are in no mean" if self.failed else "")


def read_side(text: str) -> Side:
    """Read a side: the file of a record, or ``FOLDER:model`` for all final records of a model; paths or URLs.

    Raises
    ------
    UsageError
        If there is no such file, folder or model.
    ProtocolError
        If a file is no record.
    """
    path = parse_place(text)
    if path.is_file():
        run = read_record(path)
        seed = "" if run.train_seed is None else f" seed {run.train_seed}"
        step = "" if run.final else f" step {run.step}"
        return Side(label=f"{run.sampler}{seed}{step}", runs=(run,))
    folder, colon, model = text.rpartition(":")
    if not colon or model.startswith("//"):
        raise UsageError(f"compare: the file of a record or FOLDER:model expected, got {text!r}, which is neither.")
    records = parse_place(folder) / "records"
    runs = [run for _, run in read_records(sorted((records / model).glob("*.json")))] if model else []
    if not runs:
        known = ", ".join(sorted(p.name for p in records.glob("*") if p.is_dir())) or "none"
        raise UsageError(f"compare: no records of {model!r} in {folder}; models there: {known}.")
    finals = tuple(run for run in runs if run.final)
    if not finals:
        raise SampleError(f"compare: {text} has no final record; finish its training, or name the file of a record.")
    return Side(label=model, runs=finals)


def is_recorded(source: Any) -> bool:
    """Tell names of records and baselines from those of samples and generators."""
    if not isinstance(source, (str, Path, Remote)):
        return False
    path, (folder, colon, _) = parse_place(source), str(source).rpartition(":")
    if path.is_dir() or path.is_file():
        return path.suffix == ".json" or (path / "records").is_dir()
    return bool(colon) and (parse_place(folder) / "records").is_dir()


def recorded(source: Any) -> Side | None:
    """Return the records of one model, if that is what is given; None for samples and generators.

    Parameters
    ----------
    source : object
        A `Side`, a `Run` or several of one model, the file of a record, or ``FOLDER:model``.

    Raises
    ------
    UsageError
        If records of several models are given.
    ProtocolError
        If a file is no record.
    """
    if isinstance(source, Side):
        return source
    if isinstance(source, Run):
        return Side(label=source.sampler, runs=(source,))
    if isinstance(source, (list, tuple)) and source and all(isinstance(run, Run) for run in source):
        names = sorted({run.sampler for run in source})
        if len(names) > 1:
            raise UsageError(f"records of one model expected, got those of {', '.join(names)}; give them one by one.")
        return Side(label=names[0], runs=tuple(source))
    if not is_recorded(source):
        return None
    if (place := parse_place(source)).is_dir():
        models = sorted(p.name for p in (place / "records").glob("*") if p.is_dir())
        raise UsageError(f"which model of {source}? Name one, as {source}:{models[0] if models else 'MODEL'}.")
    return read_side(str(source))


def check_alike(a: Side, b: Side) -> None:
    """Refuse sides whose numbers must not be compared.

    Raises
    ------
    ProtocolError
        With what differs, as far as the records tell.
    """
    differs = []
    if len({run.protocol for run in (*a.runs, *b.runs)}) > 1:
        differs = differences(a.runs, b.runs) or ["the data, or an option of a metric, an extractor or the benchmark"]
    if len({(run.benchmark, run.quick) for run in (*a.runs, *b.runs)}) > 1:
        names = [sorted({run.benchmark for run in side.runs}) for side in (a, b)]
        differs = [f"benchmark ({', '.join(names[0])} and {', '.join(names[1])})"]
    if differs:
        raise ProtocolError(
            f"compare: {a.label} and {b.label} were scored under unlike protocols; what differs: {'; '.join(differs)}. "
            "Score both with one benchmark and one genbench."
        )


def differences(one: Sequence[Run], other: Sequence[Run]) -> list[str]:
    """Name what the scores of two sides show of unlike protocols; nothing where they do not show it."""
    sides = [{(s.key, s.split): s for run in side for s in run.scores} for side in (one, other)]
    found: dict[str, None] = {}
    for key in sides[0].keys() & sides[1].keys():
        mine, theirs = (side[key] for side in sides)
        if mine.fingerprint != theirs.fingerprint:
            extractor = mine.space.rpartition(".")[0]
            found[f"extractor {extractor} ({mine.fingerprint[:12]} and {theirs.fingerprint[:12]})"] = None
        if (mine.n_generated, mine.n_reference) != (theirs.n_generated, theirs.n_reference):
            found[f"n of {key[0]} ({mine.n_generated} and {theirs.n_generated})"] = None
        if dict(mine.options) != dict(theirs.options):
            found[f"options of {key[0]}"] = None
    scored = [{s.key for run in side if run.final for s in run.scores} for side in (one, other)]
    if all(scored) and (apart := sorted(scored[0] ^ scored[1])):
        more = f" and {len(apart) - 3} more" if len(apart) > 3 else ""
        found[f"metrics that one side lacks ({', '.join(apart[:3])}{more})"] = None
    return sorted(found)
