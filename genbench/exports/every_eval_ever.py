"""Final records as documents of Every Eval Ever, the shared schema of evaluation results.

Schema version 0.2.2 of https://github.com/evaleval/every_eval_ever; only fields that it defines are written. It knows
lower and higher as better and nothing between, so that scores that are best where real data score are left out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genbench._version import __version__
from genbench.atomic import write_atomic
from genbench.errors import SampleError
from genbench.records import Run, Score
from genbench.tables import is_control

SCHEMA_VERSION = "0.2.2"

_Document = dict[str, Any]


def write_every_eval_ever(runs: Sequence[Run], out: Path, *, timestamp: int) -> str:
    """Write one document for every final record that has scores, where that project's repository would have it.

    Controls are no models, and a failed run has no score: neither is written.

    Parameters
    ----------
    runs : sequence of Run
    out : Path
        Gets ``data/<benchmark>/<developer>/<model>/<uuid>.json``.
    timestamp : int
        Of the documents, in seconds since 1970. With one timestamp the same records give the same bytes.

    Raises
    ------
    SampleError
        If there is nothing to write.
    """
    written = 0
    for run in runs:
        document = to_every_eval_ever(run, timestamp=timestamp)
        if not run.final or is_control(run) or not document["evaluation_results"]:
            continue
        seed = "" if run.train_seed is None else f"/seed{run.train_seed}"
        name = uuid.uuid5(uuid.NAMESPACE_URL, document["evaluation_id"] + seed)
        path = out / "data" / run.benchmark / _developer(run) / run.sampler / f"{name}.json"
        write_atomic(path, (json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())
        written += 1
    if not written:
        raise SampleError("export: no final record of a model with scores among these; nothing to export.")
    return f"{written} documents of schema {SCHEMA_VERSION}: {out / 'data'}"


def to_every_eval_ever(run: Run, *, timestamp: int) -> _Document:
    """Turn one record into a document.

    ``score`` is the debiased score where there is one, because the interval belongs to it; the plain value stands in
    its details, with the score of real data.
    """
    model = f"{_developer(run)}/{run.sampler}"
    details = {"protocol": run.protocol, "recipe": json.dumps(run.recipe, sort_keys=True)}
    if run.train_seed is not None:
        details |= {"train_seed": str(run.train_seed), "step": str(run.step)}
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{run.benchmark}/{model}/{timestamp}",
        "retrieved_timestamp": str(timestamp),
        "source_metadata": {
            "source_name": "genbench",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other" if run.train_seed is None else "first_party",
        },
        "eval_library": {
            "name": "genbench",
            "version": str(run.provenance.get("genbench", __version__)),
            "additional_details": _texts(run.provenance, without="genbench"),
        },
        "model_info": {"name": run.sampler, "id": model, "developer": _developer(run), "additional_details": details},
        "evaluation_results": [_result(run, s) for s in run.scores if s.estimate is not None and s.better != "match"],
    }


def _developer(run: Run) -> str:
    """Say who trained the model, as far as the record knows: genbench, or somebody whose samples were scored."""
    return "unknown" if run.train_seed is None else "genbench"


def _result(run: Run, score: Score) -> _Document:
    against = f" against {score.split}" if score.split else ""
    return {
        "evaluation_result_id": f"{run.benchmark}/{score.name}/{score.split or 'samples'}",
        "evaluation_name": f"{run.benchmark}: {score.key}{against}",
        "source_data": {
            "dataset_name": run.benchmark.partition("@")[0],
            "source_type": "other",
            "source_version": run.benchmark.partition("@")[2],
            "additional_details": {} if score.split is None else {"split": score.split, "n": str(score.n_reference)},
        },
        "metric_config": _metric(score),
        "score_details": _score(score),
    }


def _metric(score: Score) -> _Document:
    config: _Document = {
        "metric_id": f"genbench.{score.name}",
        "metric_name": score.key,
        "metric_kind": score.metric.partition(":")[0],
        "metric_unit": score.unit,
        "lower_is_better": score.better == "lower",
        "metric_parameters": {k: v for k, v in score.options.items() if isinstance(v, (str, int, float, bool))},
    }
    if score.unit == "share":  # "continuous" asks for both ends, which other scores do not have
        config |= {"score_type": "continuous", "min_score": 0, "max_score": 1}
    return config


def _score(score: Score) -> _Document:
    estimate = score.estimate
    if estimate is None:
        raise SampleError(f"export: {score.key} has no estimate ({score.failure}).")
    details = {"plain_value": repr(estimate.value), "debiased": str(estimate.debiased is not None).lower()}
    if estimate.null is not None:
        details["real_data"] = repr(estimate.null)
    method = {"method": "group jackknife"} if estimate.replicates else {}
    uncertainty: _Document = {"num_samples": score.n_generated}
    if estimate.std_error is not None:
        uncertainty["standard_error"] = {"value": estimate.std_error, **method}
    if estimate.low is not None and estimate.high is not None:
        bounds = {"lower": estimate.low, "upper": estimate.high, "confidence_level": estimate.level}
        uncertainty["confidence_interval"] = bounds | method
    return {"score": estimate.best, "details": details, "uncertainty": uncertainty}


def _texts(items: Mapping[str, Any], *, without: str) -> dict[str, str]:
    """Every value as text, which is all that the schema allows in details."""
    return {k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in items.items() if k != without}
