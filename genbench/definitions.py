"""What is measured: data with its two splits, and benchmarks, the frozen protocols that say how.

All are frozen. `genbench.records` holds what was found.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from genbench.errors import SampleError

Split = Literal["train", "test", "reference"]
"""``reference`` is the training split of data of which nobody said whether a model was trained on it."""

SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixture:
    """An equal-weight mixture of isotropic Gaussians, the known truth behind a toy dataset.

    Attributes
    ----------
    centres : (K, d) array, float64
    std : float
        Standard deviation of every component along every axis.
    """

    centres: NDArray[np.float64]
    std: float

    def log_prob(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Log density in nats at each row of x, shape (n, d) -> (n,)."""
        points = np.asarray(x, dtype=np.float64)
        k, d = self.centres.shape
        if points.ndim != 2 or points.shape[1] != d:
            # Numpy would broadcast (n, 1) against the centres, to a number that means nothing.
            raise SampleError(f"mixture: points of shape (n, {d}) expected, got {points.shape}.")
        squares = ((points[:, None, :] - self.centres[None, :, :]) ** 2).sum(axis=2)
        exponents = -0.5 * squares / self.std**2
        top = exponents.max(axis=1)
        log_sum = top + np.log(np.exp(exponents - top[:, None]).sum(axis=1))
        return np.asarray(log_sum - math.log(k) - 0.5 * d * math.log(2 * math.pi * self.std**2))

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw (n, d) points."""
        k, d = self.centres.shape
        return np.asarray(self.centres[rng.integers(k, size=n)] + self.std * rng.standard_normal((n, d)))


class Factors(Protocol):
    """What data are made of, where it can be read off every event: `genbench.data.shapes.Figures` is one.

    Attributes
    ----------
    combinations : int
        How many combinations of factors there are, numbered from 0.
    unseen : (u,) int64 array
        Those that no training event has.
    """

    combinations: int
    unseen: NDArray[np.int64]

    def read(self, values: NDArray[Any], *, tolerance: float) -> NDArray[np.int64]:
        """Return each event's combination, (n, d) -> (n,), -1 for what is none within the tolerance.

        Events are flattened; images have values in [0, 1].
        """
        ...


class Density(Protocol):
    """The truth behind data, where it is known: `Mixture` is one."""

    def log_prob(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Log density in nats at each row of x, shape (n, d) -> (n,); minus infinity where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standardization:
    """How vectors were shifted and scaled, column by column; fitted on the training split alone.

    Attributes
    ----------
    mean, scale : (d,) arrays, float64
        In the units of the source. A column that is constant in training has scale 1.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def apply(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Map (n, d) rows from the units of the source to the dataset's; computed in float64, returned as float32."""
        return np.asarray((self._wide(x) - self.mean) / self.scale, dtype=np.float32)

    def undo(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Map (n, d) rows back to the units of the source."""
        return np.asarray(self._wide(x) * self.scale + self.mean)

    def _wide(self, x: NDArray[Any]) -> NDArray[np.float64]:
        rows = np.asarray(x, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise SampleError(f"standardization: rows of shape (n, {len(self.mean)}) expected, got {rows.shape}.")
        return rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Real data in two disjoint splits; ``test`` is never shown to a model.

    Attributes
    ----------
    train, test : arrays
        Images uint8 (n, C, H, W) or vectors float32 (n, d).
    train_labels, test_labels : (n,) int64 arrays or None
    density : Density or None
        The truth, where it is known.
    standardization : Standardization or None
        What was done to vectors that were standardized; samples are scored in the units that it leads to.
    factors : Factors or None
        What the events are made of, where it is known.
    spare : array or None
        Real samples of the training split that a smaller one leaves out, never shown to a model; None where nothing was
        left out (see `genbench.data.sizes.with_fewer`).
    fingerprint : str
        Sha256 of the four arrays: an edited pixel changes it, a renamed file or folder does not.
    """

    name: str
    train: NDArray[Any]
    test: NDArray[Any]
    train_labels: NDArray[np.int64] | None = None
    test_labels: NDArray[np.int64] | None = None
    density: Density | None = None
    standardization: Standardization | None = None
    factors: Factors | None = None
    spare: NDArray[Any] | None = None
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256()
        for array in (self.train, self.test, self.train_labels, self.test_labels):
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)  # no tobytes: a copy could be gigabytes
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: (C, H, W) or (d,)."""
        return tuple(self.train.shape[1:])

    @property
    def mixture(self) -> Mixture | None:
        """The truth, where it is a mixture with components to be counted."""
        return self.density if isinstance(self.density, Mixture) else None

    @property
    def log_prob(self) -> Callable[[NDArray[Any]], NDArray[np.float64]] | None:
        """The exact log density in nats, where it is known."""
        return None if self.density is None else self.density.log_prob

    def split(self, name: Split | Literal["spare"]) -> NDArray[Any]:
        """Return the samples of a split, or those that a smaller training split leaves out."""
        if name == "spare":
            return self.train[:0] if self.spare is None else self.spare
        return self.test if name == "test" else self.train


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """One metric of a benchmark, as ``fd@digits-cnn.pool`` or ``fd:mode=analytic@digits-cnn.pool`` in its TOML.

    Attributes
    ----------
    metric : str
        Name in the registry.
    label : str
        The name with the options that stand in the key, ``fd:mode=analytic``: two forms of one metric differ by it.
    n : int or None
        Score only this many samples of each set (for metrics whose cost grows fast); the n is recorded.
    options : mapping
        Keyword options that differ from the metric's declaration.
    """

    metric: str
    extractor: str
    layer: str
    label: str = ""
    n: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.metric)

    @property
    def key(self) -> str:
        """The name in the TOML, for example ``fd@digits-cnn.pool``."""
        return f"{self.label}@{self.extractor}.{self.layer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a baseline may spend on a benchmark, and its recipe there.

    Attributes
    ----------
    steps, batch : int
        Updates, and rows an update.
    options : mapping
        Of the recipe, that differ from its own.
    baseline : str
        The recipe, a registered name or ``module:attr``; empty where the budget has its name. So one recipe can stand
        in a benchmark in several forms.
    """

    steps: int
    batch: int
    options: Mapping[str, Any] = field(default_factory=dict)
    baseline: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A frozen protocol: data, metrics, sample sizes, seeds and budgets. A change in any of them is a new version.

    Attributes
    ----------
    checkpoints, schedule : int, {"even", "log"}
        How often a training is scored: at even distances, or each time that the updates have doubled.
    data : mapping
        Options of the dataset, such as ``root``; what they lead to is in the dataset's fingerprint.
    extractors : mapping of str to mapping
        Options of extractors by the extractor's name, such as ``{"pca": {"dims": 64}}``; what they lead to is in the
        extractors' fingerprints.
    train_size : int or None
        Rows of the training split that models are trained on and compared with; None is all (see
        `genbench.benchmarks.ladder`).
    """

    name: str
    version: int
    quick: bool
    dataset: str
    n: int
    seeds: tuple[int, ...]
    checkpoints: int
    primary: str
    metrics: tuple[MetricSpec, ...]
    curve: tuple[str, ...]
    baselines: Mapping[str, Budget]
    summary: str = ""
    schedule: Literal["even", "log"] = "even"
    data: Mapping[str, Any] = field(default_factory=dict)
    extractors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    train_size: int | None = None

    @property
    def id(self) -> str:
        """``digits@1``; ``digits@1-quick``, its smaller form, and ``digits@1-train64`` are never mixed with it."""
        size = "" if self.train_size is None else f"-train{self.train_size}"
        return f"{self.name}@{self.version}" + ("-quick" if self.quick else "") + size

    def evaluation_steps(self, baseline: str) -> tuple[int, ...]:
        """Return the updates after which a baseline is scored, the last at the end of its budget."""
        steps = self.baselines[baseline].steps
        if self.schedule == "log":
            return tuple(sorted({max(1, round(steps / 2**i)) for i in range(self.checkpoints)}))
        return tuple(sorted({max(1, round(steps * (i + 1) / self.checkpoints)) for i in range(self.checkpoints)}))


_ASIDE = {"seeds", "baselines", "summary", "checkpoints", "curve", "schedule", "data", "extractors", "train_size"}


def protocol_hash(benchmark: Benchmark, **fingerprints: str) -> str:
    """Sha256 of everything that decides a benchmark's numbers except the sampler.

    Parameters
    ----------
    benchmark : Benchmark
        Its metrics, sample sizes and data count; seeds, budgets and the summary do not (they are the sampler's), nor
        do the options of data and extractors and the size of the training split, whose outcome the fingerprints hold.
    **fingerprints : str
        Of the dataset and the extractors.
    """
    definition = {name: value for name, value in asdict(benchmark).items() if name not in _ASIDE}
    text = json.dumps({"benchmark": definition, **fingerprints}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
