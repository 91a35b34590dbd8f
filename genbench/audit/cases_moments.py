"""Cases of scores of moments and kernels: Fréchet and kernel distances, and the divergence of Gaussian fits."""

from __future__ import annotations

import numpy as np

from genbench.audit import formulas as by
from genbench.audit.case import Case
from genbench.audit.promises import Between, Covers, Exactly, Inputs, Mean, Null, Size, Spread
from genbench.audit.worlds import gaussians, same_inputs, two_clouds

FRECHET, KERNEL = ("fd", "fid"), ("kd", "kid")
D, N, SHIFT, SCALE = 4, 200, 1.0, 0.7
APART = gaussians(N, D, shift=SHIFT, scale=SCALE)
EQUAL = gaussians(N, D)
SMALL = two_clouds(60, 80, 3)
ODD = two_clouds(60, 82, 3)
"""Odd numbers of pairs, of the reference and of both sets together, so that there is but one median."""

_BANDWIDTH = {"bandwidth": 2.0}
_SUBSETS = {"subset_size": 50, "subsets": 20}


def _pooled_mmd(given: Inputs) -> float:
    x, y = given["generated"], given["reference"]
    return by.mmd(x, y, bandwidth=by.median_bandwidth(np.vstack([x, y])))


def _reference_mmd(given: Inputs) -> float:
    x, y = given["generated"], given["reference"]
    return by.mmd(x, y, bandwidth=by.median_bandwidth(y))


CASES: tuple[Case, ...] = (
    Case(
        metrics=FRECHET,
        name="small sets",
        draw=SMALL,
        promises=(Exactly(truth=lambda g: by.frechet(g["generated"], g["reference"]), rel=1e-8),),
    ),
    Case(
        metrics=FRECHET,
        name="one set twice",
        draw=lambda seed: same_inputs(SMALL(seed)),
        promises=(Exactly(truth=0.0),),
    ),
    Case(
        metrics=FRECHET,
        name="Gaussians apart",
        draw=APART,
        draws=160,
        promises=(
            Mean(truth=by.frechet_isotropic(D, SHIFT, SCALE)),
            Covers(truth=by.frechet_isotropic(D, SHIFT, SCALE), at_least=0.92),
            Spread(low=0.9, high=1.2),
        ),
    ),
    Case(
        metrics=FRECHET,
        name="equal Gaussians",
        draw=EQUAL,
        draws=160,
        promises=(
            Mean(truth=0.0, low_bias=-0.002, high_bias=0.002),
            Mean(
                truth=by.frechet_bias(D, N),
                of="value",
                low_bias=-0.05 * by.frechet_bias(D, N),
                high_bias=0.05 * by.frechet_bias(D, N),
                part="bias",
                why="second-order bias of the plug-in",
            ),
            Covers(truth=0.0, at_least=0.95),
        ),
    ),
    Case(
        metrics=("fd_infinity",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=120,
        promises=(
            Mean(
                truth=by.frechet_bias(D, N) / 2,
                of="value",
                low_bias=-0.2 * by.frechet_bias(D, N),
                high_bias=0.2 * by.frechet_bias(D, N),
                part="bias",
                why="the reference's half of the bias remains",
            ),
        ),
    ),
    Case(
        metrics=("fd_infinity",),
        name="small sets",
        draw=two_clouds(90, 90, 3),
        promises=(Exactly(truth=lambda g: by.frechet(g["generated"], g["reference"]), of="extra.plain"),),
    ),
    Case(
        metrics=("fd_infinity",),
        name="Gaussians apart",
        draw=APART,
        draws=80,
        promises=(
            Mean(
                truth=by.frechet_isotropic(D, SHIFT, SCALE),
                of="value",
                high_bias=by.frechet_bias(D, N),
                why="above by the reference's bias",
            ),
        ),
    ),
    Case(
        metrics=(*KERNEL,),
        name="small sets",
        draw=SMALL,
        promises=(Exactly(truth=lambda g: by.mmd(g["generated"], g["reference"], bandwidth=None)),),
    ),
    Case(metrics=("mmd_rbf",), name="small sets", draw=ODD, promises=(Exactly(truth=_reference_mmd),)),
    Case(
        metrics=("mmd_test",),
        name="small sets",
        draw=ODD,
        promises=(Exactly(truth=_pooled_mmd), Between(low=0.001, high=0.05, of="extra.p_value")),
    ),
    Case(
        metrics=("mmd_test",),
        name="equal Gaussians",
        draw=gaussians(50, D),
        draws=100,
        options={"permutations": 99},
        promises=(Null(), Size()),
    ),
    Case(
        metrics=("kd_subsets",),
        name="one subset, all samples",
        draw=two_clouds(60, 60, 3),
        options={"subset_size": 60, "subsets": 1},
        promises=(Exactly(truth=lambda g: by.mmd(g["generated"], g["reference"], bandwidth=None)),),
    ),
    *(
        Case(
            metrics=KERNEL,
            name="Gaussians apart" if shift else "equal Gaussians",
            draw=APART if shift else EQUAL,
            draws=160,
            promises=(
                Mean(truth=truth),
                Covers(truth=truth, at_least=0.92),
                *((Spread(low=0.9, high=1.2),) if shift else (Null(),)),
            ),
        )
        for shift, truth in ((SHIFT, by.cubic_mmd(D, SHIFT, SCALE)), (0.0, 0.0))
    ),
    *(
        Case(
            metrics=("mmd_rbf",),
            name="Gaussians apart" if shift else "equal Gaussians",
            draw=APART if shift else EQUAL,
            draws=160,
            options=_BANDWIDTH,
            promises=(
                Mean(truth=truth),
                Covers(truth=truth, at_least=0.94),
                *((Spread(low=0.9, high=1.2),) if shift else (Null(),)),
            ),
        )
        for shift, truth in ((SHIFT, by.gaussian_mmd(D, SHIFT, SCALE, 2.0)), (0.0, 0.0))
    ),
    Case(
        metrics=("kd_subsets",),
        name="Gaussians apart",
        draw=APART,
        draws=60,
        options=_SUBSETS,
        promises=(Mean(truth=by.cubic_mmd(D, SHIFT, SCALE), why="unbiased"),),
    ),
    Case(
        metrics=("kd_subsets",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=60,
        options=_SUBSETS,
        promises=(Mean(truth=0.0, part="null"),),
    ),
    Case(
        metrics=("kl_gaussian",),
        name="small sets",
        draw=SMALL,
        promises=(Exactly(truth=lambda g: by.gaussian_kl_of_moments(g["generated"], g["reference"])),),
    ),
    Case(
        metrics=("kl_gaussian",),
        name="Gaussians apart",
        draw=APART,
        draws=160,
        promises=(
            Mean(truth=by.kl_isotropic(D, SHIFT, SCALE), why="exactly unbiased"),
            Covers(truth=by.kl_isotropic(D, SHIFT, SCALE), at_least=0.92),
            Spread(low=0.9, high=1.2),
        ),
    ),
    Case(
        metrics=("kl_gaussian",),
        name="equal Gaussians",
        draw=EQUAL,
        draws=160,
        promises=(
            Mean(truth=0.0),
            Mean(
                truth=D * (D + 3) / (2 * N),
                of="value",
                low_bias=-0.1 * D * (D + 3) / (2 * N),
                high_bias=0.1 * D * (D + 3) / (2 * N),
                part="bias",
                why="d (d + 3)/4 (1/n + 1/m)",
            ),
            Covers(truth=0.0, at_least=0.95),
        ),
    ),
)
