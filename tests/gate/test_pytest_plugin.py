"""The pytest fixture: a regression fails, nothing passes in silence, and loading it costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genbench.gate.baseline import read_baseline
from tests.makers import make_estimate, make_run, make_score

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

Outcome = pytest.RunResult
Runner = Callable[..., Outcome]

TEST = """
def test_quality(genbench):
    result = genbench.check({new!r}, against="base.json", primary="fd"{options})
    assert result.rows[0].metric == "fd@digits-cnn.pool"
"""


def record(value: float, name: str = "model") -> str:
    """A record as JSON, whose error no other shares.

    Group jackknife of 20 replicates with standard deviation 0.01: sqrt(19 / 20 * 19 * 0.01^2) = 0.04, and 0.06 of a
    difference, so that 0.3 is five of them.
    """
    replicates = np.random.default_rng(round(1000 * value)).normal(value, 0.01, 20)
    estimate = make_estimate(value, replicates=tuple(replicates.tolist()))
    return make_run(name, seed=None, scores=(make_score(estimate=estimate),)).to_json()


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """A project with records; calling it writes a test that checks one of them, and runs pytest in this process."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # an installed plugin would be loaded twice
    monkeypatch.setenv("COLUMNS", "200")
    for name, value in {"old": 10.0, "close": 10.3, "worse": 20.0, "better": 1.0}.items():
        (pytester.path / f"{name}.json").write_text(record(value))
    pytester.makeini("[pytest]\naddopts = -p genbench.pytest_plugin -p no:cacheprovider\nfilterwarnings = default\n")

    def run(new: str, *arguments: str, options: str = "") -> Outcome:
        pytester.makepyfile(test_it=TEST.format(new=new, options=options and f", {options}"))
        return pytester.runpytest_inprocess(*arguments)

    return run


@pytest.fixture
def with_baseline(project: Runner) -> Runner:
    """The same project, with a baseline."""
    project("old.json", "--genbench-update").assert_outcomes(passed=1)
    return project


def test_a_pass_passes_and_is_listed(with_baseline: Runner) -> None:
    result = with_baseline("old.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*= genbench =*", "PASS: model against base.json *[[]test_it.py::test_quality[]]"])


def test_a_regression_fails_like_an_assertion(with_baseline: Runner) -> None:
    result = with_baseline("worse.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*result = genbench.check('worse.json', against=*",
            "E  *AssertionError: REGRESSION: model against base.json*",
            "E  *fd ↓ * regression",
            "test_it.py:2: AssertionError",
            "REGRESSION: model against base.json*",
        ]
    )
    # The traceback ends in the test: no line of genbench, nor of this fixture, is in it.
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")
    result.stdout.no_fnmatch_line("*genbench/gate*")


def test_an_inconclusive_check_fails(with_baseline: Runner) -> None:
    result = with_baseline("close.json", options="margin='0.3'")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E  *AssertionError: INCONCLUSIVE*"])


@pytest.mark.parametrize("how", ["option", "ini"])
def test_an_inconclusive_check_that_is_allowed_warns(with_baseline: Runner, how: str) -> None:
    arguments = ["-o", "genbench_allow_inconclusive=true"] if how == "ini" else []
    options = "margin='0.3'" + (", allow_inconclusive=True" if how == "option" else "")
    result = with_baseline("close.json", *arguments, options=options)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_it.py:2: InconclusiveWarning: INCONCLUSIVE*", "INCONCLUSIVE: model against*"])


def test_what_a_test_says_overrides_the_ini(with_baseline: Runner) -> None:
    options = "margin='0.3', allow_inconclusive=False"
    with_baseline("close.json", "-o", "genbench_allow_inconclusive=true", options=options).assert_outcomes(failed=1)


def test_allowing_inconclusive_checks_allows_no_regression(with_baseline: Runner) -> None:
    with_baseline("worse.json", options="allow_inconclusive=True").assert_outcomes(failed=1)


def test_an_improvement_fails_only_where_it_was_asked_for(with_baseline: Runner) -> None:
    with_baseline("better.json").assert_outcomes(passed=1)
    result = with_baseline("better.json", options="two_sided=True")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E  *AssertionError: IMPROVEMENT*"])


def test_a_missing_baseline_says_how_to_make_it(project: Runner) -> None:
    result = project("old.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*base.json: no such baseline; make it with: pytest --genbench-update 'test_it.py::*"])


def test_what_cannot_be_evaluated_fails_with_one_sentence(with_baseline: Runner, pytester: pytest.Pytester) -> None:
    (pytester.path / "base.json").write_text("{}")
    result = with_baseline("old.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["genbench: check: *base.json: a baseline expected*", "NOT EVALUABLE: *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_an_update_writes_the_baseline_and_says_so(with_baseline: Runner, pytester: pytest.Pytester) -> None:
    result = with_baseline("worse.json", "--genbench-update")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["UPDATED: base.json is now model, digits@1 (fd@digits-cnn.pool; n = 599); commit it.*"]
    )
    with_baseline("worse.json").assert_outcomes(passed=1)
    assert read_baseline(pytester.path / "base.json").runs[0].scores[0].estimate.value == 20  # type: ignore[union-attr]


def test_an_update_keeps_margins_that_are_not_given_anew(with_baseline: Runner, pytester: pytest.Pytester) -> None:
    with_baseline("old.json", "--genbench-update", options="margin='7%'").assert_outcomes(passed=1)
    with_baseline("worse.json", "--genbench-update").assert_outcomes(passed=1)
    assert read_baseline(pytester.path / "base.json").margins == {"fd@digits-cnn.pool": "7%"}


def test_an_update_replaces_a_damaged_baseline_and_says_so(with_baseline: Runner, pytester: pytest.Pytester) -> None:
    (pytester.path / "base.json").write_text("{}")
    result = with_baseline("old.json", "--genbench-update")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["REPLACED: check: *", "UPDATED: *"])


def test_a_baseline_beside_the_test_comes_before_one_in_the_rootdir(
    with_baseline: Runner, pytester: pytest.Pytester
) -> None:
    with_baseline("worse.json", "--genbench-update")
    folder = pytester.mkdir("quality")
    (pytester.path / "base.json").rename(folder / "base.json")
    with_baseline("old.json", "--genbench-update")
    (pytester.path / "test_it.py").rename(folder / "test_it.py")
    (folder / "test_it.py").write_text(TEST.format(new="worse.json", options=""))
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["PASS: model against quality/base.json*"])


def test_tests_with_the_fixture_are_chosen_by_the_marker(with_baseline: Runner, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_other():\n    pass\n")
    result = with_baseline("old.json", "-m", "genbench", "--strict-markers")
    result.assert_outcomes(passed=1, deselected=1)


def test_every_check_of_a_test_is_listed(with_baseline: Runner, pytester: pytest.Pytester) -> None:
    options = "margin='0.3', allow_inconclusive=True); genbench.check('old.json', against='base.json'"
    result = with_baseline("close.json", options=options)
    result.stdout.fnmatch_lines(["INCONCLUSIVE: *", "PASS: *"])


def test_verdicts_come_back_from_the_workers_of_xdist(with_baseline: Runner, pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    with_baseline("worse.json")  # writes the test
    result = pytester.runpytest_subprocess("-p", "xdist.plugin", "-n", "2", "--rootdir", str(pytester.path))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["REGRESSION: model against base.json*"])


def test_loading_it_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it(genbench):\n"
        "    heavy = {'torch', 'numpy', 'pandas', 'scipy', 'genbench.gate'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-p", "genbench.pytest_plugin", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
