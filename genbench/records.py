"""The central types: what is measured (Dataset, Benchmark) and what was found (Estimate, Score, Run).

All are frozen. What was found goes to JSON and back without loss, and carries the version of its schema;
`genbench/schema/run-1.json` describes the form for other languages.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genbench.errors import ProtocolError

SCHEMA_VERSION = 1

Better = Literal["lower", "higher", "match"]
"""Which way a score improves. ``match``: it is best where real data score, as an entropy is."""

Split = Literal["train", "test"]


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
        squares = ((points[:, None, :] - self.centres[None, :, :]) ** 2).sum(axis=2)
        exponents = -0.5 * squares / self.std**2
        top = exponents.max(axis=1)
        log_sum = top + np.log(np.exp(exponents - top[:, None]).sum(axis=1))
        return np.asarray(log_sum - math.log(k) - 0.5 * d * math.log(2 * math.pi * self.std**2))

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw (n, d) points."""
        k, d = self.centres.shape
        return np.asarray(self.centres[rng.integers(k, size=n)] + self.std * rng.standard_normal((n, d)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Real data in two disjoint splits; ``test`` is never shown to a model.

    Attributes
    ----------
    train, test : arrays
        Images uint8 (n, C, H, W) or vectors float32 (n, d).
    train_labels, test_labels : (n,) int64 arrays or None
    mixture : Mixture or None
        The truth, where it is a known mixture.
    """

    name: str
    train: NDArray[Any]
    test: NDArray[Any]
    train_labels: NDArray[np.int64] | None = None
    test_labels: NDArray[np.int64] | None = None
    mixture: Mixture | None = None
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256()
        for array in (self.train, self.test, self.train_labels, self.test_labels):
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample: (C, H, W) or (d,)."""
        return tuple(self.train.shape[1:])

    @property
    def log_prob(self) -> Callable[[NDArray[Any]], NDArray[np.float64]] | None:
        """The exact log density in nats, where it is known."""
        return None if self.mixture is None else self.mixture.log_prob

    def split(self, name: Split) -> NDArray[Any]:
        """Return the samples of a split."""
        return self.train if name == "train" else self.test


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """One metric of a benchmark, as ``fd@digits-cnn.pool`` in its TOML.

    Attributes
    ----------
    n : int or None
        Score only this many samples of each set (for metrics whose cost grows fast); the n is recorded.
    options : mapping
        Keyword options that differ from the metric's declaration.
    """

    metric: str
    extractor: str
    layer: str
    n: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name in the TOML, for example ``fd@digits-cnn.pool``."""
        return f"{self.metric}@{self.extractor}.{self.layer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a baseline may spend on a benchmark, and its recipe there."""

    steps: int
    batch: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A frozen protocol: data, metrics, sample sizes, seeds and budgets. A change in any of them is a new version."""

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

    @property
    def id(self) -> str:
        """``digits@1``, or ``digits@1-quick`` for its smaller form, which is never mixed with the full one."""
        return f"{self.name}@{self.version}" + ("-quick" if self.quick else "")

    def evaluation_steps(self, baseline: str) -> tuple[int, ...]:
        """Return the updates after which a baseline is scored, evenly spaced, the last at the end of its budget."""
        steps = self.baselines[baseline].steps
        return tuple(sorted({max(1, round(steps * (i + 1) / self.checkpoints)) for i in range(self.checkpoints)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a metric says of two sets of samples.

    Attributes
    ----------
    value : float
        The number as the field reports it, at this n.
    debiased : float or None
        Corrected to the population; None where no correction is trusted (``notes`` says why).
    std_error : float or None
        Standard error of ``best`` over fresh samples of both sets.
    low, high : float or None
        Interval for the population's score (around ``best``), at confidence ``level``.
    null : float or None
        What a perfect generator scores at this n.
    replicates : tuple of float
        Group jackknife replicates of ``value``: group g removed from both sets. Kept because they make
        the difference of two scores testable without the samples.
    extra : mapping of str to float
        Further numbers of the same estimate, by name.
    notes : tuple of str
        What a reader must know to trust the number.
    """

    value: float
    debiased: float | None = None
    std_error: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    null: float | None = None
    replicates: tuple[float, ...] = ()
    extra: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> float:
        """The debiased value where there is one, else the value."""
        return self.value if self.debiased is None else self.debiased


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """An estimate, or the reason why there is none, plus where it came from.

    Attributes
    ----------
    space : str
        ``extractor.layer``.
    fingerprint : str
        Sha256 of the extractor.
    split : {"train", "test"} or None
        Which real samples were the reference; None for metrics that use none.
    """

    metric: str
    space: str
    fingerprint: str
    split: Split | None
    unit: str
    better: Better
    n_generated: int
    n_reference: int | None
    estimate: Estimate | None
    failure: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The short name, for example ``fd@digits-cnn.pool``."""
        return f"{self.metric}@{self.space}"

    @property
    def name(self) -> str:
        """The full name, which holds the extractor's fingerprint: ``fd@digits-cnn#1a2b3c4d5e6f.pool``."""
        extractor, _, layer = self.space.rpartition(".")
        return f"{self.metric}@{extractor}#{self.fingerprint[:12]}.{layer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything found about one sampler on one benchmark at one point of one training.

    Attributes
    ----------
    train_seed, step : int or None
        None for samples that genbench did not train.
    final : bool
        Whether this is the end of the budget (or samples from outside); only final runs are ranked.
    failure : str or None
        Why the run has no scores, for example ``diverged: g_loss is not finite after update 1200``.
    recipe : mapping
        The baseline's options, batch and steps: the identity of what was trained.
    provenance : mapping
        Versions, fingerprints, device and threads.
    """

    benchmark: str
    quick: bool
    sampler: str
    train_seed: int | None
    step: int | None
    final: bool
    scores: tuple[Score, ...]
    failure: str | None
    protocol: str
    seconds: float
    recipe: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Serialize; numbers that are not finite are refused, as JSON has none."""
        document = {"schema_version": SCHEMA_VERSION, **_plain(self)}
        return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Read back what `to_json` wrote.

        Raises
        ------
        ProtocolError
            If the text is no such record, or of a schema that this version does not know.
        """
        try:
            document = json.loads(text)
            version = document.pop("schema_version", None)
            if version != SCHEMA_VERSION:
                raise ProtocolError(
                    f"record: schema_version {SCHEMA_VERSION} expected, got {version!r}; "
                    "read it with the genbench that wrote it."
                )
            document["scores"] = tuple(_score(row) for row in document["scores"])
            return cls(**document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProtocolError(
                f"record: not a genbench record ({error}); remove the file to make it again."
            ) from error


def _score(row: dict[str, Any]) -> Score:
    estimate = row.pop("estimate")
    if estimate is not None:
        estimate = Estimate(
            **{
                **estimate,
                "replicates": tuple(estimate["replicates"]),
                "notes": tuple(estimate["notes"]),
            }
        )
    return Score(estimate=estimate, **row)


def _plain(value: Any) -> Any:
    """Turn records into what JSON knows. `dataclasses.asdict` would deep-copy and choke on mapping proxies."""
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def protocol_hash(benchmark: Benchmark, **fingerprints: str) -> str:
    """Sha256 of everything that decides a benchmark's numbers except the sampler.

    Parameters
    ----------
    benchmark : Benchmark
        Its metrics, sample sizes and data count; seeds, budgets and the summary do not (they are the sampler's).
    **fingerprints : str
        Of the dataset and the extractors.
    """
    definition = _plain(benchmark)
    for name in ("seeds", "baselines", "summary", "checkpoints", "curve"):
        del definition[name]
    text = json.dumps({"benchmark": definition, **fingerprints}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
