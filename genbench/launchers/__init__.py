"""Where the cells of a benchmark are done: this process, processes of this machine, or a cluster.

A launcher is a class in a file of its own that keeps `genbench.launchers.cells.Launcher`; other packages register
theirs as entry points of the group ``genbench.launchers``. Wherever a cell is done, its record is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genbench.jobs import Job
from genbench.launchers.cells import Cell, Launcher, Options, Plan, do_cell
from genbench.launchers.local import workers_of
from genbench.launchers.supervise import ATTEMPTS, supervise
from genbench.progress import Progress
from genbench.registry import Registry

LAUNCHERS = Registry(
    "launcher",
    "genbench.launchers",
    {
        "local": ("genbench.launchers.local:LocalLauncher", "processes of this machine"),
        "ray": ("genbench.launchers.ray:RayLauncher", "tasks of a Ray cluster, or of a local one that is started"),
        "slurm": ("genbench.launchers.slurm:SlurmLauncher", "jobs of a SLURM cluster, by submitit"),
    },
)


def launch(
    cells: Sequence[Cell],
    progress: Progress,
    *,
    job: Mapping[str, Any],
    launcher: str = "local",
    workers: int | None = 1,
    options: Mapping[str, str] | None = None,
) -> Iterator[Cell]:
    """Train and score cells where a launcher does them, yielding each when its records are written.

    Parameters
    ----------
    cells : sequence of Cell
        Begun in this order.
    progress : Progress
    job : mapping
        Arguments of `genbench.jobs.Job`, but for ``progress``.
    launcher : str
        A registered name or ``module:attr``.
    workers : int or None
        Cells under way at once; None lets the launcher choose. Locally, one is this process itself.
    options : mapping, optional
        Of the launcher; of any, ``attempts`` (how often a cell is tried whose process dies) and ``timeout`` (seconds a
        try may take; none by default).

    Raises
    ------
    UnknownNameError
        If there is no such launcher, or it has no such option.
    UsageError
        If an option has a wrong value.
    SetupError
        If what the launcher needs is not installed or not there.
    """
    chosen = Options(launcher, options or {})
    timeout = chosen.number("timeout", None)
    attempts = chosen.number("attempts", ATTEMPTS, least=1)
    plan = Plan(job=job, cells=cells, workers=workers, options=chosen)
    make = LAUNCHERS.load(launcher)
    if launcher == "local" and timeout is None and workers_of(plan) == 1:
        chosen.check_all_taken()
        yield from _in_this_process(plan, progress)
        return
    made: Launcher = make(plan)
    yield from supervise(
        cells,
        made,
        progress,
        benchmark=job["benchmark"],
        store=job["store"],
        attempts=int(attempts or ATTEMPTS),
        timeout=timeout,
    )


def _in_this_process(plan: Plan, progress: Progress) -> Iterator[Cell]:
    job = Job(**plan.job, progress=progress)
    for cell in plan.cells:
        do_cell(job, cell)
        yield cell
