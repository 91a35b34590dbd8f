"""Cases of neighbourhoods, two-sample tests and diversity."""

from __future__ import annotations

import math

import numpy as np

from genbench.audit import formulas as by
from genbench.audit.case import Case
from genbench.audit.promises import Between, Covers, Exactly, Inputs, Mean, Null, Size, Spread
from genbench.audit.worlds import Draw, gaussians, same_inputs, two_clouds

N, D = 200, 4
SMALL = two_clouds(70, 70, 3)
EQUAL = gaussians(N, D)
BALLS = {
    "precision": 3,
    "recall": 3,
    "density": 5,
    "coverage": 5,
    "precision_symmetric": 3,
    "recall_symmetric": 3,
}
"""Each score of neighbourhoods with its k."""

RKE = {"bandwidth": 1.5}
RKE_TRUTH = by.order_two_isotropic(2, 0.6, 1.5) / by.order_two_isotropic(2, 1.0, 1.5)
GRID = np.stack(np.meshgrid(*[np.arange(10.0)] * 3), axis=-1).reshape(-1, 3)
"""A thousand points, 1 apart."""


def far(seed: int) -> Inputs:
    """Two small sets that do not overlap."""
    given = SMALL(seed)
    return {**given, "generated": given["generated"] + 100.0}


def a_third_foreign(seed: int) -> Inputs:
    """A set of which a third is far from the reference, and the rest are the reference's first rows."""
    reference = np.random.default_rng(seed).standard_normal((90, 3))
    return {"generated": np.vstack([reference[:60], reference[:30] + 100.0]), "reference": reference}


def a_third_missing(seed: int) -> Inputs:
    """A reference of which a third is far from all generated samples."""
    given = a_third_foreign(seed)
    return {"generated": given["reference"], "reference": given["generated"]}


def one_place(seed: int) -> Inputs:
    """All generated samples in one place, the reference spread out."""
    reference = np.random.default_rng(seed).standard_normal((N, D))
    return {"generated": np.tile(reference[:1], (N, 1)), "reference": reference}


def groups(seed: int) -> Inputs:
    """Five far groups of equal points, equally large."""
    reference = np.random.default_rng(seed).standard_normal((80, 2))
    return {
        "generated": 1000.0 * np.repeat(np.arange(5.0), 20)[:, None] * np.array([[1.0, 3.0]]),
        "reference": reference,
    }


def repeated(seed: int) -> Inputs:
    """Thirty samples, each of the first twenty twice."""
    x = np.random.default_rng(seed).standard_normal((30, 3))
    return {"generated": np.vstack([x, x[:20]]), "reference": x}


def support(size: int, n: int) -> Draw:
    """Draw n of so many equally likely points, beside a reference whose closest rows are nearer than those are."""

    def draw(seed: int) -> Inputs:
        rng = np.random.default_rng(seed)
        generated = GRID[rng.choice(size, n)] + 0.001 * rng.standard_normal((n, 3))
        return {"generated": generated, "reference": np.arange(50.0)[:, None] * np.array([[0.1, 0.0, 0.0]])}

    return draw


def _ball(name: str, k: int) -> Case:
    return Case(
        metrics=(name,),
        name="small sets",
        draw=SMALL,
        promises=(Exactly(truth=lambda g: by.balls(g["generated"], g["reference"], k)[name]),),
    )


NEIGHBOURHOODS: tuple[Case, ...] = (
    *(_ball(name, k) for name, k in BALLS.items()),
    Case(
        metrics=("precision", "recall", "coverage", "precision_symmetric", "recall_symmetric"),
        name="one set twice",
        draw=lambda seed: same_inputs(SMALL(seed)),
        promises=(Exactly(truth=1.0),),
    ),
    Case(metrics=tuple(BALLS), name="far sets", draw=far, promises=(Exactly(truth=0.0),)),
    Case(metrics=("precision",), name="a third foreign", draw=a_third_foreign, promises=(Exactly(truth=2 / 3),)),
    Case(metrics=("recall",), name="a third missing", draw=a_third_missing, promises=(Exactly(truth=2 / 3),)),
    Case(
        metrics=("coverage",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=60,
        promises=(
            Mean(truth=by.coverage_null(N, N, 5), why="exact expectation"),
            Null(),
            Covers(truth=None, at_least=0.92),
            Spread(low=0.95, high=1.8),
        ),
    ),
    Case(
        metrics=("density",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=60,
        promises=(
            Mean(truth=1.0, why="exact expectation"),
            Null(),
            Covers(truth=None, at_least=0.92),
            Spread(low=0.95, high=1.8),
        ),
    ),
    Case(
        metrics=("precision", "recall", "precision_symmetric", "recall_symmetric"),
        name="equal Gaussians",
        draw=EQUAL,
        draws=60,
        promises=(
            Mean(
                truth=1.0, of="value", low_bias=-0.25, high_bias=0.0, part="bias", why="a perfect generator is below 1"
            ),
            Covers(truth=None, at_least=0.92),
            Spread(low=0.95, high=1.8),
        ),
    ),
)

TESTS: tuple[Case, ...] = (
    Case(
        metrics=("knn_two_sample",),
        name="small sets",
        draw=SMALL,
        promises=(Exactly(truth=lambda g: by.same_side(g["generated"], g["reference"], 3)),),
    ),
    Case(
        metrics=("knn_two_sample",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=160,
        promises=(Null(), Size(promised=0.065)),
    ),
    Case(
        metrics=("c2st",),
        name="Gaussians 1 apart",
        draw=gaussians(N, 2, shift=1.0),
        draws=80,
        promises=(Mean(truth=0.6915, low_bias=-0.03, high_bias=0.0, why="normal(1/2) but for what fitting loses"),),
    ),
    Case(
        metrics=("c2st",),
        name="equal Gaussians",
        draw=gaussians(N, 2),
        draws=120,
        promises=(Mean(truth=0.5, low_bias=-0.02, high_bias=0.0, part="null"), Size()),
    ),
    Case(
        metrics=("ndb",),
        name="all in one place",
        draw=one_place,
        promises=(Exactly(truth=1.0), Between(low=0.0, high=1e-6, of="extra.p_value")),
    ),
    Case(
        metrics=("ndb",),
        name="equal Gaussians",
        draw=gaussians(400, D),
        draws=120,
        options={"bins": 20},
        promises=(Null(), Size(promised=0.06)),
    ),
)

DIVERSITY: tuple[Case, ...] = (
    Case(
        metrics=("rke",),
        name="small sets",
        draw=SMALL,
        options=RKE,
        promises=(Exactly(truth=lambda g: by.order_two(g["generated"], 1.5) / by.order_two(g["reference"], 1.5)),),
    ),
    Case(
        metrics=("rke",),
        name="Gaussian of 0.6 times the width",
        draw=gaussians(N, 2, scale=0.6),
        draws=160,
        options=RKE,
        promises=(
            Mean(truth=RKE_TRUTH, low_bias=-0.003, high_bias=0.003),
            Covers(truth=RKE_TRUTH, at_least=0.92),
            Spread(low=0.9, high=1.25),
        ),
    ),
    Case(
        metrics=("rke",),
        name="equal Gaussians",
        draw=gaussians(N, 2),
        draws=160,
        options=RKE,
        promises=(Mean(truth=1.0, low_bias=-0.005, high_bias=0.005, part="null"), Covers(truth=1.0, at_least=0.92)),
    ),
    Case(metrics=("vendi",), name="five far groups", draw=groups, promises=(Exactly(truth=5.0),)),
    Case(
        metrics=("vendi",),
        name="small sets",
        draw=SMALL,
        promises=(Exactly(truth=lambda g: by.vendi_of(g["generated"], by.median_bandwidth(g["reference"]))),),
    ),
    Case(
        metrics=("vendi",),
        name="Gaussian",
        draw=EQUAL,
        draws=60,
        options={"bandwidth": 2.0},
        promises=(Covers(truth=None, at_least=0.90), Spread(low=0.88, high=1.05)),
    ),
    Case(metrics=("unique_fraction",), name="a part twice", draw=repeated, promises=(Exactly(truth=0.6),)),
    Case(
        metrics=("unique_fraction",),
        name="Gaussian",
        draw=EQUAL,
        draws=20,
        promises=(Mean(truth=1.0, part="null", why="any density"),),
    ),
    Case(
        metrics=("birthday_support",),
        name="a thousand points",
        draw=support(1000, 300),
        draws=60,
        promises=(Mean(truth=1000.0, low_bias=-20.0, high_bias=20.0), Covers(truth=1000.0, at_least=0.93)),
    ),
    Case(
        metrics=("birthday_support",),
        name="one point",
        draw=one_place,
        promises=(Exactly(truth=math.comb(N, 2) / (math.comb(N, 2) + 1)),),
    ),
)

CASES = NEIGHBOURHOODS + TESTS + DIVERSITY
