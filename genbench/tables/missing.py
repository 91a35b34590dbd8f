"""Records that are not there, which no row may hide."""

from __future__ import annotations

from collections.abc import Sequence

from genbench.records import Run
from genbench.tables.cells import is_control


def missing_seeds(runs: Sequence[Run], model: str) -> str:
    """Return the training seeds that other models have a final record of and this one has not: ``1 4``, or nothing.

    A failed run has a record and is not missing. Samples that genbench did not train, and controls, have no seeds.
    """
    finals = [run for run in runs if run.final and run.train_seed is not None and not is_control(run)]
    mine = {run.train_seed for run in finals if run.sampler == model}
    wanted = {run.train_seed for run in finals} if mine else set()
    return " ".join(str(seed) for seed in sorted(seed for seed in wanted - mine if seed is not None))
