"""Tables of stability and generalization: failures are counted and never averaged, controls stand below the models."""

from __future__ import annotations

from genbench.records import Run
from genbench.tables import generalization, stability
from tests.makers import make_run


def trainings(model: str, values: list[float]) -> list[Run]:
    """One final run per value, with seeds 0, 1, 2 ..."""
    return [make_run(model, seed, value) for seed, value in enumerate(values)]


def row(frame, **where):  # type: ignore[no-untyped-def]
    """Return the one row that matches."""
    found = frame
    for column, value in where.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_a_failed_run_is_counted() -> None:
    runs = [*trainings("gan", [1.0, 2.0]), make_run("gan", 2, scores=(), failure="diverged")]
    spread = row(stability(runs), split="test", model="gan")
    assert (spread["seeds"], spread["completed"], spread["failed"]) == (3, 2, 1)
    assert spread["failed_low"] < 1 / 3 < spread["failed_high"]


def control(name: str, value: float) -> Run:
    """The record of a control."""
    return make_run(name, None, value, recipe={"control": "something known"})


def test_controls_stand_below_the_models() -> None:
    models = trainings("gan", [5.0, 5.1]) + trainings("vae", [9.0, 9.1]) + [make_run("mine", None, 7.0)]
    runs = [control("replay", 0.0), *models, control("real", 1.0), control("gaussian", 99.0)]
    for table in (stability, generalization):
        assert list(table(runs)["model"].unique()) == ["gan", "mine", "vae", "real", "gaussian", "replay"]


def test_the_order_of_the_records_does_not_matter() -> None:
    runs = trainings("gan", [1.0, 2.0]) + trainings("vae", [3.0, 4.0])
    for table in (stability, generalization):
        assert table(runs).equals(table(runs[::-1]))
