"""What a leaderboard shows of a record; the rest stays in its file, so that very many records fit in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from genbench.records import Estimate, Run, Score
from genbench.tables import is_control

KEPT_PROVENANCE = ("genbench", "revision", "device")
"""What a leaderboard says of where a record comes from."""


class Excerpts:
    """Makes excerpts, which share what many records have in common: recipes, provenance and words.

    An excerpt gives the same leaderboard as its record in every form but HTML, which shows more. It has no scores
    unless it is final, and then none against the training split, but those that say why there is no score or name an
    extractor that no other score names; nothing class by class, no likelihood, no health; and of an estimate neither
    ``extra`` nor ``notes``.

    Parameters
    ----------
    replicates : bool
        Whether to keep those of the jackknife, which is half of what is kept; see `compares_single_runs`.
    """

    def __init__(self, *, replicates: bool = False) -> None:
        self._known: dict[str, Any] = {}
        self._replicates = replicates

    def of(self, run: Run) -> Run:
        """Return the excerpt of a record; linear in its size."""
        provenance = {key: run.provenance[key] for key in KEPT_PROVENANCE if key in run.provenance}
        return replace(
            run,
            benchmark=self._one(run.benchmark),
            sampler=self._one(run.sampler),
            protocol=self._one(run.protocol),
            scores=self._scores(run) if run.final else (),
            recipe=self._one(run.recipe),
            provenance=self._one(provenance),
            cost=run.cost if run.final else {},
            by_class=(),
            likelihood=(),
            health={},
            profile={},
        )

    def _one(self, value: Any) -> Any:
        """Return the first value that was equal to this one: of the same type and, for mappings, in the same order."""
        return self._known.setdefault(repr(value), value)

    def _scores(self, run: Run) -> tuple[Score, ...]:
        shown = [score for score in run.scores if score.split != "train"]
        extractors = {(score.space, score.fingerprint) for score in shown}
        return tuple(
            self._score(score)
            for score in run.scores
            if score.split != "train" or score.failure or (score.space, score.fingerprint) not in extractors
        )

    def _score(self, score: Score) -> Score:
        return replace(
            score,
            metric=self._one(score.metric),
            space=self._one(score.space),
            fingerprint=self._one(score.fingerprint),
            split=self._one(score.split),
            unit=self._one(score.unit),
            better=self._one(score.better),
            options=self._one(score.options),
            n_generated=self._one(score.n_generated),
            n_reference=self._one(score.n_reference),
            estimate=None if score.estimate is None else self._estimate(score.estimate),
        )

    def _estimate(self, estimate: Estimate) -> Estimate:
        return replace(
            estimate,
            extra={},
            notes=(),
            replicates=estimate.replicates if self._replicates else (),
            level=self._one(estimate.level),
        )


def compares_single_runs(runs: Iterable[Run]) -> bool:
    """Whether ranks need the jackknife's replicates: some model has one score under some metric.

    Two models with several trainings each are compared by the spread of these (`genbench.tables.ranking.difference`).
    Linear in the number of scores.
    """
    models = [run for run in runs if run.final and not is_control(run)]
    scores = Counter(
        (run.sampler, score.metric, score.space, score.split)
        for run in models
        for score in run.scores
        if score.estimate is not None
    )
    return 1 in scores.values()
