"""The gate, end to end on digits: what passes, what fails, what is refused, and that nothing refused ever passes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genbench.cli import main
from genbench.data import load_dataset
from genbench.errors import ProtocolError, SampleError, UsageError
from genbench.gate import check, make_baseline
from genbench.gate.baseline import Baseline, read_baseline, write_baseline
from genbench.records import Run

RESULTS = Path(__file__).resolve().parents[2] / "results" / "digits@1"
FD = "fd@digits-cnn.pool"


class Blurred:
    """Training digits, each moved by noise of this many levels: the more, the worse."""

    def __init__(self, noise: float = 8.0) -> None:
        self.name, self.noise = f"noise{noise:g}", noise
        self.images = load_dataset("digits").train

    def sample(self, n: int, *, seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        images = self.images[rng.integers(len(self.images), size=n)].astype(float)
        return torch.from_numpy((images + self.noise * rng.standard_normal(images.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return make_baseline(Blurred(40.0), benchmark="digits", primary=["fd", "kd"], n=1200)


def test_a_generator_that_did_not_change_differs_by_nothing(baseline: Baseline) -> None:
    """The gate draws with the baseline's seed: the same samples, so that no noise can turn it red."""
    found = check(Blurred(40.0), baseline)
    assert found.verdict == "pass"
    assert found.exit_code == 0
    assert [row.difference for row in found.rows] == [0.0, 0.0]
    assert found.looks == 1


def test_a_worse_generator_is_a_regression(baseline: Baseline) -> None:
    found = check(Blurred(80.0), baseline)
    assert (found.verdict, found.exit_code, found.unit) == ("regression", 1, "samples")
    assert all(row.verdict == "regression" and row.difference > row.margin for row in found.rows)


def test_a_better_generator_passes_and_is_offered_as_the_baseline(baseline: Baseline) -> None:
    found = check(Blurred(8.0), baseline)
    assert found.verdict == "pass"
    assert any("--update" in note for note in found.notes)
    surprised = check(Blurred(8.0), baseline, two_sided=True)
    assert (surprised.verdict, surprised.exit_code) == ("improvement", 1)
    assert surprised.alpha == pytest.approx(0.05 / 3 / 2)


def test_what_the_data_cannot_tell_is_looked_at_again_with_twice_the_samples(baseline: Baseline) -> None:
    """At margin 0 the same model is never better by more: a pass has probability at most .05, and seed 7 has none."""
    found = check(Blurred(40.0), baseline, primary="fd", margin="0", seed=7)
    assert (found.verdict, found.exit_code) == ("inconclusive", 3)
    assert (found.looks, found.most_looks, found.rows[0].n_new) == (3, 3, 4 * 1200)
    assert found.alpha == pytest.approx(0.05 / 3)
    assert "samples" in found.notes[0]
    once = check(Blurred(40.0), baseline, primary="fd", margin="0", seed=7, looks=1)
    assert (once.looks, once.alpha, once.rows[0].n_new) == (1, 0.05, 1200)
    assert once.rows[0].std_error is not None
    assert found.rows[0].std_error is not None
    assert found.rows[0].std_error < once.rows[0].std_error


def test_a_file_is_looked_at_once_at_the_whole_level(baseline: Baseline, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", Blurred(40.0).sample(1500, seed=1).numpy())
    found = check(tmp_path / "x.npy", baseline, margin="0")
    assert (found.looks, found.most_looks, found.alpha) == (1, 1, 0.05)
    np.save(tmp_path / "few.npy", Blurred(40.0).sample(100, seed=1).numpy())
    with pytest.raises(SampleError, match="1,200 samples expected, got 100"):
        check(tmp_path / "few.npy", baseline)


def test_the_noise_of_a_baseline_is_that_of_fresh_draws(baseline: Baseline) -> None:
    """The deviation of 12 draws against the noise from halves: both are known to about a fifth, 3.5 of them is 2."""
    scores = [check(Blurred(40.0), baseline, primary="fd", seed=100 + s, looks=1).rows[0].new for s in range(12)]
    assert 0.5 < np.std(scores, ddof=1) / math.sqrt(baseline.noise[FD] / 1200) < 2


def test_samples_are_gated_against_real_ones_of_the_users_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, shift, n in (("real", 0.0, 2000), ("held", 0.0, 900), ("old", 0.2, 800), ("new", 0.6, 800)):
        np.save(tmp_path / f"{name}.npy", (rng.standard_normal((n, 5)) + shift).astype(np.float32))
    for held_out in ({}, {"held_out": tmp_path / "held.npy"}):
        against = {"reference": tmp_path / "real.npy", **held_out}
        made = make_baseline(tmp_path / "old.npy", **against, margin=["20%"])
        assert check(tmp_path / "new.npy", made, **against).verdict == "regression"
        assert check(tmp_path / "old.npy", made, **against).verdict == "pass"
        with pytest.raises(UsageError, match="--reference"):
            check(tmp_path / "new.npy", made, **held_out)
    with pytest.raises(SampleError, match="--held-out"):
        check(tmp_path / "new.npy", made, reference=tmp_path / "real.npy")
    with pytest.raises(ProtocolError, match="unlike protocols"):
        check(tmp_path / "new.npy", make_baseline(tmp_path / "old.npy", reference=tmp_path / "real.npy"),
              reference=tmp_path / "held.npy")  # fmt: skip


def test_features_are_gated_as_samples_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, shift in (("old", 0.0), ("new", 3.0)):
        np.save(tmp_path / f"{name}.npy", (rng.standard_normal((700, 64)) + shift).astype(np.float32))
    options: dict[str, Any] = {"benchmark": "digits", "features": "digits-cnn.pool"}
    made = make_baseline(tmp_path / "old.npy", **options)
    assert made.primary == (FD,)
    assert check(tmp_path / "new.npy", made, features="digits-cnn.pool").verdict == "regression"


# Of records, by the command line.


def records(tmp_path: Path, change: Callable[[Run], Run] = lambda run: run, seeds: int = 5) -> str:
    """A results folder with the committed trainings of WGAN-GP, changed."""
    folder = tmp_path / "digits@1" / "records" / "wgan-gp"
    folder.mkdir(parents=True)
    for file in sorted((RESULTS / "records" / "wgan-gp").glob("*step0001200.json"))[:seeds]:
        (folder / file.name).write_text(change(Run.from_json(file.read_text())).to_json())
    return f"{tmp_path / 'digits@1'}:wgan-gp"


def shifted(run: Run, by: float) -> Run:
    def moved(score: Any) -> Any:
        if score.key != FD or score.estimate is None:
            return score
        best = score.estimate.best + by
        return replace(score, estimate=replace(score.estimate, debiased=best))

    return replace(run, scores=tuple(moved(score) for score in run.scores))


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gate") / "wgan-gp.json"
    write_baseline(path, make_baseline(f"{RESULTS}:wgan-gp"))
    return path


def test_trainings_are_gated_seed_by_seed(committed: Path, tmp_path: Path) -> None:
    same = check(f"{RESULTS}:wgan-gp", committed)
    assert (same.unit, same.runs_new, same.runs_baseline, same.rows[0].difference) == ("seeds", 5, 5, 0.0)
    assert same.verdict in {"pass", "inconclusive"}
    worse = check(records(tmp_path, lambda run: shifted(run, 3.0)), committed)
    assert (worse.verdict, worse.unit) == ("regression", "seeds")


def test_another_seed_is_never_a_regression_where_the_seed_is_the_unit() -> None:
    def file(seed: int) -> Run:
        return Run.from_json((RESULTS / "records" / "wgan-gp" / f"seed{seed}-step0001200.json").read_text())

    alone = check(file(1), make_baseline(file(0)))
    assert (alone.unit, alone.verdict) == ("seeds", "inconclusive")
    assert "nothing" in alone.concludes
    several = check(file(1), make_baseline([file(s) for s in (0, 2, 3, 4)]))
    assert (several.unit, several.runs_new) == ("seeds", 1)
    assert several.verdict in {"pass", "inconclusive"}


def nan(run: Run) -> str:
    text = json.loads(run.to_json())
    for score in text["scores"]:
        if score["metric"] == "fd":
            score["estimate"]["debiased"] = math.nan
    return json.dumps(text)


REFUSED: dict[str, tuple[Callable[[Run], Run], str]] = {
    "missing metric": (lambda run: replace(run, scores=run.scores[-1:]), "has no fd"),
    "failed run": (lambda run: replace(run, scores=(), failure="diverged at 7"), "diverged at 7"),
    "failed metric": (
        lambda run: replace(run, scores=tuple(replace(s, estimate=None, failure="no answer") for s in run.scores)),
        "no answer",
    ),
    "other version": (lambda run: replace(run, benchmark="digits@2"), "benchmark"),
    "other weights": (
        lambda run: replace(
            run, protocol="ee" * 32, scores=tuple(replace(s, fingerprint="12" * 32) for s in run.scores)
        ),
        "extractor digits-cnn",
    ),
    "other protocol": (lambda run: replace(run, protocol="ee" * 32), "unlike protocols"),
    "quick": (lambda run: replace(run, quick=True), "benchmark"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
@pytest.mark.parametrize("side", ["new", "baseline"])
def test_what_cannot_be_judged_is_exit_code_3_and_a_sentence(
    name: str, side: str, committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = REFUSED[name]
    source = records(tmp_path, change)
    for file in Path(source.removesuffix(":wgan-gp")).rglob("*.json") if "other version" in name else ():
        assert '"digits@2"' in file.read_text()
    new, against = source, committed
    if side == "baseline":
        if name in {"missing metric", "failed run", "failed metric"}:  # of which no baseline is made
            with pytest.raises(SampleError, match=message):
                make_baseline(source)
            return
        write_baseline(tmp_path / "bad.json", make_baseline(source))
        new, against = f"{RESULTS}:wgan-gp", tmp_path / "bad.json"
    assert main(["check", new, "--against", str(against), "--junit", str(tmp_path / "junit.xml")]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert "<error" in (tmp_path / "junit.xml").read_text()


def test_a_nan_is_exit_code_3(committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.from_json((RESULTS / "records" / "wgan-gp" / "seed0-step0001200.json").read_text())
    (tmp_path / "nan.json").write_text(nan(run))
    assert main(["check", str(tmp_path / "nan.json"), "--against", str(committed)]) == 3
    assert "not finite" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "edited", "none"])
def test_a_damaged_baseline_is_exit_code_3(
    damage: str, committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = committed.read_text()
    path = tmp_path / "b.json"
    if damage != "none":
        path.write_text(text[:500] if damage == "cut" else text.replace('"debiased": ', '"debiased": 1'))
    assert main(["check", f"{RESULTS}:wgan-gp", "--against", str(path)]) == 3
    assert str(path) in capsys.readouterr().err


def test_records_are_checked_without_torch(committed: Path) -> None:
    code = (
        "import sys; from genbench.cli import main; "
        f"code = main(['check', {f'{RESULTS}:wgan-gp'!r}, '--against', {str(committed)!r}, '--allow-inconclusive']); "
        "assert 'torch' not in sys.modules, 'torch'; sys.exit(code)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_the_commands_update_plan_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ci" / "base.json"
    np.save(tmp_path / "old.npy", Blurred(40.0).sample(700, seed=1).numpy())
    np.save(tmp_path / "new.npy", Blurred(90.0).sample(700, seed=2).numpy())
    quiet = ["--against", str(path), "--no-cache"]
    assert (
        main(["check", str(tmp_path / "old.npy"), "--update", "--benchmark", "digits", "--primary", "fd", *quiet]) == 0
    )
    assert read_baseline(path).primary == (FD,)
    assert "commit" in capsys.readouterr().out
    assert main(["check", "--plan", "--against", str(path), "--difference", "fd:50%", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["check", str(tmp_path / "old.npy"), *quiet]) == 0
    assert "PASS" in capsys.readouterr().out
    code = main(["check", str(tmp_path / "new.npy"), "--json", "--markdown", str(tmp_path / "x.md"), *quiet])
    found = json.loads(capsys.readouterr().out)
    assert code == found["exit_code"] == 1
    assert found["rows"][0]["verdict"] == "regression"
    assert "regression" in (tmp_path / "x.md").read_text().lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "NEW expected"),
        (["x.npy", "--margin", "fd:-3"], "--margin"),
        (["x.npy", "--margin", "kd:3"], "kd"),
        (["x.npy", "--primary", "fdd"], "Did you mean"),
        (["x.npy", "--alpha", "0.9"], "alpha"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], message: str, committed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *arguments, "--against", str(committed)]) == 2
    assert message in capsys.readouterr().err
