"""A regression gate on stored features, against one Fréchet distance."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genbench.gate import check, make_baseline
from tests.performance.case import Case, Contender, Inputs, Numbers
from tests.performance.frechet import torch_fidelity_fd
from tests.performance.inputs import features
from tests.performance.scored import bare_values


def _stored(inputs: Inputs) -> Mapping[str, Any]:
    """Write the sets as files, and make a baseline of one of them."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    paths = {name: Path(folder) / f"{name}.npy" for name in ("generated", "held_out", "reference")}
    for name, path in paths.items():
        np.save(path, inputs[name].numpy())
    baseline = make_baseline(paths["held_out"], reference=paths["reference"], device="cpu")
    return {**inputs, "paths": paths, "baseline": baseline}


def _check(stored: Mapping[str, Any]) -> Numbers:
    paths = stored["paths"]
    found = check(paths["generated"], stored["baseline"], reference=paths["reference"], device="cpu")
    return {"debiased fd": found.rows[0].new}


def _one(inputs: Inputs) -> Numbers:
    return bare_values(["fd"], generated=inputs["generated"], reference=inputs["reference"])


CASES = (
    Case(
        name="gate",
        title="A check of two stored sets of {n:,} x {d:,} features with 20 groups, beside one Fréchet distance",
        sizes={"n": 10_000, "d": 512},
        make=features,
        tolerance={"fd": 1e-6},
        contenders=(
            Contender("genbench, check", _check, _stored, does="reads both files; 20 replicates; the test"),
            Contender("genbench, one distance", _one, does="the bare number"),
            Contender("torch-fidelity", torch_fidelity_fd, package="torch-fidelity", module="torch_fidelity"),
        ),
    ),
)
