"""Cases of scores of classes and known modes."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from genbench.audit import formulas as by
from genbench.audit.case import Case
from genbench.audit.promises import Covers, Exactly, Inputs, Mean, Null, Spread
from genbench.audit.worlds import Cells, classes, dirichlet, one_hot, ring_modes

EVEN = np.full(10, 0.1)
UNEVEN = np.linspace(1.0, 4.0, 10) / 25.0
STEEP = np.linspace(4.0, 1.0, 10) / 25.0
SEVEN = np.where(np.arange(10) < 7, 1 / 7, 0.0)
N = 300
ALPHA = np.full(10, 0.5)
IS_TRUTH = by.inception_dirichlet(ALPHA)
WITHIN = 1 - math.exp(-4.5)
"""Chance of two dimensions within three deviations."""


def _is_bias(n: float) -> float:
    """First-order loss of the plug-in score: IS times (C - 1)/(2 n (a0 + 1)), for even Dirichlet answers."""
    return float(IS_TRUTH * (len(ALPHA) - 1) / (2 * n * (ALPHA.sum() + 1)))


def _counts(given: Inputs) -> tuple[by.Array, by.Array]:
    a, b = (np.bincount(given[name].argmax(axis=1), minlength=10) for name in ("generated", "reference"))
    return a.astype(np.float64), b.astype(np.float64)


def _kl(given: Inputs) -> float:
    a, b = _counts(given)
    return by.kl_shares(a / a.sum(), b / b.sum())


def _js(given: Inputs) -> float:
    a, b = _counts(given)
    return by.js_shares(a / a.sum(), b / b.sum())


def _smooth(given: Inputs) -> float:
    """KL(reference || generated) with half a sample added to every generated class that is in either set."""
    a, b = _counts(given)
    seen = (a + b) > 0
    return by.kl_shares(b[seen] / b.sum(), (a[seen] + 0.5) / (a.sum() + seen.sum() / 2))


def _random_logits(seed: int) -> Inputs:
    return {"generated": 2 * np.random.default_rng(seed).standard_normal((90, 7))}


def _balanced(seed: int) -> Inputs:
    return {"generated": one_hot(np.arange(200) % 10, 10)}


def _unseen(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {"generated": rng.integers(10, size=(15, 1)) + 0.5, "factors": Cells(10, 4)}


def _counted(seed: int) -> Inputs:
    return {"generated": np.array([[0.5], [1.5], [6.5], [7.5], [7.5]]), "factors": Cells(10, 4)}


def _divergence(name: str, truth: float, equal_null: float) -> tuple[Case, ...]:
    """Make the cases of a divergence of class shares: apart, and equal."""
    return (
        Case(
            metrics=(name,),
            name="classes with unlike shares",
            draw=classes(N, UNEVEN, STEEP),
            draws=160,
            promises=(
                Mean(truth=truth, low_bias=-0.01, high_bias=0.01),
                Covers(truth=truth, at_least=0.92),
                Spread(low=0.9, high=1.25),
            ),
        ),
        Case(
            metrics=(name,),
            name="classes with equal shares",
            draw=classes(N, UNEVEN),
            draws=160,
            promises=(
                Mean(truth=0.0, low_bias=-0.003, high_bias=0.003),
                Null(bias=0.1 * equal_null),
                Covers(truth=0.0, at_least=0.95),
                Mean(truth=equal_null, of="null", part="null", why="the formula for equal shares"),
            ),
        ),
    )


SHARES: tuple[Case, ...] = (
    *_divergence("kl_class", by.kl_shares(UNEVEN, STEEP), 9 / N),
    *_divergence("kl_class_reverse", by.kl_shares(STEEP, UNEVEN), 9 / N),
    *_divergence("js_class", by.js_shares(UNEVEN, STEEP), 9 / 4 / N),
    Case(metrics=("kl_class",), name="counted", draw=classes(N, UNEVEN, STEEP), promises=(Exactly(truth=_kl),)),
    Case(
        metrics=("kl_class_reverse",),
        name="counted",
        draw=classes(N, UNEVEN, STEEP),
        promises=(Exactly(truth=_smooth),),
    ),
    Case(metrics=("js_class",), name="counted", draw=classes(N, UNEVEN, STEEP), promises=(Exactly(truth=_js),)),
    Case(
        metrics=("entropy_class",),
        name="ten even classes",
        draw=classes(200, EVEN),
        draws=160,
        promises=(
            Mean(truth=math.log(10), low_bias=-0.004, high_bias=0.004),
            Mean(
                truth=math.log(10) - 9 / 400,
                of="value",
                low_bias=-0.003,
                high_bias=0.003,
                part="bias",
                why="(K - 1)/(2 n) too low",
            ),
        ),
    ),
    Case(
        metrics=("entropy_class",),
        name="ten uneven classes",
        draw=classes(N, UNEVEN),
        draws=160,
        promises=(
            Mean(truth=float(special.entr(UNEVEN).sum()), low_bias=-0.004, high_bias=0.004),
            Covers(truth=float(special.entr(UNEVEN).sum()), at_least=0.90),
            Spread(low=0.85, high=1.3),
        ),
    ),
    Case(
        metrics=("entropy_class",),
        name="seven classes, equally often",
        draw=classes(700, SEVEN, exact=True),
        promises=(Exactly(truth=math.log(7)),),
    ),
    Case(
        metrics=("modes_class", "modes_class_share"),
        name="seven of ten classes",
        draw=classes(700, SEVEN, EVEN, exact=True),
        promises=(Exactly(truth=7.0),),
    ),
    Case(
        metrics=("modes_class", "modes_class_share"),
        name="ten even classes",
        draw=classes(400, EVEN),
        draws=20,
        promises=(Mean(truth=10.0, part="null", why="a class is missed with probability 1e-17"),),
    ),
)

INCEPTION: tuple[Case, ...] = (
    Case(
        metrics=("is",),
        name="random answers",
        draw=_random_logits,
        promises=(Exactly(truth=lambda g: by.inception(g["generated"])),),
    ),
    Case(
        metrics=("is_splits",),
        name="random answers, one split",
        draw=_random_logits,
        options={"splits": 1},
        promises=(Exactly(truth=lambda g: by.inception(g["generated"])),),
    ),
    Case(metrics=("is",), name="sure answers, ten classes", draw=_balanced, promises=(Exactly(truth=10.0),)),
    Case(
        metrics=("is_splits",),
        name="sure answers, ten classes in turn",
        draw=_balanced,
        options={"shuffle": False},
        promises=(Exactly(truth=10.0),),
    ),
    Case(
        metrics=("is",),
        name="Dirichlet answers",
        draw=dirichlet(N, ALPHA),
        draws=200,
        promises=(
            Mean(truth=IS_TRUTH, low_bias=-0.005, high_bias=0.005),
            Mean(
                truth=IS_TRUTH - _is_bias(N),
                of="value",
                low_bias=-0.1 * _is_bias(N),
                high_bias=0.1 * _is_bias(N),
                part="bias",
                why="first-order bias",
            ),
            Covers(truth=IS_TRUTH, at_least=0.92),
            Spread(low=0.92, high=1.08),
        ),
    ),
    Case(
        metrics=("is_splits",),
        name="Dirichlet answers",
        draw=dirichlet(1000, ALPHA),
        draws=60,
        promises=(
            Mean(
                truth=IS_TRUTH - _is_bias(100),
                of="value",
                low_bias=-0.15 * _is_bias(100),
                high_bias=0.15 * _is_bias(100),
                part="bias",
                why="biased down by what n/splits samples lose",
            ),
        ),
    ),
)

MODES: tuple[Case, ...] = (
    Case(
        metrics=("modes", "modes_share"),
        name="five of eight modes",
        draw=ring_modes(N, 5),
        promises=(Exactly(truth=5.0),),
    ),
    Case(
        metrics=("modes",),
        name="the whole ring, few samples",
        draw=ring_modes(16),
        draws=160,
        promises=(Null(), Mean(truth=8 * (1 - (1 - WITHIN / 8) ** 16), of="value", why="each mode is hit by chance")),
    ),
    Case(
        metrics=("modes_share",), name="the whole ring, few samples", draw=ring_modes(16), draws=160, promises=(Null(),)
    ),
    Case(
        metrics=("high_quality",),
        name="the whole ring",
        draw=ring_modes(N),
        draws=200,
        promises=(
            Mean(truth=WITHIN, of="value"),
            Mean(truth=WITHIN, of="null", part="null"),
            Covers(truth=WITHIN, at_least=0.92),
            Spread(low=0.9, high=1.3),
        ),
    ),
    Case(
        metrics=("kl_modes",),
        name="four of eight modes",
        draw=ring_modes(N, 4),
        draws=100,
        promises=(Mean(truth=math.log(2), low_bias=-0.003, high_bias=0.003),),
    ),
    Case(
        metrics=("kl_modes",),
        name="the whole ring",
        draw=ring_modes(N),
        draws=160,
        promises=(
            Mean(truth=0.0, low_bias=-0.002, high_bias=0.002),
            Null(bias=0.001),
            Covers(truth=0.0, at_least=0.92),
        ),
    ),
    Case(
        metrics=("novel_combinations",),
        name="five events counted by hand",
        draw=_counted,
        promises=(
            Exactly(truth=2 / 4),
            Exactly(truth=1.0, of="extra.valid"),
            Exactly(truth=3 / 5, of="extra.unseen_share"),
            Exactly(truth=1 - 0.9**5, of="null"),
        ),
    ),
    Case(
        metrics=("novel_combinations",),
        name="all combinations equally likely",
        draw=_unseen,
        draws=160,
        promises=(Null(), Covers(truth=1 - 0.9**15, at_least=0.92)),
    ),
)

CASES = SHARES + INCEPTION + MODES
