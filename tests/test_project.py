"""The project's own papers agree with each other: citation, workflows, templates and pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import genbench

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def load(path: Path) -> Any:
    # The safe loader reads `on:` as the word true, as YAML 1.1 has it.
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version() -> None:
    """Every key that CFF 1.2.0 requires, and the licence and version of the package."""
    citation = load(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert str(citation["version"]) == genbench.__version__
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_every_python_that_is_promised_is_tested() -> None:
    named = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)}
    matrix = load(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert set(matrix["python-version"]) == named
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert {"python-version": lowest, "resolution": "lowest-direct"} in matrix["include"]


def test_every_direct_dependency_has_a_floor_and_no_cap() -> None:
    """What lowest-direct installs; but for genbench's own extras of extras."""
    extras = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
    for requirement in [*PROJECT["dependencies"], *extras]:
        if not requirement.startswith("genbench["):
            assert re.fullmatch(r"[A-Za-z0-9-]+>=[\d.]+", requirement), requirement


@pytest.mark.parametrize("name", ["tests.yml", "release.yml"])
def test_workflows_hold_no_more_rights_than_they_need(name: str) -> None:
    """They read; publishing alone may ask for a token, and no input of a stranger becomes part of a script."""
    workflow = load(ROOT / ".github" / "workflows" / name)
    assert workflow["permissions"] == {"contents": "read"}
    for job, content in workflow["jobs"].items():
        assert content.get("permissions", {}) == ({"id-token": "write"} if job == "publish" else {})
        for step in content["steps"]:
            assert "github." not in step.get("run", "")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms_have_what_github_asks_for(path: Path) -> None:
    form = load(path)
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids)) >= 2
    for field in form["body"]:
        assert field["type"] in {"textarea", "input", "checkboxes"}
        assert field["attributes"]["label"]


def test_the_checklist_leads_somewhere() -> None:
    page = ROOT / "docs" / "release-checklist.md"
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / target).exists(), target
    for path in re.findall(r"`((?:tests|genbench)/[\w./]+)`", text):
        assert (ROOT / path).exists(), path
