"""A table is made once for the records that it is asked about again, and never for others."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from genbench.records import Run
from genbench.tables.remembered import remembered
from tests.makers import make_run

calls: list[tuple[int, str]] = []


@remembered
def table(runs: Sequence[Run], name: str = "x") -> pd.DataFrame:
    calls.append((len(runs), name))
    return pd.DataFrame({name: [run.sampler for run in runs]})


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def test_the_same_records_are_gone_through_once() -> None:
    runs = [make_run("gan"), make_run("vae")]
    first, again = table(runs), table(tuple(runs))
    assert len(calls) == 1
    pd.testing.assert_frame_equal(first, again)


def test_what_a_caller_does_to_a_table_is_its_own() -> None:
    runs = [make_run("gan")]
    mine = table(runs)
    mine.loc[0, "x"] = "changed"
    assert table(runs).loc[0, "x"] == "gan"
    assert len(calls) == 1


def test_other_records_another_order_and_other_arguments_are_other_tables() -> None:
    one, other = make_run("gan"), make_run("gan")
    for runs in ([one], [other], [one, other], [other, one], []):
        table(runs)
    table([], "y")
    table([], name="z")
    assert calls == [(1, "x"), (1, "x"), (2, "x"), (2, "x"), (0, "x"), (0, "y"), (0, "z")]


def test_arguments_by_name_are_known_again() -> None:
    runs = [make_run("gan")]
    table(runs, name="y")
    table(runs, name="y")
    assert calls == [(1, "y")]
