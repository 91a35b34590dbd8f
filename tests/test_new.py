"""``genbench new``: what it writes is a package that works, as it stands, in every way that its README says."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import genbench
from genbench.cli import main
from genbench.errors import SetupError, UsageError
from genbench.skeletons import REGISTRIES, Names, check_names, write_skeleton

ROOT = Path(genbench.__file__).parent.parent
MADE = {"metric": "mean-gap", "baseline": "one_bell", "dataset": "three-points"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One package of each kind, written by the command, built, and installed as pip installs a wheel: unpacked.

    Without isolation and without pip, so that nothing is fetched.
    """
    folder = tmp_path_factory.mktemp("new")
    for kind, name in MADE.items():
        assert main(["new", kind, name, "--out", str(folder)]) == 0
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "wheels")]
        done = subprocess.run([*command, str(folder / name)], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    for wheel in (folder / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")
    return folder


def run(folder: Path, *command: str) -> str:
    """Run a module where the packages are installed; return what it printed."""
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'site'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_they_are_listed(folder: Path) -> None:
    listed = run(folder, "genbench", "list")
    assert "mean_gap            mean_gap:MEAN_GAP (mean-gap)" in listed
    assert "one-bell            one_bell:OneBell (one_bell)" in listed
    assert "three-points        three_points:three_points (three-points)" in listed


def test_their_own_tests_pass(folder: Path) -> None:
    """All three packages' in one process, with every warning an error: known answers and contracts."""
    tests = [f"{name}/tests" for name in MADE.values()]
    printed = run(folder, "pytest", "-q", "-rA", "-W", "error", "-p", "no:cacheprovider", *tests)
    for test in ("better_points_the_right_way", "a_training_resumed_is", "no_sample_is_in_both", "genbench_finds_it"):
        assert f"::test_{test}" in printed
    assert "skipped" not in printed


def test_every_installed_plug_in_is_held_to_its_contract_by_default(folder: Path) -> None:
    printed = run(folder, "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "--pyargs", "genbench.testing")
    for test, part in (
        ("TestMetric::test_an_estimate_is_in_order", "mean_gap"),
        ("TestBaseline::test_a_sampler_is_a_snapshot", "one-bell"),
        ("TestDataset::test_no_sample_is_in_both_splits", "three-points"),
    ):
        assert f"{test}[{part}]" in printed
    assert "TestSampler" not in printed
    assert "[fd]" not in printed


def test_the_metric_scores(folder: Path) -> None:
    np.save(folder / "noise.npy", np.random.default_rng(0).integers(0, 256, (300, 1, 8, 8), dtype=np.uint8))
    scored = ["score", "noise.npy", "--benchmark", "digits", "--quick", "--quiet"]
    assert "mean_gap" in run(folder, "genbench", *scored, "--metric", "mean_gap@digits-cnn.pool")


def test_the_baseline_trains(folder: Path) -> None:
    trained = ["train", "one-bell", "--benchmark", "ring8", "--quick", "--quiet", "--steps", "2", "--batch", "32"]
    assert "one-bell seed 0 on ring8" in run(folder, "genbench", *trained, "--set", "lr=0.1", "--out", "trained")


def test_samples_are_scored_on_the_dataset(folder: Path) -> None:
    points = np.random.default_rng(0).standard_normal((500, 2)).astype(np.float32)
    np.save(folder / "points.npy", points)
    benchmark = str(folder / MADE["dataset"] / "benchmark.toml")
    scored = ["score", "points.npy", "--benchmark", benchmark, "--quick", "--quiet"]
    assert "modes_share" in run(folder, "genbench", *scored)


def test_what_comes_next_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "metric", "my-gap", "--out", str(tmp_path / "deep" / "er")]) == 0
    printed = capsys.readouterr().out
    package = tmp_path / "deep" / "er" / "my-gap"
    for path in ("pyproject.toml", "README.md", "src/my_gap/__init__.py", "tests/test_my_gap.py"):
        assert (package / path).is_file()
        assert str(package / path) in printed
    assert f'pip install -e "{package}[test]"' in printed
    assert "genbench list metrics" in printed


@pytest.mark.parametrize("kind", list(REGISTRIES))
def test_no_line_is_too_long_and_no_blank_was_left_open(kind: str, tmp_path: Path) -> None:
    for path in write_skeleton(kind, "my-part", tmp_path):
        text = path.read_text()
        assert "{{" not in text
        assert "{%" not in text
        if path.suffix in (".py", ".toml"):
            assert max(map(len, text.splitlines()), default=0) <= 120
        if path.suffix == ".py":
            compile(text, str(path), "exec")


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("metric", "Mean", "lower-case letters, digits and single - or _ between them expected, .* got 'Mean'"),
        ("metric", "2d", "a letter first, got '2d'"),
        ("metric", "a--b", "got 'a--b'"),
        ("metric", "../gap", "got '../gap'"),
        ("metric", "", "got ''"),
        ("baseline", "lambda", "'lambda' is a word or module of Python itself"),
        ("dataset", "json", "'json' is a word or module of Python itself"),
        ("metric", "fd", "genbench has a metric 'fd' already"),
        ("metric", "label-test", "genbench has a metric 'label_test' already"),
        ("baseline", "wgan_gp", "genbench has a baseline 'wgan-gp' already"),
        ("dataset", "stacked_digits", "genbench has a dataset 'stacked-digits' already"),
        ("metric", "torch", "a package 'torch' is installed already"),
        ("metric", "baselines", "a package 'baselines' is installed already"),
        ("metric", "scikit-learn", "a package 'scikit_learn' is installed already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(kind: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write_skeleton(kind, name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_name_may_be_a_metric_and_another_kind_in_genbench(tmp_path: Path) -> None:
    """A part's name is taken within its kind alone: a metric may be called as a dataset is."""
    check_names(Names("metric", "ring8"))


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "my-gap").mkdir()
    with pytest.raises(UsageError, match="is there already; choose another name or --out"):
        write_skeleton("metric", "my-gap", tmp_path)
    assert not list((tmp_path / "my-gap").iterdir())


def test_a_place_that_cannot_be_written_to_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"cannot make .*; choose another --out"):
        write_skeleton("metric", "my-gap", tmp_path / "file")


def test_names_follow_the_customs_of_their_kind() -> None:
    assert Names("metric", "mean-gap").part == "mean_gap"
    assert Names("metric", "mean-gap").attribute == "MEAN_GAP"
    assert Names("baseline", "my_2nd-flow").part == "my-2nd-flow"
    assert Names("baseline", "my_2nd-flow").attribute == "My2NdFlow"
    assert Names("dataset", "my-points").attribute == "my_points"
