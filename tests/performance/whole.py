"""All that is scored by default, of features in files, beside torch-fidelity's four scores of the same features."""

from __future__ import annotations

import tempfile
from pathlib import Path

import genbench
from genbench.references import DEFAULTS
from genbench.registry import METRICS
from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes, Work
from tests.performance.inputs import everything
from tests.performance.neighbourhoods import prdc


def _scored(inputs: Inputs, *, held_out: bool) -> Numbers:
    """Score by the public function; each number is against the real features that torch-fidelity is given."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.npy" for name in ("generated", "reference", "held_out")}
        for name, path in paths.items():
            np.save(path, inputs[name].numpy())
        run = genbench.score(
            paths["generated"],
            reference=paths["reference"],
            held_out=paths["held_out"] if held_out else None,
            metrics=DEFAULTS,
            device="cpu",
        )
    split = "train" if held_out else "reference"
    found = {s.metric: s.estimate.value for s in run.scores if s.estimate is not None and s.split == split}
    assert set(found) == set(DEFAULTS), [score.failure for score in run.scores]
    return {**found, "is": METRICS.load("is").compute(generated=inputs["logits"]).value}


def _plain(inputs: Inputs) -> Numbers:
    return _scored(inputs, held_out=False)


def _nulls(inputs: Inputs) -> Numbers:
    return _scored(inputs, held_out=True)


def _torch_fidelity(inputs: Inputs) -> Numbers:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    sides = inputs["generated"], inputs["reference"]
    score = isc_features_to_metric(inputs["logits"], splits=1, shuffle=False)["inception_score_mean"]
    distance = fid_statistics_to_metric(*(fid_features_to_statistics(side) for side in sides), False)
    size = min(1000, len(sides[0]) // 5)
    kernel = kid_features_to_metric(*sides, kid_subset_size=size, verbose=False)
    shares = prc_features_to_metric(*sides, verbose=False)
    return {
        "is": score,
        "fd": distance["frechet_inception_distance"],
        "mean of subsets": kernel["kernel_inception_distance_mean"],
        "precision": shares["precision"],
        "recall": shares["recall"],
    }


def _one_by_one(inputs: Inputs) -> Numbers:
    """Every number from a package that has it; prdc's two others, which it computes beside, are not asked for again."""
    found = prdc(inputs)
    return {**_torch_fidelity(inputs), "density": found["density"], "coverage": found["coverage"]}


def _work(sizes: Sizes) -> Work:
    n, d = sizes["n"], sizes["d"]
    return Work(float64=4 * n**2 * d + 2 * n * d**2 + 4 * d**3)


CASES = (
    Case(
        name="whole",
        title="The default metrics and the Inception Score of {n:,} x {d:,} features in files",
        sizes={"n": 10_000, "d": 2048, "classes": 1008},
        make=everything,
        contenders=(
            Contender("genbench", _plain, does=f"{', '.join(DEFAULTS)}, is; with intervals"),
            Contender("genbench, held-out", _nulls, does="the same against train and held-out features, with nulls"),
            Contender(
                "torch-fidelity",
                _torch_fidelity,
                package="torch-fidelity",
                module="torch_fidelity",
                does="isc, fid, kid, prc, values alone",
            ),
            Contender(
                "torch-fidelity, then prdc",
                _one_by_one,
                package="prdc",
                module="prdc",
                does="the same list as genbench, one by one; values alone",
            ),
        ),
        work=_work,
        limit="one sweep of distances as a float64 product, two covariances, one trace term",
        # kd: in which sweep it shares float32 products decides its ninth digit.
        tolerance={"is": 1e-9, "fd": 1e-4, "kd": 1e-6}
        | dict.fromkeys(("precision", "recall", "density", "coverage"), 5e-3),
    ),
)
