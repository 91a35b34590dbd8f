"""What was found: an Estimate, the Score that says where it came from, and the Run that holds the scores of a sampler.

All are frozen. They go to JSON and back without loss, and carry the version of their schema;
`genbench/schema/run-1.json` describes the form for other languages. `genbench.definitions` holds what is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from genbench.definitions import Split
from genbench.errors import ProtocolError

SCHEMA_VERSION = 1

Better = Literal["lower", "higher", "match"]
"""Which way a score improves. ``match``: it is best where real data score, as an entropy is."""

ARROWS: dict[str, str] = {"lower": "↓", "higher": "↑", "match": "≈"}


LATER = frozenset({"label", "by_class", "likelihood", "health", "cost", "profile"})
"""Fields that records of an earlier genbench do not have."""


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
    split : {"train", "test", "reference"} or None
        Which real samples were the reference; None for metrics that use none.
    label : int or None
        The class that both sides are restricted to; None for all.
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
    label: int | None = None

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
    by_class : tuple of Score
        Of a conditional generator, class by class; see `genbench.classes`.
    likelihood : tuple of Score
        Of a model that has one, against both splits; see `genbench.likelihoods`.
    health : mapping of str to float
        Of a training at this step: means of its losses and norms of its gradients over the last window.
    cost : mapping of str to float
        What the sampler costs, as far as it is known: ``parameters`` of what makes the samples, ``train_seconds`` up to
        this step, ``samples_per_second``. Times depend on the machine; no score does.
    profile : mapping of str to float
        Seconds of the parts of scoring, where they were asked for: ``sampling``, ``extraction NAME``, ``metric KEY``.
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
    by_class: tuple[Score, ...] = ()
    likelihood: tuple[Score, ...] = ()
    health: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    profile: Mapping[str, float] = field(default_factory=dict)

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
            for name in ("scores", "by_class", "likelihood"):
                document[name] = tuple(_score(row) for row in document.get(name, ()))
            return cls(**document)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
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
        given = {f.name: getattr(value, f.name) for f in fields(value)}
        # Fields that came later are left out where they say nothing: a record is the same bytes as before.
        return {name: _plain(item) for name, item in given.items() if name not in LATER or item not in (None, (), {})}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
