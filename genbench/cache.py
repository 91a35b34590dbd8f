"""Features on disk, keyed by content: the samples' bytes, the extractor's fingerprint and the code's version.

Never keyed by a name: two sets that share a name never share features, and an edited file is a new set.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genbench._version import __version__
from genbench.atomic import write_atomic
from genbench.errors import SetupError
from genbench.protocols import FeatureExtractor

log = logging.getLogger(__name__)


class FeatureCache:
    """A folder of ``<key>.npz`` files.

    A file that does not open, or whose key does not match its content, is set aside as ``*.corrupt`` and the
    features are computed again: a broken cache costs time, never a wrong number. A folder that cannot be
    written to costs time as well.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def extract(self, extractor: FeatureExtractor, samples: Tensor) -> Mapping[str, Tensor]:
        """Return the extractor's layers for the samples, from disk where they are known."""
        if self.folder is None:
            return extractor.extract(samples)
        key = feature_key(extractor, samples)
        path = self.folder / "features" / f"{key}.npz"
        found = self._read(path, key)
        if found is not None:
            return {layer: values.to(samples.device) for layer, values in found.items()}
        layers = extractor.extract(samples)
        buffer = io.BytesIO()
        arrays = {layer: values.detach().cpu().numpy() for layer, values in layers.items()}
        # Uncompressed npz: the zip checksum finds flipped bytes, which .npy and safetensors do not.
        np.savez(buffer, **{"__key__": np.frombuffer(key.encode(), dtype=np.uint8), **arrays})  # type: ignore[arg-type]
        try:
            write_atomic(path, buffer.getvalue())
        except SetupError as error:
            log.warning("features are not cached: %s", error)
        return layers

    def _read(self, path: Path, key: str) -> dict[str, Tensor] | None:
        if not path.exists():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            if arrays.pop("__key__").tobytes().decode() != key:
                raise ValueError("another key inside")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("cache file %s is damaged (%s); set aside and computed again", path.name, error)
            path.rename(path.with_suffix(".corrupt"))
            return None
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def feature_key(extractor: FeatureExtractor, samples: Tensor) -> str:
    """Sha256 over everything that decides the features."""
    array = samples.detach().cpu().contiguous().numpy()
    digest = hashlib.sha256(f"{__version__}|{extractor.fingerprint}|{array.dtype.str}|{array.shape}|".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()
