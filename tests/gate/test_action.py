"""The GitHub Action: its scripts run as GitHub runs them, and no input can become a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.makers import make_run

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}


def run_step(name: str, folder: Path, *, python: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step's script with the shell that GitHub takes for ``shell: bash``, and a ``python`` of the test's own."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "python").write_text(f"#!/bin/bash\n{python}\n")
    (programs / "python").chmod(0o755)
    script = folder / "script.sh"
    script.write_text(STEPS[name]["run"])
    given = {"GITHUB_ACTIONS": "true", "PYTHONPATH": str(ROOT), "PATH": f"{programs}:{os.environ['PATH']}"}
    given |= {"GITHUB_STEP_SUMMARY": str(folder / "summary"), "GITHUB_OUTPUT": str(folder / "output"), **variables}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
        cwd=folder,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )


ECHO = 'if [ "$1" = -c ]; then exec "$REAL" "$@"; fi; printf "%s\\n" "$@"'
"""A python that says what it was asked, but for the line that splits options."""

GENBENCH = 'exec "$REAL" "$@"'


def check(folder: Path, *, python: str, new: str, against: str, args: str = "") -> subprocess.CompletedProcess[str]:
    """Run the check with given inputs."""
    inputs = {"NEW": new, "AGAINST": against, "ARGS": args, "JUNIT": "junit.xml", "REAL": sys.executable}
    assert set(STEPS["Check"]["env"]) | {"REAL"} == set(inputs)
    return run_step("Check", folder, python=python, **inputs)


def test_no_input_is_part_of_a_script() -> None:
    scripts = [step["run"] for step in STEPS.values() if "run" in step]
    assert len(scripts) == 2
    assert not [script for script in scripts if "${{" in script]


def test_every_input_is_used_and_none_is_unknown() -> None:
    used = {name for name in ACTION["inputs"] if f"inputs.{name}" in str(ACTION["runs"])}
    assert used == set(ACTION["inputs"])
    assert str(ACTION["runs"]).count("inputs.") == len(used) + 1  # python-version is asked for twice


@pytest.mark.parametrize("text", ["$(touch hacked)", "`touch hacked`", "'; touch hacked; '", "a b\nc", "--help", "*"])
def test_no_input_can_become_a_command(tmp_path: Path, text: str) -> None:
    result = check(tmp_path, python=ECHO, new=text, against=text)
    expected = ["-m", "genbench", "check", f"--against={text}", "--junit=junit.xml", "--", text]
    assert result.stdout == "".join(f"{word}\n" for word in expected)
    assert not (tmp_path / "hacked").exists()


def test_options_are_split_as_a_shell_would_and_not_run(tmp_path: Path) -> None:
    result = check(
        tmp_path, python=ECHO, new="n", against="a", args="--name 'two words' --margin fd:5% $(touch hacked) *"
    )
    words = ["--name", "two words", "--margin", "fd:5%", "$(touch", "hacked)", "*"]
    assert result.stdout.splitlines()[5:-2] == words


def test_options_that_cannot_be_split_stop_the_step(tmp_path: Path) -> None:
    result = check(tmp_path, python=ECHO, new="n", against="a", args="--name 'open")
    assert result.returncode != 0
    assert "No closing quotation" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(("version", "installed"), [("", "/the/action"), ("genbench==0.2; rm", "genbench==0.2; rm")])
def test_it_installs_the_revision_of_the_action_or_what_was_asked(tmp_path: Path, version: str, installed: str) -> None:
    given = {"VERSION": version, "ACTION_FOLDER": "/the/action"}
    result = run_step("Install genbench", tmp_path, python=ECHO, **given)
    assert result.stdout.splitlines()[-1] == installed
    assert "install" in result.stdout.splitlines()


def test_a_regression_fails_the_step_and_is_shown(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(make_run("old", seed=None, value=10.0).to_json())
    (tmp_path / "new.json").write_text(make_run("new", seed=None, value=20.0).to_json())
    made = check(tmp_path, python=GENBENCH, new="old.json", against="base.json", args="--update --primary fd")
    assert made.returncode == 0, made.stderr
    result = check(tmp_path, python=GENBENCH, new="new.json", against="base.json")
    assert result.returncode == 1, result.stderr
    assert "REGRESSION: new against base.json" in result.stdout
    assert "\n::error title=genbench%3A regression::" in result.stdout
    assert (tmp_path / "output").read_text() == "verdict=regression\nexit-code=1\n"
    assert (tmp_path / "summary").read_text().startswith("## REGRESSION: new")
    assert next(ElementTree.parse(tmp_path / "junit.xml").iter("testsuite")).get("failures") == "1"


def test_outputs_are_those_that_the_check_writes() -> None:
    assert set(ACTION["outputs"]) == {"verdict", "exit-code"}
    assert all(f"steps.check.outputs.{name} " in output["value"] for name, output in ACTION["outputs"].items())
    assert STEPS["Check"]["id"] == "check"
