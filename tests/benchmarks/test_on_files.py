"""The benchmarks on published sets, on small files in the formats in which these lie on disk."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import genbench
from genbench.benchmarks import load_benchmark
from genbench.cli import main
from genbench.definitions import Budget
from genbench.recipes import build_baseline
from tests.data.published import write_cifar, write_mnist

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
"""Of one image; Fashion-MNIST has the shape of MNIST, and its recipes."""

FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}

QUICK = {
    "mnist": {"gan", "wgan-gp", "vae"},
    "fashion-mnist": {"gan", "wgan-gp", "vae"},
    "cifar10": {"dcgan", "conv-vae", "flow-matching"},
}


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Start networks from the same weights in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture
def placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Write the files of a set, just enough of them for the quick form, and say where they and the results are."""
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")

    def place(name: str) -> list[str]:
        root, n = tmp_path / "data", load_benchmark(name, quick=True).n
        if name == "cifar10":
            write_cifar(root, monkeypatch, n=n)
        else:
            write_mnist(root, name=FOLDERS[name], train=n, test=n, compressed=True)
        return ["--data-root", str(root), "--out", str(tmp_path / "results"), "--quiet"]

    return place


def shortened(name: str, folder: Path) -> str:
    """Write a copy of a shipped benchmark with trainings of three updates and sets of 200 samples; return its path."""
    text = (files("genbench.benchmarks") / f"{name}.toml").read_text(encoding="utf-8")
    text = re.sub(r"\bsteps = \d+$", "steps = 3", text, flags=re.MULTILINE)
    path = folder / f"{name}.toml"
    path.write_text(re.sub(r"\bn = \d+", "n = 200", text))
    return str(path)


def primary_scores(folder: Path, primary: str) -> pd.DataFrame:
    """Rows of the scores with the primary score against held-out data, by model."""
    metric, _, space = primary.partition("@")
    extractor, _, layer = space.partition(".")
    rows = pd.read_csv(folder / "scores.csv")
    wanted = rows["metric"].str.fullmatch(rf"{metric}@{extractor}#\w+\.{layer}") & (rows["split"] == "test")
    return rows[wanted].set_index("model")


def check_tables(folder: Path, name: str) -> pd.DataFrame:
    """Check that all tables are there and every quick model has a rank; return its rows of `primary_scores`."""
    for table in ("leaderboard", "stability", "generalization"):
        assert (folder / f"{table}.csv").stat().st_size > 0
        assert (folder / f"{table}.md").stat().st_size > 0
    found = primary_scores(folder, load_benchmark(name).primary)
    ranks = found["rank"].dropna()
    assert set(ranks.index) == QUICK[name]
    assert ranks.min() == 1
    return found


@pytest.mark.slow
def test_mnist_as_shipped_ranks_every_quick_model_and_no_control(
    tmp_path: Path, placed: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "mnist", "--quick", "--workers", "1", *placed("mnist")]) == 0
    assert "fd@pca.pool" in capsys.readouterr().out
    found = check_tables(tmp_path / "results" / "mnist@1-quick", "mnist")
    assert {"replay", "gaussian"} <= set(found.index)
    assert found.loc[["replay", "gaussian"], "rank"].isna().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10"])
def test_a_short_run_on_files_ranks_every_quick_model(
    name: str, tmp_path: Path, placed: Callable[[str], list[str]]
) -> None:
    # One worker: torchvision is told the checksums of these files in this process alone.
    command = ["run", shortened(name, tmp_path), "--quick", "--no-controls", "--workers", "1"]
    assert main([*command, *placed(name)]) == 0
    check_tables(tmp_path / "results" / f"{name}@1-quick", name)


@pytest.mark.slow
def test_the_flow_on_cifar10_is_trained_by_itself(
    tmp_path: Path, placed: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    where = placed("cifar10")
    assert main(["train", "flow-matching", "--benchmark", "cifar10", "--quick", "--steps", "3", *where]) == 0
    said = capsys.readouterr().out
    assert "flow-matching seed 0 on cifar10@1-quick, 3 updates" in said
    assert (tmp_path / "results" / "cifar10@1-quick" / "checkpoints" / "flow-matching" / "seed0.pt").exists()


def test_fashion_mnist_has_the_recipes_of_mnist() -> None:
    mnist, fashion = (load_benchmark(name) for name in ("mnist", "fashion-mnist"))
    assert fashion.baselines == mnist.baselines
    assert [spec.key for spec in fashion.metrics] == [spec.key for spec in mnist.metrics]


@pytest.mark.parametrize(
    ("benchmark", "name", "budget"),
    [
        pytest.param(benchmark, name, budget, id=f"{benchmark}-{name}")
        for benchmark in SHAPES
        for name, budget in load_benchmark(benchmark).baselines.items()
    ],
)
def test_every_full_recipe_is_trained_on_and_drawn_from(benchmark: str, name: str, budget: Budget) -> None:
    recipe: Any = build_baseline(budget.baseline or name, budget.options)
    parts = getattr(recipe, "n_critic", 1)
    assert budget.batch % parts == 0
    if hasattr(recipe, "solver_steps"):  # its networks are as in the full recipe; only the drawing is shorter
        recipe = dataclasses.replace(recipe, solver_steps=1)
    shape = SHAPES[benchmark]
    trainer = recipe.build(shape, device=torch.device("cpu"), steps=budget.steps)
    losses = trainer.step(torch.rand(2 * parts, *shape) * 2 - 1)
    assert all(torch.isfinite(loss) for loss in losses.values())
    sampler = trainer.sampler()
    if name == "pixelcnn":  # drawing is a pass a value: minutes. Its windows have a test of their own
        assert sampler.log_prob(torch.zeros(2, *shape)).shape == (2,)
        return
    samples = sampler.sample(2, seed=0)
    assert samples.shape == (2, *shape)
    assert samples.isfinite().all()
    assert samples.abs().max() <= 1 + 1e-6 or name == "flow-matching"  # an equation's solution has no bound


def test_every_set_says_its_shape_as_the_recipes_expect_it(placed: Callable[[str], list[str]]) -> None:
    for name in QUICK:
        _, root, *_ = placed(name)
        data = genbench.load_dataset(load_benchmark(name).dataset, root=root)
        assert data.event_shape == SHAPES.get(name, SHAPES["mnist"])
        assert data.train.dtype == "uint8"
