"""Pages in Markdown as tests read them: their code blocks, commands and links."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", flags=re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*?)\s*$", flags=re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, what stands behind it (``file=NAME``, ``needs=MODULE``, ``output``), its text."""

    kind: str
    options: dict[str, str]
    text: str
    line: int


class Command(NamedTuple):
    """A command of a bash block, the exit code that its comment promises by ``exits with N``, and its line."""

    text: str
    code: int
    line: int


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    found = []
    for match in _FENCE.finditer(text):
        options = dict((*word.split("=", 1), "")[:2] for word in match[2].split())
        found.append(Block(match[1], options, match[3], text.count("\n", 0, match.start()) + 1))
    return found


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a bash block; one may go on behind a backslash."""
    joined = block.text.replace("\\\n", "  ")
    for offset, line in enumerate(joined.splitlines(), start=1):
        command, _, comment = line.partition(" #")
        promised = re.search(r"exits with (\d+)", comment)
        if command.strip() and not command.startswith("#"):
            yield Command(command.strip(), int(promised[1]) if promised else 0, block.line + offset)


def forget_modules(folder: Path) -> None:
    """Forget the modules that were imported from a folder, whose files may be written anew."""
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(folder):
            del sys.modules[name]


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead to no file, or to no heading of a page."""
    broken = []
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    return broken


def anchors(page: Path) -> set[str]:
    """Return the names by which a page's headings can be linked to, as GitHub makes them."""
    headings = _HEADING.findall(re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
