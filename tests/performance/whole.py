"""All that is scored by default, of features in files, beside what others compute of the same features."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

import genbench
from genbench.references import DEFAULTS
from genbench.registry import METRICS
from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes, Work
from tests.performance.inputs import everything
from tests.performance.neighbourhoods import prdc

Peer = Callable[[Tensor, Tensor], Numbers]
"""Computes what a package offers of generated and reference features."""

FROM_DATA = ("fd", "precision", "recall")
"""What real data score is computed from real data; the others know it in closed form."""


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
    assert {score.failure for score in run.scores} == {None}, run.scores
    found = {"is": METRICS.load("is").compute(generated=inputs["logits"]).value}
    for score in run.scores:
        assert score.estimate is not None
        found[_named(score.metric, score.split)] = score.estimate.value
        if score.split == "train" and score.estimate.null is not None and score.metric in FROM_DATA:
            found[_named(score.metric, "null")] = score.estimate.null
    assert set(found) >= {"is", *DEFAULTS}
    return found


def _named(metric: str, against: str | None) -> str:
    return f"{metric}, {against}" if against in ("test", "null") else metric


def _plain(inputs: Inputs) -> Numbers:
    return _scored(inputs, held_out=False)


def _nulls(inputs: Inputs) -> Numbers:
    return _scored(inputs, held_out=True)


def _is(inputs: Inputs) -> Numbers:
    from torch_fidelity.metric_isc import isc_features_to_metric

    return {"is": isc_features_to_metric(inputs["logits"], splits=1, shuffle=False)["inception_score_mean"]}


def _fidelity(generated: Tensor, reference: Tensor) -> Numbers:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    sides = generated, reference
    distance = fid_statistics_to_metric(*(fid_features_to_statistics(side) for side in sides), False)
    kernel = kid_features_to_metric(*sides, kid_subset_size=min(1000, len(generated) // 5), verbose=False)
    shares = prc_features_to_metric(*sides, verbose=False)
    return {
        "fd": distance["frechet_inception_distance"],
        "mean of subsets": kernel["kernel_inception_distance_mean"],
        "precision": shares["precision"],
        "recall": shares["recall"],
    }


def _one_by_one(generated: Tensor, reference: Tensor) -> Numbers:
    """Every number from a package that has it; prdc's two others, which it computes beside, are not asked for again."""
    found = prdc({"generated": generated, "reference": reference})
    return {**_fidelity(generated, reference), "density": found["density"], "coverage": found["coverage"]}


def _of_generated(peer: Peer) -> Callable[[Inputs], Numbers]:
    """Return what a peer computes of the generated set against the reference."""

    def run(inputs: Inputs) -> Numbers:
        return {**_is(inputs), **peer(inputs["generated"], inputs["reference"])}

    return run


def _of_all_pairs(peer: Peer) -> Callable[[Inputs], Numbers]:
    """Return what a peer computes of the generated set against both others, and of these against each other."""

    def run(inputs: Inputs) -> Numbers:
        generated, train, held_out = (inputs[name] for name in ("generated", "reference", "held_out"))
        pairs = {None: (generated, train), "test": (generated, held_out), "null": (held_out, train)}
        found = {**_is(inputs)}
        for against, pair in pairs.items():
            found |= {_named(name, against): number for name, number in peer(*pair).items()}
        return found

    return run


def _work(sizes: Sizes) -> Work:
    n, d = sizes["n"], sizes["d"]
    return Work(float64=4 * n**2 * d + 2 * n * d**2 + 4 * d**3)


def _work_with_nulls(sizes: Sizes) -> Work:
    n, d = sizes["n"], sizes["d"]
    return Work(float64=9 * n**2 * d + 3 * n * d**2 + 12 * d**3)


def _case(
    run: Callable[[Inputs], Numbers],
    peers: Callable[[Peer], Callable[[Inputs], Numbers]],
    *,
    name: str,
    title: str,
    computes: str,
    pairs: str,
    work: Callable[[Sizes], Work],
    limit: str,
) -> Case:
    """Compare with what the peers compute of one pair of sets, or of all."""
    return Case(
        name=name,
        title=title,
        sizes={"n": 10_000, "d": 2048, "classes": 1008},
        make=everything,
        contenders=(
            Contender("genbench", run, does=f"{', '.join(DEFAULTS)}, is; with {computes}"),
            Contender(
                "torch-fidelity",
                peers(_fidelity),
                package="torch-fidelity",
                module="torch_fidelity",
                does=f"isc; fid, kid, prc of {pairs}; values alone",
            ),
            Contender(
                "torch-fidelity, then prdc",
                peers(_one_by_one),
                package="prdc",
                module="prdc",
                does=f"the same list as genbench, one by one, of {pairs}; values alone",
            ),
        ),
        work=work,
        limit=limit,
        tolerance={"is": 1e-9}
        | {
            # kd: in which sweep it shares float32 products decides its ninth digit.
            _named(metric, against): {"fd": 1e-4, "kd": 1e-6}.get(metric, 5e-3)
            for metric in DEFAULTS
            for against in (None, "test", "null")
        },
    )


CASES = (
    _case(
        _plain,
        _of_generated,
        name="whole",
        title="The default metrics and the Inception Score of {n:,} x {d:,} features in files",
        computes="intervals",
        pairs="the two sets",
        work=_work,
        limit="one sweep of distances as a float64 product, two covariances, one trace term",
    ),
    _case(
        _nulls,
        _of_all_pairs,
        name="whole-nulls",
        title="The same of {n:,} x {d:,} features against train and held-out ones, with what real data score",
        computes="intervals and nulls",
        pairs="the three pairs of sets",
        work=_work_with_nulls,
        limit="distances within three sets and between them, each once, as a float64 product, three covariances and "
        "trace terms",
    ),
)
