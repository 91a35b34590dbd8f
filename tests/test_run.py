"""The main job: what exists is not made again, and a killed run ends where an uninterrupted one does."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

import genbench.publish
import genbench.run
from genbench.definitions import Budget, MetricSpec
from genbench.errors import DeclarationError, ProtocolError, SetupError, UsageError
from genbench.evaluate import Evaluator
from genbench.run import add_score, run_benchmark, train_baseline
from genbench.scoring import score
from genbench.store import Store
from genbench.tables import CONTROLS, is_control
from genbench.training import Speed
from genbench.training.checkpoint import parse_document, read_payload
from genbench.training.health import leaves
from tests.makers import GaussianSampler, make_benchmark

TINY = """
name = "tiny"
version = 1
dataset = "ring8"
n = 200
seeds = [0, 1]
checkpoints = 3
primary = "fd@identity.pool"
[metrics]
"fd@identity.pool" = {}
"coverage@identity.pool" = {}
[baselines.gan]
steps = 600
batch = 64
"""


def tables(folder: Path) -> dict[str, str]:
    """Hash everything that a run leaves for its reader, except what holds times: records, report, some columns.

    A hidden file is what a killed process had half written: under a name of its own, which nobody reads.
    """
    timed = {"records", "checkpoints", "report.html"}
    kept = [p for p in folder.rglob("*") if p.is_file() and not timed & set(p.parts) and not p.name.startswith(".")]
    return {str(p.relative_to(folder)): hashlib.sha256(without_times(p)).hexdigest() for p in sorted(kept)}


def without_times(path: Path) -> bytes:
    """Return a file's bytes, those of a table without the columns that hold times."""
    content = path.read_bytes()
    if path.suffix != ".csv" or b"second" not in content:
        return content
    frame = pd.read_csv(path, dtype=str)
    return frame[[c for c in frame if "seconds" not in c and not c.endswith("_per_second")]].to_csv().encode()


def test_a_run_leaves_records_tables_pictures_and_losses(tmp_path: Path) -> None:
    runs = run_benchmark(make_benchmark(), out=tmp_path, device="cpu")
    controls = [run for run in runs if is_control(run)]
    assert {run.sampler for run in controls} == set(CONTROLS)
    assert all(run.final and run.train_seed is None for run in controls)
    assert len(runs) - len(controls) == 2 * 2 * 2
    assert sum(run.final for run in runs) - len(controls) == 4
    assert all(run.failure is None for run in runs)
    assert {run.recipe["options"]["n_critic"] for run in runs if run.sampler == "wgan-gp"} == {3}
    assert sorted(tables(tmp_path / "tiny@1")) == sorted(
        [f"{t}.{end}" for t in ("generalization", "leaderboard", "stability") for end in ("csv", "md")]
        + [f"{t}.csv" for t in ("scores", "verdicts", "comparisons", "profiles", "curves", "memorization")]
        + ["leaderboard.tex"]
        + [f"{kind}/{m}-seed{s}.{end}" for kind, end in (("grids", "png"), ("losses", "csv"))
           for m in ("gan", "wgan-gp") for s in (0, 1)]
        + [f"grids/{name}.png" for name in CONTROLS]
    )  # fmt: skip


def test_along_training_only_the_curve_is_scored_and_at_the_end_everything(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    for run in run_benchmark(benchmark, out=tmp_path, device="cpu", controls=False):
        wanted = {s.key for s in benchmark.metrics} if run.final else set(benchmark.curve)
        assert {s.key for s in run.scores} == wanted


def test_the_second_run_makes_nothing_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_benchmark(make_benchmark(), out=tmp_path, device="cpu")
    before = tables(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr("genbench.jobs.Job.__init__", refuse)
    assert run_benchmark(make_benchmark(), out=tmp_path, device="cpu") == first
    assert tables(tmp_path) == before


def test_a_record_that_was_removed_is_made_again_to_the_same_numbers(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    before = {(r.sampler, r.step): r.scores for r in run_benchmark(benchmark, out=tmp_path, device="cpu")}
    Store(tmp_path, benchmark.id).path("gan", 0, 20).unlink()
    after = {(r.sampler, r.step): r.scores for r in run_benchmark(benchmark, out=tmp_path, device="cpu")}
    assert after == before


@pytest.mark.parametrize("moment", ["before record", "after record", "after checkpoint", "in tables"])
def test_an_interruption_at_any_moment_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    benchmark = make_benchmark(checkpoints=3, metrics=(MetricSpec(metric="fd", extractor="identity", layer="pool"),))
    run_benchmark(benchmark, out=tmp_path / "whole", device="cpu")
    for count in (1, 4):
        with monkeypatch.context() as patch:
            _interrupt(patch, moment, count)
            with pytest.raises(KeyboardInterrupt):
                run_benchmark(benchmark, out=tmp_path / "cut", device="cpu")
    run_benchmark(benchmark, out=tmp_path / "cut", device="cpu")
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


def _interrupt(patch: pytest.MonkeyPatch, moment: str, count: int) -> None:
    """Make the count-th passage of a moment raise, as Ctrl-C would."""
    passed = 0

    def after(function: Any, *, first: bool) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal passed
            passed += 1
            if first and passed >= count:
                raise KeyboardInterrupt
            result = function(*args, **kwargs)
            if passed >= count:
                raise KeyboardInterrupt
            return result

        return wrapped

    if moment == "before record":
        patch.setattr(Store, "write", after(Store.write, first=True))
    elif moment == "after record":
        patch.setattr(Store, "write", after(Store.write, first=False))
    elif moment == "in tables":
        patch.setattr(genbench.publish, "write_atomic", after(genbench.publish.write_atomic, first=True))
    else:
        from genbench.training import harness

        patch.setattr(harness, "save_state", after(harness.save_state, first=False))


def test_a_killed_process_resumes_to_the_same_tables(tmp_path: Path) -> None:
    """SIGKILL at three moments of a real run: while it imports, and while it trains."""
    toml = tmp_path / "tiny.toml"
    toml.write_text(TINY)

    def command(out: str) -> list[str]:
        return [sys.executable, "-m", "genbench", "run", str(toml), "--out", str(tmp_path / out), "--device", "cpu"]

    whole = subprocess.run(command("whole"), capture_output=True, text=True, timeout=300, check=True)
    assert "tiny@1: stability" in whole.stdout
    assert "seed 1" in whole.stderr
    kills = 0
    for records in (0, 1, 4):
        process = subprocess.Popen(command("cut"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if len(list((tmp_path / "cut").rglob("records/*/*.json"))) >= records:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.02)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert kills == 3
    again = subprocess.run(command("cut"), capture_output=True, text=True, timeout=300, check=True)
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")
    assert again.stdout.replace("cut", "whole") == whole.stdout


class Diverging:
    """A trainer whose loss is lost after 60 updates."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, batch: Tensor) -> Mapping[str, Tensor]:
        self.steps += 1
        return {"loss": torch.tensor(float("nan") if self.steps > 60 else 1.0)}

    def sampler(self) -> GaussianSampler:
        return GaussianSampler()

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]


def test_a_diverged_training_is_a_failed_record_and_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from baselines.gan import GAN

    def build(self: GAN, event_shape: tuple[int, ...], **options: Any) -> Any:
        return Diverging()

    monkeypatch.setattr(GAN, "build", build)
    benchmark = make_benchmark(seeds=(0,))
    benchmark = replace(benchmark, baselines={**benchmark.baselines, "gan": Budget(steps=200, batch=8)})
    finals = {run.sampler: run for run in run_benchmark(benchmark, out=tmp_path, device="cpu") if run.final}
    assert "loss is not finite" in (finals["gan"].failure or "")
    assert finals["gan"].scores == ()
    assert finals["wgan-gp"].failure is None
    text = (tmp_path / "tiny@1" / "leaderboard.csv").read_text()
    assert "nan" not in text.lower().replace("gan", "")


def test_records_of_another_protocol_or_recipe_are_refused(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path, device="cpu")
    with pytest.raises(ProtocolError, match="another protocol"):
        run_benchmark(replace(benchmark, n=150, seeds=(0, 1)), out=tmp_path, device="cpu")
    longer = replace(benchmark, baselines={"gan": Budget(steps=40, batch=16)})
    with pytest.raises(ProtocolError, match="another recipe"):
        run_benchmark(longer, out=tmp_path, device="cpu")


def test_an_option_that_a_baseline_does_not_have_is_named(tmp_path: Path) -> None:
    benchmark = make_benchmark(baselines={"gan": Budget(steps=4, batch=4, options={"learning_rate": 1})})
    with pytest.raises((DeclarationError, UsageError), match="learning_rate"):
        run_benchmark(benchmark, out=tmp_path, device="cpu")


def test_a_place_that_cannot_be_written_to_is_found_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="--out"):
        run_benchmark(make_benchmark(), out=tmp_path / "file", device="cpu")


def test_samples_from_outside_join_the_tables(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path, device="cpu")
    mine = score(GaussianSampler("mine"), benchmark, device="cpu")
    runs = add_score(mine, benchmark, out=tmp_path)
    assert {run.sampler for run in runs} == {"gan", "wgan-gp", "mine", *CONTROLS}
    assert ",mine," in (tmp_path / "tiny@1" / "leaderboard.csv").read_text()
    for taken in ("gan", "replay"):
        with pytest.raises(UsageError, match="--name"):
            add_score(replace(mine, sampler=taken), benchmark, out=tmp_path)


def test_without_controls_there_are_none_and_a_later_run_adds_them(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    plain = run_benchmark(benchmark, out=tmp_path / "cut", device="cpu", controls=False)
    assert not any(is_control(run) for run in plain)
    run_benchmark(benchmark, out=tmp_path / "cut", device="cpu")
    run_benchmark(benchmark, out=tmp_path / "whole", device="cpu")
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_samples_under_the_name_of_a_control_are_not_taken_for_it(tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    store = Store(tmp_path, benchmark.id)
    store.write(replace(score(GaussianSampler("gaussian"), benchmark, device="cpu")))
    with pytest.raises(ProtocolError, match="--no-controls"):
        run_benchmark(benchmark, out=tmp_path, device="cpu")


def test_a_record_of_another_recipe_is_refused_though_its_seed_is_not_asked_for(tmp_path: Path) -> None:
    """Tables average over every seed in the folder."""
    benchmark = make_benchmark(seeds=(0,))
    train_baseline(benchmark, "gan", seed=7, out=tmp_path, options={"lr": 1e-3}, device="cpu")
    with pytest.raises(ProtocolError, match=r"seed7-step0000020\.json: trained by another recipe"):
        run_benchmark(benchmark, out=tmp_path, device="cpu")


def _trainer_state(path: Path) -> dict[str, Any]:
    """Every number that the next update depends on, by its path in the state."""
    payload = read_payload(path)
    assert payload is not None
    state = parse_document(path, payload, torch.device("cpu"))["state"]
    return {name: value for name, value in leaves(state["trainer"]) if not isinstance(value, (str, type(None)))}


def test_one_cell_trained_alone_leaves_the_files_of_the_whole_run(tmp_path: Path) -> None:
    benchmark = make_benchmark()
    run_benchmark(benchmark, out=tmp_path / "whole", device="cpu")
    trained = train_baseline(benchmark, "gan", seed=1, out=tmp_path / "one", device="cpu")
    assert trained.checkpoint == tmp_path / "one" / "tiny@1" / "checkpoints" / "gan" / "seed1.pt"
    assert [run.step for run in trained.runs] == [20, 40]
    mine, theirs = (
        _trainer_state(tmp_path / name / "tiny@1" / "checkpoints" / "gan" / "seed1.pt") for name in ("one", "whole")
    )
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(theirs[key])) for key in mine)
    for file in [trained.losses, tmp_path / "one" / "tiny@1" / "grids" / "gan-seed1.png"]:
        assert file.read_bytes() == (tmp_path / "whole" / file.relative_to(tmp_path / "one")).read_bytes()
    whole = {(r.sampler, r.train_seed, r.step): r.scores for r in Store(tmp_path / "whole", "tiny@1").runs()}
    for run in trained.runs:
        assert run.scores == whole[run.sampler, run.train_seed, run.step]
    scored = score(str(trained.checkpoint), benchmark, seed=1, device="cpu")
    assert scored.scores == trained.runs[-1].scores


def test_a_baseline_without_a_budget_needs_steps_and_batch(tmp_path: Path) -> None:
    benchmark = make_benchmark()
    with pytest.raises(UsageError, match=r"no budget for .vae.*--steps"):
        train_baseline(benchmark, "vae", seed=0, out=tmp_path, device="cpu")
    trained = train_baseline(benchmark, "vae", seed=0, out=tmp_path, steps=10, batch=8, device="cpu")
    assert [run.step for run in trained.runs] == [5, 10]


def test_a_recipe_in_bf16_is_another_recipe_and_its_scores_are_in_full_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watch(self: Evaluator, *args: Any, **kwargs: Any) -> Any:
        seen.append((torch.is_autocast_enabled("cpu"), torch.get_float32_matmul_precision()))
        return see(self, *args, **kwargs)

    see = Evaluator.see
    monkeypatch.setattr(Evaluator, "see", watch)
    benchmark = make_benchmark(seeds=(0,), baselines={"gan": Budget(steps=20, batch=16)})
    runs = run_benchmark(benchmark, out=tmp_path, device="cpu", controls=False, speed=Speed(precision="bf16"))
    assert {run.recipe["precision"] for run in runs} == {"bf16"}
    assert set(seen) == {(False, "highest")}
    with pytest.raises(ProtocolError, match="another recipe"):
        run_benchmark(benchmark, out=tmp_path, device="cpu", controls=False)
