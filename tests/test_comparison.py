"""``genbench compare``: the right unit, the known difference, and no comparison of what is not alike."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import stdtr, stdtrit
from scipy.stats import ttest_ind

from genbench.comparison import compare, compare_sides
from genbench.errors import ProtocolError, SampleError, UsageError
from genbench.records import Run, Score
from genbench.sides import Side, read_side
from genbench.store import Store
from tests.makers import make_estimate, make_run, make_score


def side(label: str, *runs: Run) -> Side:
    """A side of given records."""
    return Side(label=label, runs=runs)


def jittered(value: float, seed: int, **changes: object) -> Score:
    """A score with replicates that do not depend on another's."""
    replicates = tuple(np.random.default_rng(seed).normal(value, 0.01, 20).tolist())
    return make_score(estimate=make_estimate(value, replicates=replicates), **changes)


def test_several_trainings_on_both_sides_are_compared_by_welch() -> None:
    values = [1.0, 1.4, 1.9], [3.0, 2.2, 2.9, 3.3]
    sides = [side(m, *(make_run(m, s, v) for s, v in enumerate(vs))) for m, vs in zip("ab", values, strict=True)]
    (found,) = compare_sides(*sides).to_dict("records")
    expected = ttest_ind(*values, equal_var=False)
    assert found["difference"] == pytest.approx(np.mean(values[0]) - np.mean(values[1]))
    assert (found["low"], found["high"]) == pytest.approx(expected.confidence_interval(0.95))
    assert found["p_value"] == found["p_holm"] == pytest.approx(expected.pvalue)
    assert (found["unit"], found["runs_a"], found["runs_b"], found["verdict"]) == ("seeds", 3, 4, "a better")


def test_single_runs_are_compared_by_the_jackknife_of_the_difference() -> None:
    one, other = jittered(2.0, 0), jittered(1.0, 1)
    (found,) = compare_sides(side("a", make_run(scores=(one,))), side("b", make_run(scores=(other,)))).to_dict(
        "records"
    )
    assert one.estimate is not None
    assert other.estimate is not None
    d = np.subtract(one.estimate.replicates, other.estimate.replicates)
    error = math.sqrt(19 / 20 * ((d - d.mean()) ** 2).sum())
    assert (found["difference"], found["unit"], found["verdict"]) == (1.0, "samples", "b better")
    assert found["high"] == pytest.approx(1.0 + stdtrit(19, 0.975) * error)
    assert found["p_value"] == pytest.approx(2 * stdtr(19, -1.0 / error))


def test_verdicts_follow_the_direction_of_the_metric() -> None:
    def run(value: float, seed: int) -> Run:
        near = make_estimate(value, debiased=None, null=2.0, replicates=(), std_error=0.01)
        scores = (jittered(value, seed), jittered(value, seed + 9, better="higher", metric="is", split=None))
        return make_run(scores=(*scores, make_score(metric="rke", better="match", estimate=near)))

    table = compare_sides(side("a", run(2.1, 0)), side("b", run(3.0, 1))).set_index("metric")
    assert dict(table["verdict"]) == {
        "fd@digits-cnn.pool": "a better",
        "is@digits-cnn.pool": "b better",
        "rke@digits-cnn.pool": "a better",
    }
    assert table["difference"]["rke@digits-cnn.pool"] == pytest.approx(0.1 - 1.0)


def test_p_values_are_adjusted_for_the_number_of_metrics_that_were_tested() -> None:
    def run(shift: float, seed: int) -> Run:
        scores = [jittered(1 + shift, 50 * seed + i, metric=f"m{i}") for i in range(4)]
        exact = make_score(
            metric="exact", estimate=make_estimate(1.0, replicates=(), std_error=None, low=None, high=None)
        )
        return make_run(scores=(*scores, exact))

    table = compare_sides(side("a", run(0.0, 0)), side("b", run(0.02, 1))).set_index("metric")
    tested = table[table["p_value"].notna()]
    assert len(tested) == 4
    assert tested["p_holm"].min() == pytest.approx(min(1.0, 4 * tested["p_value"].min()))
    assert table["verdict"]["exact@digits-cnn.pool"] == "equal"


def test_a_model_against_itself_is_equal() -> None:
    run = make_run()
    table = compare_sides(side("a", run), side("b", run))
    assert (table["difference"] == 0).all()
    assert set(table["verdict"]) == {"equal"}


def test_failed_runs_are_counted_and_in_no_mean() -> None:
    failed = make_run("a", 2, scores=(), failure="diverged")
    a, b = (
        side("a", make_run("a", 0, 1.0), make_run("a", 1, 1.2), failed),
        side("b", make_run("b", 0), make_run("b", 1)),
    )
    table = compare_sides(a, b)
    assert table["runs_a"].tolist() == [2]
    assert "A 2, and 1 failed, which are in no mean; B 2" in str(compare(a, b))
    with pytest.raises(SampleError, match="diverged"):
        compare(side("a", failed), b)


def test_the_table_says_what_its_unit_can_conclude() -> None:
    one, several = side("a", make_run(None, None)), side("b", make_run("b", 0), make_run("b", 1, 2.0))
    for sides, said in (
        ((one, one), "of other trainings"),
        ((several, several), "recipes"),
        ((one, several), "single"),
    ):
        assert said in str(compare(*sides))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"benchmark": "ring8@1"}, r"benchmark \(digits@1 and ring8@1\)"),
        ({"scores": (make_score(fingerprint="ef" * 32),)}, r"extractor digits-cnn \(abababababab and efefefefefef\)"),
        ({"scores": (make_score(n_generated=300),)}, r"n of fd@digits-cnn.pool \(599 and 300\)"),
        ({"scores": (make_score(options={"mode": "analytic"}),)}, "options of fd@digits-cnn.pool"),
        ({"scores": (make_score(), make_score(metric="kd"))}, r"metrics that one side lacks \(kd@digits-cnn.pool\)"),
        ({}, "the data, or an option"),
    ],
)
def test_unlike_protocols_are_refused_with_what_differs(changes: dict[str, object], said: str) -> None:
    other = make_run("b", protocol="ef" * 32, **changes)
    with pytest.raises(ProtocolError, match=said):
        compare(side("a", make_run("a")), side("b", other))


def test_sides_without_a_common_metric_cannot_be_compared() -> None:
    with pytest.raises(SampleError, match="share no metric"):
        compare(side("a", make_run()), side("b", make_run(scores=(make_score(metric="kd"),))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A results folder with two trainings of two models, and a start of a third."""
    store = Store(tmp_path, "digits@1")
    for model, value in (("gan", 1.0), ("vae", 3.0)):
        for seed in (0, 1):
            store.write(make_run(model, seed, value + seed / 10))
    store.write(make_run("gan", 0, 9.0, step=3000, final=False))
    store.write(make_run("late", 0, 9.0, step=3000, final=False))
    return store.folder


def test_a_side_is_a_folder_and_a_model_or_the_file_of_a_record(folder: Path) -> None:
    assert [run.train_seed for run in read_side(f"{folder}:gan").runs] == [0, 1]
    early = read_side(str(folder / "records" / "gan" / "seed0-step0003000.json"))
    assert early.label == "gan seed 0 step 3000"
    assert compare_sides(early, read_side(f"{folder}:vae"))["unit"].tolist() == ["mixed"]


def test_a_side_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither"):
        read_side("nothing.json")
    with pytest.raises(UsageError, match="models there: gan, late, vae"):
        read_side(f"{folder}:wgan")
    with pytest.raises(SampleError, match="no final record"):
        read_side(f"{folder}:late")
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    with pytest.raises(ProtocolError, match=r"bad\.json"):
        read_side(str(bad))


def call(arguments: list[str]) -> int:
    """Call the verb as the command line does."""
    import argparse

    from genbench.cli import compare as verb

    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    args = parser.parse_args(["compare", *arguments])
    return int(args.call(args))


def test_the_verb_prints_markdown_or_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([f"{folder}:gan", f"{folder}:vae"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# digits@1: A = gan, B = vae\n")
    assert "| fd@digits-cnn.pool ↓ |" in text
    assert call([f"{folder}:gan", f"{folder}:vae", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["a"], said["b"], said["failed_a"]) == ("gan", "vae", 0)
    assert said["metrics"][0]["difference"] == pytest.approx(-2.0)


def test_sides_come_in_every_form_of_records(folder: Path) -> None:
    gan, vae = (
        [make_run(model, seed, value + seed / 10) for seed in (0, 1)] for model, value in (("gan", 1.0), ("vae", 3.0))
    )
    by_name = compare(f"{folder}:gan", f"{folder}:vae")
    assert str(compare(gan, vae)) == str(compare(side("gan", *gan), tuple(vae))) == str(by_name)
    assert compare(gan[0], vae[1]).table["unit"].tolist() == ["samples"]
    assert "A = gan (A), B = gan (B)" in repr(compare(gan[0], gan[1]))
    assert "A = old, B = new" in repr(compare(gan[0], gan[1], names=("old", "new")))
    with pytest.raises(UsageError, match="records of one model expected, got those of gan, vae"):
        compare([gan[0], vae[0]], vae)
    with pytest.raises(UsageError, match=r"Name one, as .*:gan"):
        compare(folder, vae)


def test_a_notebook_shows_what_the_terminal_does_with_names_escaped() -> None:
    found = compare(make_run("<b>mine</b>"), make_run("theirs", value=3.0))
    html = found._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;mine" in html
    for row in found.table.itertuples():
        assert row.metric in html
    assert "of other trainings" in html
    assert repr(found).endswith("1 metrics, A better in 1, B in 0>")


POINTS = np.random.default_rng(0).normal(size=(3, 300, 2)).astype(np.float32)


def test_samples_and_generators_are_scored_first() -> None:
    def far(n: int, *, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(1.0, 1, (n, 2))

    places = {"reference": POINTS[0], "metrics": ["fd", "coverage"], "n": 300, "device": "cpu"}
    found = compare(POINTS[1], far, **places)
    assert (found.a.label, found.b.label) == ("array", "far")
    assert found.table.set_index("metric")["verdict"]["fd@identity.pool"] == "a better"
    with pytest.raises(UsageError, match="near: samples or a generator, which need a benchmark or a reference"):
        compare(POINTS[1], far, names=("near", "far"))


def test_a_generator_is_scored_as_the_record_that_it_is_held_against_was() -> None:
    from genbench.benchmarks import load_benchmark
    from genbench.data import load_dataset
    from genbench.scoring import score

    points = load_dataset("ring8").test
    mine = score(points, load_benchmark("ring8", quick=True), device="cpu", name="mine")
    found = compare(mine, 2 * points, device="cpu", names=("mine", "wide"))
    assert found.a.runs[0].benchmark == found.b.runs[0].benchmark == "ring8@1-quick"
    assert found.table.set_index("metric")["verdict"]["w1@identity.pool"] == "a better"
    strange = make_run(benchmark="elsewhere@1")
    with pytest.raises(UsageError, match="neither was given"):
        compare(strange, points)


def test_comparing_needs_no_torch(folder: Path) -> None:
    import subprocess

    code = (
        "import sys; from genbench.comparison import compare\n"
        f"compare({str(folder) + ':gan'!r}, {str(folder) + ':vae'!r})\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
