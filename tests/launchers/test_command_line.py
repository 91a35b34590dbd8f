"""``genbench run --launcher``."""

from __future__ import annotations

from pathlib import Path

import pytest

from genbench.cli import main
from genbench.launchers import LAUNCHERS
from tests.launchers.likeness import assert_alike

TINY = """
name = "tiny"
version = 1
dataset = "ring8"
n = 200
seeds = [0, 1]
checkpoints = 2
primary = "fd@identity.pool"
[metrics]
"fd@identity.pool" = {}
[baselines.gan]
steps = 20
batch = 16
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A benchmark that runs in a second."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def test_a_launcher_is_chosen_by_name_or_by_module(tiny: str, tmp_path: Path) -> None:
    common = ["run", tiny, "--quiet", "--device", "cpu", "--no-cache"]
    assert main([*common, "--workers", "1", "--out", str(tmp_path / "local")]) == 0
    own = ["--launcher", "tests.launchers.at_once:AtOnce", "--launcher-option", "checkpoints=yes"]
    assert main([*common, *own, "--out", str(tmp_path / "own")]) == 0
    assert_alike(tmp_path / "local" / "tiny@1", tmp_path / "own" / "tiny@1")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--launcher-option", "timeout"], "--launcher-option: KEY=VALUE expected, got 'timeout'"),
        (["--launcher-option", "=3"], "KEY=VALUE expected"),
        (["--workers", "1", "--launcher-option", "cpus=2"], "unknown option of the launcher local: 'cpus'"),
        (["--workers", "2", "--launcher-option", "cpus=2"], "unknown option of the launcher local: 'cpus'"),
        (["--address", "here:6379"], "unknown option of the launcher local: 'address'"),
        (["--launcher", "rey"], "unknown launcher 'rey'. Did you mean 'ray'?"),
    ],
)
def test_what_cannot_be_launched_is_a_wrong_call(
    given: list[str], said: str, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", tiny, "--quiet", "--device", "cpu", "--out", str(tmp_path), *given]) == 2
    assert said in capsys.readouterr().err


def test_every_launcher_of_genbench_can_be_loaded_without_its_extra() -> None:
    assert {"local", "ray", "slurm"} <= set(LAUNCHERS.entries())
    for name in LAUNCHERS.entries():
        assert LAUNCHERS.load(name).__doc__
