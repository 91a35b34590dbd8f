"""What a regression gate computes of stored features: scores of two sets with replicates, against one distance."""

from __future__ import annotations

import numpy as np

from genbench.metrics.features import Features
from genbench.metrics.frechet import factors_to_fd, features_to_gaussian
from genbench.registry import METRICS
from tests.performance.case import Case, Contender, Inputs, Numbers
from tests.performance.inputs import features


def _one(inputs: Inputs) -> Numbers:
    sides = (features_to_gaussian(Features(inputs[name])) for name in ("generated", "reference"))
    return {"fd": factors_to_fd(*sides)}


def _two(inputs: Inputs) -> Numbers:
    """Both sets against one reference, which remembers its moments, and the error of their difference."""
    fd, reference = METRICS.load("fd").compute, Features(inputs["reference"])
    new, old = (fd(generated=Features(inputs[name]), reference=reference) for name in ("generated", "held_out"))
    differences = np.subtract(new.replicates, old.replicates)
    assert len(differences) in (0, 20)
    return {"fd": new.value, "fd of the other": old.value}


CASES = (
    Case(
        name="gate",
        title="fd of two stored sets of {n:,} x {d:,} features, each with 20 replicates, beside one Fréchet distance",
        sizes={"n": 10_000, "d": 512},
        make=features,
        contenders=(
            Contender("genbench, one distance", _one, does="the bare number"),
            Contender("genbench, two sets", _two, does="with 20 replicates of each against a shared reference"),
        ),
    ),
)
