"""The Inception Score, of logits that are there already."""

from __future__ import annotations

from genbench.metrics.features import Features
from genbench.registry import METRICS
from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes, Work
from tests.performance.inputs import logits
from tests.performance.scored import values


def _genbench(inputs: Inputs) -> Numbers:
    return values(["is"], generated=inputs["logits"])


def _prepared(inputs: Inputs) -> Features:
    return Features(inputs["logits"])


def _genbench_prepared(logits: Features) -> Numbers:
    return {"is": METRICS.load("is").compute(generated=logits).value}


def _torch_fidelity(inputs: Inputs) -> Numbers:
    from torch_fidelity.metric_isc import isc_features_to_metric

    return {"is": isc_features_to_metric(inputs["logits"], splits=1, shuffle=False)["inception_score_mean"]}


def _torchmetrics(inputs: Inputs) -> Numbers:
    import torch
    from torchmetrics.image.inception import InceptionScore

    metric = InceptionScore(feature=torch.nn.Identity(), splits=1)
    metric.update(inputs["logits"])
    return {"is": float(metric.compute()[0])}


def _work(sizes: Sizes) -> Work:
    return Work(bytes=4 * sizes["n"] * sizes["classes"])


CASES = (
    Case(
        name="is",
        title="Inception Score of {n:,} x {classes:,} logits",
        sizes={"n": 50_000, "classes": 1008},
        make=logits,
        contenders=(
            Contender("genbench", _genbench, does="with debiased value, interval and 20 replicates"),
            Contender("genbench, from Features", _genbench_prepared, _prepared, does="the same, logits checked before"),
            Contender("torch-fidelity", _torch_fidelity, package="torch-fidelity", module="torch_fidelity"),
            Contender("torchmetrics", _torchmetrics, package="torchmetrics", module="torchmetrics", does="in float32"),
        ),
        work=_work,
        limit="reading the logits once",
        tolerance={"is": 2e-5},
    ),
)
