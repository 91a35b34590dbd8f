"""What was found: the Run that holds the scores of a sampler, on its way to JSON, tables and notebooks.

Runs are frozen, and so are their scores (`genbench.estimates`). They go to JSON and back without loss, and carry the
version of their schema; `genbench/schema/run-1.json` describes the form for other languages. `genbench.definitions`
holds what is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from genbench.definitions import Split
from genbench.display import html_note, html_table, markdown_table
from genbench.errors import ProtocolError, UsageError
from genbench.estimates import ARROWS as ARROWS
from genbench.estimates import Better as Better
from genbench.estimates import Estimate as Estimate
from genbench.estimates import Score as Score
from genbench.estimates import frame_row, score_cells

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1

FRAME_COLUMNS = (
    "sampler", "benchmark", "train_seed", "step", "final", "metric", "space", "split", "label", "better", "unit",
    "value", "debiased", "std_error", "low", "high", "level", "null", "n_generated", "n_reference", "failure",
)  # fmt: skip
"""Of `Run.to_frame`."""

LATER = frozenset({"label", "by_class", "likelihood", "health", "cost", "profile"})
"""Fields that records of an earlier genbench do not have."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
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

    def score(self, metric: str | None = None, *, split: Split | None = None) -> Score:
        """Return one score.

        Parameters
        ----------
        metric : str, optional
            A key such as ``fd@digits-cnn.pool``, or a name that stands for one alone, as ``fd``; by default the first.
        split : str, optional
            What it is scored against; by default what the model was not trained on, where there is such.

        Raises
        ------
        UsageError
            If there is none, or a name stands for several.
        """
        known = {s.key: s for s in self.scores if (s.split == split if split else s.split != "train")}
        wanted = next(iter(known), "") if metric is None else metric
        found = [key for key in known if wanted in (key, key.partition("@")[0])]
        if len(found) != 1:
            said = f"one score of {wanted!r}" if wanted else "a score"
            raise UsageError(f"{self.sampler}: {said} expected, got {len(found)}; known: {', '.join(known) or 'none'}.")
        return known[found[0]]

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy table: one row for every score, also class by class and of likelihoods, also of what failed.

        Returns
        -------
        DataFrame
            Columns `FRAME_COLUMNS`; numbers are float64 and NaN where there is none, counts and labels ``Int64``. A run
            that failed as a whole is one row without a metric, which says why.
        """
        import pandas as pd

        of = {name: getattr(self, name) for name in ("sampler", "benchmark", "train_seed", "step", "final")}
        rows = [{**of, **frame_row(score)} for score in (*self.scores, *self.by_class, *self.likelihood)]
        if self.failure is not None:
            rows.append({**of, "failure": self.failure})
        counts = ("train_seed", "step", "label", "n_generated", "n_reference")
        numbers = ("value", "debiased", "std_error", "low", "high", "level", "null")
        kinds = {**dict.fromkeys(counts, "Int64"), **dict.fromkeys(numbers, "float64")}
        return pd.DataFrame(rows, columns=list(FRAME_COLUMNS)).astype(kinds)

    def __repr__(self) -> str:
        at = "" if self.step is None else f" at step {self.step}"
        if self.failure is not None:
            return f"<Run {self.sampler} on {self.benchmark}{at}: failed: {self.failure}>"
        failed = sum(score.estimate is None for score in self.scores)
        said = f"{len(self.scores)} scores" + (f", {failed} of them failed" if failed else "")
        first = next((score for score in self.scores if score.split != "train"), None)
        return f"<Run {self.sampler} on {self.benchmark}{at}: {said}{f'; {first.key} {first.brief}' if first else ''}>"

    def __str__(self) -> str:
        parts = [self._title, *([f"failed: {self.failure}"] if self.failure else [])]
        for about, scores in self._parts():
            parts += [*([about] if about else []), markdown_table(*score_cells(scores))]
        return "\n\n".join([*parts, *(f"{s.key} failed: {s.failure}" for s in self.scores if s.failure)])

    def _repr_html_(self) -> str:
        parts = [html_note(self._title), *([html_note(f"failed: {self.failure}", failed=True)] if self.failure else [])]
        for about, scores in self._parts():
            table = html_table(*score_cells(scores), failures=[s.failure for s in scores])
            parts += [*([html_note(about)] if about else []), table]
        return "\n".join(parts)

    def _parts(self) -> list[tuple[str, tuple[Score, ...]]]:
        parts = [("", self.scores), ("Class by class:", self.by_class), ("Likelihood:", self.likelihood)]
        return [part for part in parts if part[1]]

    @property
    def _title(self) -> str:
        return f"{self.sampler} on {self.benchmark}" + ("" if self.step is None else f", step {self.step}")

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
