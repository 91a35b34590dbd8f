"""Leaderboards are made of excerpts, which say all that they show, and whose memory does not grow with the records."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from genbench.merge import FORMATS, leaderboards, merge_folders
from genbench.merge.excerpts import Excerpts, compares_single_runs
from genbench.merge.folders import read_folders
from genbench.records import Run
from genbench.store import Store
from tests.makers import make_run, make_score
from tests.many_records import many_runs

RESULTS = Path(__file__).resolve().parent.parent / "results"


def put(folder: Path, runs: Sequence[Run]) -> Path:
    """Write records into a results folder of any name."""
    for run in runs:
        Store(folder.parent, folder.name).write(run)
    return folder


def odd_runs() -> list[Run]:
    """Records with everything that an excerpt leaves out, and with failures that a board gives the reason of."""
    train_only = make_score(7.0, split="train", metric="kd", space="other.pool", fingerprint="cd" * 32)
    twice = tuple(make_score(split=split, estimate=None, failure=f"no {split}") for split in ("train", "test"))
    full = {
        "by_class": (make_score(label=3),),
        "likelihood": (make_score(metric="nll"),),
        "health": {"g_loss": 1.0},
        "cost": {"parameters": 10, "train_seconds": 2.5},
        "profile": {"sampling": 1.0},
        "provenance": {"genbench": "0.1.0", "device": "cpu", "threads": 8},
    }
    return [
        *(make_run("gan", seed, 2.0 + seed / 10, **full) for seed in range(3)),
        *(make_run("gan", seed, 9.0, step=3000, final=False, **full) for seed in range(3)),
        *(make_run("vae", seed, 3.0 + seed / 10) for seed in range(2)),
        make_run("vae", 2, scores=twice),
        make_run("wgan", 0, scores=(), failure="diverged"),
        make_run("mine", None, 1.5, recipe={}, scores=(*make_run(value=1.5).scores, train_only)),
        make_run("replay", None, 0.4, recipe={"control": "training samples as they are"}),
    ]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["odd", "committed", "many"])
def test_excerpts_make_the_board_that_whole_records_make(tmp_path: Path, kind: str, form: str) -> None:
    folder = tmp_path / "digits@1"
    if kind == "committed":
        for model in ("gan", "vae", "real", "replay"):
            shutil.copytree(RESULTS / "digits@1" / "records" / model, folder / "records" / model)
    else:
        put(folder, odd_runs() if kind == "odd" else many_runs(models=3, seeds=2, stops=2))
    texts = [leaderboards(merge_folders([folder], whole=whole), form) for whole in (True, False)]
    assert texts[0] == texts[1]
    if kind == "odd" and form == "md":
        assert "1 of 3 runs failed: no train" in texts[0][0], "the first reason, which is of the training split"
        assert "other `cdcdcdcdcdcd`" in texts[0][0], "an extractor that only a score against the training split names"


def test_an_excerpt_shares_what_records_have_in_common() -> None:
    excerpts, runs = Excerpts(), many_runs(models=1, seeds=2, stops=1)
    one, other = (excerpts.of(Run.from_json(run.to_json())) for run in runs)
    assert one.recipe is other.recipe
    assert one.provenance is other.provenance
    assert all(a.fingerprint is b.fingerprint for a, b in zip(one.scores, other.scores, strict=True))


@pytest.mark.parametrize(("seeds", "kept"), [({"a": 2, "b": 3}, False), ({"a": 2, "b": 1}, True)])
def test_replicates_are_kept_where_a_model_has_a_single_run(tmp_path: Path, seeds: dict[str, int], kept: bool) -> None:
    replay = make_run("replay", None, 0.4, recipe={"control": "training samples as they are"})
    runs = [make_run(model, seed, 1.0 + seed) for model, n in seeds.items() for seed in range(n)]
    (board,) = merge_folders([put(tmp_path / "a", [*runs, replay])])
    found = [score.estimate.replicates for run in board.finals for score in run.scores if score.estimate is not None]
    assert [bool(replicates) for replicates in found] == [kept] * len(found)


def test_a_score_that_failed_may_leave_a_single_run() -> None:
    scored, failed = make_run("gan", 0), make_run("gan", 1, scores=(make_score(estimate=None),))
    assert compares_single_runs([scored, failed])
    assert not compares_single_runs([scored, make_run("gan", 1)])
    assert not compares_single_runs([make_run("gan", 0, final=False)])


def test_equal_values_of_unlike_types_are_not_shared() -> None:
    excerpts = Excerpts()
    recipes = [{"options": {"ema": value}} for value in (1, 1.0, True)]
    found = [excerpts.of(make_run(recipe=recipe)).recipe for recipe in recipes]
    assert [repr(recipe) for recipe in found] == [repr(recipe) for recipe in recipes]


def test_a_whole_record_is_read_again_under_the_name_that_it_has_on_the_board(tmp_path: Path) -> None:
    run = make_run("gan", by_class=(make_score(label=3),))
    folder = put(tmp_path / "a", [run])
    (board,) = merge_folders([folder], rename=[f"{folder}:gan=theirs"])
    (found,) = board.kept
    assert not found.run.by_class
    assert found.read() == replace(run, sampler="theirs")


def test_of_a_record_along_training_memory_holds_less_than_3_kb(tmp_path: Path) -> None:
    """Measured 1.0 kB with the path; the whole record takes 15 kB. What all records share is known from the first."""
    runs = many_runs(models=1, seeds=2, stops=101)
    folder = put(tmp_path / "a", [run for run in runs if not run.final])
    read_folders([folder], whole=False)
    tracemalloc.start()
    found = read_folders([folder], whole=False)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held / len(found) < 3000, held / len(found)
