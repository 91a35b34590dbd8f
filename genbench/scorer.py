"""Scores of samples that were seen: every metric on what it names, and what a perfect generator would get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from genbench.definitions import SPLITS, MetricSpec, Split
from genbench.devices import one_thread
from genbench.errors import ConvergenceError, SampleError
from genbench.estimation import as_score, compute_estimate
from genbench.inputs import Inputs, space_of
from genbench.records import Estimate, Score
from genbench.spaces import Seen, Source, Space
from genbench.spreading import ScoreSide, Side, help_to_score, is_shared, spread_scores
from genbench.stats.jackknife import values_alone
from genbench.timing import measure

SMALL = 10**9
"""Multiplications in the distances of two sets below which metrics compute in one thread."""


@dataclass(frozen=True)
class Scorer:
    """What computes a benchmark's metrics, here or with the other ranks of a distributed evaluation.

    Attributes
    ----------
    inputs : Inputs
        The benchmark's metrics, its data, and what they are seen through.
    """

    inputs: Inputs
    _nulls: dict[tuple[str, Split | None, int], float | None] = field(default_factory=dict)

    def scores(
        self, generated: Mapping[Space, Seen], sides: Sequence[Side], *, seed: int, drawn: int | None = None
    ) -> tuple[Score, ...]:
        """Say what all metrics will ask, then compute them one by one, or on all ranks."""
        score = self._scorer(generated, sides, seed=seed, drawn=drawn)
        team = self.inputs.spaces.team
        if team is None or not is_shared(team, generated):
            return tuple(map(score, sides))
        for spec, split, _ in sides:
            with suppress(SampleError):
                self._played(spec, split)
        given = {"seed": seed, "drawn": drawn}
        return spread_scores(team, self.inputs.spaces, generated, sides, self.inputs.metrics, score, **given)

    def help(self, *, seed: int, drawn: int | None, **said: Any) -> dict[int, str]:
        """Do this process's part of the metrics that rank 0 has to compute."""
        specs = {spec.key: spec for spec in self.inputs.benchmark.metrics}
        sides = [(specs[key], split, rows) for task in said["tasks"] for key, split, rows in task]
        assert self.inputs.spaces.team is not None

        def scorer(generated: Mapping[Space, Seen]) -> ScoreSide:
            return self._scorer(generated, sides, seed=seed, drawn=drawn)

        return help_to_score(self.inputs.spaces.team, self.inputs.spaces, specs, scorer, **said)

    def _scorer(
        self, generated: Mapping[Space, Seen], sides: Sequence[Side], *, seed: int, drawn: int | None
    ) -> ScoreSide:
        """Say what all metrics will ask, and return what scores one of them."""
        for spec, split, rows in sides:
            self.inputs.announce(spec, generated[space_of(spec)], split, rows, seed=seed, drawn=drawn)

        def score(side: Side) -> Score:
            spec, split, rows = side
            n, width = drawn or spec.n or self.inputs.benchmark.n, self.inputs.spaces.width(space_of(spec))
            with one_thread(where=n * (n if drawn is None else rows) * width < SMALL):
                return self._score(spec, generated[space_of(spec)], split, rows, seed=seed, drawn=drawn)

        return score

    def _score(
        self, spec: MetricSpec, generated: Seen, split: Split | None, rows: int, *, seed: int, drawn: int | None = None
    ) -> Score:
        n = drawn or spec.n or self.inputs.benchmark.n
        estimate, failure = None, None
        try:
            with measure(f"metric {spec.key}"):
                estimate = self._estimate(spec, generated, split, rows, seed=seed, drawn=drawn)
            if estimate.null is None:
                with measure("what real data score"):
                    estimate = replace(estimate, null=self._null(spec, split, rows))
        except (SampleError, ConvergenceError) as error:
            failure = str(error)
        extractor = self.inputs.spaces.extractors[spec.extractor]
        named, n_reference = self.inputs.labelled(spec, split, rows), None if split is None else rows
        metric = self.inputs.metrics[spec.key]
        return as_score(named, metric, extractor, estimate, failure, split=split, n=n, n_reference=n_reference)

    def _estimate(
        self, spec: MetricSpec, generated: Seen, split: Split | None, rows: int, *, seed: int, drawn: int | None = None
    ) -> Estimate:
        """Compute a metric from what it names, and nothing else."""
        given = self.inputs.given(spec, generated, split, rows, seed=seed, drawn=drawn)
        return compute_estimate(self.inputs.metrics[spec.key], spec.options, given, seed=seed)

    def _null(self, spec: MetricSpec, split: Split | None, rows: int) -> float | None:
        """What a perfect generator scores at this n: one split's real data played as generated, against the other's.

        Where the training split is too small to be played, what it leaves out is.

        A metric that is given both splits has no third set of real data to play with, and says itself what it expects.
        """
        key = (spec.key, split, rows)
        if key not in self._nulls:
            try:
                played = self._played(spec, split)
                if played is None:
                    return None
                with values_alone():
                    self._nulls[key] = self._estimate(spec, played, split, rows, seed=0).value
            except (SampleError, ConvergenceError):
                self._nulls[key] = None
        return self._nulls[key]

    def _played(self, spec: MetricSpec, split: Split | None) -> Seen | None:
        """Return the real samples that are played as generated; None where there are none that the metric lacks."""
        if self.inputs.metrics[spec.key].needs & set(SPLITS) or split == "reference":
            return None
        player: Source = "train" if split == "test" else "test"
        n = spec.n or self.inputs.benchmark.n
        if len(self.inputs.dataset.split(player)) < n:
            player = "spare"
        return self.inputs.spaces.real(space_of(spec), player, self.inputs.keep(space_of(spec), n))
