"""Exports: what the records say, in other people's forms, and only of what is finished."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from genbench.cli import export as verb
from genbench.errors import SampleError, UsageError
from genbench.exports import FORMATS, export, to_jsonl
from genbench.exports.every_eval_ever import to_every_eval_ever
from genbench.records import Run
from genbench.results import find_benchmark, read_folder
from genbench.store import Store
from tests.makers import make_estimate, make_run, make_score

COST = {"train_seconds": 30.0, "parameters": 50145}
RUNS = [
    make_run("gan", 0, 5.0, step=3000, final=False, cost={"train_seconds": 15.0}, health={"g_loss": 0.5}),
    make_run("gan", 0, 2.0, cost=COST, health={"g_loss": 0.25}),
    make_run("gan", 1, scores=(), failure="diverged: g_loss is not finite"),
    make_run("vae", 0, 7.0, step=3000, final=False),
    make_run("mine", None, 1.0),
    make_run("real", None, 0.5, recipe={"control": "real samples"}),
]

# The part of Every Eval Ever's schema 0.2.2 that is written, in short form. Here, unlike there, every object is closed,
# so that a field which that schema does not define fails.
TEXT, NUMBER = {"type": "string"}, {"type": "number"}
TEXTS = {"type": "object", "additionalProperties": TEXT}


def closed(required: str, **properties: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


METRIC = closed(
    "lower_is_better",
    evaluation_description=TEXT,
    metric_id=TEXT,
    metric_name=TEXT,
    metric_kind=TEXT,
    metric_unit=TEXT,
    metric_parameters={
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    },
    lower_is_better={"type": "boolean"},
    score_type={"enum": ["binary", "continuous", "levels"]},
    min_score=NUMBER,
    max_score=NUMBER,
    additional_details=TEXTS,
) | {
    "if": {"required": ["score_type"], "properties": {"score_type": {"const": "continuous"}}},
    "then": {"required": ["min_score", "max_score"]},
}
UNCERTAINTY = closed(
    "",
    standard_error=closed("value", value=NUMBER, method=TEXT),
    confidence_interval=closed(
        "lower upper",
        lower=NUMBER,
        upper=NUMBER,
        confidence_level={"type": "number", "minimum": 0, "maximum": 1},
        method=TEXT,
    ),
    standard_deviation=NUMBER,
    num_samples={"type": "integer"},
    num_bootstrap_samples={"type": "integer"},
)
RESULT = closed(
    "evaluation_name source_data metric_config score_details",
    evaluation_result_id=TEXT,
    evaluation_name=TEXT,
    source_data=closed(
        "dataset_name source_type",
        dataset_name=TEXT,
        source_type={"const": "other"},
        source_id=TEXT,
        source_version=TEXT,
        additional_details=TEXTS,
    ),
    evaluation_timestamp=TEXT,
    metric_config=METRIC,
    score_details=closed("score", score=NUMBER, details=TEXTS, uncertainty=UNCERTAINTY),
)
SCHEMA = closed(
    "schema_version evaluation_id retrieved_timestamp source_metadata model_info eval_library evaluation_results",
    schema_version=TEXT,
    evaluation_id=TEXT,
    evaluation_timestamp=TEXT,
    retrieved_timestamp=TEXT,
    source_metadata=closed(
        "source_type source_organization_name evaluator_relationship",
        source_name=TEXT,
        source_type={"enum": ["documentation", "evaluation_run"]},
        source_organization_name=TEXT,
        source_organization_url=TEXT,
        source_organization_logo_url=TEXT,
        evaluator_relationship={"enum": ["first_party", "third_party", "collaborative", "other"]},
        additional_details=TEXTS,
    ),
    eval_library=closed("name version", name=TEXT, version=TEXT, additional_details=TEXTS),
    model_info=closed("name id", name=TEXT, id=TEXT, developer=TEXT, additional_details=TEXTS),
    evaluation_results={"type": "array", "items": RESULT},
)


def test_jsonl_holds_every_record_whole() -> None:
    lines = to_jsonl(RUNS).splitlines()
    assert [Run.from_json(line) for line in lines] == RUNS


def test_documents_keep_the_schema_of_every_eval_ever_and_hold_nothing_else() -> None:
    share = make_score(metric="precision", better="higher", unit="share", estimate=make_estimate(0.5, debiased=None))
    for run in (RUNS[1], RUNS[4], make_run(scores=(share, make_score(options={"k": 3, "sub": {"a": 1}})))):
        jsonschema.validate(to_every_eval_ever(run, timestamp=1700000000), SCHEMA)


def test_a_document_says_what_the_record_says() -> None:
    document = to_every_eval_ever(RUNS[1], timestamp=1700000000)
    assert document["evaluation_id"] == "digits@1/genbench/gan/1700000000"
    assert document["model_info"]["additional_details"]["train_seed"] == "0"
    result = document["evaluation_results"][1]
    assert result["evaluation_name"] == "digits@1: fd@digits-cnn.pool against test"
    assert result["metric_config"]["lower_is_better"] is True
    assert result["score_details"] == {
        "score": 1.75,
        "details": {"plain_value": "2.0", "debiased": "true", "real_data": "0.5"},
        "uncertainty": {
            "num_samples": 599,
            "standard_error": {"value": 0.125, "method": "group jackknife"},
            "confidence_interval": {"lower": 1.5, "upper": 2.0, "confidence_level": 0.95, "method": "group jackknife"},
        },
    }


def test_scores_that_are_best_where_real_data_score_are_left_out_of_every_eval_ever() -> None:
    run = make_run(scores=(make_score(better="match"), make_score(metric="kd", better="lower")))
    results = to_every_eval_ever(run, timestamp=0)["evaluation_results"]
    assert [r["metric_config"]["metric_name"] for r in results] == ["kd@digits-cnn.pool"]


def test_every_eval_ever_gets_models_with_scores_and_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert export(RUNS, "every-eval-ever", tmp_path / name, timestamp=7).startswith("2 documents")
    one, two = (sorted((tmp_path / name).rglob("*.json")) for name in ("one", "two"))
    assert [path.parent.relative_to(tmp_path / "one").as_posix() for path in one] == [
        "data/digits@1/genbench/gan",
        "data/digits@1/unknown/mine",
    ]
    assert [p.name for p in one] == [p.name for p in two]
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    with pytest.raises(SampleError, match="nothing to export"):
        export(RUNS[-1:], "every-eval-ever", tmp_path / "three", timestamp=7)


def test_an_export_is_not_mixed_with_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    with pytest.raises(UsageError, match="not empty"):
        export(RUNS, "every-eval-ever", tmp_path, timestamp=0)


def test_unknown_forms_and_unfinished_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tensorboard"):
        export(RUNS, "csv", tmp_path, timestamp=0)
    with pytest.raises(SampleError, match="no final record"):
        export(RUNS[:1], "wandb", tmp_path, timestamp=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A results folder."""
    store = Store(tmp_path, "digits@1")
    for run in RUNS:
        store.write(run)
    return store.folder


def call(*arguments: str) -> int:
    """Call the verb as the command line does."""
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    args = parser.parse_args(["export", *arguments])
    return int(args.call(args))


def test_the_verb_writes_jsonl_to_stdout_or_a_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(str(folder), "--to", "jsonl") == 0
    text = capsys.readouterr().out
    assert len([json.loads(line) for line in text.splitlines()]) == len(RUNS)
    assert call(str(folder), "--to", "jsonl", "--out", str(tmp_path / "all.jsonl")) == 0
    assert (tmp_path / "all.jsonl").read_text() == text


def test_the_verb_takes_the_time_that_builds_fix(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "123")
    assert call(str(folder), "--to", "every-eval-ever") == 0
    (path,) = (folder / "exports" / "every-eval-ever" / "data" / "digits@1" / "genbench" / "gan").iterdir()
    assert json.loads(path.read_text())["retrieved_timestamp"] == "123"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        call(str(folder), "--to", "every-eval-ever")


def test_the_verb_offers_exactly_the_forms_there_are() -> None:
    assert verb.FORMS == FORMATS


def test_a_folder_knows_its_records_and_its_benchmark(folder: Path, tmp_path: Path) -> None:
    assert len(read_folder(folder)) == len(RUNS)
    assert find_benchmark(RUNS).id == "digits@1"
    assert find_benchmark([replace(run, benchmark="digits@1-train64") for run in RUNS]).train_size == 64
    assert find_benchmark([replace(run, benchmark="digits@1-quick", quick=True) for run in RUNS]).quick
    with pytest.raises(UsageError, match="ring8@1"):
        find_benchmark(RUNS, "ring8")
    with pytest.raises(UsageError, match="folder with records"):
        read_folder(tmp_path)
