"""Fréchet distances, of features that are there already."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes, Work
from tests.performance.inputs import features
from tests.performance.scored import bare_values, values


def _genbench(inputs: Inputs) -> Numbers:
    return values(["fd"], generated=inputs["generated"], reference=inputs["reference"])


def _genbench_value(inputs: Inputs) -> Numbers:
    return bare_values(["fd"], generated=inputs["generated"], reference=inputs["reference"])


def torch_fidelity_fd(inputs: Inputs) -> Numbers:
    """Statistics of both sets and their distance."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = [fid_features_to_statistics(inputs[name]) for name in ("generated", "reference")]
    return {"fd": fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]}


class _Ready(torch.nn.Module):
    """A network that passes features on, which is how torchmetrics is given them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows


def _torchmetrics(inputs: Inputs) -> Numbers:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_Ready(inputs["generated"].shape[1])).set_dtype(torch.float64)
    metric.update(inputs["reference"], real=True)
    metric.update(inputs["generated"], real=False)
    return {"fd": float(metric.compute())}


def _clean_fid(inputs: Inputs) -> Numbers:
    from cleanfid.fid import fid_from_feats

    return {"fd": fid_from_feats(inputs["generated"].numpy(), inputs["reference"].numpy())}


def _pytorch_fid(inputs: Inputs) -> Numbers:
    from pytorch_fid.fid_score import calculate_frechet_distance

    statistics: list[Any] = []
    for name in ("generated", "reference"):
        rows = inputs[name].numpy()
        statistics += [np.mean(rows, axis=0), np.cov(rows, rowvar=False)]
    return {"fd": calculate_frechet_distance(*statistics)}


def _work(sizes: Sizes) -> Work:
    n, d = sizes["n"], sizes["d"]
    return Work(float64=2 * n * d**2 + 4 * d**3)


def _case(n: int, d: int) -> Case:
    return Case(
        name=f"fid-{d}",
        title="Fréchet distance of two sets of {n:,} x {d:,} features",
        sizes={"n": n, "d": d},
        make=features,
        contenders=(
            Contender("genbench, value", _genbench_value, does="the bare number"),
            Contender("genbench", _genbench, does="with debiased value and interval"),
            Contender("torch-fidelity", torch_fidelity_fd, package="torch-fidelity", module="torch_fidelity"),
            Contender("torchmetrics", _torchmetrics, package="torchmetrics", module="torchmetrics"),
            Contender("clean-fid", _clean_fid, package="clean-fid", module="cleanfid.fid"),
            Contender("pytorch-fid", _pytorch_fid, package="pytorch-fid", module="pytorch_fid.fid_score"),
        ),
        work=_work,
        limit="two covariances, half a float64 product each, and four times d^3 for the trace term",
        # Means and covariances of float32 features are partly summed in float32 by some.
        tolerance={"fd": 1e-6},
    )


CASES = (_case(10_000, 2048), _case(10_000, 512), _case(10_000, 64))
