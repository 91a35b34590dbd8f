"""Cases of memorization: what copies do to the scores, and what honest generators must not set off."""

from __future__ import annotations

import numpy as np

from genbench.audit import formulas as by
from genbench.audit.case import Case
from genbench.audit.promises import Between, Covers, Exactly, Inputs, Mean, Null, Size
from genbench.audit.worlds import three_sets

PERFECT = three_sets(200, 200, 200, 4)
NARROW = three_sets(200, 200, 200, 4, scale=0.8)
COPIES = three_sets(200, 200, 200, 4, copies=1.0)
TENTH = three_sets(200, 200, 99, 4, copies=0.1)
SIZES = three_sets(200, 400, 200, 4)
SEVERAL = 120


def _authentic(given: Inputs) -> float:
    return by.authentic(given["generated"], given["train"])


def _held_out(given: Inputs) -> float:
    return by.authentic(given["test"], given["train"])


def _ratio(given: Inputs) -> float:
    near, far = (by.nearest(given["generated"], given[name]) for name in ("train", "test"))
    return float(np.exp(np.median(np.log(near / far))))


def _closer(given: Inputs) -> float:
    near, far = (by.nearest(given["generated"], given[name]) for name in ("train", "test"))
    return float((near < far).mean())


def _tail(given: Inputs) -> float:
    """Share of the 20 generated samples closest to any real one whose nearest is a training sample."""
    near, far = (by.nearest(given["generated"], given[name]) for name in ("train", "test"))
    closest = np.argsort(np.minimum(near, far))[: round(0.1 * len(near))]
    return float((near < far)[closest].mean())


CASES: tuple[Case, ...] = (
    Case(
        metrics=("label_test",),
        name="small sets",
        draw=PERFECT,
        promises=(Exactly(truth=_tail), Exactly(truth=_closer, of="extra.share_all")),
    ),
    Case(
        metrics=("label_test",),
        name="a perfect generator",
        draw=SIZES,
        draws=SEVERAL,
        promises=(Mean(truth=2 / 3, of="value", part="null"), Null(), Size(), Covers(truth=2 / 3, at_least=0.93)),
    ),
    Case(metrics=("label_test",), name="a narrow generator", draw=NARROW, draws=SEVERAL, promises=(Null(), Size())),
    Case(
        metrics=("label_test", "lower_tail_copies", "copy_rate"),
        name="copies alone",
        draw=COPIES,
        promises=(Exactly(truth=1.0), Between(low=0.0, high=1e-3, of="extra.p_value")),
    ),
    Case(
        metrics=("auth_pct", "nn_distance_ratio"),
        name="copies alone",
        draw=COPIES,
        promises=(Exactly(truth=0.0),),
    ),
    Case(
        metrics=("c_t",),
        name="copies alone",
        draw=COPIES,
        promises=(Between(high=-5.0), Between(low=0.0, high=1e-6, of="extra.p_value")),
    ),
    Case(
        metrics=("auth_pct",),
        name="small sets",
        draw=PERFECT,
        promises=(Exactly(truth=_authentic), Exactly(truth=_held_out, of="null")),
    ),
    Case(
        metrics=("auth_pct",),
        name="a perfect generator",
        draw=SIZES,
        draws=SEVERAL,
        promises=(Null(), Size(promised=0.065)),
    ),
    Case(metrics=("nn_distance_ratio",), name="small sets", draw=PERFECT, promises=(Exactly(truth=_ratio),)),
    Case(
        metrics=("nn_distance_ratio",),
        name="a perfect generator",
        draw=PERFECT,
        draws=SEVERAL,
        promises=(Null(bias=0.005), Covers(truth=1.0, at_least=0.92)),
    ),
    Case(
        metrics=("nn_distance_ratio",),
        name="a narrow generator",
        draw=NARROW,
        draws=SEVERAL,
        promises=(Null(bias=0.005), Covers(truth=1.0, at_least=0.92)),
    ),
    Case(
        metrics=("lower_tail_copies",),
        name="a perfect generator",
        draw=SIZES,
        draws=SEVERAL,
        promises=(Null(), Mean(truth=0.5, of="null", part="null"), Size(), Covers(truth=0.5, at_least=0.92)),
    ),
    Case(
        metrics=("copy_rate",),
        name="a tenth are copies",
        draw=TENTH,
        draws=SEVERAL,
        promises=(Mean(truth=0.1 + 0.9 / 100, of="value", why="exact: a hundredth of the others is that close"),),
    ),
    Case(
        metrics=("copy_rate",),
        name="a perfect generator",
        draw=SIZES,
        draws=SEVERAL,
        promises=(Null(), Size(), Covers(truth=None, at_least=0.92)),
    ),
    Case(
        metrics=("c_t",),
        name="a perfect generator",
        draw=SIZES,
        draws=SEVERAL,
        promises=(
            Mean(truth=0.0, part="null", low_bias=-0.1, high_bias=0.1, why="standard normal"),
            Size(promised=0.06),
        ),
    ),
)
