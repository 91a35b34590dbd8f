"""Names lead to objects, misspelt ones to advice, and clashes to errors."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from genbench import registry
from genbench.errors import DeclarationError, UnknownNameError
from genbench.registry import Registry


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """A list of entry points that stands in for the installed distributions."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "installed_entry_points", lambda group: EntryPoints(points).select(group=group))
    return points


def test_a_built_in_name_loads_its_object() -> None:
    assert Registry("thing", "g", {"sqrt": ("math:sqrt", "root")}).load("sqrt")(9) == 3


def test_an_entry_point_loads_its_object(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("floor", "math:floor", "g"))
    things = Registry("thing", "g", {"sqrt": ("math:sqrt", "root")})
    assert things.load("floor")(2.5) == 2
    assert list(things.entries()) == ["floor", "sqrt"]


def test_entry_points_of_other_groups_are_not_seen(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("floor", "math:floor", "other"))
    assert list(Registry("thing", "g").entries()) == []


def test_module_and_attribute_load_without_registration() -> None:
    assert Registry("thing", "g").load("math:ceil")(0.5) == 1


def test_a_misspelt_name_gets_the_nearest_one(installed: list[EntryPoint]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown thing 'coverge'\. Did you mean 'coverage'\?"):
        Registry("thing", "g", {"coverage": ("math:sqrt", "")}).load("coverge")


@pytest.mark.parametrize("order", [1, -1])
def test_two_providers_of_one_name_are_an_error_that_names_both(installed: list[EntryPoint], order: int) -> None:
    installed += [EntryPoint("x", "math:floor", "g"), EntryPoint("x", "math:ceil", "g")][::order]
    with pytest.raises(DeclarationError, match=r"(?s)math:floor.*math:ceil|math:ceil.*math:floor"):
        Registry("thing", "g").entries()


def test_a_clash_with_a_built_in_is_an_error(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("sqrt", "math:floor", "g"))
    with pytest.raises(DeclarationError, match="genbench"):
        Registry("thing", "g", {"sqrt": ("math:sqrt", "")}).entries()


@pytest.mark.parametrize("target", ["no_such_module:x", "math:no_such", "math:"])
def test_a_name_that_cannot_be_imported_says_so(target: str) -> None:
    with pytest.raises(DeclarationError, match="cannot import"):
        Registry("thing", "g", {"broken": (target, "")}).load("broken")


@pytest.mark.parametrize("kind", ["METRICS", "EXTRACTORS", "DATASETS", "BASELINES"])
def test_every_built_in_can_be_imported(kind: str) -> None:
    found = getattr(registry, kind)
    assert found.entries()
    for name in found.entries():
        assert found.load(name) is not None
