"""Every block on every page of the documentation runs, every link leads somewhere, and the reference is up to date."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.newcomer import write_own_data, write_samples
from tests.pages import ROOT, blocks, broken_links

DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md"))
GENERATED = DOCS / "reference"
WRITTEN = [page for page in PAGES if GENERATED not in page.parents]
RUNNABLE = [page for page in WRITTEN if any(b.kind in ("bash", "python") for b in blocks(page.read_text()))]
QUICK = "digits@1-quick"


def name(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reader's own samples and the committed results."""
    folder = tmp_path_factory.mktemp("newcomer")
    write_samples(folder)
    write_own_data(folder)
    shutil.copytree(ROOT / "results", folder / "results")
    return folder


@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_the_blocks_of_a_page_run(
    page: Path, newcomer: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process a page, from its first block to the last, in a folder of its own."""
    folder = tmp_path / "here"
    shutil.copytree(newcomer, folder)
    if "--quick" in page.read_text() or QUICK in page.read_text():
        shutil.copytree(request.getfixturevalue("quick_run"), folder / "results" / QUICK)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    done = subprocess.run(
        [sys.executable, "-m", "tests.page_runner", str(page), str(folder)],
        cwd=ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_every_block_is_of_a_kind_that_is_run_or_read(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        known = block.kind in ("bash", "python", "text") or "file" in block.options
        assert known, f"{name(page)}:{block.line}: {block.kind}"
        assert set(block.options) <= {"file", "needs", "output"}


def test_a_page_that_says_what_is_not_so_fails(tmp_path: Path) -> None:
    """The runner is no rubber stamp: a wrong exit code, a wrong output and an exception each end it with a line."""
    wrong = {
        "code": "```bash\ngenbench list metrics  # exits with 3\n```\n",
        "output": "```python\nprint(1)\n```\n\n```text output\n2\n```\n",
        "error": "```python\nraise ValueError('so')\n```\n",
    }
    for kind, text in wrong.items():
        (tmp_path / f"{kind}.md").write_text(text)
        command = [sys.executable, "-m", "tests.page_runner", str(tmp_path / f"{kind}.md"), str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 1
        assert {"code": "got 0", "output": "'2' expected", "error": "ValueError: so"}[kind] in done.stderr


def test_the_links_of_a_page_are_checked(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One: two\n[a](none.md) [b](#one-two) [c](#three) `[d](e)` [f](https://example.org)\n")
    assert broken_links(page) == ["none.md", "#three"]


def test_the_reference_is_that_of_the_code(tmp_path: Path) -> None:
    """``python docs/build.py`` writes the pages anew after a change of a docstring, a declaration or an option."""
    subprocess.run([sys.executable, DOCS / "build.py", tmp_path], cwd=ROOT, check=True, timeout=120)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.md")}
    assert written >= {path.relative_to(DOCS) for path in GENERATED.iterdir()}
    for page in sorted(written):
        assert (tmp_path / page).read_text(encoding="utf-8") == (DOCS / page).read_text(encoding="utf-8"), page


def test_docstrings_quote_the_committed_audit() -> None:
    """``python docs/quotes.py`` writes their ``Audit`` sections anew after an audit."""
    command = [sys.executable, DOCS / "quotes.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_a_section_is_written_once_wherever_it_stands() -> None:
    quotes = runpy.run_path(str(DOCS / "quotes.py"))
    body = '    """One line.\n\n    Notes\n    -----\n    A note.\n{}    """\n    return 1\n'
    for after in ("", "\n    References\n    ----------\n    Somebody.\n"):
        source = "def other():\n    pass\n\n\ndef score():\n" + body.format(after)
        once = quotes["_with_section"](source, "score", ["Found."])
        assert once == source.replace("A note.\n", "A note.\n\n    Audit\n    -----\n    Found.\n")
        assert quotes["_with_section"](once, "score", ["Found."]) == once
        assert "Other." in quotes["_with_section"](once, "score", ["Other."]).replace("Found.", "")
        assert "Found." not in quotes["_with_section"](once, "score", ["Other."])
