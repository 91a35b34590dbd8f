"""The benchmarks of speed run, at the smallest sizes, and what all contenders compute there is the same."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from genbench.registry import METRICS
from tests.performance import growth, measure, output
from tests.performance.__main__ import main
from tests.performance.case import Case, Contender, Work
from tests.performance.declared import declared
from tests.performance.suite import CASES

SMALL = 1e-9
"""A scale at which every size is the fewest that the contenders need."""
RATES = measure.Rates(float64=1e9, float32=2e9, bytes=4e9)


@pytest.fixture(autouse=True)
def as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads stay as the tests need them: limits of threads outlast a benchmark, which ends with its process."""
    monkeypatch.setattr(measure, "use_threads", lambda threads: None)


@pytest.mark.parametrize("name", CASES)
def test_contenders_of_a_case_agree(name: str) -> None:
    case = CASES[name]
    rows = measure.time_case(case, scale=SMALL, rounds=1, memory=False)
    assert rows[0].status == "ok", rows[0].status
    absent = [row for row in rows if row.status in ("not installed", "no CUDA device")]
    present = [row for row in rows if row not in absent]
    assert [row.status for row in present] == ["ok"] * len(present)
    apart = {row.contender: row.apart for row in present[1:] if math.isfinite(row.apart)}
    assert all(off <= 1 for off in apart.values()), apart


def test_kernel_subsets_are_those_of_torch_fidelity() -> None:
    rows = {row.contender: row for row in measure.time_case(CASES["kid-2048"], scale=SMALL, rounds=1, memory=False)}
    ours, theirs = (rows[name].numbers["mean of subsets"] for name in ("genbench, subsets", "torch-fidelity"))
    assert ours == pytest.approx(theirs, rel=1e-4)  # theirs is in float32


def _case(*contenders: Contender) -> Case:
    return Case("made-up", "A made-up case", {"n": 100}, lambda sizes: {"n": sizes["n"]}, contenders)


def test_who_is_missing_or_fails_is_a_row() -> None:
    def fail(_: object) -> dict[str, float]:
        raise ValueError("no such thing\nand more")

    found = measure.time_case(
        _case(
            Contender("ours", lambda inputs: {"sum": 1.0}),
            Contender("theirs", lambda inputs: {"sum": 1.0}, package="nobody", module="nobody_has_this"),
            Contender("broken", fail),
        ),
        rounds=2,
        memory=False,
    )
    assert [row.status for row in found] == ["ok", "not installed", "failed: ValueError: no such thing"]
    assert [len(row.cpu) for row in found] == [2, 0, 0]


def test_numbers_apart_are_told() -> None:
    case = _case(Contender("ours", lambda inputs: {"sum": 1.0}), Contender("theirs", lambda inputs: {"sum": 1.001}))
    rows = measure.time_case(case, rounds=1, memory=False)
    assert rows[1].apart == pytest.approx(1e-3 / 1.001 / 1e-9)
    page = output.case_to_markdown(output.Measured(case, {"n": 100}, math.nan, rows))
    assert "NO, 1.0e+06 times the tolerance" in page


def test_a_contender_that_took_its_time_leaves_rounds_out() -> None:
    """Any time at all is above a budget of 0 after the first round."""
    rows = measure.time_case(_case(Contender("ours", lambda inputs: {"sum": 1.0})), rounds=3, budget=0, memory=False)
    assert len(rows[0].cpu) == 1


def test_ratio_is_the_median_over_rounds_of_pairs() -> None:
    rows = {
        "ours": measure.Row("c", "ours", "", "ok", cpu=[1.0, 2.0, 4.0]),
        "theirs": measure.Row("c", "theirs", "", "ok", cpu=[3.0, 4.0, 20.0]),
    }
    case = _case(Contender("ours", lambda inputs: {}), Contender("theirs", lambda inputs: {}))
    measure.compare(case, rows)
    assert rows["theirs"].ratio == 3.0


def test_the_limit_is_the_longer_of_products_and_reading() -> None:
    assert RATES.seconds(Work(float64=1e9, float32=1e9)) == pytest.approx(1.5)
    assert RATES.seconds(Work(float64=1e9, bytes=8e9)) == pytest.approx(2.0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux")
def test_peak_memory_is_that_of_the_call() -> None:
    """64 MiB that are written and let go; numpy and Python round up by less than 8."""
    from tests.performance.peak import extra_mib

    assert 63 < extra_mib(lambda: os.urandom(2**26)) < 72


def test_growth_stops_before_what_takes_too_long_and_knows_its_exponent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_point", lambda name, n, d: {"n": n, "d": d, "seconds": (n / 1e3) ** 2, "mib": 1.0})
    points = growth._along("any", [(1_000, 1), (3_000, 1), (10_000, 1), (30_000, 1)], longest=50.0)
    assert [p["n"] for p in points] == [1_000, 3_000]
    assert growth.exponent(points, "n") == pytest.approx(2.0)


def test_every_metric_states_its_cost() -> None:
    unstated = [name for name in METRICS.entries() if math.isnan(sum(declared(name)[:2]))]
    assert not unstated


@pytest.mark.parametrize(
    ("name", "cost"), [("fd", (1, 3)), ("fid", (1, 3)), ("kid", (2, 1)), ("kl_knn", (2, 3)), ("w2", (2.5, 1))]
)
def test_costs_are_read_as_they_are_written(name: str, cost: tuple[float, float]) -> None:
    assert declared(name)[:2] == cost


def test_what_grows_faster_than_its_docstring_says_is_named() -> None:
    def points(by: str, power: float) -> list[dict[str, float]]:
        return [{by: size, "seconds": (size / 1e3) ** power, "mib": 1.0} for size in (1_000, 3_000)]

    found = {
        "sliced_w2": {"n": points("n", 1.2), "d": points("d", 1.5)},
        "kd": {"n": points("n", 2), "d": points("d", 1)},
    }
    assert growth.faster_than_declared(found) == ["sliced_w2 with d"]
    assert "grows: sliced_w2 with d." in growth.growth_to_markdown(found)


def test_command_writes_its_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    only = ["--only", "sliced", "growth", "--metrics", "fd", "--scale", "1e-4", "--rounds", "1"]
    assert main([*only, "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "performance" / "cases.json").read_text())
    (case,) = found["cases"]
    assert {row["status"] for row in case["rows"]} == {"ok"}
    assert [row["peak_failure"] for row in case["rows"]] == [""] * len(case["rows"])
    assert set(found["growth"]) == {"fd"}
    page = (tmp_path / "performance.md").read_text()
    assert "of 60 x 4 features on 10 lines" in case["title"]
    assert case["title"] in page
    assert "| fd |" in page
    assert case["title"] in capsys.readouterr().out
    assert (tmp_path / "performance" / "growth.svg").stat().st_size > 1000


def test_unknown_names_and_scales_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--only", "nothing"], ["--scale", "2"]):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
    assert "nothing unknown" in capsys.readouterr().err
