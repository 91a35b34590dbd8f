"""The gate as a pytest fixture: ``def test_quality(genbench): genbench.check("my.models:make", against="base.json")``.

Loading this imports pytest and the standard library alone; the rest comes when a test checks something.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from genbench.gate import Result
    from genbench.gate.baseline import Baseline

_PROPERTY = "genbench"
"""Of a test's report; user properties are what pytest-xdist brings back from its workers."""

_OF_THE_TEST = ("alpha", "looks", "unit", "two_sided")
"""Options of a check that a baseline knows nothing of."""


class InconclusiveWarning(UserWarning):
    """A check could not tell, and that was allowed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--genbench-update``, ``--genbench-part`` and ``genbench_allow_inconclusive``."""
    group = parser.getgroup("genbench")
    group.addoption(
        "--genbench-part",
        action="append",
        default=[],
        metavar="KIND:NAME",
        help="with --pyargs genbench.testing: what to hold to its contract, as metric:package:ATTRIBUTE",
    )
    group.addoption("--genbench-update", action="store_true", help="make what is checked the baseline, and pass")
    parser.addini("genbench_allow_inconclusive", "warn, and do not fail, where a check cannot tell", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "genbench: checks a generator (every test with the fixture genbench has it)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the fixture, before ``-m`` chooses."""
    for item in items:
        if "genbench" in getattr(item, "fixturenames", ()):
            item.add_marker("genbench")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the verdict of every check, whatever became of its test."""
    found: dict[str, list[str]] = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        lines = [str(value) for name, value in getattr(report, "user_properties", ()) if name == _PROPERTY]
        # Setup, call and teardown report the same list, as far as it had grown.
        if len(lines) > len(found.get(report.nodeid, ())):
            found[report.nodeid] = lines
    if found:
        terminalreporter.section("genbench")
        for nodeid, lines in sorted(found.items()):
            for line in lines:
                terminalreporter.line(f"{line} [{nodeid}]")


@pytest.fixture
def genbench(request: pytest.FixtureRequest) -> Gate:
    """Hold a generator against a committed baseline: see `Gate.check`."""
    return Gate(request)


class Gate:
    """What the fixture ``genbench`` gives a test."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._config = request.config
        self._node = request.node
        self._folder = request.path.parent

    def check(self, new: Any, against: str | Path, *, allow_inconclusive: bool | None = None, **options: Any) -> Result:
        """Fail the test if a generator is worse than a baseline by more than the margin, or if that cannot be told.

        Parameters
        ----------
        new : object
            A sampler, what makes one, a file, or records; as of `genbench.check`.
        against : str or Path
            The baseline; a relative path is one beside the test's file, if there is such, else one in pytest's rootdir.
        allow_inconclusive : bool, optional
            Warn (`InconclusiveWarning`) and do not fail where the data cannot tell; by default what the ini option
            ``genbench_allow_inconclusive`` says, which is False.
        **options
            ``primary="fd"``, ``margin="5%"``, ``alpha``, ``looks``, ``n``, ``seed``, ``unit``, ``two_sided``; and what
            the generator is scored on: ``benchmark``, ``reference``, ``device``... as of `genbench.check`.

        Returns
        -------
        Result
            With ``--genbench-update`` that of the new baseline against itself: the file is written, and nothing fails.

        Raises
        ------
        AssertionError
            With the table of the result, where it is a regression, an improvement that was asked for, or inconclusive.

        Notes
        -----
        What cannot be evaluated (no baseline, another protocol, a metric that failed) fails the test with its sentence.
        """
        __tracebackhide__ = True
        from genbench.errors import GenbenchError

        path = self._place(Path(against))
        try:
            if self._config.getoption("--genbench-update"):
                return self._update(new, path, options)
            result = self._checked(new, path, options)
        except GenbenchError as error:
            self._fail(str(error))
        self._judge(result, allow_inconclusive)
        return result

    def _place(self, against: Path) -> Path:
        """Return where a baseline is, or is to be; an absolute path stays as it is."""
        beside = self._folder / against
        return beside if beside.exists() else self._config.rootpath / against

    def _checked(self, new: Any, path: Path, options: Mapping[str, Any]) -> Result:
        __tracebackhide__ = True
        if not path.exists():
            self._fail(
                f"{self._shown(path)}: no such baseline; make it with: pytest --genbench-update '{self._node.nodeid}'; "
                "and commit it."
            )
        from genbench.gate import check

        return replace(check(new, path, **options), against=self._shown(path))

    def _judge(self, result: Result, allow_inconclusive: bool | None) -> None:
        """Pass, warn or fail; the report shows the test's own line and the table, and nothing of genbench."""
        __tracebackhide__ = True
        from genbench.gate.text import headline, terminal_text

        self._tell(headline(result))
        if result.verdict == "pass":
            return
        if allow_inconclusive is None:
            allow_inconclusive = bool(self._config.getini("genbench_allow_inconclusive"))
        if result.verdict != "inconclusive" or not allow_inconclusive:
            raise AssertionError(terminal_text(result))
        # No skip: that would end the test, and hide a regression that its next check would find.
        warnings.warn(InconclusiveWarning(". ".join([headline(result), *result.notes])), stacklevel=3)

    def _update(self, new: Any, path: Path, options: Mapping[str, Any]) -> Result:
        """Write a baseline; what is not said stays as it was in the one before."""
        from genbench.errors import GenbenchError
        from genbench.gate import check, make_baseline
        from genbench.gate.baseline import read_baseline, write_baseline

        given = {name: value for name, value in options.items() if name not in _OF_THE_TEST}
        if path.exists():
            try:
                given = {**_inherited(read_baseline(path), given), **given}
            except GenbenchError as error:
                self._tell(f"REPLACED: {error}")
        made = make_baseline(new, **given)
        write_baseline(path, made)
        sizes = f"{', '.join(made.primary)}; n = {made.n:,}"
        self._tell(f"UPDATED: {self._shown(path)} is now {made.name}, {made.runs[0].benchmark} ({sizes}); commit it.")
        source = {name: value for name, value in given.items() if name not in ("primary", "margin", "n", "seed")}
        return replace(check(made.runs, made, **source), against=self._shown(path))

    def _fail(self, message: str) -> NoReturn:
        __tracebackhide__ = True
        self._tell(f"NOT EVALUABLE: {message}")
        pytest.fail(f"genbench: {message}", pytrace=False)

    def _tell(self, line: str) -> None:
        self._node.user_properties.append((_PROPERTY, line))

    def _shown(self, path: Path) -> str:
        """Write a path as from the rootdir, if it lies there: reports are the same on every machine."""
        root = self._config.rootpath
        return os.path.relpath(path, root) if path.is_relative_to(root) else str(path)


def _inherited(old: Baseline, given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"primary": old.primary, "seed": old.seed, "n": old.n}
    found["margin"] = [f"{key}:{margin}" for key, margin in old.margins.items()]
    if given.get("reference") is None and given.get("benchmark") is None:
        found |= {name: old.settings.get(name) for name in ("benchmark", "quick", "extractor")}
    return found
