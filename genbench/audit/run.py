"""The audit: every part of it, for the metrics asked for, over processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Literal

from genbench.audit.case import judge_case
from genbench.audit.finding import Finding
from genbench.audit.generic import any_metric
from genbench.audit.known import cases_of
from genbench.audit.ladder import climb
from genbench.audit.ladder_checks import ladder_findings
from genbench.audit.processes import mapped
from genbench.audit.stability import over_n, over_spaces
from genbench.errors import EXIT_NOT_EVALUABLE, EXIT_OK, EXIT_REGRESSION, DeclarationError
from genbench.findings import FailureMap
from genbench.metrics.metric import Metric
from genbench.progress import Progress
from genbench.registry import METRICS

Work = Literal["known", "any", "size", "spaces"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A piece of the audit: one metric under one part, or one of its cases."""

    metric: str
    work: Work
    case: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found.

    Attributes
    ----------
    findings : tuple of Finding
    ladder : FailureMap
        What each metric sees of controlled corruptions.
    quick : bool
    seed : int
    """

    findings: tuple[Finding, ...]
    ladder: FailureMap
    quick: bool
    seed: int

    @property
    def exit_code(self) -> int:
        """0 where every promise is kept, 1 where one is missed, 3 where a metric could not be judged at all."""
        if any(finding.ok is False for finding in self.findings):
            return EXIT_REGRESSION
        return EXIT_NOT_EVALUABLE if any(finding.undecided for finding in self.findings) else EXIT_OK


def built_in() -> list[str]:
    """Name the metrics of genbench itself, without importing any."""
    return [name for name, entry in METRICS.entries().items() if entry.provider == "genbench"]


def audit(
    metrics: Sequence[str] | None = None,
    *,
    quick: bool = False,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Audit:
    """Hold metrics against known answers, controlled corruptions and themselves.

    Parameters
    ----------
    metrics : sequence of str or None
        Registered names or ``package.module:attribute``; None is all built-in ones.
    quick : bool
        Fewer draws, and no other feature spaces: less than two minutes on two cores for all built-in metrics, where the
        full audit takes about ten.
    seed : int
        Of everything that is drawn. What is found depends on nothing else.
    workers : int
        Processes.
    progress : Progress or None
        None is silent.

    Returns
    -------
    Audit

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    DeclarationError
        If a name is no metric's.
    """
    names = list(dict.fromkeys(built_in() if metrics is None else metrics))
    tasks = [task for name in names for task in tasks_of(name, quick=quick)]
    shown = progress or Progress(enabled=False)
    found: list[Finding] = []
    with ExitStack() as stack:
        step = stack.enter_context(shown.bar("known answers and stability", len(tasks)))
        for i, part in enumerate(_done(tasks, stack, quick=quick, seed=seed, workers=workers), start=1):
            found += part
            step(i, {})
    ladder = climb(names, quick=quick, seed=seed, workers=workers, progress=shown)
    return Audit(findings=(*found, *ladder_findings(ladder)), ladder=ladder, quick=quick, seed=seed)


def tasks_of(name: str, *, quick: bool) -> list[Task]:
    """List what is to be done about a metric; quickly, without what compares feature spaces and promises nothing.

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    DeclarationError
        If the name is no metric's.
    """
    load_metric(name)
    known = [Task(metric=name, work="known", case=i) for i in range(len(cases_of(name)))]
    of_any: tuple[Work, ...] = ("any", "size") if quick else ("any", "size", "spaces")
    return [*known, *(Task(metric=name, work=work) for work in of_any)]


def load_metric(name: str) -> Metric:
    """Return a metric by its name.

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    DeclarationError
        If the name is something else's.
    """
    metric = METRICS.load(name)
    if not isinstance(metric, Metric):
        raise DeclarationError(f"metric {name!r}: a genbench.Metric expected, got {type(metric).__name__}.")
    return metric


def do_task(task: Task, *, quick: bool, seed: int) -> list[Finding]:
    """Do one piece of the audit."""
    metric = load_metric(task.metric)
    if task.work == "known":
        return judge_case(cases_of(task.metric)[task.case], metric, quick=quick, seed=seed, called=task.metric)
    if task.work == "spaces":
        return over_spaces(metric, seed=seed, called=task.metric)
    check = any_metric if task.work == "any" else over_n
    return check(metric, quick=quick, seed=seed, called=task.metric)


def _done(tasks: Sequence[Task], stack: ExitStack, *, quick: bool, seed: int, workers: int) -> Iterator[list[Finding]]:
    """Do all pieces, and give their findings in order."""
    do = partial(do_task, quick=quick, seed=seed)
    return mapped(do, tasks, workers, stack)
