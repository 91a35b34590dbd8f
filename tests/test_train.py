"""A baseline of a user's own, and `genbench train`: trained, scored and in every table with no change to genbench."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from genbench.benchmarks import load_benchmark
from genbench.cli import train as train_verb
from genbench.errors import EXIT_OK, GenbenchError, UnknownNameError, UsageError
from genbench.run import run_benchmark
from genbench.scoring import score

BELL = "tests.training.own_baseline:Bell"
CELL = "tests.training.own_baseline.Bell"
TINY = f"""
name = "tiny"
version = 1
dataset = "ring8"
n = 100
seeds = [0, 1]
checkpoints = 2
primary = "fd@identity.pool"
[metrics]
"fd@identity.pool" = {{}}
"modes_share@identity.pool" = {{}}
[baselines.gan]
steps = 20
batch = 16
[baselines."{BELL}"]
steps = 300
batch = 64
options = {{ lr = 0.02 }}
"""


@pytest.fixture
def toml(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def command(*arguments: str) -> int:
    """Run ``genbench train`` with these arguments."""
    top = argparse.ArgumentParser()
    train_verb.add_parser(top.add_subparsers())
    args = top.parse_args(["train", *arguments])
    code: int = args.call(args)
    return code


def test_a_baseline_of_ones_own_is_trained_scored_and_in_every_table(toml: str, tmp_path: Path) -> None:
    benchmark = load_benchmark(toml)
    runs = run_benchmark(benchmark, out=tmp_path, device="cpu", controls=False)
    mine = [run for run in runs if run.sampler == CELL]
    assert [(run.train_seed, run.step) for run in mine] == [(0, 150), (0, 300), (1, 150), (1, 300)]
    assert all(run.failure is None and run.recipe["options"] == {"lr": 0.02} for run in mine)
    # A normal distribution fitted to a ring has its first two moments: far nearer than a barely trained GAN.
    value = {run.sampler: run.scores[1].estimate.value for run in runs if run.final and run.scores[1].estimate}
    assert value[CELL] < 0.2 < value["gan"]
    folder = tmp_path / "tiny@1"
    for table in ("leaderboard", "stability", "generalization"):
        assert f",{CELL}," in (folder / f"{table}.csv").read_text()
        assert f" {CELL} " in (folder / f"{table}.md").read_text()
    assert "bell_grad_norm" in (folder / "losses" / f"{CELL}-seed0.csv").read_text().splitlines()[0]
    state = folder / "checkpoints" / CELL / "seed1.pt"
    again = score(str(state), benchmark, seed=1, device="cpu", trust_code=True)
    assert again.scores == mine[-1].scores


def test_train_says_where_the_checkpoint_is_and_how_to_score_it(
    toml: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    done = command("gan", "--benchmark", toml, "--seed", "5", "--out", str(out), "--device", "cpu", "--quiet")
    assert done == EXIT_OK
    printed = capsys.readouterr().out
    state = out / "tiny@1" / "checkpoints" / "gan" / "seed5.pt"
    assert state.exists()
    assert f"genbench score {state} --benchmark {toml}\n" in printed
    assert "gan seed 5 on tiny@1, 20 updates" in printed
    assert sorted(p.name for p in (out / "tiny@1" / "records" / "gan").iterdir()) == [
        "seed5-step0000010.json",
        "seed5-step0000020.json",
    ]


def test_options_of_the_recipe_and_of_the_budget_come_from_the_command_line(toml: str, tmp_path: Path) -> None:
    arguments = ["gan", "--benchmark", toml, "--out", str(tmp_path), "--device", "cpu", "--quiet"]
    command(*arguments, "--set", "lr=1e-3", "--set", "loss=saturating", "--steps", "6", "--batch", "8")
    record = json.loads((tmp_path / "tiny@1" / "records" / "gan" / "seed0-step0000006.json").read_text())
    assert record["recipe"]["overrides"] == {"lr": 1e-3, "loss": "saturating"}
    assert (record["recipe"]["steps"], record["recipe"]["batch"]) == (6, 8)
    assert record["recipe"]["options"]["lr"] == 1e-3


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["gan", "--set", "learning_rate=1"], UnknownNameError, "option of baseline 'gan': 'learning_rate'"),
        (["gan", "--set", "widht=8"], UnknownNameError, "Did you mean 'width'"),
        (["gna"], UnknownNameError, "Did you mean 'gan'"),
        (["gan", "--set", "lr=-1"], UsageError, "lr"),
        (["gan", "--set", "lr"], UsageError, "OPTION=VALUE"),
        (["gan", "--seed", "-1"], UsageError, "--seed"),
        (["gan", "--steps", "0"], UsageError, "--steps"),
        (["vae"], UsageError, "pass --steps and --batch"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else None,
)
def test_wrong_usage_is_found_before_anything_is_trained(
    arguments: list[str], kind: type[GenbenchError], said: str, toml: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(kind) as caught:
        command(*arguments, "--benchmark", toml, "--out", str(out), "--quiet")
    assert said in str(caught.value)
    assert not out.exists()
