"""The gate's promises, simulated: false alarms, power, and what more samples bring.

Every trial draws a reference, a baseline and a new generator anew, 8-dimensional normal distributions whose Fréchet
distance to the truth is the squared distance of means (plus, where scaled, the trace term), scores them with the real
metric and runs the real gate. Of 200 tests whose level is 5%, more than 22 come out by chance with probability 1.3e-4,
of 400 at 5% more than 37 with 1.4e-4 (binomial).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from genbench.gate.baseline import Baseline
from genbench.gate.candidate import noise_of_halves
from genbench.gate.decision import look
from genbench.gate.plan import make_plan
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd
from genbench.records import Run, Score
from tests.makers import make_run, make_score

pytestmark = pytest.mark.slow

KEY = "fd@digits-cnn.pool"
D = 8
FAR = math.sqrt(0.1)

Rows = NDArray[np.float64]
Draw = Callable[[int], Rows]


def generator(rng: np.random.Generator, *, axis: int = 0, shift: float = FAR, scale: float = 1.0) -> Draw:
    """At Fréchet distance ``shift**2 + D (1 - scale)**2`` from the standard normal distribution."""
    mean = np.zeros(D)
    mean[axis] = shift
    return lambda n: rng.standard_normal((n, D)) * scale + mean


def score(rows: Rows, reference: Features) -> Score:
    return make_score(
        estimate=fd(generated=Features(rows), reference=reference), n_generated=len(rows), n_reference=reference.n
    )


class Live:
    """A generator without end, as the gate looks at one: the first samples of a longer draw are the same."""

    endless = True
    name = "new"

    def __init__(self, draw: Draw, reference: Features) -> None:
        self.draw, self.reference, self.rows = draw, reference, draw(0)

    def runs(self, keys: Any, n: int) -> tuple[Run, ...]:
        self.rows = np.concatenate([self.rows, self.draw(max(0, n - len(self.rows)))])
        return (make_run("new", None, scores=(score(self.rows[:n], self.reference),)),)


def make_baseline(draw: Draw, reference: Features, n: int) -> Baseline:
    rows, half = draw(n), n // 2
    noise = noise_of_halves(score(rows[:half], reference), score(rows[half:], reference), n)
    assert noise is not None
    run = make_run("old", None, scores=(score(rows, reference),))
    return Baseline(runs=(run,), primary=(KEY,), noise={KEY: noise})


def trials(
    repeats: int,
    seed: int,
    new: dict[str, Any],
    old: dict[str, Any],
    *,
    n: int = 800,
    margin: str = "0",
    looks: int = 1,
) -> tuple[Counter[str], list[Baseline]]:
    """Count verdicts over fresh references, baselines and generators."""
    rng = np.random.default_rng(seed)
    verdicts: Counter[str] = Counter()
    baselines = []
    for _ in range(repeats):
        reference = Features(rng.standard_normal((n, D)))
        baselines.append(make_baseline(generator(rng, **old), reference, n))
        live: Any = Live(generator(rng, **new), reference)
        found = look(live, baselines[-1], (KEY,), {KEY: margin}, "", 0.05, looks, n, "auto", False)
        verdicts[found.verdict] += 1
    return verdicts, baselines


@pytest.mark.parametrize("looks", [1, 3])
def test_the_same_model_drawn_again_is_seldom_called_worse(looks: int) -> None:
    """At margin 0, where false alarms are most frequent: at most 5%, three looks together too."""
    verdicts, _ = trials(200, 1, {}, {}, looks=looks)
    assert verdicts["regression"] <= 22


@pytest.mark.parametrize("new", [{"axis": 1}, {"shift": 0.0, "scale": 1 - math.sqrt(0.1 / D)}])
def test_an_unlike_model_of_equal_score_is_seldom_called_worse(new: dict[str, Any]) -> None:
    """Shifted along another axis, or shrunk in place: both at distance .1, as the baseline."""
    verdicts, _ = trials(200, 2, new, {})
    assert verdicts["regression"] <= 22


def test_a_worse_model_is_detected_with_the_power_that_was_planned() -> None:
    """400 trials have a deviation of .024; the new model's own noise, which no plan knows, takes about .03 off.

    The plan is that of each trial's baseline, averaged: a single one is uncertain by about .1, as its noise is known
    from 20 groups. Beyond .1 in all: probability about .003.
    """
    worse_by = 0.022
    verdicts, baselines = trials(400, 3, {"shift": math.sqrt(0.1 + worse_by)}, {}, n=6400)
    planned = [make_plan(b, margin=["0"], difference=[str(worse_by)])[0].sizes[0].finds or 0.0 for b in baselines]
    assert 0.5 < np.mean(planned) < 0.95
    assert verdicts["regression"] / 400 == pytest.approx(np.mean(planned), abs=0.1)
    assert verdicts["pass"] <= 37


def test_more_samples_leave_fewer_inconclusive() -> None:
    """The same model under a margin of .04: noise of .08, .04 and .02 at 200, 800 and 3,200 leaves ever fewer open.

    The chances of a pass that the noncentral t gives are .11, .26 and .68; for 80 trials each, a deviation of .055, the
    order of two neighbours is turned by chance with probability below .03 and .00001.
    """
    open_ = [trials(80, 4, {}, {}, n=n, margin="0.04")[0]["inconclusive"] for n in (200, 800, 3200)]
    assert open_[0] > open_[1] > open_[2]
