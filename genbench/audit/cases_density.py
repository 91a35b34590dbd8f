"""Cases of entropies and divergences of densities."""

from __future__ import annotations

import math

from genbench.audit import formulas as by
from genbench.audit.case import Case
from genbench.audit.promises import Covers, Exactly, Inputs, Mean, Spread
from genbench.audit.worlds import gaussians, known_gaussian, same_inputs, two_clouds

D, N, K = 2, 300, 5
NARROW = gaussians(N, D, scale=0.7)
SMALL = two_clouds(80, 90, 2)
HALF_ENTROPY = math.log(2 * math.pi * math.e) / 2


def _pair(given: Inputs) -> tuple[by.Array, by.Array]:
    x, y = given["generated"], given["reference"]
    return by.whitened(x, y), by.whitened(y, y)


def _forward(given: Inputs) -> float:
    x, y = _pair(given)
    return by.neighbour_kl(x, y, K)


def _reverse(given: Inputs) -> float:
    x, y = _pair(given)
    return by.neighbour_kl(y, x, K)


def _entropy(given: Inputs) -> float:
    return by.neighbour_entropy(_pair(given)[0], K)


def _gap(given: Inputs) -> float:
    x, y = _pair(given)
    return by.neighbour_entropy(x, K) - by.neighbour_entropy(y, K)


def _cross(given: Inputs) -> float:
    x = given["generated"]
    return float((x**2).sum() / (2 * len(x)) + x.shape[1] / 2 * math.log(2 * math.pi))


def _known_kl(given: Inputs) -> float:
    return _cross(given) - by.neighbour_entropy(given["generated"], K)


SHIFTED = known_gaussian(N, D, shift=1.0, scale=0.8)
CROSS = D / 2 * math.log(2 * math.pi) + (D * 0.64 + 1) / 2
LINE = gaussians(N, 1, shift=1.0)

CASES: tuple[Case, ...] = (
    Case(metrics=("kl_knn",), name="small sets", draw=SMALL, promises=(Exactly(truth=_forward),)),
    Case(metrics=("kl_knn_reverse",), name="small sets", draw=SMALL, promises=(Exactly(truth=_reverse),)),
    Case(metrics=("entropy_knn",), name="small sets", draw=SMALL, promises=(Exactly(truth=_entropy),)),
    Case(metrics=("entropy_gap_knn",), name="small sets", draw=two_clouds(80, 80, 2), promises=(Exactly(truth=_gap),)),
    Case(
        metrics=("entropy_gap_knn", "js_classifier", "kl_dv", "kl_nwj"),
        name="one set twice",
        draw=lambda seed: same_inputs(SMALL(seed)),
        promises=(Exactly(truth=0.0, abs=1e-6),),
    ),
    *(
        Case(
            metrics=(name,),
            name="Gaussians, the first narrower",
            draw=gaussians(N, D, scale=scale),
            draws=60,
            promises=(
                Mean(truth=truth, low_bias=-0.03, high_bias=0.03, why="bias below .03 at n = 300, d = 2"),
                Covers(truth=truth, at_least=0.90),
                Spread(low=0.85, high=1.4),
            ),
        )
        for name, scale, truth in (
            ("kl_knn", 0.7, by.kl_isotropic(D, 0, 0.7)),
            ("kl_knn_reverse", 1 / 0.7, by.kl_isotropic(D, 0, 0.7)),
            ("entropy_gap_knn", 0.7, D * math.log(0.7)),
        )
    ),
    Case(
        metrics=("kl_knn", "kl_knn_reverse", "entropy_gap_knn"),
        name="equal Gaussians",
        draw=gaussians(N, D),
        draws=60,
        promises=(Mean(truth=0.0, low_bias=-0.02, high_bias=0.02, part="null"), Covers(truth=0.0, at_least=0.92)),
    ),
    Case(
        metrics=("entropy_knn",),
        name="Gaussian of half the reference's width",
        draw=gaussians(N, D, scale=0.5),
        draws=60,
        promises=(
            Mean(truth=D * (HALF_ENTROPY + math.log(0.5)), low_bias=-0.06, high_bias=0.06),
            Covers(truth=None, at_least=0.90),
        ),
    ),
    Case(
        metrics=("cross_entropy",),
        name="Gaussian beside the truth",
        draw=SHIFTED,
        draws=200,
        promises=(Mean(truth=CROSS), Covers(truth=CROSS, at_least=0.92), Spread(low=0.95, high=1.05)),
    ),
    Case(metrics=("cross_entropy",), name="small set", draw=known_gaussian(50, D), promises=(Exactly(truth=_cross),)),
    Case(metrics=("kl_log_prob",), name="small set", draw=known_gaussian(90, D), promises=(Exactly(truth=_known_kl),)),
    Case(
        metrics=("kl_log_prob",),
        name="Gaussian beside the truth",
        draw=SHIFTED,
        draws=60,
        promises=(
            Mean(truth=by.kl_isotropic(D, 1.0, 0.8), low_bias=-0.06, high_bias=0.06),
            Covers(truth=by.kl_isotropic(D, 1.0, 0.8), at_least=0.92),
        ),
    ),
    Case(
        metrics=("kl_log_prob",),
        name="the truth",
        draw=known_gaussian(N, D),
        draws=60,
        promises=(Mean(truth=0.0, low_bias=-0.06, high_bias=0.06, part="null"),),
    ),
    *(
        Case(
            metrics=(name,),
            name="Gaussians 1 apart on a line",
            draw=LINE,
            draws=32,
            promises=(
                Mean(truth=truth, of="value", low_bias=-math.inf, part="bias", why="a lower bound in expectation"),
                Mean(truth=truth, low_bias=-0.03, high_bias=0.03),
                Covers(truth=truth, at_least=0.90),
            ),
        )
        for name, truth in (("js_classifier", by.js_line(1.0, 1.0)), ("kl_dv", 0.5), ("kl_nwj", 0.5))
    ),
    Case(
        metrics=("js_classifier", "kl_dv", "kl_nwj"),
        name="equal Gaussians on a line",
        draw=gaussians(200, 1),
        draws=32,
        promises=(
            Mean(truth=0.0, of="value", low_bias=-0.1, part="null", why="negative where nothing was learned"),
            Covers(truth=0.0, at_least=0.90),
        ),
    ),
)
