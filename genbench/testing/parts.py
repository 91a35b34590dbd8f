"""Which parts to hold to their contracts: those that somebody named, or all that installed plug-ins have registered."""

from __future__ import annotations

from collections.abc import Sequence

from genbench.errors import UsageError
from genbench.registry import BASELINES, DATASETS, EXTRACTORS, METRICS, SAMPLERS, Registry, unknown_name

KINDS: dict[str, Registry] = {
    registry.kind: registry for registry in (METRICS, BASELINES, DATASETS, SAMPLERS, EXTRACTORS)
}


def chosen_parts(named: Sequence[str]) -> dict[str, list[str]]:
    """Return the parts to be tested, by kind.

    Parameters
    ----------
    named : sequence of str
        ``metric:NAME`` or ``metric:package.module:ATTRIBUTE``, and so for every kind. If there are none: what others
        than genbench itself have registered.

    Raises
    ------
    UsageError
        If a text is not of that form, or there is nothing to be tested.
    UnknownNameError
        If there is no such kind.
    """
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for text in named:
        kind, _, name = text.partition(":")
        if not name:
            raise UsageError(f"--genbench-part: KIND:NAME expected, as metric:package:ATTRIBUTE, got {text!r}.")
        if kind not in KINDS:
            raise unknown_name("kind of part", kind, KINDS)
        found[kind].append(name)
    if not named:
        for kind, registry in KINDS.items():
            found[kind] = [entry.name for entry in registry.entries().values() if entry.provider != "genbench"]
    if not any(found.values()):
        raise UsageError(
            "no installed package has registered a part; install your plug-in, or name a part that can be imported: "
            "--genbench-part metric:package:ATTRIBUTE."
        )
    return found
