"""Figures for papers: those there are data for, in every form, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from genbench.errors import SampleError, SetupError, UsageError
from genbench.plots import MARKERS, PALETTE, write_plots
from genbench.records import Run
from genbench.store import Store
from genbench.tables import learning_curves
from tests.makers import make_benchmark, make_estimate, make_run, make_score

BENCHMARK = make_benchmark(name="digits", primary="fd@digits-cnn.pool", curve=("fd@digits-cnn.pool",))


def final(model: str, seed: int, value: float) -> Run:
    """A finished training with a score of each kind, and what it cost."""
    share = make_estimate(value / 20, debiased=None, std_error=None, low=None, high=None)
    pair = [make_score(metric=name, better="higher", estimate=share) for name in ("precision", "recall")]
    cost = {"parameters": 1000 * (1 + len(model)), "train_seconds": 10.0 + seed, "samples_per_second": 99.0}
    return make_run(model, seed, scores=(make_score(value), *pair), cost=cost)


def curve(model: str, seed: int) -> list[Run]:
    """A training with two stops and an end."""
    early = [make_run(model, seed, 9.0 / step + seed, step=step, final=False) for step in (1, 2)]
    return [*early, final(model, seed, 2.0 + seed / 10)]


RUNS = [run for model in ("gan", "vae") for seed in (0, 1) for run in curve(model, seed)]
RUNS.append(make_run("real", None, 0.5, recipe={"control": "real samples"}))


def test_curves_are_means_over_seeds_of_debiased_scores_with_their_t_interval() -> None:
    table = learning_curves(RUNS, "fd@digits-cnn.pool")
    assert table[["model", "step", "seeds"]].values.tolist() == [
        [m, s, 2] for m in ("gan", "vae") for s in (1, 2, 6000)
    ]
    first = table.iloc[0]
    # Debiased 8.75 and 9.75: mean 9.25, standard error .5, t of one degree 12.706.
    assert first[["mean", "low", "high"]].tolist() == pytest.approx([9.25, 9.25 - 6.353, 9.25 + 6.353], abs=1e-3)


def test_a_curve_of_one_seed_has_no_band() -> None:
    table = learning_curves(curve("gan", 0), "fd@digits-cnn.pool")
    assert table["low"].isna().all()
    assert table["mean"].tolist() == [8.75, 4.25, 1.75]


def test_no_two_of_many_models_look_alike() -> None:
    looks = {(PALETTE[i % len(PALETTE)], MARKERS[(i + i // len(PALETTE)) % len(MARKERS)]) for i in range(49)}
    assert len(looks) == 49


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SetupError, match=r"genbench\[plots\]"):
        write_plots(RUNS, BENCHMARK, tmp_path)


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pdf, svg, png"):
        write_plots(RUNS, BENCHMARK, tmp_path, form="gif")


@pytest.mark.parametrize(("form", "magic"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_every_figure_is_written_in_every_form_and_again_to_the_same_bytes(
    form: str, magic: bytes, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    first = write_plots(RUNS, BENCHMARK, tmp_path / "one", form=form)
    assert [path.name for path in first] == [
        f"{name}.{form}" for name in ("primary", "curve-fd-digits-cnn.pool", "precision-recall-digits-cnn.pool", "cost")
    ]
    again = write_plots(RUNS, BENCHMARK, tmp_path / "two", form=form)
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes().startswith(magic)
        assert one.read_bytes() == two.read_bytes()


def test_figures_name_every_model_and_what_has_no_rank(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    failed = make_run("vae", 2, scores=(), failure="diverged")
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        write_plots([*RUNS, failed, final("gan", 2, 2.0)], BENCHMARK, tmp_path, form="svg")
    for name in ("primary", "cost"):
        text = (tmp_path / f"{name}.svg").read_text()
        assert ">gan<" in text
        assert ">vae (no rank)<" in text
    assert ">(real)<" in (tmp_path / "primary.svg").read_text()


def test_records_without_curves_or_costs_give_fewer_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    names = [path.stem for path in write_plots([make_run("mine", None, 1.0)], BENCHMARK, tmp_path)]
    assert names == ["primary"]
    with pytest.raises(SampleError, match="no score of"):
        write_plots([make_run("gan", 0, scores=(), failure="diverged")], BENCHMARK, tmp_path)


def test_the_verb_draws_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    import argparse

    from genbench.cli import export as verb

    store = Store(tmp_path, "digits@1")
    for run in RUNS:
        store.write(run)
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    args = parser.parse_args(["plots", str(store.folder), "--out", str(tmp_path / "figures"), "--format", "svg"])
    assert args.call(args) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4
    assert all(Path(line).exists() for line in said)
