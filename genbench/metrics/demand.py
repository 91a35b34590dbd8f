"""What metrics are going to ask of pairs of samples, so that one pass over the pairs serves them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from genbench.errors import SampleError
from genbench.metrics.divergence import announce_divergence, kl_knn
from genbench.metrics.diversity import checked_bandwidth, rke, squared_kernel
from genbench.metrics.features import Features
from genbench.metrics.kernel import kd, mmd_rbf
from genbench.metrics.kernel_subsets import announce_subsets, kd_subsets
from genbench.metrics.kernel_sums import Cubic, Gaussian, announce_kernel
from genbench.metrics.memorization import label_test
from genbench.metrics.metric import Metric
from genbench.metrics.nearest import announce_neighbours
from genbench.metrics.neighbours import (
    BALL_K,
    MANIFOLD_K,
    announce_neighbourhoods,
    coverage,
    density,
    precision,
    precision_symmetric,
    recall,
    recall_symmetric,
)
from genbench.metrics.two_sample import knn_two_sample

Given = Mapping[str, Any]


def announce_metric(metric: Metric, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Say that a metric will be computed; where it reads pairs of samples, the first pass over these serves it too.

    Parameters
    ----------
    metric : Metric
    options : mapping
        That differ from the metric's declaration.
    given : mapping
        What the metric will be given, by name. Only `Features` that are handed over as they are share anything.

    Notes
    -----
    At most the median distance of a reference is computed here, where a kernel needs it for its bandwidth. A metric
    that is not announced computes the same scores, and one that is announced need not be computed.
    """
    wishes = _WISHES.get(metric.compute)
    sets = [given.get(name) for name in ("generated", "reference", "train", "test")]
    if wishes is None or not all(each is None or isinstance(each, Features) for each in sets):
        return
    if len({each.d for each in sets if each is not None}) == 1:
        wishes(given, {**metric.options, **options})


def reads_pairs(metric: Metric) -> bool:
    """Return whether a metric reads pairs of samples in passes that it shares with others.

    `kl_knn`, whose coordinates are its own, shares them with its other direction alone.
    """
    return metric.compute in _WISHES and metric.compute is not kl_knn


def _neighbours(given: Given, options: Mapping[str, Any]) -> None:
    generated, reference = given["generated"], given["reference"]
    for each in (generated, reference):
        announce_neighbours(each, 1)
    if generated is not reference:
        announce_neighbours(generated, 1, reference)


def _neighbourhoods(name: str, given: Given, options: Mapping[str, Any]) -> None:
    k = options.get("k", BALL_K if name in ("density", "coverage") else MANIFOLD_K)
    announce_neighbourhoods(name, given["generated"], given["reference"], rng=given["rng"], k=k)


def _divergence(given: Given, options: Mapping[str, Any]) -> None:
    announce_divergence(given["generated"], given["reference"], **options)


def _nearest_real(given: Given, options: Mapping[str, Any]) -> None:
    for name in ("train", "test"):
        if given[name] is not given["generated"]:
            announce_neighbours(given["generated"], 1, given[name])


def _cubic(given: Given, options: Mapping[str, Any]) -> None:
    announce_kernel(Cubic(), given["generated"], given["reference"])


def _subsets(given: Given, options: Mapping[str, Any]) -> None:
    chosen = {"subsets": 100, "subset_size": 1000, **options}
    smaller = min(given["generated"].n, given["reference"].n)
    if chosen["subsets"] >= 1 and 2 <= chosen["subset_size"] <= smaller:
        announce_subsets(given["generated"], given["reference"], rng=given["rng"], **chosen)


def _gaussian(given: Given, options: Mapping[str, Any]) -> None:
    width = _bandwidth(given, options)
    if width is not None:
        announce_kernel(Gaussian(width), given["generated"], given["reference"])


def _squared_gaussian(given: Given, options: Mapping[str, Any]) -> None:
    width = _bandwidth(given, options)
    if width is not None:
        announce_kernel(squared_kernel(width), given["generated"], given["reference"], across=False)


def _bandwidth(given: Given, options: Mapping[str, Any]) -> float | None:
    """Return a kernel's bandwidth, or None where the metric will say why there is none."""
    try:
        return checked_bandwidth("kernel", given["reference"], options.get("bandwidth"))
    except SampleError:
        return None


_WISHES: Mapping[Callable[..., Any], Callable[[Given, Mapping[str, Any]], None]] = {
    **{
        compute: partial(_neighbourhoods, compute.__name__)
        for compute in (precision, recall, density, coverage, precision_symmetric, recall_symmetric)
    },
    knn_two_sample: _neighbours,
    kl_knn: _divergence,
    label_test: _nearest_real,
    kd: _cubic,
    kd_subsets: _subsets,
    mmd_rbf: _gaussian,
    rke: _squared_gaussian,
}
