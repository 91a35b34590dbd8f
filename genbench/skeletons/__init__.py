"""``genbench new``: a plug-in package that works and is tested, to be changed into one's own.

The templates beside this file are what is written; each holds a small and correct part with a known answer.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from genbench._version import __version__
from genbench.atomic import write_atomic
from genbench.errors import SetupError, UsageError
from genbench.registry import BASELINES, DATASETS, METRICS, Registry

REGISTRIES: dict[str, Registry] = {registry.kind: registry for registry in (METRICS, BASELINES, DATASETS)}

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
"""Narrower than what packages may be called (PEP 508): it serves as the name of a module and of a part too."""


@dataclass(frozen=True)
class Names:
    """What a part is called in its several places.

    Attributes
    ----------
    distribution : str
        As it was asked for: ``mean-gap``.
    package : str
        The module that is imported: ``mean_gap``.
    part : str
        In the registry: metrics have underscores, baselines and datasets have hyphens.
    attribute : str
        What the entry point names: ``MEAN_GAP`` of a metric, ``MeanGap`` of a baseline, ``mean_gap`` of a dataset.
    """

    kind: str
    distribution: str

    @property
    def package(self) -> str:
        """The module that is imported."""
        return self.distribution.replace("-", "_")

    @property
    def part(self) -> str:
        """The name in the registry."""
        return self.package if self.kind == "metric" else self.package.replace("_", "-")

    @property
    def attribute(self) -> str:
        """What the entry point names."""
        forms = {"metric": self.package.upper(), "baseline": self.package.title().replace("_", "")}
        return forms.get(self.kind, self.package)


def write_skeleton(kind: str, name: str, out: Path) -> list[Path]:
    """Write a plug-in package with one part that works, and its tests.

    Parameters
    ----------
    kind : {"metric", "baseline", "dataset"}
    name : str
        Of the package and, but for hyphens and underscores, of the part: lower-case letters, digits, ``-`` and ``_``.
    out : Path
        Where the folder ``name`` is made.

    Returns
    -------
    list of Path
        The files, the first of them ``pyproject.toml``.

    Raises
    ------
    UsageError
        If the name cannot be one of a package and a module, is taken, or the folder is there already.
    SetupError
        If the folder cannot be written to.
    """
    names = Names(kind, name)
    check_names(names)
    folder = out / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(
            f"new {kind}: {folder} is there already; choose another name or --out, or remove it."
        ) from None
    except OSError as error:
        raise SetupError(f"new {kind}: cannot make {folder} ({error.strerror}); choose another --out.") from error
    templates = Environment(
        loader=PackageLoader("genbench", "skeletons"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Python, TOML and Markdown, not HTML
    )
    written = []
    for place, template in _files(names).items():
        text = templates.get_template(f"{template}.jinja").render(
            kind=kind,
            distribution=name,
            package=names.package,
            part=names.part,
            attribute=names.attribute,
            version=__version__,
        )
        write_atomic(folder / place, text.encode())
        written.append(folder / place)
    return written


def _files(names: Names) -> dict[str, str]:
    """Say which template makes which file."""
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": f"{names.kind}/README.md",
        ".gitignore": "gitignore",
        f"src/{names.package}/__init__.py": f"{names.kind}/module.py",
        f"src/{names.package}/py.typed": "py.typed",
        f"tests/test_{names.package}.py": f"{names.kind}/tests.py",
    }
    return {**files, "benchmark.toml": "dataset/benchmark.toml"} if names.kind == "dataset" else files


def check_names(names: Names) -> None:
    """Refuse a name before anything is written.

    Raises
    ------
    UsageError
        If it is no name, or a module, package or part of that name exists.
    """
    who, name, package = f"new {names.kind}", names.distribution, names.package
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{who}: lower-case letters, digits and single - or _ between them expected, a letter first, got {name!r}."
        )
    if keyword.iskeyword(package) or keyword.issoftkeyword(package) or package in sys.stdlib_module_names:
        raise UsageError(f"{who}: {package!r} is a word or module of Python itself; choose another name.")
    entry = REGISTRIES[names.kind].entries().get(names.part)
    if entry is not None:
        raise UsageError(
            f"{who}: {entry.provider} has a {names.kind} {names.part!r} already ({entry.target}); choose another name."
        )
    found = importlib.util.find_spec(package)
    # A folder of that name beside us would be found as a package without files; it is in nobody's way.
    if (found is not None and found.origin is not None) or _is_installed(name):
        raise UsageError(f"{who}: a package {package!r} is installed already and would be hidden; choose another name.")


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
