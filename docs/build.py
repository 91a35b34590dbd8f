"""Writes the reference pages from the code: ``python docs/build.py [FOLDER]`` (by default docs).

Metrics come from their declarations and docstrings, functions and protocols from theirs, the command line from the
parsers' own actions: the text that argparse would print differs between versions of Python. Nothing is written by hand
there, and a test compares the committed pages with what this writes. The map of what metrics see is the packaged one of
the audit; its table is put between the markers of the page on choosing a metric, too.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import genbench  # noqa: E402
from genbench.audit.failure_map import map_markdown, map_table  # noqa: E402
from genbench.cli import parser  # noqa: E402
from genbench.explain import DIRECTIONS  # noqa: E402
from genbench.findings import legend, read_map  # noqa: E402
from genbench.metrics.catalogue import read_catalogue  # noqa: E402
from genbench.records import ARROWS  # noqa: E402
from genbench.registry import METRICS  # noqa: E402

NOTE = "<!-- Written by `python docs/build.py`: change the docstring, and run it. -->\n"

GROUND = "digits"
"""Whose part of the map stands where metrics are chosen."""

PROTOCOLS = ("Sampler", "Density", "FeatureExtractor", "Baseline", "Trainer")


def metrics() -> str:
    """Every built-in metric: a table, then each one's declaration and docstring."""
    known = {name: entry for name, entry in METRICS.entries().items() if entry.provider == "genbench"}
    facts = read_catalogue()
    lines = [
        "# Metrics",
        "",
        f"{len(known)} metrics come with genbench. `genbench explain NAME` prints one of these.",
        "",
    ]
    lines += ["| metric | what it is | better | layer | uncertainty |", "|---|---|---|---|---|"]
    for name, entry in known.items():
        fact = facts[name]
        row = (f"[{name}](#{name})", entry.summary, DIRECTIONS[fact["better"]], fact["space"], fact["uncertainty"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    for name in known:
        lines += ["", f"## {name}", "", *_declaration(facts[name]), "", *_rendered(METRICS.load(name).compute)]
    return "\n".join(lines)


def _declaration(fact: dict[str, Any]) -> list[str]:
    ideal = "" if fact["ideal"] is None else f", ideal {fact['ideal']:g}"
    options = ", ".join(f"`{key}={value}`" for key, value in fact["options"].items())
    return [
        f"- {ARROWS[fact['better']]} {DIRECTIONS[fact['better']]}{ideal}, in {fact['unit']}",
        f"- reads the `{fact['space']}` layer; needs {', '.join(f'`{need}`' for need in fact['needs'])}",
        f"- options: {options or 'none'}",
        f"- uncertainty: {fact['uncertainty']}",
        f"- source: {fact['source']}",
    ]


def python() -> str:
    """The public names of the package."""
    lines = ["# Python", "", "What `import genbench` offers. Names are imported when they are first used.", ""]
    names = [name for name in genbench.__all__ if not name.startswith("__")]
    shown = [name for name in names if name not in PROTOCOLS]
    lines += [f"- [{name}](#{name.lower()})" for name in shown]
    lines += ["", f"The protocols ({', '.join(n for n in names if n in PROTOCOLS)}) have [their page](protocols.md)."]
    for name in shown:
        lines += ["", f"## {name}", "", *_object(name, getattr(genbench, name))]
    return "\n".join(lines)


def protocols() -> str:
    """The structural types that parts of a user's own have to fit."""
    from genbench import protocols as module

    lines = ["# Protocols", "", (module.__doc__ or "").strip(), ""]
    lines += [f"- [{name}](#{name.lower()})" for name in PROTOCOLS]
    for name in PROTOCOLS:
        lines += ["", f"## {name}", "", *_object(name, getattr(module, name))]
    return "\n".join(lines)


def _object(name: str, found: Any) -> list[str]:
    lines = _signature(name, found)
    lines += _rendered(found)
    for method, function in _methods(found):
        lines += ["", f"### {name}.{method}", "", *_signature(method, function), *_rendered(function)]
    return lines


def _methods(found: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public methods and properties that a class defines itself, in its order."""
    if inspect.isclass(found) and not issubclass(found, Exception):
        for name, member in vars(found).items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
                yield name, function


def _signature(name: str, found: Any) -> list[str]:
    """The signature as it stands in the code, a parameter a line where it is long."""
    if inspect.isclass(found) and (getattr(found, "_is_protocol", False) or issubclass(found, Exception)):
        return []
    signature = inspect.signature(found)
    parts = [_parameter(parameter) for parameter in _with_stars(list(signature.parameters.values()))]
    returns = signature.return_annotation
    arrow = "" if returns in (inspect.Signature.empty, None, "None") else f" -> {_annotation(returns)}"
    line = f"{name}({', '.join(parts)}){arrow}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){arrow}"
    return ["```text", line, "```", ""]


def _with_stars(parameters: list[inspect.Parameter]) -> Iterator[inspect.Parameter | str]:
    previous = None
    for parameter in parameters:
        if parameter.name == "self":
            continue
        starred = previous in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL)
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            yield "*"
        if previous is inspect.Parameter.POSITIONAL_ONLY and parameter.kind is not previous:
            yield "/"
        previous = parameter.kind
        yield parameter


def _parameter(parameter: inspect.Parameter | str) -> str:
    if isinstance(parameter, str):
        return parameter
    stars = {inspect.Parameter.VAR_POSITIONAL.value: "*", inspect.Parameter.VAR_KEYWORD.value: "**"}
    text = stars.get(parameter.kind.value, "") + parameter.name
    if parameter.annotation is not inspect.Parameter.empty:
        text += f": {_annotation(parameter.annotation)}"
    if parameter.default is not inspect.Parameter.empty:
        default = "..." if " object at " in repr(parameter.default) else repr(parameter.default)
        text += f" = {default}"
    return text


def _annotation(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _rendered(found: Any) -> list[str]:
    """A numpydoc docstring as Markdown: sections in bold, entries as lists, double backticks single."""
    lines = (inspect.getdoc(found) or "").splitlines()
    result: list[str] = []
    section = ""
    for at, line in enumerate(lines):
        below = lines[at + 1] if at + 1 < len(lines) else ""
        if line.strip() and re.fullmatch(r"-{3,}", below.strip()) and not line.startswith(" "):
            section = line.strip()
            result += [f"**{section}**", ""]
        elif not re.fullmatch(r"-{3,}", line.strip()):
            result.append(_line(section, line, explained=below.startswith(" ")))
    return _with_examples(result)


def _line(section: str, line: str, *, explained: bool) -> str:
    """One line: an entry of a list of names becomes a bullet; what explains it stays indented below it."""
    if section == "Examples" or not line.strip():
        return line
    if section in ("Parameters", "Attributes", "Returns", "Yields", "Raises") and not line.startswith(" "):
        name, _, kind = line.partition(" : ")
        return f"- `{name}`" + (f" ({_plain(kind)})" if kind else "") + ":" * explained
    text = _plain(line)
    return f"  {text.strip()}" if line.startswith(" ") and section else text


def _plain(text: str) -> str:
    """Backticks as Markdown has them; a star of a shape, (n, *event), is no emphasis."""
    parts = text.replace("``", "`").split("`")
    parts[::2] = [re.sub(r"(?<![*\\])\*(?=[a-z])", r"\\*", part) for part in parts[::2]]
    return "`".join(parts)


def _with_examples(lines: list[str]) -> list[str]:
    """Fence doctests."""
    result: list[str] = []
    fenced = False
    for line in lines:
        if line.startswith(">>>") and not fenced:
            result.append("```text")
            fenced = True
        elif fenced and not line.strip():
            result.append("```")
            fenced = False
        result.append(line)
    return result + ["```"] * fenced


def command_line() -> str:
    """Every verb, from its parser."""
    top = parser()
    verbs = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    helps = {choice.dest: choice.help or "" for choice in verbs._choices_actions}
    lines = ["# Command line", "", "`genbench VERB ...`, or `python -m genbench VERB ...`.", ""]
    lines += ["| verb | what it does |", "|---|---|"]
    lines += [f"| [{name}](#genbench-{name}) | {helps[name]} |" for name in verbs.choices]
    lines += ["", "```text", (top.epilog or "").rstrip(), "```"]
    for name, verb in verbs.choices.items():
        lines += ["", f"## genbench {name}", "", helps[name], *_verb(verb)]
    return "\n".join(lines)


def _verb(verb: argparse.ArgumentParser) -> list[str]:
    lines: list[str] = []
    nested = [a for a in verb._actions if isinstance(a, argparse._SubParsersAction)]
    rows = [a for a in verb._actions if not isinstance(a, (argparse._HelpAction, argparse._SubParsersAction))]
    if rows:
        lines += ["", "| argument | what it is |", "|---|---|"]
        lines += [f"| {_flags(action)} | {_cell(action)} |" for action in rows]
    for action in nested:
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, inner in action.choices.items():
            lines += ["", f"**{name}**: {helps[name]}", *_verb(inner)]
    if verb.epilog:
        lines += ["", "```text", textwrap.dedent(verb.epilog).rstrip(), "```"]
    return lines


def _flags(action: argparse.Action) -> str:
    values = action.metavar
    if values is None:
        values = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    if not action.option_strings:
        shown = values if isinstance(action.metavar, str) or action.choices else action.dest
        many = {"*": f"[{shown} ...]", "+": f"{shown} ...", "?": f"[{shown}]"}
        return f"`{many.get(str(action.nargs), shown)}`"
    value = "" if action.nargs == 0 else f" {' '.join(values) if isinstance(values, tuple) else values}"
    return ", ".join(f"`{flag}{value}`" for flag in action.option_strings)


def _cell(action: argparse.Action) -> str:
    text = " ".join((action.help or "").replace("%%", "%").split()).replace("|", "\\|")
    default = action.default
    said = "default" in text or default in (None, False, argparse.SUPPRESS) or default == [] or action.nargs == 0
    return text if said else f"{text} (default: {default})".strip()


def failure_map() -> str:
    """What every metric sees, by the audit's corruption ladder."""
    return map_markdown(read_map())


def with_map(page: str) -> str:
    """Put the map of handwritten digits between the markers of a page."""
    found = read_map()
    table = "\n".join([*map_table(found, GROUND), "", legend(found, GROUND)])
    before, opening, rest = page.partition("<!-- map -->\n")
    _, closing, after = rest.partition("<!-- end -->\n")
    return f"{before}{opening}{table}\n{closing}{after}"


PAGES = {
    "metrics.md": metrics,
    "python.md": python,
    "protocols.md": protocols,
    "command-line.md": command_line,
    "failure-map.md": failure_map,
}

CHOOSING = "how-to/which-metric.md"


def main(folder: Path) -> None:
    """Write every page."""
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    (folder / CHOOSING).parent.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in page().splitlines()))
        (folder / "reference" / name).write_text(f"{NOTE}\n{text}\n", encoding="utf-8")
    (folder / CHOOSING).write_text(with_map((HERE / CHOOSING).read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
