"""The baseline of a gate: a small file to be committed, with enough to test a new generator against an old one."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genbench.atomic import write_atomic
from genbench.errors import ProtocolError, SampleError, SetupError
from genbench.records import Run, Score
from genbench.storage import Place

KIND = "genbench baseline"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a gate remembers of a generator, or of a way to train one.

    Attributes
    ----------
    runs : tuple of Run
        One a training, or one in all; with the scores of the gated metrics alone, and their replicates, which make the
        paired test possible without the samples.
    primary : tuple of str
        Keys of the gated metrics.
    margins : mapping of str to str
        By key, as they were given: ``"5%"`` or ``"0.3"``; a metric without one has the default.
    noise : mapping of str to float
        By key: n times the variance of the score over draws of n samples, from two halves of the samples. Empty where
        there were no samples but a record; the standard error is an upper bound then.
    seed : int
        Of the draw. A new generator is drawn from with the same, so that one that did not change gives the same
        samples.
    settings : mapping
        How to score a new generator: ``benchmark``, ``quick``, ``n``, ``metrics``, ``extractor``, whether there is a
        ``held_out`` reference; and whether more could be drawn, ``endless``.
    """

    runs: tuple[Run, ...]
    primary: tuple[str, ...]
    margins: Mapping[str, str] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the generator."""
        return self.runs[0].sampler

    @property
    def n(self) -> int:
        """Generated samples of every run, under the first metric."""
        return score_of(self.runs[0], self.primary[0], "the baseline").n_generated


def score_of(run: Run, key: str, who: str) -> Score:
    """Return the score of a metric against held-out data, or the only reference there is.

    Raises
    ------
    SampleError
        If the run failed, or has no such score, or one without a number.
    """
    check_completed(run, who)
    found = next((s for s in run.scores if s.key == key and s.split != "train"), None)
    if found is None:
        known = ", ".join(dict.fromkeys(s.key for s in run.scores if s.split != "train")) or "none"
        raise SampleError(f"check: {who} has no {key} (it has: {known}); score that metric, or choose with --primary.")
    if found.estimate is None:
        raise SampleError(f"check: {who}: {key} failed ({found.failure}); mend that, or choose with --primary.")
    numbers = [found.estimate.best, found.estimate.std_error or 0.0, *found.estimate.replicates]
    if not all(math.isfinite(number) for number in numbers):
        raise SampleError(f"check: {who}: {key} is not finite ({found.estimate.best}); score again.")
    return found


def check_completed(run: Run, who: str) -> None:
    """Refuse a run that failed.

    Raises
    ------
    SampleError
        With the run's own words.
    """
    if run.failure is not None:
        seed = "" if run.train_seed is None else f", seed {run.train_seed},"
        raise SampleError(f"check: {who}: the run of {run.sampler}{seed} failed ({run.failure}); train it again.")


def trimmed(run: Run, keys: Sequence[str], who: str) -> Run:
    """Return a run with the gated scores alone, and nothing that the gate does not read."""
    scores = tuple(score_of(run, key, who) for key in keys)
    return replace(run, scores=scores, by_class=(), likelihood=(), health={}, cost={})


def write_baseline(path: Place, baseline: Baseline) -> None:
    """Write a baseline atomically, one score a line, with a digest of its content.

    Raises
    ------
    SetupError
        If the place cannot be written to.
    """
    content = _content(baseline)
    document = {"kind": KIND, "schema_version": SCHEMA, "sha256": _digest(content), **content}
    write_atomic(path, (_layout(document) + "\n").encode())


def read_baseline(path: Place) -> Baseline:
    """Read a baseline.

    Raises
    ------
    ProtocolError
        If there is none, or the file is damaged, was edited, or is of another schema.
    SetupError
        If it cannot be read.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProtocolError(f"check: {path}: no such baseline; make it with: genbench check ... --update.") from error
    except OSError as error:
        raise SetupError(f"check: {path}: cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise ProtocolError(f"check: {path}: a baseline expected, got no JSON; make it anew with --update.") from error
    if not isinstance(document, dict) or document.pop("kind", None) != KIND:
        raise ProtocolError(f"check: {path}: a baseline expected, got other JSON; make one with --update.")
    version, digest = document.pop("schema_version", None), document.pop("sha256", None)
    if version != SCHEMA:
        raise ProtocolError(f"check: {path}: schema {SCHEMA} expected, got {version!r}; make it anew with --update.")
    if digest != _digest(document):
        raise ProtocolError(
            f"check: {path}: its content does not agree with its digest: it was edited by hand or damaged; restore it, "
            "or make it anew with --update."
        )
    try:
        runs = tuple(Run.from_json(json.dumps(run)) for run in document.pop("runs"))
        fields = {**document, "runs": runs, "primary": tuple(document["primary"])}
        found = Baseline(**fields)
        for run in found.runs:
            for key in found.primary:
                score_of(run, key, str(path))
        return found
    except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
        raise ProtocolError(f"check: {path}: not a baseline ({error}); make it anew with --update.") from error


def _content(baseline: Baseline) -> dict[str, Any]:
    return {
        "primary": list(baseline.primary),
        "margins": dict(baseline.margins),
        "noise": dict(baseline.noise),
        "seed": baseline.seed,
        "settings": dict(baseline.settings),
        "runs": [json.loads(run.to_json()) for run in baseline.runs],
    }


def _digest(content: Mapping[str, Any]) -> str:
    """Sha256 of what the content says, whatever its layout: line ends and indentation may change under way."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _layout(value: Any, depth: int = 0) -> str:
    """Indent three levels of a document and keep the rest on lines: short files whose changes can be read."""
    if depth < 4 and isinstance(value, dict) and value:
        lines = [f"{' ' * (depth + 1)}{json.dumps(k)}: {_layout(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"
    if depth < 4 and isinstance(value, list) and value and isinstance(value[0], dict):
        lines = [f"{' ' * (depth + 1)}{_layout(v, depth + 1)}" for v in value]
        return "[\n" + ",\n".join(lines) + "\n" + " " * depth + "]"
    return json.dumps(value, allow_nan=False)
