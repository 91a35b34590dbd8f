"""Every command and code block of the README runs, and its tables are those of the committed results."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genbench.cli import main
from tests.makers import ImageSampler
from tests.newcomer import write_net, write_own_data, write_samples
from tests.pages import ROOT, blocks, broken_links, commands, forget_modules

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks(README)
COMMANDS = [command.text for block in BLOCKS if block.kind == "bash" for command in commands(block)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, quick_run: Path) -> Path:
    """A newcomer's folder: the committed results, some samples, and the files that the README tells them to write.

    ``genbench run --quick`` has been there: as one run from an empty folder for all tests.
    """
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "results", folder / "results")
    shutil.copytree(quick_run, folder / "results" / quick_run.name)
    write_samples(folder)
    for block in BLOCKS:
        if "file" in block.options:
            (folder / block.options["file"]).write_text(block.text)
    write_own_data(folder)
    write_net(folder)
    for command in COMMANDS:
        if "--update" in command:  # whatever order the commands are tested in, on however many workers
            subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


def test_the_table_is_that_of_the_committed_run() -> None:
    shown = re.search(r"<!-- table: (\S+) -->\n(.*?)<!-- end -->", README, flags=re.DOTALL)
    assert shown is not None
    committed = (ROOT / shown[1]).read_text(encoding="utf-8")
    body = committed.partition("\n")[2].strip()
    assert shown[2].strip() == body


def test_every_link_leads_somewhere() -> None:
    assert broken_links(ROOT / "README.md") == []


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_knows_the_command(command: str) -> None:
    done = subprocess.run([*command.split(), "-n"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("genbench ")])
def test_the_command_runs(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, whose libraries are loaded once for all commands."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("GENBENCH_CACHE", str(folder / "cache"))
    code = main(shlex.split(command)[1:])
    forget_modules(folder)
    told = capsys.readouterr()
    assert code == 0, told.err
    assert told.out


def test_the_python_blocks_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"my_generator": lambda n, seed: ImageSampler().sample(n, seed=seed)}
    for block in BLOCKS:
        if block.kind == "python" and "file" not in block.options:
            exec(compile(block.text, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "fd@digits-cnn.pool test" in printed
    for block in BLOCKS:
        for line in re.findall(r"^# (n=.*)$", block.text, flags=re.MULTILINE):
            assert line in printed, "the README shows what its code prints"


def test_the_workflow_gates_the_generator(folder: Path, tmp_path: Path) -> None:
    """Its own commands, but for the installation; a generator that became worse is an error in the step summary."""
    steps = re.findall(r"^ +- run: (.*)$", (folder / "quality.yml").read_text(), flags=re.MULTILINE)
    assert steps[0].startswith("pip install")
    environment = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    for noise, code in ((40.0, 0), (80.0, 1)):
        for name in ("gate.json", "toymodel.py"):
            shutil.copy(folder / name, tmp_path / name)
        model = (tmp_path / "toymodel.py").read_text()
        (tmp_path / "toymodel.py").write_text(model.replace("noise=40.0", f"noise={noise}"))
        for step in steps[1:]:
            done = subprocess.run(
                [sys.executable, "-m", *step.split()], cwd=tmp_path, env=environment, capture_output=True, text=True
            )
            assert done.returncode == code, done.stderr
    assert "::error" in done.stdout
    assert "REGRESSION" in (tmp_path / "summary.md").read_text()
    assert "<failure" in (tmp_path / "gate.xml").read_text()


def test_the_test_of_quality_passes(folder: Path) -> None:
    pytest_ = [sys.executable, "-m", "pytest", "-q", "test_quality.py"]
    done = subprocess.run(pytest_, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_nothing_else_is_in_a_block() -> None:
    assert {block.kind for block in BLOCKS} == {"bash", "python", "yaml"}
    assert all(c.startswith(("make ", "genbench ")) for c in COMMANDS)
