"""A classifier that was trained for one dataset with ``genbench train-extractor``: features where no other fit."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from genbench.devices import metric_device
from genbench.errors import DeclarationError, SetupError
from genbench.extractors.blocks import block_size, run_in_blocks
from genbench.extractors.images import check_samples

WIDTH = 128
"""Of ``pool``."""

LARGEST = 64
"""Pixels a side of the images that the network is made for."""

SMALLEST = 4
"""Maps are halved until no side exceeds it."""

CHANNELS = 128
"""Of a map at most."""

FORMAT = "genbench classifier, version 1: x from [0, 255] to [-1, 1], vectors standardized; float64"

MAX_BYTES = 1 << 28
"""Of the tensors in a file, expanded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The network for events of one shape: convolutions of stride 2 for images, two hidden layers for vectors."""

    event_shape: tuple[int, ...]
    classes: int

    def __post_init__(self) -> None:
        shape = self.event_shape
        if len(shape) not in (1, 3) or max(shape[1:], default=1) > LARGEST or self.classes < 2:
            raise DeclarationError(
                f"classifier: vectors (d,), or images (C, H, W) of at most {LARGEST}x{LARGEST}, of 2 or more classes "
                f"expected, got {shape} and {self.classes} classes; use a larger backbone for larger images."
            )

    @property
    def maps(self) -> list[tuple[int, int, int]]:
        """Sizes (channels, H, W) from the input to the last map; the first convolution keeps the size."""
        if len(self.event_shape) == 1:
            return []
        channels, height, width = self.event_shape
        found, wide = [(channels, height, width), (32, height, width)], 32
        while max(height, width) > SMALLEST:
            height, width, wide = (height + 1) // 2, (width + 1) // 2, min(CHANNELS, 2 * wide)
            found.append((wide, height, width))
        return found

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters."""
        maps = self.maps
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (before, after) in zip(count(1), pairwise(maps)):
            shapes[f"conv{i}.weight"], shapes[f"conv{i}.bias"] = (after[0], before[0], 3, 3), (after[0],)
        if not maps:
            shapes["hidden.weight"], shapes["hidden.bias"] = (WIDTH, self.event_shape[0]), (WIDTH,)
        shapes["pool.weight"] = (WIDTH, math.prod(maps[-1]) if maps else WIDTH)
        shapes["pool.bias"] = (WIDTH,)
        shapes["logits.weight"], shapes["logits.bias"] = (self.classes, WIDTH), (self.classes,)
        return shapes

    def pool(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Compute the penultimate layer (n, 128) of normalized events (n, *event_shape)."""
        for i in range(1, len(self.maps)):
            x = functional.conv2d(x, weights[f"conv{i}.weight"], weights[f"conv{i}.bias"], 1 if i == 1 else 2, 1)
            x = functional.relu(x)
        if not self.maps:
            x = functional.relu(functional.linear(x, weights["hidden.weight"], weights["hidden.bias"]))
        return functional.relu(functional.linear(x.flatten(1), weights["pool.weight"], weights["pool.bias"]))


def normalize(samples: Tensor, centre: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Make the network's input: images from [0, 255] to [-1, 1], vectors with the training split's mean and deviation.

    Parameters
    ----------
    samples : (n, *event) tensor
    centre, scale : tensors
        Of shape () for images, (d,) for vectors.
    dtype : torch.dtype
    """
    return (samples.to(dtype) - centre.to(dtype)) / scale.to(dtype)


class Classifier:
    """Features of a classifier that was trained for a dataset: ``pool``, 128 wide, and ``logits``.

    Parameters
    ----------
    event_shape : tuple of int
        That of the dataset it was trained on.
    device : torch.device
        Where to compute, in float64; the CPU in place of MPS.
    weights : str or Path
        A file that ``genbench train-extractor`` wrote.

    Attributes
    ----------
    report : mapping of str to object
        What the file says of its making: dataset, seed, steps, held-out accuracy.

    Raises
    ------
    DeclarationError
        If the events are of another shape.
    SetupError
        If the file cannot be read or is of another kind.
    """

    name = "classifier"

    def __init__(self, *, event_shape: tuple[int, ...], device: torch.device, weights: str | Path) -> None:
        self.report, arrays = read_classifier(Path(weights))
        self.layout = Layout(event_shape=tuple(self.report["event_shape"]), classes=len(self.report["classes"]))
        if self.layout.event_shape != tuple(event_shape):
            raise DeclarationError(
                f"classifier: {weights} reads events of shape {self.layout.event_shape}, got {tuple(event_shape)}; "
                "train one for this data with genbench train-extractor."
            )
        self.fingerprint = classifier_fingerprint(arrays)
        self.device = metric_device(device)
        self.layers: Mapping[str, int] = {"pool": WIDTH, "logits": self.layout.classes}
        self._weights = {name: torch.from_numpy(array).to(self.device).double() for name, array in arrays.items()}

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Compute both layers, float32, on the samples' device; a row depends on nothing but its sample.

        Raises
        ------
        SampleError
            If the samples are of another shape or dtype.
        """
        check_samples(self.name, samples, self.layout.event_shape)
        block = 64 if self.device.type == "cpu" else 8 * block_size(self.device)
        return run_in_blocks(self._layers, samples, block=block, device=self.device)

    def _layers(self, samples: Tensor) -> dict[str, Tensor]:
        x = normalize(samples, self._weights["centre"], self._weights["scale"], torch.float64)
        pool = self.layout.pool(self._weights, x)
        logits = functional.linear(pool, self._weights["logits.weight"], self._weights["logits.bias"])
        return {"pool": pool.to(torch.float32), "logits": logits.to(torch.float32)}


def pack_classifier(report: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Return the bytes of a file: an uncompressed npz of the arrays, and the report as JSON in ``__report__``."""
    text = json.dumps({"format": FORMAT, **report}, sort_keys=True).encode()
    buffer = io.BytesIO()
    members: dict[str, Any] = {"__report__": np.frombuffer(text, dtype=np.uint8), **arrays}
    np.savez(buffer, **members)
    return buffer.getvalue()


def read_classifier(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Read and check a file of `pack_classifier`.

    Raises
    ------
    SetupError
        If it is missing, damaged, too large or of another kind.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"it expands to {size} bytes, more than {MAX_BYTES}")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        report = json.loads(arrays.pop("__report__").tobytes())
        if report.get("format") != FORMAT:
            raise ValueError(f"its format is {report.get('format')!r}")
        layout = Layout(event_shape=tuple(map(int, report["event_shape"])), classes=len(report["classes"]))
    except FileNotFoundError as error:
        raise SetupError(
            f"classifier: no weights at {path}; train them with: genbench train-extractor DATASET --out {path}."
        ) from error
    except Exception as error:  # a damaged zip raises one of a dozen types
        raise SetupError(
            f"classifier: cannot read {path} ({error}); a file that genbench train-extractor wrote is expected."
        ) from error
    scaling = () if layout.maps else layout.event_shape
    wanted = {**layout.shapes, "centre": scaling, "scale": scaling}
    if {name: array.shape for name, array in arrays.items()} != wanted or any(
        array.dtype != np.float32 for array in arrays.values()
    ):
        raise SetupError(f"classifier: the tensors in {path} are not those of its network; train it anew.")
    return report, arrays


def classifier_fingerprint(arrays: Mapping[str, NDArray[np.float32]]) -> str:
    """Return the sha256 of the format and of every tensor's name, shape and little-endian bytes."""
    digest = hashlib.sha256(FORMAT.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\x1f{name}\x1f{array.shape}\x1f".encode())
        digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return digest.hexdigest()
