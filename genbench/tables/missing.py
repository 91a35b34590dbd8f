"""Records that are not there, which no row may hide."""

from __future__ import annotations

from collections.abc import Sequence

from genbench.records import Run
from genbench.tables.cells import is_control


def missing_seeds(runs: Sequence[Run], model: str) -> str:
    """Return the training seeds that other models have a final record of and this one has not: ``1 4``, or nothing.

    A failed run has a record and is not missing. Samples that genbench did not train, and controls, have no seeds.
    """
    return missing_by_model(runs).get(model, "")


def missing_by_model(runs: Sequence[Run]) -> dict[str, str]:
    """Return `missing_seeds` of every model that was trained from seeds."""
    have: dict[str, set[int]] = {}
    for run in runs:
        if run.final and run.train_seed is not None and not is_control(run):
            have.setdefault(run.sampler, set()).add(run.train_seed)
    wanted = set().union(*have.values())
    return {model: " ".join(map(str, sorted(wanted - seeds))) for model, seeds in have.items()}
