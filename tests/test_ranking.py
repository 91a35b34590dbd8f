"""Ranks of many models at once are those of every pair for itself."""

from __future__ import annotations

import numpy as np
import pytest

from genbench.records import Better
from genbench.tables import ranking
from genbench.tables.ranking import Side, difference, losses


def losses_pair_by_pair(sides: list[Side], better: Better) -> list[int]:
    """By how many of the others each is beaten, one pair at a time."""
    worse = -1 if better == "higher" else 1
    return [
        sum(difference(one, other)[0].sign == worse for j, other in enumerate(sides) if j != i)
        for i, one in enumerate(sides)
    ]


def random_sides(rng: np.random.Generator) -> list[Side]:
    """Sides with one and with several runs, with and without errors and replicates, some of them tied."""
    errors = [None, 0.0, 0.1, 1.0, 2.0]
    return [
        Side(
            mean=round(float(rng.normal(scale=2)), 1),
            std_error=None if (error := errors[rng.integers(5)]) is None else error * float(rng.uniform(0.5, 2)),
            runs=int(rng.choice([1, 2, 3, 5, 20])),
            replicates=tuple(rng.normal(size=20)) if rng.random() < 0.7 else (),
        )
        for _ in range(rng.integers(0, 30))
    ]


@pytest.mark.parametrize("better", ["lower", "higher", "match"])
@pytest.mark.parametrize("seed", range(10))
def test_losses_are_those_of_every_pair(better: Better, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(ranking, "BLOCK", int(rng.integers(1, 40)))
    sides = random_sides(rng)
    assert losses(sides, better).tolist() == losses_pair_by_pair(sides, better)


@pytest.mark.parametrize("off", [-1e-12, 0.0, 1e-12, -1e-6, 1e-6])
def test_a_pair_at_the_level_is_decided_as_alone(off: float) -> None:
    """With equal errors Welch's test of five and five runs has 8 degrees: its critical value times sqrt(2)."""
    critical = 2.306004135204166 * np.sqrt(2)
    sides = [Side(mean=critical * (1 + off), std_error=1.0, runs=5), Side(mean=0.0, std_error=1.0, runs=5)]
    found = losses(sides, "lower").tolist()
    assert found == losses_pair_by_pair(sides, "lower")
    if abs(off) > 1e-9:
        assert sum(found) == (off > 0)
