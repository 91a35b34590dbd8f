"""Exact and sliced Wasserstein distances."""

from __future__ import annotations

import numpy as np
import torch

from genbench.metrics.features import Features
from genbench.metrics.lines import projected_squares, unit_directions
from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes, Work
from tests.performance.inputs import features
from tests.performance.scored import SEED, bare_values, values

ENOUGH = 10**9
"""Iterations after which POT would give up: more than any case takes, so that its answer is the optimum."""


def _genbench(inputs: Inputs) -> Numbers:
    return values(["w2"], generated=inputs["generated"], reference=inputs["reference"])


def _genbench_value(inputs: Inputs) -> Numbers:
    return bare_values(["w2"], generated=inputs["generated"], reference=inputs["reference"])


def _tables(inputs: Inputs) -> list[np.ndarray]:
    return [inputs[name].numpy().astype(np.float64) for name in ("generated", "reference")]


def _pot(inputs: Inputs) -> Numbers:
    import ot

    ours, theirs = _tables(inputs)
    cost = ot.dist(ours, theirs)
    return {"w2": float(ot.emd2([], [], cost, numItermax=ENOUGH, numThreads=1)) ** 0.5}


def _scipy(inputs: Inputs) -> Numbers:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    cost = cdist(*_tables(inputs), "sqeuclidean")
    return {"w2": float(cost[linear_sum_assignment(cost)].mean()) ** 0.5}


def _exact(n: int, d: int, *, interval: bool = True, scipy: bool = True) -> Case:
    contenders = [
        Contender("genbench, value", _genbench_value, does="the bare number, with its certificate"),
        Contender("POT", _pot, package="POT", module="ot", does="emd2, iterations enough to be exact"),
    ]
    if scipy:
        contenders.append(Contender("scipy", _scipy, package="scipy", module="scipy", does="linear_sum_assignment"))
    if interval:
        contenders.append(Contender("genbench", _genbench, does="with debiased value, interval and 20 replicates"))
    return Case(
        name=f"w2-{n}-{d}",
        title="Exact W2 of {n:,} against {n:,} x {d:,} samples",
        sizes={"n": n, "d": d},
        make=features,
        contenders=tuple(contenders),
        rehearsal=0.2,  # the auction, and numba with it, is for more than 500 samples
    )


def _sliced(inputs: Inputs) -> Numbers:
    tables = {name: inputs[name] for name in ("generated", "reference")}
    return values(["sliced_w2"], options={"directions": inputs["directions"].shape[0]}, **tables)


def _sliced_value(inputs: Inputs) -> Numbers:
    sides = (Features(inputs[name]) for name in ("generated", "reference"))
    squares = projected_squares(*sides, inputs["directions"], replicates=False)
    return {"sliced_w2": float(squares[0].mean()) ** 0.5}


def _pot_sliced(inputs: Inputs) -> Numbers:
    import ot

    lines = inputs["directions"].numpy().T
    return {"sliced_w2": float(ot.sliced_wasserstein_distance(*_tables(inputs), projections=lines))}


def _pot_sliced_torch(inputs: Inputs) -> Numbers:
    import ot

    tables = (torch.from_numpy(table) for table in _tables(inputs))
    return {"sliced_w2": float(ot.sliced_wasserstein_distance(*tables, projections=inputs["directions"].T))}


def _with_lines(sizes: Sizes) -> Inputs:
    return {**features(sizes), "directions": unit_directions(sizes["directions"], sizes["d"], SEED)}


def _products(sizes: Sizes) -> Work:
    return Work(float64=4 * sizes["n"] * sizes["d"] * sizes["directions"])


CASES = (
    _exact(5_000, 64),
    _exact(5_000, 2),
    _exact(10_000, 64, interval=False, scipy=False),
    _exact(10_000, 2, interval=False, scipy=False),
    Case(
        name="sliced",
        title="Sliced W2 of two sets of {n:,} x {d:,} features on {directions:,} lines",
        sizes={"n": 10_000, "d": 512, "directions": 200},
        make=_with_lines,
        contenders=(
            Contender("genbench, value", _sliced_value, does="the bare number"),
            Contender("genbench", _sliced, does="with debiased value, interval and 20 replicates"),
            Contender("POT, numpy", _pot_sliced, package="POT", module="ot"),
            Contender("POT, torch", _pot_sliced_torch, package="POT", module="ot"),
        ),
        work=_products,
        limit="both projections as a float64 product",
    ),
)
