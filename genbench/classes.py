"""Scores class by class, for generators that are told which class to draw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genbench.definitions import MetricSpec
from genbench.errors import ConvergenceError, SampleError
from genbench.estimation import as_score, compute_estimate
from genbench.evaluate import Evaluator
from genbench.metrics.features import Features
from genbench.protocols import Sampler
from genbench.randomness import derive_seed
from genbench.records import Score
from genbench.sampling.blocks import FiniteSampler, classes_of
from genbench.spaces import Keep, Seen, Space

INPUTS = frozenset({"generated", "reference", "rng"})
"""What a metric may need to be computed of one class alone."""


def class_scores(
    evaluator: Evaluator, sampler: Sampler | FiniteSampler, seen: Mapping[Space, Seen], *, seed: int
) -> tuple[Score, ...]:
    """Score every class of a conditional generator against the held-out samples of that class.

    Parameters
    ----------
    evaluator : Evaluator
    sampler : Sampler or FiniteSampler
        That the samples were drawn from; one that is not conditional has no such scores.
    seen : mapping
        What its extractors saw of the generated samples.
    seed : int
        Of the draw, which decides the class that each of them was drawn for.

    Returns
    -------
    tuple of Score
        The metrics of the benchmark's curve that compare with real samples, for every class that both sides have;
        ``label`` is the class. Not part of a leaderboard: classes have fewer samples than the protocol's n.
    """
    data, split = evaluator.dataset, evaluator.splits[-1]
    known = data.test_labels if split == "test" else data.train_labels
    if known is None or classes_of(sampler) is None:
        return ()
    labels = evaluator.labels(seed=seed)
    rows = evaluator.spaces.real_rows(split, len(data.split(split)))[: evaluator.spaces.most]
    found: list[Score] = []
    for spec in evaluator.benchmark.metrics:
        needs, space = evaluator.metrics[spec.key].needs, (spec.extractor, spec.layer)
        generated = seen.get(space)
        wanted = spec.key in evaluator.benchmark.curve and "reference" in needs and needs <= INPUTS
        if not wanted or not isinstance(generated, Features):
            continue
        real = evaluator.spaces.real(space, split, Keep(len(rows)))
        assert isinstance(real, Features)
        drawn = labels[: generated.n]
        for label in np.intersect1d(drawn, known[rows]):
            sides = {
                "generated": generated.select(drawn == label),
                "reference": real.select(known[rows] == label),
            }
            found.append(_class_score(evaluator, spec, sides, label=int(label), seed=seed))
    return tuple(found)


def _class_score(
    evaluator: Evaluator, spec: MetricSpec, sides: Mapping[str, Features], *, label: int, seed: int
) -> Score:
    """Score one class; a metric that cannot be computed of it is a failure that says why."""
    metric = evaluator.metrics[spec.key]
    given = sides if "rng" not in metric.needs else {**sides, "rng": derive_seed(seed, "metrics")}
    estimate, failure = None, None
    try:
        estimate = compute_estimate(metric, spec.options, given, seed=seed)
    except (SampleError, ConvergenceError) as error:
        failure = str(error)
    return as_score(
        spec,
        metric,
        evaluator.spaces.extractors[spec.extractor],
        estimate,
        failure,
        split=evaluator.splits[-1],
        n=sides["generated"].n,
        n_reference=sides["reference"].n,
        label=label,
    )
