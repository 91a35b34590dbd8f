"""Names to objects: a lazy built-in map, entry points of other distributions, and ``module:attr``.

Nothing is imported until it is asked for, so that ``genbench list`` needs no torch.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from genbench import builtin
from genbench.errors import DeclarationError, UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registered name: where the object is, what it does in a few words, and who provides it."""

    name: str
    target: str
    summary: str
    provider: str


class Registry:
    """One kind of named objects.

    Parameters
    ----------
    kind : str
        For messages: ``"metric"``.
    group : str
        Entry-point group that other distributions register in: ``"genbench.metrics"``.
    builtin : mapping of str to (target, summary)
        ``{"fd": ("genbench.metrics.frechet:FD", "Fréchet distance ...")}``.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.kind = kind
        self.group = group
        self._builtin = {
            name: Entry(name=name, target=target, summary=summary, provider="genbench")
            for name, (target, summary) in (builtin or {}).items()
        }

    def entries(self) -> dict[str, Entry]:
        """Return every registered name, sorted, without importing any of them.

        Raises
        ------
        DeclarationError
            If two distributions, or a distribution and genbench itself, claim one name.
        """
        known = dict(self._builtin)
        for point in installed_entry_points(self.group):
            entry = Entry(name=point.name, target=point.value, summary="", provider=_distribution(point))
            other = known.get(point.name)
            if other is not None and other.target != entry.target:
                raise DeclarationError(
                    f"{self.kind} {point.name!r} is registered by both {other.provider} ({other.target}) and "
                    f"{entry.provider} ({entry.target}); uninstall one of them."
                )
            known.setdefault(point.name, entry)
        return dict(sorted(known.items()))

    def load(self, name: str) -> Any:
        """Import and return the object of a name.

        Parameters
        ----------
        name : str
            A registered name, or ``package.module:attribute``.

        Raises
        ------
        UnknownNameError
            If nothing has that name; the message suggests the nearest that exists.
        DeclarationError
            If the name is registered but its object cannot be imported.
        """
        if ":" in name:
            with _current_folder_importable():
                return self._import(name, owner=f"{self.kind} {name!r}")
        entry = self._builtin.get(name) or self.entries().get(name)
        if entry is None:
            raise unknown_name(self.kind, name, self.entries())
        return self._import(entry.target, owner=f"{self.kind} {name!r} of {entry.provider}")

    def _import(self, target: str, *, owner: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError) as error:
            raise DeclarationError(
                f"{owner}: cannot import {target!r} ({error}); expected 'module:attribute'."
            ) from error
        return found


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Let a module that the user named by hand lie in the current folder; at the end of the path, and only meanwhile.

    Never for other names: a file that happens to be called like an optional dependency must not run.
    """
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def unknown_name(kind: str, name: str, known: Mapping[str, Any]) -> UnknownNameError:
    """Make the error for a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UnknownNameError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(sorted(known)) or 'none'}.")


@cache
def installed_entry_points(group: str) -> EntryPoints:
    """Scan the installed distributions for a group, once a process: a scan takes tens of milliseconds."""
    return entry_points(group=group)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unnamed distribution"


METRICS = Registry("metric", "genbench.metrics", builtin.METRICS)

EXTRACTORS = Registry("extractor", "genbench.extractors", builtin.EXTRACTORS)

DATASETS = Registry("dataset", "genbench.datasets", builtin.DATASETS)

SAMPLERS = Registry("sampler", "genbench.samplers")

BASELINES = Registry("baseline", "genbench.baselines")
