"""The kernel distance (KID): all pairs, and the published hundred subsets."""

from __future__ import annotations

import torch

from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes, Work
from tests.performance.inputs import features
from tests.performance.scored import values

SUBSETS = 100
FIDELITY_SEED = 2020
"""torch-fidelity's, so that the subsets are the same."""


def _size(inputs: Inputs) -> int:
    """1,000 as published, or a fifth of what there is at a smaller scale."""
    return min(1000, len(inputs["generated"]) // 5)


def _genbench(inputs: Inputs) -> Numbers:
    return values(["kd"], generated=inputs["generated"], reference=inputs["reference"])


def _genbench_subsets(inputs: Inputs) -> Numbers:
    tables = {name: inputs[name] for name in ("generated", "reference")}
    options = {"subset_size": _size(inputs), "subsets": SUBSETS}
    found = values(["kd_subsets"], seed=FIDELITY_SEED, options=options, **tables)
    return {"mean of subsets": found["kd_subsets"]}


def _torch_fidelity(inputs: Inputs) -> Numbers:
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = kid_features_to_metric(
        inputs["generated"], inputs["reference"], kid_subset_size=_size(inputs), kid_subsets=SUBSETS, verbose=False
    )
    return {"mean of subsets": found["kernel_inception_distance_mean"]}


def _torchmetrics(inputs: Inputs) -> Numbers:
    from torchmetrics.image.kid import KernelInceptionDistance

    metric = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=SUBSETS, subset_size=_size(inputs))
    metric.update(inputs["reference"], real=True)
    metric.update(inputs["generated"], real=False)
    torch.manual_seed(0)
    return {"mean of torchmetrics' subsets": float(metric.compute()[0])}


def _clean_fid(inputs: Inputs) -> Numbers:
    from cleanfid.fid import kernel_distance

    tables = (inputs[name].numpy() for name in ("generated", "reference"))
    return {"mean of clean-fid's subsets": kernel_distance(*tables, num_subsets=SUBSETS, max_subset_size=_size(inputs))}


def _work(sizes: Sizes) -> Work:
    return Work(float64=4 * sizes["n"] ** 2 * sizes["d"])


HUNDRED = f"{SUBSETS} subsets, of 1,000 or a fifth of the samples"
CASES = (
    Case(
        name="kid-2048",
        title="Kernel distance of two sets of {n:,} x {d:,} features",
        sizes={"n": 10_000, "d": 2048},
        make=features,
        contenders=(
            Contender("genbench", _genbench, does="all pairs, with interval and 20 replicates"),
            Contender("genbench, subsets", _genbench_subsets, does=HUNDRED),
            Contender(
                "torch-fidelity", _torch_fidelity, package="torch-fidelity", module="torch_fidelity", does=HUNDRED
            ),
            Contender("torchmetrics", _torchmetrics, package="torchmetrics", module="torchmetrics", does=HUNDRED),
            Contender("clean-fid", _clean_fid, package="clean-fid", module="cleanfid.fid", does=HUNDRED),
        ),
        work=_work,
        tolerance={"mean of subsets": 1e-4},  # torch-fidelity: in float32
        limit="kernels within both sets and between them, each once, as a float64 product",
    ),
)
