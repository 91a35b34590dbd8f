"""What a notebook and a terminal show of records, and the tidy table that they become."""

from __future__ import annotations

import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import genbench
from genbench.display import interval, number
from genbench.errors import SampleError, UsageError
from genbench.grids import Grid, grid
from genbench.records import FRAME_COLUMNS, Run
from tests.makers import GaussianSampler, make_estimate, make_run, make_score

HOSTILE = '<script>alert("x")</script>&'


class Tables(HTMLParser):
    """Reads rows of cells, and refuses what is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("table", "thead", "tbody", "tr", "th", "td", "p"), tag
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self._open[-1] in ("th", "td"):
            self.rows[-1][-1] += data


def full_run() -> Run:
    """A record with everything a record can have: failures, classes, likelihoods, names that are code."""
    failed = make_score(metric="kl_knn", estimate=None, failure=f"{HOSTILE} gave up")
    bare = make_score(
        metric="is", better="higher", split=None, estimate=make_estimate(6.0, low=None, high=None, null=None)
    )
    return make_run(
        HOSTILE,
        step=1200,
        scores=(make_score(1.0, split="train"), make_score(1.5), bare, failed),
        by_class=(make_score(2.0, label=3),),
        likelihood=(make_score(metric="nll", space="data"),),
    )


def test_the_frame_has_one_row_for_every_score() -> None:
    frame = full_run().to_frame()
    assert tuple(frame.columns) == FRAME_COLUMNS
    assert frame["metric"].tolist() == ["fd", "fd", "is", "kl_knn", "fd", "nll"]
    row = frame.iloc[1]
    assert (row["value"], row["debiased"], row["std_error"], row["low"], row["high"], row["null"]) == (
        1.5, 1.25, 0.125, 1.0, 1.5, 0.5,
    )  # fmt: skip
    assert (row["n_generated"], row["split"], row["space"], row["step"]) == (599, "test", "digits-cnn.pool", 1200)
    assert frame["label"].dropna().tolist() == [3]
    assert frame["failure"].notna().tolist() == [False, False, False, True, False, False]
    assert np.isnan(frame["value"][3])
    assert frame["value"].dtype == np.float64
    assert str(frame["n_reference"].dtype) == "Int64"
    assert pd.isna(frame["n_reference"][2])


def test_a_run_that_failed_is_a_row_that_says_why() -> None:
    frame = make_run(scores=(), failure="diverged").to_frame()
    assert len(frame) == 1
    assert frame["failure"].tolist() == ["diverged"]
    assert frame["value"].isna().all()


def test_frames_of_several_runs_stack() -> None:
    both = pd.concat([make_run(seed=s).to_frame() for s in (0, 1)])
    assert both.groupby(["train_seed", "split"])["value"].mean().loc[(1, "test")] == 1.0


def test_html_holds_every_number_and_no_tag_of_anybody_else() -> None:
    run = full_run()
    found = Tables(run._repr_html_())
    shown = {cell for row in found.rows for cell in row}
    assert HOSTILE in found.text
    for score in (*run.scores, *run.by_class, *run.likelihood):
        if score.estimate is not None:
            assert {number(score.estimate.value), interval(score.estimate.low, score.estimate.high)} <= shown
    assert "fd@digits-cnn.pool ↓, class 3" in shown


def test_a_failed_score_is_seen_in_red_with_its_reason() -> None:
    html = full_run()._repr_html_()
    (row,) = (row for row in Tables(html).rows if "kl_knn" in row[0])
    assert row[1:] == ["test", "failed", f"{HOSTILE} gave up"]
    assert len(re.findall("color:#b00020", html)) == 1
    failed = make_run(scores=(), failure=HOSTILE)
    assert "color:#b00020" in failed._repr_html_()
    assert f"failed: {HOSTILE}" in Tables(failed._repr_html_()).text


def test_the_terminal_gets_one_line_and_print_a_table() -> None:
    run = make_run(step=1200)
    assert repr(run) == "<Run gan on digits@1 at step 1200: 2 scores; fd@digits-cnn.pool 0.75 [0.5, 1]>"
    assert repr(make_run(seed=None)) == "<Run gan on digits@1: 2 scores; fd@digits-cnn.pool 0.75 [0.5, 1]>"
    assert repr(make_run(scores=(), failure="diverged", step=3)) == "<Run gan on digits@1 at step 3: failed: diverged>"
    assert "4 scores, 1 of them failed" in repr(full_run())
    assert repr(run.scores[0]) == "<Score fd@digits-cnn.pool against train: 0.65 [0.4, 0.9]>"
    assert repr(make_score(estimate=None)) == "<Score fd@digits-cnn.pool against test: failed: the solver gave up>"
    assert "replicates" not in repr(make_estimate())
    text = str(full_run())
    assert text.count("| fd@digits-cnn.pool ↓") == 3
    assert text.endswith("gave up")


def test_a_score_is_found_by_its_name() -> None:
    run = full_run()
    assert run.score("fd") is run.score("fd@digits-cnn.pool") is run.score() is run.scores[1]
    assert run.score("fd", split="train") is run.scores[0]
    assert run.score("is").split is None
    with pytest.raises(UsageError, match=r"one score of 'kd' expected, got 0; known: fd@digits-cnn.pool, is@"):
        run.score("kd")
    two = make_run(scores=(make_score(), make_score(space="identity.pool")))
    with pytest.raises(UsageError, match="one score of 'fd' expected, got 2"):
        two.score("fd")


def test_a_record_can_be_shown_without_pandas_or_torch() -> None:
    import subprocess

    path = str(Path(__file__).parent / "golden" / "run-1.json")
    code = (
        "import sys; from genbench.records import Run\n"
        f"run = Run.from_json(open({path!r}).read()); repr(run), str(run), run._repr_html_()\n"
        "sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def picture(found: Grid) -> np.ndarray:
    """The pixels of a grid."""
    return np.asarray(Image.open(io.BytesIO(found._repr_png_())))


def test_a_grid_shows_the_samples_that_are_scored(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    found = grid(images, seed=3)
    order = np.random.default_rng(
        genbench.randomness.derive_seed(genbench.randomness.derive_seed(3, "draw"), "samples")
    )
    first = images[order.permutation(40)[0]]
    assert (picture(found)[4:36:4, 4:36:4] == first[0]).all()
    assert repr(found) == "<Grid of 40 samples of array>"
    found.save(tmp_path / "new" / "grid.png")
    assert (tmp_path / "new" / "grid.png").read_bytes() == found.png
    np.save(tmp_path / "images.npy", images)
    assert grid(tmp_path / "images.npy", seed=3).png == found.png
    assert grid(images, n=16).about == "16 samples of array"


def test_a_grid_of_a_generator_has_the_shape_of_the_reference() -> None:
    real = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    by_reference = grid(GaussianSampler(), reference=real, n=50)
    assert picture(by_reference).shape == (384, 384)
    assert picture(grid(GaussianSampler(), event_shape=(2,), n=50)).max() > 0
    with pytest.raises(UsageError, match="pass reference or event_shape"):
        grid(GaussianSampler())
    with pytest.raises(SampleError, match="there is no picture of them"):
        grid(np.zeros((5, 7), dtype=np.float32))


def test_the_public_functions_are_one_family() -> None:
    """What means the same is called the same, and may be given in the same forms."""
    import inspect

    from genbench.callbacks import Evaluator
    from genbench.comparison import compare
    from genbench.scoring import score

    shared = ("reference", "held_out", "metrics", "n", "seed", "device", "benchmark")
    first = inspect.signature(score).parameters
    for other in (compare, Evaluator):
        names = inspect.signature(other).parameters
        for name in shared:
            assert (name in names) is True, (other, name)
            if other is compare:
                assert names[name].annotation == first[name].annotation, name
                assert names[name].default == first[name].default, name


def test_a_reference_may_be_an_array_and_of_another_range_than_what_is_generated() -> None:
    from genbench.scoring import score

    real = np.random.default_rng(0).integers(0, 256, (90, 1, 4, 4), dtype=np.uint8)
    made = np.random.default_rng(1).uniform(-1, 1, (80, 1, 4, 4)).astype(np.float32)
    places = {"metrics": ["fd@identity.pool"], "value_range": (-1, 1), "device": "cpu"}
    by_pixels = score(made, reference=real, **places)
    by_floats = score(made, reference=real.astype(np.float32) / 127.5 - 1, **places)
    assert by_pixels.scores == by_floats.scores
    assert by_pixels.score("fd").n_reference == 90
    with pytest.raises(SampleError, match=r"values in the declared range \[-1, 1\] expected"):
        score(made, reference=real.astype(np.float32), **places)


def test_a_check_takes_arrays_and_is_shown_like_the_rest() -> None:
    from genbench.gate import check, make_baseline

    real, old, new = np.random.default_rng(0).normal(size=(3, 200, 2)).astype(np.float32)
    places = {"reference": real, "device": "cpu"}
    baseline = make_baseline(old, primary="fd", name=HOSTILE, **places)
    result = check(new, baseline, margin="fd:1", **places)
    assert repr(result) == f"<Result PASS: array against {HOSTILE}, reference@1>"
    html = result._repr_html_()
    assert "<script>" not in html
    assert "fd ↓" in html
