"""Weight files: where they are looked for, what they must be, and how they are read without running them."""

from __future__ import annotations

import hashlib
import os
import urllib.error
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from genbench.errors import SampleError, SetupError, UsageError
from genbench.files import tensors
from genbench.files.limits import LIMITS

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A weights file that a field has agreed on: its name on disk, the sha256 of its bytes, and where it is."""

    file: str
    sha256: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A weights file whose bytes were hashed just now, and whether it is the published one."""

    path: Path
    sha256: str
    published: bool


def find_weights(
    owner: str,
    published: Published,
    *,
    weights: str | Path | None = None,
    sha256: str | None = None,
    download: bool = False,
) -> Verified:
    """Find a network's weights file and check every byte of it.

    Parameters
    ----------
    owner : str
        Whose weights, for messages.
    published : Published
    weights : str, Path or None
        The file. None looks in the folder ``$GENBENCH_WEIGHTS``, then in ``$TORCH_HOME/hub/checkpoints``.
    sha256 : str or None
        Declares the file: its digest must be this, and need not be that of the published one.
    download : bool
        Fetch a missing published file into ``$TORCH_HOME/hub/checkpoints``. ``GENBENCH_OFFLINE=1`` forbids it.

    Raises
    ------
    SetupError
        If the file is missing, cannot be fetched, or has another digest.
    UsageError
        If ``sha256`` is no sha256.

    Notes
    -----
    O(bytes) on every call, 0.5 to 2 s a GB: a file that was right last week can be damaged today.
    """
    wanted = check_digest(owner, sha256) if sha256 is not None else published.sha256
    path = Path(weights).expanduser() if weights is not None else _search(owner, published, download=download)
    found = file_sha256(owner, path)
    if found != wanted:
        expected = f"the declared {wanted}" if sha256 is not None else f"{wanted} of the published file"
        raise SetupError(
            f"{owner}: the sha256 {expected} expected, got {found} of {path}; if the file is damaged, get it anew from "
            f"{published.url}, and if it is meant to be another, declare it with the option sha256={found}."
        )
    return Verified(path=path, sha256=found, published=found == published.sha256)


def file_sha256(owner: str, path: Path) -> str:
    """Hash a file in blocks of 1 MiB.

    Raises
    ------
    SetupError
        If it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise SetupError(
            f"{owner}: cannot read the weights file {path} ({error.strerror or error}); check the path."
        ) from error
    return digest.hexdigest()


def check_digest(owner: str, sha256: str) -> str:
    """Return a declared digest in lower case.

    Raises
    ------
    UsageError
        If it is not 64 hexadecimal digits.
    """
    text = str(sha256).lower()
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise UsageError(f"{owner}: the option sha256 expects 64 hexadecimal digits, got {sha256!r}.")
    return text


def read_state(owner: str, path: Path) -> dict[str, Tensor]:
    """Read a network's weights as `genbench.files.tensors.read_state`, also from files of an old torch.

    Parameters
    ----------
    owner : str
        Whose weights, for messages.
    path : Path
        An existing file.

    Returns
    -------
    dict of str to Tensor
        On the CPU.

    Raises
    ------
    SetupError
        If the file cannot be read, or holds more than named tensors.
    """
    try:
        return tensors.read_state(path, limits=LIMITS, legacy=True)
    except (SampleError, UsageError) as error:
        raise SetupError(f"{owner}: {error}") from error


def _search(owner: str, published: Published, *, download: bool) -> Path:
    checkpoints = Path(torch.hub.get_dir()) / "checkpoints"
    own = os.environ.get("GENBENCH_WEIGHTS")
    places = [Path(own)] if own else []
    for folder in (*places, checkpoints):
        if (folder / published.file).is_file():
            return folder / published.file
    if download:
        return _fetch(owner, published, checkpoints / published.file)
    raise SetupError(
        f"{owner}: the weights file {published.file} (sha256 {published.sha256}) expected in "
        f"{' or '.join(map(str, places)) or '$GENBENCH_WEIGHTS'} or {checkpoints}, got no such file; fetch it with "
        f"--download, or by hand from {published.url}, or name it with --set extractors.{owner}.weights=PATH; "
        "the extractors 'digits-cnn' (8x8 digits) and 'pca' (any data) need no file."
    )


def _fetch(owner: str, published: Published, target: Path) -> Path:
    """Download into the place where torch keeps such files; torch moves it there once the digest is right."""
    if os.environ.get("GENBENCH_OFFLINE", "") not in ("", "0"):
        raise SetupError(
            f"{owner}: GENBENCH_OFFLINE forbids to download {published.file}; unset it, or fetch {published.url} by "
            f"hand into {target.parent}."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(published.url, str(target), hash_prefix=published.sha256, progress=False)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise SetupError(
            f"{owner}: cannot download {published.url} ({error}); fetch it by hand into {target.parent}."
        ) from error
    return target
