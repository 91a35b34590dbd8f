"""Runs the blocks of one page from the first to the last: ``python -m tests.page_runner PAGE FOLDER``.

The page's blocks may build on each other, as a reader's steps do. Those of Python run in this process and share their
names; so do the commands of genbench, whose libraries are then loaded once. A block with ``file=NAME`` is written to
the folder; one with ``output`` must have come out of the block before it, line by line; one with ``needs=MODULE`` is
left out where that is not installed; those of ``text`` are for reading. The process ends with 1 at the first block that
does not do what the page says.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from genbench.cli import main as genbench
from tests.pages import ROOT, Block, Command, blocks, commands, forget_modules

HERE = (
    ("--nproc-per-node 8", "--nproc-per-node 2"),
    ("--launcher-option partition=gpu --launcher-option gres=gpu:1", "--launcher-option cluster=local"),
    ("--address auto", "--address local"),
    ("--device cuda", "--device cpu"),
    ("s3://", "memory://"),
)
"""What is written otherwise for this machine, which has neither eight GPUs nor a cluster nor a store."""


def run_page(page: Path, folder: Path) -> str | None:
    """Run the blocks of a page in a folder; return what is wrong, None if all is as the page says."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True  # a module that is written twice within a second would be taken for the first one
    names: dict[str, Any] = {"__name__": "__page__"}
    said = ""
    for block in blocks(page.read_text(encoding="utf-8")):
        needed = block.options.get("needs")
        if needed and importlib.util.find_spec(needed) is None:
            said = ""
        elif "file" in block.options:
            _write(folder / block.options["file"], block.text)
        elif "output" in block.options:
            missing = [line for line in block.text.splitlines() if line.strip() not in ("...", "") and line not in said]
            if missing and said:
                return f"{page.name}:{block.line}: {missing[0]!r} expected, got\n{said}"
        elif block.kind in ("bash", "python"):
            said, wrong = _bash(block) if block.kind == "bash" else _python(block, names)
            if wrong:
                return f"{page.name}:{wrong}"
    return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    forget_modules(Path.cwd())


def _python(block: Block, names: dict[str, Any]) -> tuple[str, str | None]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        # Tracebacks then tell the lines of the page.
        exec(compile("\n" * block.line + block.text, "page", "exec"), names)
    return out.getvalue(), None


def _bash(block: Block) -> tuple[str, str | None]:
    said = ""
    for command in commands(block):
        code, out, err = _call(command)
        said += out
        if code != command.code:
            return said, f"{command.line}: {command.text}: exit code {command.code} expected, got {code}\n{out}\n{err}"
    return said, None


def _call(command: Command) -> tuple[int, str, str]:
    text = command.text
    for there, here in HERE:
        text = text.replace(there, here)
    words = shlex.split(text)
    if words[0] == "genbench":
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = genbench(words[1:])
        return code, out.getvalue(), err.getvalue()
    programs = {
        "python": [sys.executable],
        "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone"],
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*programs[words[0]], *words[1:]], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr


if __name__ == "__main__":
    told = run_page(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
    if told:
        sys.stderr.write(told)
    sys.exit(bool(told))
