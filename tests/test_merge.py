"""Merged leaderboards: however records are spread over folders the board is one, and nothing unlike is on it."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from genbench.cli import leaderboard as verb
from genbench.errors import GenbenchError, ProtocolError, SampleError, UsageError
from genbench.merge import FORMATS, leaderboards, merge_folders
from genbench.merge.agreement import SHARE
from genbench.records import Run
from genbench.store import Store
from tests.makers import make_estimate, make_run, make_score

KEY = "fd@digits-cnn.pool"
REPLAY = make_run("replay", None, 0.4, recipe={"control": "training samples as they are"})


def models() -> list[Run]:
    """Three models from three seeds, one of them with a failed run, one set of samples from outside, and a control."""
    runs = [make_run(model, seed, value + seed / 10) for model, value in (("gan", 2.0), ("vae", 6.0), ("wgan", 3.0))
            for seed in range(3)]  # fmt: skip
    runs[-1] = make_run("wgan", 2, scores=(), failure="diverged")
    early = [make_run("gan", seed, 9.0, step=3000, final=False) for seed in range(3)]
    return [*runs, *early, make_run("mine", None, 1.5, recipe={}), REPLAY]


def put(folder: Path, runs: Sequence[Run]) -> Path:
    """Write records into a results folder of any name."""
    for run in runs:
        Store(folder.parent, folder.name).write(run)
    return folder


def board(*places: Path, **how: Any) -> pd.DataFrame:
    """The merged leaderboard as CSV is read, by model."""
    text, _ = leaderboards(merge_folders(places, **how), "csv")
    return pd.read_csv(io.StringIO(text)).set_index("model")


def text_of(*places: Path, form: str = "md", width: int | None = None, **how: Any) -> str:
    """The merged leaderboard in another form."""
    return leaderboards(merge_folders(places, **how), form, width=width)[0]


def call(arguments: Sequence[object]) -> int:
    """Call the verb as the command line does."""
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    args = parser.parse_args(["leaderboard", *map(str, arguments)])
    return int(args.call(args))


# One board, however records are spread.


@pytest.mark.parametrize("seed", range(4))
def test_records_spread_over_folders_give_the_board_of_one_folder(tmp_path: Path, seed: int) -> None:
    runs, rng = models(), np.random.default_rng(seed)
    whole = put(tmp_path / "whole" / "digits@1", runs)
    # Every record lies in one to three of three folders: what lies in several counts once.
    places = [set(rng.choice(3, size=rng.integers(1, 4), replace=False).tolist()) for _ in runs]
    for i in range(3):
        put(tmp_path / f"lab{i}" / "digits@1", [run for run, where in zip(runs, places, strict=True) if i in where])
    parts = [tmp_path / f"lab{i}" / "digits@1" for i in rng.permutation(3) if (tmp_path / f"lab{i}").exists()]
    pd.testing.assert_frame_equal(board(whole).drop(columns="sources"), board(*parts).drop(columns="sources"))
    one, several = (text_of(*places).split("\n", 4)[4].partition("Where each row")[0] for places in ([whole], parts))
    assert one == several


def test_ranks_respect_ties_and_what_failed_or_is_missing_never_helps(tmp_path: Path) -> None:
    a = put(tmp_path / "a", [r for r in models() if r.sampler in ("vae", "wgan")])
    b = put(tmp_path / "b", [r for r in models() if r.sampler in ("gan", "replay")])
    late = put(tmp_path / "c", [make_run("late", s, 0.01 * s) for s in range(2)])
    close = put(tmp_path / "d", [make_run("close", s, 2.05 + s / 10) for s in range(3)])
    found = board(a, b, late, close)
    assert found["rank"].dropna().to_dict() == {"gan": 1, "close": 1, "vae": 3}
    assert found["note"]["wgan"] == "1 of 3 runs failed: diverged"
    assert found["note"]["late"] == "seed 2 missing"
    assert bool(found["control"]["replay"])


def test_seeds_of_one_model_may_come_from_many_machines(tmp_path: Path) -> None:
    a = put(tmp_path / "a", [make_run("gan", s, 1.0 + s, provenance={"device": "cpu"}) for s in (0, 1)])
    b = put(tmp_path / "b", [make_run("gan", s, 1.0 + s, provenance={"device": "NVIDIA H200"}) for s in (2, 3)])
    found = board(a, b).loc["gan"]
    assert (found["seeds"], found[KEY], found["device"], found["sources"]) == (4, 2.5, "NVIDIA H200; cpu", "a; b")


def test_a_folder_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    folder = put(tmp_path / "results" / "digits@1", models())
    (tmp_path / "link").symlink_to(folder)
    (found,) = merge_folders([folder, tmp_path / "results", tmp_path / "link"])
    assert len(found.kept) == len(models())
    assert not found.agreeing


def test_of_two_records_that_agree_the_fuller_one_is_kept_with_its_times(tmp_path: Path) -> None:
    old = make_run("gan", 0, seconds=9.0)
    new = make_run(
        "gan", 0, cost={"train_seconds": 4.0, "parameters": 10}, provenance={"genbench": "0.1.0", "threads": 8}
    )
    places = [put(tmp_path / "a", [old]), put(tmp_path / "b", [new])]
    for order in (places, places[::-1]):
        (found,) = merge_folders(order, whole=True)
        assert found.runs == [new]
        assert board(*order).loc["gan", "train_seconds"] == 4.0
        assert [note for note in leaderboards([found], "csv")[1] if "each counts once" in note]


def test_scores_may_differ_by_rounding_which_is_said(tmp_path: Path) -> None:
    def estimated(value: float, **changes: Any) -> Run:
        return make_run("gan", 0, scores=(make_score(estimate=make_estimate(value, **changes)),))

    a = put(tmp_path / "a", [estimated(1.0)])
    near = put(tmp_path / "near", [estimated(1.0 + 0.9 * SHARE * 0.125)])
    assert "Of 1 records there was another with the same scores (1 to rounding)" in text_of(a, near).replace("\n", " ")
    far = put(tmp_path / "far", [estimated(1.0 + 1.1 * SHARE * 0.125)])
    with pytest.raises(ProtocolError, match=r"fd@digits-cnn.pool against test: 1 and 1\.01375"):
        merge_folders([a, far])
    exact = put(tmp_path / "exact", [estimated(1.0, std_error=None)])
    with pytest.raises(ProtocolError, match="disagree"):
        merge_folders([near, exact])


def test_controls_merge_once(tmp_path: Path) -> None:
    a, b = put(tmp_path / "a", [make_run("gan"), REPLAY]), put(tmp_path / "b", [make_run("vae"), REPLAY])
    found = board(a, b)
    assert found.index.tolist() == ["gan", "vae", "replay"]
    assert found["sources"].to_dict() == {"gan": "a", "vae": "b", "replay": "a; b"}


def test_samples_from_outside_merge_with_trained_models(tmp_path: Path) -> None:
    a = put(tmp_path / "a", [make_run("theirs", None, 1.0, recipe={})])
    b = put(tmp_path / "b", [make_run("gan", s, 9.0 + s / 10) for s in range(3)])
    assert board(a, b)["rank"].to_dict() == {"theirs": 1, "gan": 2}


# What is refused.


def refusal(*places: Path, **how: Any) -> str:
    """The message of a refusal, whose exit code is 3."""
    with pytest.raises(ProtocolError) as caught:
        merge_folders(places, **how)
    assert caught.value.exit_code == 3
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scores": (make_score(fingerprint="ef" * 32),)}, "extractor digits-cnn (abababababab and efefefefefef)"),
        ({"scores": (make_score(), make_score(metric="kd"))}, "metrics that one side lacks (kd@digits-cnn.pool)"),
        ({}, "the data, or an option"),
    ],
)
def test_unlike_protocols_are_refused_with_the_folders_and_what_differs(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    a = put(tmp_path / "a", [make_run("gan")])
    b = put(tmp_path / "b", [make_run("vae", protocol="ef" * 32, **changes)])
    message = refusal(a, b)
    assert f"{a} and {b} hold scores of digits@1" in message
    assert said in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scores": make_run(value=2.0).scores}, "against train: 0.9 and 1.9"),
        ({"scores": (), "failure": "killed"}, "one failed: killed"),
        ({"scores": make_run().scores[:1]}, "one lacks fd@digits-cnn.pool against test"),
        ({"scores": (make_run().scores[0], make_score(estimate=None))}, "one failed (the solver gave up)"),
        ({"final": False}, "one is the end of its training"),
    ],
)
def test_two_records_of_one_training_that_disagree_are_refused_with_their_files(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    a, b = put(tmp_path / "a", [make_run()]), put(tmp_path / "b", [make_run(**changes)])
    message = refusal(a, b)
    assert f"{a}/records/gan/seed0-step0006000.json and {b}/records/gan/seed0-step0006000.json" in message
    assert f"--rename {b}:gan=NEW" in message
    assert said in message


def test_controls_that_disagree_are_not_to_be_renamed(tmp_path: Path) -> None:
    other = replace(REPLAY, scores=make_run(value=3.0).scores)
    message = refusal(put(tmp_path / "a", [REPLAY]), put(tmp_path / "b", [other]))
    assert "of the same control that disagree" in message
    assert "--rename" not in message


def test_scores_class_by_class_that_disagree_are_refused(tmp_path: Path) -> None:
    runs = [make_run(by_class=(make_score(value, label=3),)) for value in (1.0, 2.0)]
    a, b, plain = (put(tmp_path / name, [run]) for name, run in zip("abc", [*runs, make_run()], strict=True))
    assert "fd@digits-cnn.pool against test, class 3: 1 and 2" in refusal(a, b)
    assert merge_folders([plain, a], whole=True)[0].runs == [runs[0]]


def recipe(**changes: Any) -> dict[str, Any]:
    """A recipe as records of trainings have it."""
    return {"steps": 6000, "batch": 64, "overrides": {}, "options": {"lr": 0.001, "width": None}, **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 9}, "steps 6000 and 9"),
        ({"options": {"lr": 0.1, "width": None}, "overrides": {"lr": 0.1}}, "lr 0.001 and 0.1"),
        ({"overrides": {"old": 1}}, "overrides {} and {'old': 1}"),
        ({"precision": "bf16"}, "precision None and 'bf16'"),
    ],
)
def test_one_name_for_two_recipes_is_refused_and_a_new_name_helps(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    a = put(tmp_path / "a", [make_run("gan", 0, 1.0, recipe=recipe())])
    b = put(tmp_path / "b", [make_run("gan", 1, 2.0, recipe=recipe(**changes))])
    message = refusal(a, b)
    assert f"different recipes ({said})" in message
    assert f"--rename {b}:gan=NEW" in message
    assert board(a, b, rename=[f"{b}:gan=gan-b"])["sources"].to_dict() == {"gan": "a", "gan-b": "b"}


def test_an_option_that_a_later_genbench_added_is_no_other_recipe(tmp_path: Path) -> None:
    later = recipe(options={"lr": 0.001, "width": None, "dropout": 0.0})
    a = put(tmp_path / "a", [make_run("gan", 0, recipe=recipe())])
    b = put(tmp_path / "b", [make_run("gan", 1, recipe=later)])
    assert board(a, b).loc["gan", "seeds"] == 2


# Names.


def test_a_rename_holds_for_all_results_below_its_folder_and_for_pictures(tmp_path: Path) -> None:
    a = put(tmp_path / "a" / "digits@1", [make_run("gan", 0, 1.0)])
    b = put(tmp_path / "b" / "digits@1", [make_run("gan", 0, 2.0), make_run("gan-big", 0, 3.0)])
    for folder, level in ((a, 10), (b, 200)):
        (folder / "grids").mkdir()
        for name in ("gan-seed0", "gan-big-seed0", "real"):
            Image.fromarray(np.full((2, 2 + level), level, np.uint8)).save(folder / "grids" / f"{name}.png")
    how = {"rename": [f"{tmp_path / 'b'}:gan=theirs"]}
    assert board(a, b, **how)[KEY].to_dict() == {"gan": 1.0, "theirs": 2.0, "gan-big": 3.0}
    page = text_of(a, b, form="html", **how)
    assert [page.count(f'width="{2 + level}"') for level in (10, 200)] == [2, 2], "gan and real; theirs and gan-big"
    assert "--rename b/digits@1:gan=theirs" in page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gan=x", "FOLDER:old=new"),
        ("HERE:gan", "FOLDER:old=new"),
        ("HERE:gan=a b", "letters"),
        ("HERE:replay=mine", "control"),
        ("HERE:gan=real", "control"),
        ("HERE:gna=x", "models there are gan, replay"),
        ("elsewhere:gan=x", "elsewhere:gan"),
    ],
)
def test_a_rename_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    folder = put(tmp_path / "a", [make_run(), REPLAY])
    with pytest.raises(UsageError, match=said):
        merge_folders([folder], rename=[text.replace("HERE", str(folder))])


# Folders and records that are none.


def test_what_is_no_results_folder_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty" / "records").mkdir(parents=True)
    (tmp_path / "file").write_text("hello")
    for name, said in (("nowhere", "not there"), ("file", "a file"), ("empty", "holds none")):
        with pytest.raises(UsageError, match=said) as caught:
            merge_folders([tmp_path / name])
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:100], "not a genbench record"),
        (lambda text: "", "not a genbench record"),
        (lambda text: "[]", "not a genbench record"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 99'), "99"),
        (lambda text: text.replace('"sampler": "gan"', '"sampler": "vae"'), "vae/seed0-step0006000.json"),
        (lambda text: text.replace('"sampler": "gan"', '"sampler": null'), "not a genbench record"),
        (lambda text: text.replace('"train_seed": 0', '"train_seed": 1'), "gan/seed1-step0006000.json"),
        (lambda text: text.replace('"step": 6000', '"step": "late"'), "not a genbench record"),
        (lambda text: json.dumps({**json.loads(text), "recipe": None}), "not a genbench record"),
        (lambda text: json.dumps({**json.loads(text), "recipe": {"control": "x"}}), "does not know"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, damage: Any, said: str) -> None:
    folder = put(tmp_path / "a", [make_run()])
    path = folder / "records" / "gan" / "seed0-step0006000.json"
    path.write_text(damage(path.read_text()))
    message = refusal(folder)
    assert message.startswith(f"{path}: ")
    assert said in message
    assert "\n" not in message


def test_a_board_needs_a_final_record(tmp_path: Path) -> None:
    early = make_run(final=False)
    a = put(tmp_path / "a", [early])
    with pytest.raises(SampleError, match="no final record of digits@1"):
        merge_folders([a])
    b = put(tmp_path / "b", [make_run(benchmark="ring8@1")])
    text, notes = leaderboards(merge_folders([a, b]), "md")
    assert "# ring8@1" in text
    assert "# digits@1" not in text
    assert notes == ["digits@1: no final record yet, and no board."]


def test_a_board_on_which_everything_failed_is_one(tmp_path: Path) -> None:
    folder = put(tmp_path / "a", [make_run(s, None, scores=(), failure="no samples", recipe={}) for s in ("a", "b")])
    assert board(folder)["rank"].isna().all()
    assert "`a`" in text_of(folder)


# Several benchmarks.


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Results of a benchmark, its quick form, and one of the user's own."""
    own = make_score(metric="kd", space="mine.pool")
    put(tmp_path / "digits@1", [make_run("gan"), make_run("vae", 0, 3.0)])
    put(tmp_path / "digits@1-quick", [make_run("gan", benchmark="digits@1-quick", quick=True)])
    put(tmp_path / "mine@2", [make_run("gan", benchmark="mine@2", protocol="12" * 32, scores=(own,))])
    return tmp_path


def test_every_benchmark_gets_a_board(root: Path) -> None:
    titles = [line for line in text_of(root).splitlines() if line.startswith("# ")]
    assert titles == ["# digits@1: quality", "# digits@1-quick: quality", "# mine@2: quality"]


def test_stacked_csv_has_one_header_with_the_metrics_of_every_board(root: Path) -> None:
    text, _ = leaderboards(merge_folders([root]), "csv")
    found = pd.read_csv(io.StringIO(text))
    assert found["benchmark"].tolist() == ["digits@1", "digits@1", "digits@1-quick", "mine@2"]
    assert found[KEY].notna().tolist() == [True, True, True, False]
    assert found["kd@mine.pool"].notna().tolist() == [False, False, False, True]
    assert {line.count(",") for line in text.splitlines()} == {len(found.columns) - 1}


@pytest.mark.parametrize(
    ("name", "boards"),
    [
        ("digits", ["digits@1", "digits@1-quick"]),
        ("digits@1", ["digits@1"]),
        ("digits@1-quick", ["digits@1-quick"]),
        ("mine", ["mine@2"]),
    ],
)
def test_one_benchmark_can_be_chosen(root: Path, name: str, boards: list[str]) -> None:
    assert [found.benchmark for found in merge_folders([root], benchmark=name)] == boards


def test_a_benchmark_that_is_not_there_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="digits@1, digits@1-quick, mine@2"):
        merge_folders([root], benchmark="ring8")


def test_the_users_own_benchmark_ranks_by_its_primary_metric(root: Path) -> None:
    definition = root / "own.toml"
    definition.write_text(
        'name = "mine"\nversion = 2\ndataset = "ring8"\nn = 599\nseeds = [0]\ncheckpoints = 1\n'
        'primary = "mmd@identity.pool"\n[metrics]\n"mmd@identity.pool" = {}\n'.replace("mmd", "kd")
    )
    text, _ = leaderboards(merge_folders([root], benchmark=str(definition)), "csv", benchmark=str(definition))
    assert pd.read_csv(io.StringIO(text))["primary"].tolist() == ["kd@identity.pool"]


def test_a_page_has_one_benchmark(root: Path) -> None:
    with pytest.raises(UsageError, match="--benchmark"):
        leaderboards(merge_folders([root]), "html")


# Where rows come from.


def test_every_row_says_where_it_comes_from(tmp_path: Path) -> None:
    old = {"genbench": "0.1.0", "revision": "ab" * 20, "device": "cpu"}
    dirty = {"genbench": "0.2.0", "revision": "cd" * 20 + "+dirty"}
    a = put(tmp_path / "a", [make_run("gan", s, provenance=old) for s in range(2)])
    b = put(tmp_path / "b", [make_run("gan", 2, provenance=dirty), make_run("vae", provenance={"genbench": "0.2.0"})])
    found = board(a, b)
    columns = found.columns.tolist()
    at = columns.index("device")
    assert columns[at + 1 : at + 4] == ["sources", "genbench", "revision"]
    assert found.loc["gan", "sources":"revision"].tolist() == [  # type: ignore[misc]
        "a; b",
        "0.1.0; 0.2.0",
        f"{'ab' * 20}; {'cd' * 20}+dirty",
    ]
    assert found.loc["vae", "sources"] == "b"
    assert found.loc["vae", ["revision", "device"]].isna().all()
    text = text_of(a, b)
    line = "- gan: `a` and `b`; genbench 0.1.0 and 0.2.0; revisions abababababab, cdcdcdcdcdcd+dirty; cpu\n"
    assert line in text
    assert "- vae: `b`; genbench 0.2.0\n" in text


@pytest.mark.parametrize("form", FORMATS)
def test_unlike_versions_and_uncommitted_code_are_said_in_every_form(tmp_path: Path, form: str) -> None:
    a = put(tmp_path / "a", [make_run("gan", provenance={"genbench": "0.1.0", "revision": "ab" * 20})])
    b = put(tmp_path / "b", [make_run("vae", provenance={"genbench": "0.2.0", "revision": "ab" * 20 + "+dirty"})])
    text, notes = leaderboards(merge_folders([a, b]), form)
    wanted = ["unlike versions of genbench (0.1.0, 0.2.0)", "not committed, so that nobody can rebuild them: vae"]
    for said, note in zip(wanted, notes, strict=True):
        assert said in note
        assert said in text or form == "csv"
    assert not leaderboards(merge_folders([a]), form)[1]


@pytest.mark.parametrize("form", FORMATS)
def test_no_form_holds_the_place_of_the_folders_and_all_repeat_to_the_byte(tmp_path: Path, form: str) -> None:
    places = [put(tmp_path / name / "digits@1", [make_run(name)]) for name in ("left", "right")]
    text = text_of(*places, form=form)
    assert str(tmp_path) not in text
    assert "left/digits@1" in text
    assert text == text_of(*places, form=form)


def test_the_page_is_whole_and_asks_nobody(tmp_path: Path) -> None:
    page = text_of(put(tmp_path / "a", models()), put(tmp_path / "b", models()), form="html")
    assert page.startswith("<!doctype html>")
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert page.count("genbench leaderboard a b") == 3, "above, among the facts, and below"
    assert "<code>genbench report</code>" not in page
    assert "<dt>merged from</dt>" in page
    assert 'id="curves"' in page


def test_latex_has_where_rows_come_from_in_comments_alone(tmp_path: Path) -> None:
    text = text_of(put(tmp_path / "a_b", [make_run("gan", s) for s in range(2)]), form="latex")
    before, table, _ = text.partition(r"\begin{table}")
    assert table
    assert all(line.startswith("%") for line in before.splitlines())
    assert "% gan: `a_b`; genbench 0.1.0" in before


def test_tables_fit_a_terminal_and_lose_nothing(tmp_path: Path) -> None:
    runs = [make_run(f"a-model-of-long-name-{i}", s, i + s / 7) for i in range(6) for s in range(2)]
    folder = put(tmp_path / "a", [*runs, REPLAY])
    free, cut = text_of(folder), text_of(folder, width=80)
    assert max(map(len, free.splitlines())) > 120
    assert max(map(len, cut.splitlines())) <= 80
    words, kept = ({w for w in text.split() if not set(w) <= set("|-:")} for text in (free, cut))
    assert words == kept


# The verb.


def test_the_verb_prints_markdown_and_other_forms_by_option_or_ending(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([root]) == 0
    assert capsys.readouterr().out.startswith("# digits@1: quality\n")
    assert call([root, "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("benchmark,quick,model,")
    for ending, start in ((".md", "# mine@2"), (".csv", "benchmark,"), (".tex", "% made by"), (".html", "<!doctype")):
        out = root / "out" / f"board{ending}"
        assert call([root, "--benchmark", "mine", "--out", out]) == 0
        assert capsys.readouterr().out == f"{out}\n"
        assert out.read_text(encoding="utf-8").startswith(start)
    with pytest.raises(UsageError, match=r"--out FILE\.md"):
        call([root, "--out", root / "board.txt"])


def test_notes_go_to_stderr_where_the_text_does_not_show_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [put(tmp_path / v, [make_run(v, provenance={"genbench": v})]) for v in ("0.1.0", "0.2.0")]
    for form in FORMATS:
        assert call([*folders, "--format", form]) == 0
        said = capsys.readouterr()
        assert said.err.count("unlike versions") == (form != "md")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["nowhere"], 2), (["a", "b"], 3), (["a", "--rename", "a:gan"], 2), (["a", "--benchmark", "b"], 2)],
)
def test_mistakes_have_the_exit_codes_of_the_others(tmp_path: Path, arguments: list[str], code: int) -> None:
    put(tmp_path / "a", [make_run("gan")])
    put(tmp_path / "b", [make_run("gan", 0, 2.0)])
    places = [str(tmp_path / word) if len(word) == 1 or word == "nowhere" else word for word in arguments]
    with pytest.raises(GenbenchError) as caught:
        call(places)
    assert caught.value.exit_code == code


def test_no_form_needs_torch(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from genbench.merge import FORMATS, leaderboards, merge_folders\n"
        f"boards = merge_folders([Path({str(root)!r})], benchmark='digits@1')\n"
        "texts = [leaderboards(boards, form)[0] for form in FORMATS]\n"
        "sys.exit('torch' in sys.modules or not all(texts))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_declaring_the_verb_imports_nothing_heavy() -> None:
    code = (
        "import sys, argparse; from genbench.cli import leaderboard\n"
        "leaderboard.add_parser(argparse.ArgumentParser().add_subparsers())\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'scipy', 'pandas', 'sklearn', 'ot')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
