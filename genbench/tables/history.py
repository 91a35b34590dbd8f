"""Trainings along their stops, read from records once: what the tables on stability are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from genbench.records import Estimate, Run, Score
from genbench.stats.curves import Curve
from genbench.stats.seeds import wilson_interval
from genbench.stats.verdicts import KINDS, LOST, Modes, Verdict, verdict
from genbench.tables.cells import is_control

COUNTED = ("modes_class", "modes", "unique_fraction")
"""Metrics that say how many modes, classes or distinct samples there are.

Not ``modes_share``: it asks for many samples of high quality in a mode, which a blurred generator lacks everywhere.
"""


class History:
    """The records of the models that were trained, by model and seed.

    Parameters
    ----------
    runs : sequence of Run
        In any order; controls and samples from outside have no history.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.trainings: dict[str, dict[int, list[Run]]] = {}
        trained = [run for run in runs if run.train_seed is not None and not is_control(run)]
        for run in sorted(trained, key=lambda run: (run.sampler, run.train_seed or 0, run.step or 0)):
            self.trainings.setdefault(run.sampler, {}).setdefault(run.train_seed or 0, []).append(run)
        self.seeds = sorted({seed for seeds in self.trainings.values() for seed in seeds})
        self._found: dict[int, Mapping[tuple[str, str | None], Estimate]] = {
            id(run): {(s.key, s.split): s.estimate for s in run.scores if s.estimate is not None} for run in trained
        }
        self._curves: dict[tuple[str, int, str, str | None], Curve | None] = {}
        self._shares: dict[tuple[str, str, str | None], float] = {}
        self._gaussian = next((run for run in runs if is_control(run) and run.sampler == "gaussian"), None)

    def final(self, model: str, seed: int) -> Run | None:
        """Return the record of the end of a training, or None where it is missing."""
        return next((run for run in self.trainings.get(model, {}).get(seed, ()) if run.final), None)

    def finals(self, model: str) -> dict[int, Run]:
        """Return a model's records of the ends of its trainings, by seed."""
        found = {seed: self.final(model, seed) for seed in self.trainings.get(model, {})}
        return {seed: run for seed, run in found.items() if run is not None}

    def estimate(self, run: Run, example: Score) -> Estimate | None:
        """Return what a record says under the metric and split of ``example``."""
        return self._found[id(run)].get((example.key, example.split))

    def missing(self, model: str) -> str:
        """Say which records a model lacks that its likes have: ``2`` is a seed without an end, ``1@600`` a stop.

        The seeds are those that any model was trained from, the stops those at which any of the model's own completed
        trainings was scored. Empty where nothing is missing, and for a model that was not trained.
        """
        if model not in self.trainings:
            return ""
        completed = {seed: run for seed, run in self.finals(model).items() if run.failure is None}
        stops = {seed: {run.step for run in self.trainings[model][seed]} for seed in completed}
        known = sorted({step for steps in stops.values() for step in steps if step is not None})
        gaps = []
        for seed in self.seeds:
            if self.final(model, seed) is None:
                gaps.append(str(seed))
            elif seed in completed:
                gaps += [f"{seed}@{step}" for step in known if step not in stops[seed]]
        return " ".join(gaps)

    def curve(self, model: str, seed: int, example: Score) -> Curve | None:
        """Return the curve of a training that was scored at two stops or more, else None."""
        key = (model, seed, example.key, example.split)
        if key not in self._curves:
            self._curves[key] = self._curve(model, seed, example)
        return self._curves[key]

    def _curve(self, model: str, seed: int, example: Score) -> Curve | None:
        points = [(run, self.estimate(run, example)) for run in self.trainings.get(model, {}).get(seed, ())]
        found = [(run, estimate) for run, estimate in points if estimate is not None]
        if len(found) < 2:
            return None
        own = math.sqrt(self.own_share(model, example))
        errors = tuple(own * e.std_error for _, e in found if e.std_error is not None)
        seconds = tuple(run.cost["train_seconds"] for run, _ in found if "train_seconds" in run.cost)
        return Curve(
            steps=tuple(run.step or 0 for run, _ in found),
            values=tuple(e.value for _, e in found),
            errors=errors if len(errors) == len(found) else None,
            better=example.better,
            seconds=seconds if len(seconds) == len(found) else (),
            null=found[-1][1].null,
        )

    def own_share(self, model: str, example: Score) -> float:
        """Share of a score's squared standard error that comes from the generated samples, in [0, 1].

        The rest comes from the real ones, which all stops and seeds share: it moves all their scores alike. Group
        jackknife replicates of the scores against train and against held-out data have nothing but the generated
        samples in common, so that their covariance over the groups is the generated samples' part of the variance.
        Summed over the model's trainings; 1 where there are no such replicates, or no reference.
        """
        key = (model, example.key, example.split)
        if key not in self._shares:
            self._shares[key] = self._own_share(model, example)
        return self._shares[key]

    def _own_share(self, model: str, example: Score) -> float:
        other = {"train": "test", "test": "train"}.get(example.split or "")
        common = total = 0.0
        for run in self.finals(model).values():
            mine, theirs = self.estimate(run, example), self._found[id(run)].get((example.key, other))
            if mine and theirs and len(mine.replicates) == len(theirs.replicates) > 2:
                covariance = np.cov(mine.replicates, theirs.replicates)
                common, total = common + float(covariance[0, 1]), total + float(covariance[0, 0])
        return min(1.0, max(0.0, common / total)) if total > 0 else 1.0

    def verdict(self, model: str, seed: int, example: Score) -> Verdict | None:
        """Judge a training by its curve under one metric, by its failure, and by the modes that it ends with."""
        end = self.final(model, seed)
        if end is None:
            return None
        learned = None if self._gaussian is None else _value(self._gaussian, example)
        return verdict(self.curve(model, seed, example), failure=end.failure, modes=_modes(end), learned=learned)


def _value(run: Run, example: Score) -> float | None:
    found = (s.estimate for s in run.scores if s.key == example.key and s.split == example.split)
    return next((estimate.value for estimate in found if estimate is not None), None)


def _modes(run: Run) -> list[Modes]:
    """What a record counts, beside what real data have: modes, classes, distinct samples, effective classes."""
    found = []
    for score in run.scores:
        name, estimate = score.metric.partition(":")[0], score.estimate
        if estimate is None or estimate.null is None:
            continue
        if name in COUNTED:
            found.append(Modes(score.key, estimate.value, estimate.null))
        elif name == "entropy_class":
            found.append(Modes(f"exp({score.key})", math.exp(estimate.value), math.exp(estimate.null)))
    return found


def count_verdicts(kinds: Sequence[str]) -> str:
    """Say how many runs got which verdict, and how many are lost, with the interval of their share."""
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in KINDS if kind in kinds)
    lost = sum(kind in LOST for kind in kinds)
    low, high = wilson_interval(lost, len(kinds))
    return f"{counts}; lost {lost} of n = {len(kinds)} runs (Wilson 95% interval of the share: {low:.2g} to {high:.2g})"
