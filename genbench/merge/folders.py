"""Where records lie: the results folders of a command line, and what a record of them is called on the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from genbench.errors import ProtocolError, UsageError
from genbench.merge.excerpts import Excerpts
from genbench.records import Run
from genbench.storage import Place, contains, parse_place
from genbench.store import check_name, place_of, read_record, read_records
from genbench.tables import CONTROLS, is_control


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record, its file, and the results folder that this lies in.

    Attributes
    ----------
    run : Run
        With the sampler's name that it has on the board; an excerpt (`genbench.merge.excerpts`) unless it is ``whole``.
    path, folder : Path or Remote
    whole : bool
    """

    run: Run
    path: Place
    folder: Place
    whole: bool = True

    def read(self) -> Run:
        """Return the whole record, from its file where need be.

        Raises
        ------
        ProtocolError
            If the file was damaged in the meantime.
        """
        return self.run if self.whole else replace(read_record(self.path), sampler=self.run.sampler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """``FOLDER:old=new``: what a model of one folder, or of every one below it, is called on the board."""

    folder: Place
    old: str
    new: str

    def concerns(self, folder: Place) -> bool:
        """Whether it is about the records of a results folder."""
        return contains(self.folder, folder)


def parse_rename(text: str) -> Rename:
    """Read ``FOLDER:old=new``.

    Raises
    ------
    UsageError
        If it has another form, or the new name is one of a control or cannot be a folder's.
    """
    left, equals, new = text.rpartition("=")
    folder, colon, old = left.rpartition(":")
    if not (equals and colon and folder and old):
        raise UsageError(f"--rename: FOLDER:old=new expected, such as labA/digits@1:gan=gan-a, got {text!r}.")
    try:
        check_name(new)
    except UsageError:
        raise UsageError(
            f"--rename: a new name of letters, digits, '.', '-' and '_' expected, got {new!r}; choose another."
        ) from None
    if new in CONTROLS or old in CONTROLS:
        raise UsageError(f"--rename: the name of a model expected, got that of a control in {text!r}.")
    return Rename(folder=parse_place(folder), old=old, new=new)


def find_folders(places: Sequence[Place]) -> list[Place]:
    """Return the results folders that places are, or hold, each once.

    Parameters
    ----------
    places : sequence of Path or Remote
        Each a results folder, such as ``results/digits@1``, whatever its name, or one with several in it, such as
        ``results``.

    Raises
    ------
    UsageError
        If one is neither.
    """
    found: dict[Place, Place] = {}
    for place in places:
        if not place.is_dir():
            raise UsageError(f"leaderboard: a folder expected, got {place}, which is {_not_a_folder(place)}.")
        folders = [place] if _has_records(place) else sorted(p for p in place.iterdir() if _has_records(p))
        if not folders:
            raise UsageError(
                f"leaderboard: a folder with records, such as results/digits@1, or a folder of such folders expected, "
                f"got {place}, which holds none; make records with 'genbench run' or 'genbench score --out'."
            )
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _not_a_folder(place: Place) -> str:
    return "a file" if place.exists() else "not there"


def _has_records(folder: Place) -> bool:
    return any((folder / "records").glob("*/*.json"))


def read_folders(folders: Sequence[Place], renames: Sequence[Rename] = (), *, whole: bool = True) -> list[Found]:
    """Read every record, and call its sampler what it is to be called.

    Parameters
    ----------
    folders : sequence of Path or Remote
    renames : sequence of Rename
    whole : bool
        Whether to keep the records, or excerpts of them.

    Raises
    ------
    ProtocolError
        If a file is no record, or that of another sampler, seed or step than its name says.
    UsageError
        If a model that is to be renamed is not there.
    """
    found, used, models = [], set(), set()
    excerpts = Excerpts()
    for folder in folders:
        about = [rename for rename in renames if rename.concerns(folder)]
        for path, run in read_records(sorted((folder / "records").glob("*/*.json"))):
            _check_place(run, path)
            models.add(run.sampler)
            for rename in about:
                if rename.old == run.sampler:
                    used.add(rename)
                    run = replace(run, sampler=rename.new)
                    break
            found.append(Found(run=run if whole else excerpts.of(run), path=path, folder=folder, whole=whole))
    for rename in renames:
        if rename not in used:
            raise UsageError(
                f"--rename: a model of one of the folders expected, got {rename.folder}:{rename.old}, which has no "
                f"records; models there are {', '.join(sorted(models))}."
            )
    return found


def with_replicates(found: Sequence[Found]) -> list[Found]:
    """Put the jackknife's replicates into the excerpts of final records, from their files."""
    excerpts = Excerpts(replicates=True)
    return [one if one.whole or not one.run.final else replace(one, run=excerpts.of(one.read())) for one in found]


def _check_place(run: Run, path: Place) -> None:
    """Refuse a record that is not what its file is called: moved, or damaged in a way that JSON does not notice."""
    try:
        own = place_of(run.sampler, run.train_seed, run.step)
        control = is_control(run)
    except (UsageError, TypeError, ValueError) as error:
        raise ProtocolError(f"{path}: not a genbench record ({error}); remove the file.") from error
    if own != f"{path.parent.name}/{path.name}":
        raise ProtocolError(
            f"{path}: the record of this sampler, seed and step expected, got that of {own}; "
            "give the file back its name, or remove it."
        )
    if control and run.sampler not in CONTROLS:
        raise ProtocolError(
            f"{path}: one of the controls {', '.join(CONTROLS)} expected, got {run.sampler!r}, which this genbench "
            "does not know; use the one that wrote it."
        )
