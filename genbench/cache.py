"""Features on disk, keyed by content: the samples' bytes, the extractor's fingerprint and the code's version.

Never keyed by a name: two sets that share a name never share features, and an edited file is a new set.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench._version import __version__
from genbench.atomic import write_atomic
from genbench.errors import SetupError
from genbench.protocols import FeatureExtractor
from genbench.storage import Place, rename

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class CacheFile:
    """A file of the cache: ``state`` is ``ok``, ``damaged``, ``set aside`` or, where nobody looked, ``unread``."""

    path: Place
    size: int
    age_days: float
    state: str


class FeatureCache:
    """A folder of ``<key>.npz`` files.

    A file that does not open, or whose key does not match its content, is set aside as ``*.corrupt`` and the
    features are computed again: a broken cache costs time, never a wrong number. A folder that cannot be
    written to costs time as well, and so does a store elsewhere that does not answer. Files are written whole or not at
    all (`genbench.storage` says where), so that processes and machines may share a folder.

    Parameters
    ----------
    folder : Path, Remote or None
        None keeps nothing.
    """

    def __init__(self, folder: Place | None) -> None:
        self.folder = None if folder is None else folder / "features"

    def fetch(self, key: str, compute: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
        """Return the arrays of a key, from disk where they are known."""
        if self.folder is None:
            return dict(compute())
        path = self.folder / f"{key}.npz"
        found = self._read(path)
        if found is not None:
            return found
        arrays = dict(compute())
        buffer = io.BytesIO()
        # Uncompressed npz: the zip checksum finds flipped bytes, which .npy and safetensors do not.
        np.savez(buffer, **{"__key__": np.frombuffer(key.encode(), dtype=np.uint8), **arrays})  # type: ignore[arg-type]
        try:
            write_atomic(path, buffer.getvalue())
        except SetupError as error:
            log.warning("features are not cached: %s", error)
        return arrays

    def _read(self, path: Place) -> Arrays | None:
        try:
            return read_file(path)
        except FileNotFoundError:
            return None
        except SetupError as error:
            log.warning("features are computed again: %s", error)
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("cache file %s is damaged (%s); set aside and computed again", path.name, error)
            _set_aside(path)
            return None

    def files(self) -> list[CacheFile]:
        """List the cache's files, the largest first, without reading them."""
        if self.folder is None or not self.folder.is_dir():
            return []
        found = []
        for path in self.folder.iterdir():
            try:
                status = path.stat()
            except OSError:
                continue  # another process took it away
            state = {".npz": "unread", ".corrupt": "set aside"}.get(path.suffix)
            if state is not None:
                found.append(CacheFile(path, status.st_size, (time.time() - status.st_mtime) / DAY, state))
        return sorted(found, key=lambda file: (-file.size, file.path.name))

    def verify(self) -> list[CacheFile]:
        """Read every file, set the damaged ones aside, and say how each was found."""
        found = []
        for file in self.files():
            state = file.state
            if state == "unread":
                state = "ok" if self._read(file.path) is not None else "damaged"
            found.append(CacheFile(file.path, file.size, file.age_days, state))
        return found

    def prune(self, *, older_than_days: float = 0.0) -> list[CacheFile]:
        """Remove what was set aside, and the files that were written longer ago than given; return what was removed."""
        removed = [f for f in self.files() if f.state == "set aside" or f.age_days >= older_than_days]
        for file in removed:
            file.path.unlink(missing_ok=True)
        return removed


def read_file(path: Place) -> Arrays:
    """Read a file of the cache; raise one of numpy's or zipfile's errors, or ValueError, if it is damaged."""
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if arrays.pop("__key__").tobytes().decode() != path.stem:
        raise ValueError("another key inside")
    return arrays


def _set_aside(path: Place) -> None:
    try:
        rename(path, f"{path.stem}.corrupt")
    except (OSError, SetupError) as error:
        log.warning("cache file %s cannot be set aside: %s", path.name, error)


def feature_key(extractor: FeatureExtractor, blocks: Iterable[Tensor]) -> str:
    """Sha256 over everything that decides the features: samples in blocks, extractor, layers, and code."""
    digest = hashlib.sha256(f"{__version__}|{extractor.fingerprint}|{sorted(extractor.layers)}|".encode())
    for block in blocks:
        array = block.detach().cpu().contiguous().numpy()
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
