"""Cases of transport distances: exact, sliced and regularized."""

from __future__ import annotations

import math

from genbench.audit import formulas as by
from genbench.audit.case import Case
from genbench.audit.promises import Covers, Exactly, Mean, Spread
from genbench.audit.worlds import gaussians, same_inputs, two_clouds

D, N, SHIFT, SCALE = 4, 200, 1.0, 0.7
APART, EQUAL = gaussians(N, D, shift=SHIFT, scale=SCALE), gaussians(N, D)
LINE = gaussians(100, 1, shift=1.0, scale=1.5)
SQUARE = by.frechet_isotropic(D, SHIFT, SCALE)
EPSILON = 0.2
SINKHORN = {"epsilon": EPSILON}

CASES: tuple[Case, ...] = (
    *(
        Case(
            metrics=(f"w{p}",),
            name="small sets",
            draw=two_clouds(40, 40, 3),
            promises=(Exactly(truth=lambda g, p=p: by.transport(g["generated"], g["reference"], p)),),  # type: ignore[misc]
        )
        for p in (1, 2)
    ),
    Case(
        metrics=("w1", "w2", "sliced_w2", "mind", "sinkhorn"),
        name="one set twice",
        draw=lambda seed: same_inputs(two_clouds(40, 40, 3)(seed)),
        promises=(Exactly(truth=0.0, abs=1e-6),),
    ),
    *(
        Case(
            metrics=(name,),
            name="Gaussians on a line",
            draw=LINE,
            draws=80,
            promises=(
                Mean(truth=truth, low_bias=-0.03, high_bias=0.03),
                Covers(truth=truth, at_least=0.92),
                Spread(low=0.9, high=2.1),
            ),
        )
        for name, truth in (("w1", by.w1_line(1.0, 1.5)), ("w2", math.sqrt(1.25)))
    ),
    Case(
        metrics=("w1", "w2"),
        name="equal Gaussians in 4 dimensions",
        draw=gaussians(100, D),
        draws=80,
        promises=(
            Covers(truth=0.0, at_least=0.92),
            Mean(
                truth=0.5, of="value", low_bias=0.0, high_bias=math.inf, part="bias", why="the plug-in is far above 0"
            ),
        ),
    ),
    Case(
        metrics=("w1", "w2"),
        name="Gaussians apart in 8 dimensions",
        draw=gaussians(100, 8, shift=2.0),
        draws=60,
        promises=(Covers(truth=2.0, at_least=0.92), Mean(truth=2.0, low_bias=-0.1, high_bias=0.1)),
    ),
    *(
        Case(
            metrics=(name,),
            name="Gaussians apart",
            draw=APART,
            draws=60,
            promises=(
                Mean(truth=truth, low_bias=-0.01 * truth, high_bias=0.01 * truth),
                Covers(truth=truth, at_least=0.92),
                Spread(low=0.85, high=1.3),
            ),
            options={"directions": 100},
        )
        for name, truth in (("sliced_w2", math.sqrt(SQUARE / D)), ("mind", 3 * SQUARE))
    ),
    Case(
        metrics=("mind",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=60,
        promises=(Mean(truth=0.0, low_bias=-0.01, high_bias=0.01, part="null"), Covers(truth=0.0, at_least=0.92)),
        options={"directions": 100},
    ),
    Case(
        metrics=("sliced_w2",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=60,
        promises=(
            Covers(truth=0.0, at_least=0.92),
            Mean(truth=0.0, of="value", low_bias=0.0, high_bias=0.3, part="bias", why="biased up"),
        ),
        options={"directions": 100},
    ),
    Case(
        metrics=("max_sliced_w2",),
        name="Gaussians 2 apart",
        draw=gaussians(200, D, shift=2.0),
        draws=40,
        promises=(
            Mean(truth=2.0, low_bias=-0.1, high_bias=0.0, why="a lower bound of the largest, which is the shift"),
            Mean(truth=2.0, of="extra.in_sample", low_bias=0.0, high_bias=math.inf, part="bias", why="biased up"),
        ),
    ),
    Case(
        metrics=("max_sliced_w2",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=40,
        promises=(Covers(truth=0.0, at_least=0.92),),
    ),
    *(
        Case(
            metrics=("sinkhorn",),
            name="Gaussians apart" if shift else "equal Gaussians",
            draw=gaussians(100, 2, shift=shift, scale=scale),
            draws=40,
            options=SINKHORN,
            promises=(
                Covers(truth=by.sinkhorn_isotropic(2, shift, scale, EPSILON), at_least=0.95),
                Mean(truth=by.sinkhorn_isotropic(2, shift, scale, EPSILON), low_bias=-0.05, high_bias=0.05),
            ),
        )
        for shift, scale in ((1.0, 1.2), (0.0, 1.0))
    ),
)
