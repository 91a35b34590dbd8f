"""Telling data from programs by looking at a file, without running or unpickling anything."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from genbench.errors import UsageError
from genbench.files.limits import Limits
from genbench.files.parsing import parsing
from genbench.files.zips import open_zip

TORCHSCRIPT, EXPORTED, ONNX = "TorchScript", "torch.export", "ONNX"

PROGRAM_SUFFIXES = {".ts": TORCHSCRIPT, ".torchscript": TORCHSCRIPT, ".pt2": EXPORTED, ".onnx": ONNX}

WHY = {
    TORCHSCRIPT: "it holds code that runs when it is called",
    EXPORTED: "it may hold pickles that run when it is loaded, and code that runs when it is called",
    ONNX: "it names operators and files that are loaded with it",
}


def program_kind(path: Path, *, limits: Limits) -> str | None:
    """Say which kind of program a file is, by its suffix or by the names in its archive.

    Parameters
    ----------
    path : Path
        An existing file, under any suffix.
    limits : Limits
        Of which ``members`` holds here.

    Returns
    -------
    str or None
        ``TorchScript``, ``torch.export``, ``ONNX``, or None for what is data.
    """
    with parsing(path):
        if not zipfile.is_zipfile(path):
            return PROGRAM_SUFFIXES.get(path.suffix.lower())
        with open_zip(path, limits=limits) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()]
    files = {path.name for path in names if len(path.parts) <= 2}
    if "constants.pkl" in files:
        return TORCHSCRIPT
    if files & {"archive_format", "serialized_exported_program.json"} or any(
        path.suffix == ".json" and path.parent.name == "models" for path in names
    ):
        return EXPORTED
    return PROGRAM_SUFFIXES.get(path.suffix.lower())


def check_trust(path: Path | str, kind: str, reason: str, *, trust_code: bool) -> None:
    """Refuse a program that the user has not vouched for.

    Raises
    ------
    UsageError
        If ``trust_code`` is false.
    """
    if not trust_code:
        raise UsageError(
            f"{path}: is a program ({kind}): {reason}; if you trust who made it, pass --trust-code (trust_code=True)."
        )
