"""Many records into one board a benchmark: each training once, nothing unlike beside each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from genbench.benchmarks import load_benchmark
from genbench.benchmarks.ladder import train_size_of
from genbench.errors import ProtocolError, SampleError, UsageError
from genbench.merge.agreement import disagreement, fullness, identical, recipe_difference
from genbench.merge.excerpts import compares_single_runs
from genbench.merge.folders import Found, Rename, find_folders, parse_rename, read_folders, with_replicates
from genbench.records import Run
from genbench.sides import differences
from genbench.storage import Place, Remote
from genbench.tables import is_control

LOOKED_AT = 100
"""Records of a side that are read to say what differs between two protocols; the records of one protocol are alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The records of one benchmark, from all folders that have some.

    Attributes
    ----------
    benchmark : str
        ``digits@1``.
    kept : tuple of Found
        One record for every sampler, seed and step.
    agreeing : tuple of Found
        Those of the same sampler, seed and step as one that was kept, and with the same scores.
    rounded : int
        How many of these agree to rounding only.
    labels : mapping of Path or Remote to str
        What every folder is called: its URL, else its path from where all of them lie, as ``labA/digits@1``.
    renames : tuple of Rename
    """

    benchmark: str
    kept: tuple[Found, ...]
    agreeing: tuple[Found, ...]
    rounded: int
    labels: dict[Place, str]
    renames: tuple[Rename, ...] = ()

    @property
    def runs(self) -> list[Run]:
        """The records that were kept."""
        return [found.run for found in self.kept]

    @property
    def finals(self) -> list[Run]:
        """Those that are ranked."""
        return [found.run for found in self.kept if found.run.final]

    @property
    def folders(self) -> list[Place]:
        """The folders that have records of this benchmark."""
        return list(dict.fromkeys(found.folder for found in (*self.kept, *self.agreeing)))


def merge_folders(
    places: Sequence[Place], *, benchmark: str | None = None, rename: Sequence[str] = (), whole: bool = False
) -> list[Board]:
    """Merge the records of results folders, of many runs and machines, into one board a benchmark.

    Parameters
    ----------
    places : sequence of Path or Remote
        Results folders, such as ``results/digits@1``, or folders that hold several, such as ``results``.
    benchmark : str or None
        Only this one: an id (``digits@1-quick``), a name, or a ``.toml`` file. None is every one that there is.
    rename : sequence of str
        ``FOLDER:old=new``: models that have one name in several folders, and are not one, are told apart.
    whole : bool
        Whether to keep whole records, and not only what a leaderboard shows of them (`genbench.merge.excerpts`). A page
        of HTML shows everything, and reads the files again where it is not there.

    Returns
    -------
    list of Board
        In the order in which folders first name their benchmarks.

    Raises
    ------
    UsageError
        If a place holds no results, or a rename or benchmark names what is not there.
    ProtocolError
        If a file is no record; if two folders hold scores of one benchmark made under unlike protocols; if two records
        of the same training disagree (`genbench.merge.agreement.disagreement`), or two trainings of one model have
        different recipes.
    SampleError
        If no board has a final record.

    Notes
    -----
    Linear in the number of records. Each is read once; again where several files are of one training, which are
    compared whole, and the final ones where ranks need what is left out at first. Memory holds 1 kB of a record along
    training, and of a final one with 42 scores 12 kB, or 23 kB on a board with a model that has a single run.
    """
    folders = find_folders(places)
    renames = tuple(parse_rename(text) for text in rename)
    groups: dict[str, list[Found]] = {}
    for found in read_folders(folders, renames, whole=whole):
        groups.setdefault(found.run.benchmark, []).append(found)
    if benchmark is not None:
        groups = _chosen(groups, benchmark)
    labels = _labels(folders)
    boards = [_merge(name, found, labels, renames) for name, found in groups.items()]
    if not any(board.finals for board in boards):
        raise SampleError(
            f"leaderboard: no final record of {', '.join(groups)} in these folders; finish a training first."
        )
    return boards


def _chosen(groups: dict[str, list[Found]], benchmark: str) -> dict[str, list[Found]]:
    """Keep the boards that a name means: that of an id, else all forms and sizes of a benchmark."""
    wanted = load_benchmark(benchmark).id if benchmark.endswith(".toml") else benchmark
    kept = {name: found for name, found in groups.items() if name == wanted} or {
        name: found for name, found in groups.items() if wanted in (_plain(name), _plain(name).partition("@")[0])
    }
    if not kept:
        raise UsageError(f"--benchmark: one of these folders' ({', '.join(groups)}) expected, got {benchmark!r}.")
    return kept


def _plain(name: str) -> str:
    """Return ``digits@1`` for any form and size of it."""
    size = train_size_of(name)
    return (name if size is None else name.removesuffix(f"-train{size}")).removesuffix("-quick")


def _labels(folders: Sequence[Place]) -> dict[Place, str]:
    """Name folders by their paths from the folder that holds all of them: a board has nobody's home in it."""
    whole = {folder: os.path.abspath(folder) for folder in folders if not isinstance(folder, Remote)}
    root = os.path.commonpath([os.path.dirname(path) for path in whole.values()] or ["."])
    return {folder: os.path.relpath(whole[folder], root) if folder in whole else str(folder) for folder in folders}


def _merge(name: str, found: Sequence[Found], labels: dict[Place, str], renames: tuple[Rename, ...]) -> Board:
    _check_protocols(name, found)
    _check_recipes(found)
    cells: dict[tuple[str, int | None, int | None], list[Found]] = {}
    for record in found:
        cells.setdefault((record.run.sampler, record.run.train_seed, record.run.step), []).append(record)
    kept, agreeing, rounded = [], [], 0
    for records in cells.values():
        best, apart = _fullest(records) if len(records) > 1 else (records[0], 0)
        kept.append(best)
        agreeing += [record for record in records if record is not best]
        rounded += apart
    if compares_single_runs(found.run for found in kept):
        kept = with_replicates(kept)
    return Board(benchmark=name, kept=tuple(kept), agreeing=tuple(agreeing), rounded=rounded, labels=labels,
                 renames=renames)  # fmt: skip


def _fullest(records: Sequence[Found]) -> tuple[Found, int]:
    """Return the fullest of the records of one training, and how many agree with the first to rounding only."""
    runs = [record.read() for record in records]
    rounded = 0
    for other, run in zip(records[1:], runs[1:], strict=True):
        if not identical(runs[0], run):
            _check_agreement(records[0], other, disagreement(runs[0], run))
            rounded += 1
    fullest = max(range(len(runs)), key=lambda i: fullness(runs[i]))
    return records[fullest], rounded


def _check_protocols(name: str, found: Sequence[Found]) -> None:
    first = found[0]
    like = (first.run.protocol, first.run.quick)
    other = next((record for record in found if (record.run.protocol, record.run.quick) != like), None)
    if other is None:
        return
    sides = [_some(record for record in found if (record.run.protocol, record.run.quick) == key)
             for key in (like, (other.run.protocol, other.run.quick))]  # fmt: skip
    differs = differences(*sides) or ["the data, or an option of a metric, an extractor or the benchmark"]
    where = f"{first.folder} and {other.folder} hold" if first.folder != other.folder else f"{first.folder} holds"
    raise ProtocolError(
        f"leaderboard: {where} scores of {name} made under unlike protocols; what differs: {'; '.join(differs)}; score "
        "all with one benchmark and one genbench, or rank them one by one."
    )


def _some(found: Iterable[Found]) -> list[Run]:
    """Return at most `LOOKED_AT` whole records, final ones first."""
    return [record.read() for record in sorted(found, key=lambda record: not record.run.final)[:LOOKED_AT]]


def _check_recipes(found: Sequence[Found]) -> None:
    first: dict[str, Found] = {}
    for record in found:
        before = first.setdefault(record.run.sampler, record)
        if before is record or before.run.recipe == record.run.recipe:
            continue
        said = recipe_difference(before.run, record.run)
        if said is not None:
            raise ProtocolError(
                f"leaderboard: {before.path} and {record.path} are of one name and different recipes ({said}); "
                f"{_advice(before, record)}."
            )


def _check_agreement(one: Found, other: Found, said: str | None) -> None:
    if said is not None:
        raise ProtocolError(
            f"leaderboard: {one.path} and {other.path} are two records of the same {_training(one.run)} that disagree "
            f"({said}); {_advice(one, other)}."
        )


def _training(run: Run) -> str:
    if is_control(run):
        return "control"
    return "samples" if run.train_seed is None else f"training (seed {run.train_seed}, step {run.step})"


def _advice(one: Found, other: Found) -> str:
    if is_control(one.run) or is_control(other.run):
        return "score both with one genbench on one kind of machine, or remove one of the two"
    if one.folder == other.folder:
        return "keep them in separate folders, or remove one of the two"
    return (
        f"call one of the two models otherwise, with --rename {other.folder}:{other.path.parent.name}=NEW, or remove it"
    )
