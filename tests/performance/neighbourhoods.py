"""Precision, recall, density and coverage; divergence and entropy by nearest neighbours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import digamma, gammaln

from genbench.metrics.features import Features
from genbench.metrics.projection import whiten
from genbench.stats.jackknife import values_alone
from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes, Work
from tests.performance.inputs import features
from tests.performance.scored import values

FOUR = ("precision", "recall", "density", "coverage")
K = 5
"""The neighbour of kNN divergences and entropies, and of prdc."""


def _genbench(inputs: Inputs) -> Numbers:
    return values(FOUR, generated=inputs["generated"], reference=inputs["reference"])


def _torch_fidelity(inputs: Inputs) -> Numbers:
    from torch_fidelity.metric_prc import prc_features_to_metric

    found = prc_features_to_metric(inputs["generated"], inputs["reference"], verbose=False)
    return {name: found[name] for name in ("precision", "recall")}


def prdc(inputs: Inputs) -> Numbers:
    from prdc import compute_prdc

    found = compute_prdc(inputs["reference"].numpy(), inputs["generated"].numpy(), nearest_k=K)
    return {name: float(found[name]) for name in ("density", "coverage")}


def _two(inputs: Inputs) -> Numbers:
    width = inputs["generated"].shape[1]
    tables = {name: inputs[name] for name in ("generated", "reference")}
    return values(["kl_knn", "entropy_knn"], options={"k": K, "dims": width}, **tables)


def _two_alone(inputs: Inputs) -> Numbers:
    with values_alone():
        return _two(inputs)


def _coordinates(inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Principal components at unit variance, in which genbench takes its distances."""
    sides = (Features(inputs[name]) for name in ("generated", "reference"))
    ours, theirs = whiten("kl_knn", *sides, inputs["generated"].shape[1])
    return ours.values.numpy(), theirs.values.numpy()


def _formulas(own: np.ndarray, other: np.ndarray, n: int, m: int, d: int) -> Numbers:
    """Of the distances to the K-th neighbour in the own and in the other set, (n,) each."""
    ball = d / 2 * math.log(math.pi) - gammaln(d / 2 + 1)
    return {
        "kl_knn": float(d * np.mean(np.log(other) - np.log(own)) + math.log(m / (n - 1))),
        "entropy_knn": float(digamma(n) - digamma(K) + ball + d * np.mean(np.log(own))),
    }


def _scipy(sides: tuple[np.ndarray, np.ndarray]) -> Numbers:
    from scipy.spatial import cKDTree

    ours, theirs = sides
    own = cKDTree(ours).query(ours, k=[K + 1])[0][:, 0]
    other = cKDTree(theirs).query(ours, k=[K])[0][:, 0]
    return _formulas(own, other, len(ours), len(theirs), ours.shape[1])


def _faiss(sides: tuple[np.ndarray, np.ndarray]) -> Numbers:
    import faiss

    ours, theirs = (side.astype(np.float32) for side in sides)
    found: list[Any] = []
    for side, k in ((ours, K + 1), (theirs, K)):
        index = faiss.IndexFlatL2(side.shape[1])
        index.add(side)
        found.append(np.sqrt(index.search(ours, k)[0][:, k - 1].astype(np.float64)))
    return _formulas(*found, len(ours), len(theirs), ours.shape[1])


def _sklearn(sides: tuple[np.ndarray, np.ndarray]) -> Numbers:
    from sklearn.neighbors import NearestNeighbors

    ours, theirs = sides
    own = NearestNeighbors(algorithm="brute").fit(ours).kneighbors(ours, K + 1)[0][:, K]
    other = NearestNeighbors(algorithm="brute").fit(theirs).kneighbors(ours, K)[0][:, K - 1]
    return _formulas(own, other, len(ours), len(theirs), ours.shape[1])


def _prdc_case(n: int, d: int) -> Case:
    return Case(
        name=f"prdc-{d}",
        title="Precision, recall, density and coverage of {n:,} against {n:,} x {d:,} features",
        sizes={"n": n, "d": d},
        make=features,
        contenders=(
            Contender("genbench", _genbench, does="all four, with intervals from 50 half-samples"),
            Contender(
                "torch-fidelity",
                _torch_fidelity,
                package="torch-fidelity",
                module="torch_fidelity",
                does="two of them",
            ),
            Contender("prdc", prdc, package="prdc", module="prdc", does="all four at k = 5"),
        ),
        work=lambda sizes: Work(float64=4 * sizes["n"] ** 2 * sizes["d"]),
        limit="distances within both sets and between them, each once, as a float64 product",
        # float32 distances flip what lies on an edge: a sample in 500.
        tolerance=dict.fromkeys(FOUR, 5e-3),
    )


def _brute(sizes: Sizes) -> Work:
    return Work(float64=3 * sizes["n"] ** 2 * sizes["d"])


TREE = Contender("scipy", _scipy, _coordinates, package="scipy", module="scipy", does="two k-d trees; values")
FAISS = Contender("faiss", _faiss, _coordinates, package="faiss-cpu", module="faiss", does="in float32; values")
SKLEARN = Contender(
    "scikit-learn", _sklearn, _coordinates, package="scikit-learn", module="sklearn", does="values alone"
)
OURS = (
    Contender("genbench, value", _two_alone, does="both, the bare numbers"),
    Contender("genbench", _two, does="both, with intervals and 20 replicates"),
)

CASES = (
    _prdc_case(10_000, 2048),
    Case(
        name="knn-2",
        title="kNN divergence and entropy of {n:,} x {d:,} samples",
        sizes={"n": 50_000, "d": 2},
        make=features,
        contenders=(*OURS, TREE),
        tolerance={"kl_knn": 1e-9, "entropy_knn": 1e-9},
    ),
    Case(
        name="knn-512",
        title="kNN divergence and entropy of {n:,} x {d:,} features in all principal components",
        sizes={"n": 10_000, "d": 512},
        make=features,
        contenders=(*OURS, FAISS, SKLEARN),
        work=_brute,
        limit="distances within one set and to the other as a float64 product",
        tolerance={"kl_knn": 1e-3, "entropy_knn": 1e-3},  # faiss takes float32 products
    ),
)
