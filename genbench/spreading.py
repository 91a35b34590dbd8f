"""Metrics of one evaluation, spread over its ranks: features go to all, and each rank takes what is still to be scored.

The metrics that read pairs of the same samples are one task, as they share the blocks of a pass; every other metric is
a task of its own. So the time is that of the longest task at least: exact transport, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genbench.definitions import MetricSpec, Split
from genbench.devices import metric_device
from genbench.distributed.tasks import all_tasks, headers_of, send_tables, take_tables, take_tasks
from genbench.inputs import space_of
from genbench.metrics.demand import reads_pairs
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.records import Run, Score
from genbench.spaces import Seen, Space, Spaces

if TYPE_CHECKING:
    from genbench.distributed.team import Team

LARGE = 10**9
"""Multiplications in the distances of two sets from which on the ranks share the metrics."""

Side = tuple[MetricSpec, Split | None, int]
"""A metric, and the split and number of real samples that it is scored against."""

ScoreSide = Callable[[Side], Score]


def is_shared(team: Team | None, generated: Mapping[Space, Seen]) -> bool:
    """Return whether there are other ranks, and enough to do for them: features of many samples, not sums alone."""
    tables = [seen for seen in generated.values() if isinstance(seen, Features)]
    return team is not None and any(table.n**2 * table.d >= LARGE for table in tables)


def spread_scores(
    team: Team,
    spaces: Spaces,
    generated: Mapping[Space, Seen],
    sides: Sequence[Side],
    metrics: Mapping[str, Metric],
    score: ScoreSide,
    **given: Any,
) -> tuple[Score, ...]:
    """Score all sides on all ranks; on rank 0, while the others `help_to_score`.

    Parameters
    ----------
    team : Team
    spaces : Spaces
        With all real features that the metrics will ask for.
    generated : mapping
        What was seen of the samples. Metrics of sums alone are computed here.
    sides : sequence of Side
    metrics : mapping of str to Metric
        By key.
    score : callable
        From a side to its score.
    **given
        What the other ranks need to make the same of it, as JSON has it.

    Returns
    -------
    tuple of Score
        In the order of the sides, with the bits of one process.
    """
    features = [(space, seen) for space, seen in generated.items() if isinstance(seen, Features)]
    names: list[Any] = [("generated", space, None, None) for space, _ in features]
    values = [seen.given for _, seen in features]
    for (space, split, keep), seen in spaces.known().items():
        names.append(("real", space, split, keep))
        values.append(seen.given)
    tasks = _tasks([side for side in sides if isinstance(generated[space_of(side[0])], Features)], metrics)
    message = [[[spec.key, split, rows] for spec, split, rows in task] for task in tasks]
    team.call("score", tables=names, headers=headers_of(values), tasks=message, **given)
    send_tables(team, values)
    found = all_tasks(team, len(tasks), lambda index: [score(side) for side in tasks[index]])
    known: dict[Any, Score] = {}
    for task, scores in zip(tasks, found, strict=True):
        known.update(
            zip(map(_name, task), Run.from_json(scores).scores if isinstance(scores, str) else scores, strict=True)
        )
    return tuple(known[_name(side)] if _name(side) in known else score(side) for side in sides)


def help_to_score(
    team: Team,
    spaces: Spaces,
    specs: Mapping[str, MetricSpec],
    scorer: Callable[[Mapping[Space, Seen]], ScoreSide],
    *,
    tables: Sequence[tuple[str, Sequence[str], Any, Any]],
    headers: Sequence[Any],
    tasks: Sequence[Sequence[tuple[str, Any, int]]],
) -> dict[int, str]:
    """Do this rank's part of `spread_scores`.

    Parameters
    ----------
    specs : mapping of str to MetricSpec
        By key.
    scorer : callable
        From what was seen of the samples to what scores a side of it.
    tables, headers, tasks
        What rank 0 said.

    Returns
    -------
    dict
        Records of scores by the number of the task.
    """
    place, generated = metric_device(spaces.device), {}
    for (kind, space, split, keep), values in zip(tables, take_tables(team, headers), strict=True):
        features = Features(values.to(place))
        if kind == "generated":
            generated[space[0], space[1]] = features
        else:
            spaces.learn((space[0], space[1]), split, keep, features)
    score = scorer(generated)

    def compute(index: int) -> str:
        scores = tuple(score((specs[key], split, rows)) for key, split, rows in tasks[index])
        return _packed(scores)

    return take_tasks(team, len(tasks), compute)


def _tasks(sides: Sequence[Side], metrics: Mapping[str, Metric]) -> list[list[Side]]:
    """Put together what shares a pass over pairs; these come first, as they take long."""
    pairs: dict[Any, list[Side]] = {}
    alone = []
    for side in sides:
        spec, split, rows = side
        if reads_pairs(metrics[spec.key]):
            pairs.setdefault((space_of(spec), split, rows), []).append(side)
        else:
            alone.append([side])
    return [*pairs.values(), *alone]


def _name(side: Side) -> tuple[str, Split | None, int]:
    spec, split, rows = side
    return spec.key, split, rows


def _packed(scores: tuple[Score, ...]) -> str:
    """Return scores as text that gives back the same bits: that of a record of nothing else."""
    empty: dict[str, Any] = {"train_seed": None, "step": None, "final": True, "failure": None, "protocol": ""}
    return Run(benchmark="", quick=False, sampler="", scores=scores, seconds=0.0, **empty).to_json()
