"""The main job: a benchmark in, records and tables out; trains, scores, resumes.

What exists is not made again. Each record is written once and atomically, each training state before it is
scored; so a run that is killed at any moment, and started again, ends in the same tables, byte for byte.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from genbench.atomic import check_writable
from genbench.benchmarks import restrict
from genbench.definitions import Benchmark, Budget
from genbench.errors import UsageError
from genbench.jobs import check_recipes, is_done
from genbench.launchers import launch
from genbench.launchers.cells import Cell
from genbench.progress import Progress
from genbench.publish import write_page, write_tables
from genbench.recipes import build_baseline, cell_name
from genbench.records import Run
from genbench.registry import BASELINES
from genbench.storage import Place, Remote
from genbench.store import Store
from genbench.tables import CONTROLS, is_control

if TYPE_CHECKING:
    from genbench.training import Speed


TABLES_SHARE = 0.05
"""Share of the time that may go into writing tables while trainings go on; they are always written at the end."""


def run_benchmark(
    benchmark: Benchmark,
    *,
    out: Place,
    device: str = "auto",
    cache_folder: Place | None = None,
    progress: Progress | None = None,
    batch_size: int | None = None,
    controls: bool = True,
    speed: Speed | None = None,
    workers: int | None = 1,
    profile: bool = False,
    launcher: str = "local",
    launcher_options: Mapping[str, str] | None = None,
) -> list[Run]:
    """Score the controls, train the benchmark's baselines over its seeds, score them, and write records and tables.

    Parameters
    ----------
    benchmark : Benchmark
        As `genbench.load_benchmark` gives it.
    out : Path or Remote
        Results folder, or a URL of one (`genbench.parse_place`); the benchmark gets ``<out>/<id>/`` in it.
    device : str
        ``auto``, or a torch device.
    cache_folder : Path, Remote or None
        Where the real data's features are kept between runs; None keeps them nowhere.
    progress : Progress or None
        None is silent.
    batch_size : int or None
        Samples that an extractor is given at a time; changes no score.
    controls : bool
        Score the controls too (see `genbench.controls`), once each; they are never ranked.
    speed : Speed or None
        How updates are computed; part of what a record says of its training.
    workers : int or None
        Trainings that go side by side; the scores are the same. None lets the launcher choose: locally a process for
        each core of a CPU, as far as memory reaches, or for each GPU; on a cluster as many as there are. More than one
        process needs a script with the guard ``if __name__ == "__main__"``.
    profile : bool
        Record where the time of scoring went: `genbench.Run.profile`.
    launcher : str
        Where trainings are made and scored: ``local``, ``ray``, ``slurm`` (see `genbench.launchers`).
    launcher_options : mapping, optional
        Of the launcher, as text.

    Returns
    -------
    list of Run
        Every record of the benchmark in ``out``, those of earlier runs and of other samplers too.

    Raises
    ------
    ProtocolError
        If ``out`` holds records of another protocol or recipe.
    SetupError
        If ``out`` cannot be written to, or what the launcher needs is not there.
    """
    store = Store(out, benchmark.id)
    check_writable(store.folder)
    progress = progress or Progress(enabled=False)
    if isinstance(out, Remote) and out.protocol == "memory" and launcher == "local":
        workers = 1  # other processes have a memory of their own
    runs = store.runs()  # unlike records are refused before any work, not after it
    check_recipes(store, runs, benchmark, speed)
    pending = [(b, s) for b in benchmark.baselines for s in benchmark.seeds if not is_done(store, benchmark, b, s)]
    cells = [Cell(b, s, f"[{i}/{len(pending)}] {b} seed {s}") for i, (b, s) in enumerate(pending, 1)]
    if pending or (controls and not _has_controls(runs)):
        if controls:
            # First: in seconds they show whether every score can be had, which else the end of a training would show.
            cells.insert(0, Cell(None, 0, "controls"))
        how: dict[str, Any] = {"device": device, "cache_folder": cache_folder, "batch_size": batch_size, "speed": speed}
        how |= {"benchmark": benchmark, "store": store, "profile": profile}
        due = time.monotonic() + 30.0
        for _ in launch(cells, progress, job=how, launcher=launcher, workers=workers, options=launcher_options):
            if (now := time.monotonic()) >= due:
                write_tables(store, benchmark, store.runs())
                due = time.monotonic() + (time.monotonic() - now) / TABLES_SHARE
        runs = store.runs()
    write_tables(store, benchmark, runs)
    write_page(store, benchmark, runs)
    return runs


def _has_controls(runs: Sequence[Run]) -> bool:
    """Whether those that most data allow are there; which ones these data allow is not known before they are loaded."""
    return set(CONTROLS) - {"truth"} <= {run.sampler for run in runs if is_control(run)}


class Trained(NamedTuple):
    """A trained baseline: its training state, its losses, and its records, the last one final."""

    checkpoint: Place
    losses: Place
    runs: list[Run]


def train_baseline(
    benchmark: Benchmark,
    baseline: str,
    *,
    seed: int,
    out: Place,
    options: Mapping[str, Any] | None = None,
    steps: int | None = None,
    batch: int | None = None,
    **how: Any,
) -> Trained:
    """Train one baseline from one seed on a benchmark: what `run_benchmark` does for that cell, to the same bytes.

    Parameters
    ----------
    benchmark : Benchmark
    baseline : str
        A registered name or ``module:attr``.
    seed : int
    out : Path or Remote
        Results folder, as of `run_benchmark`.
    options : mapping, optional
        Of the recipe, in place of the benchmark's.
    steps, batch : int, optional
        In place of the benchmark's budget; needed where it has none for this baseline.
    **how
        ``device``, ``cache_folder``, ``progress``, ``batch_size``, ``speed``, as of `run_benchmark`.

    Raises
    ------
    UnknownNameError
        If there is no such baseline, or it has no such option.
    UsageError
        If the budget is not known, or an option has a wrong value.
    ProtocolError
        If ``out`` holds records of another protocol or recipe.
    """
    known = benchmark.baselines.get(baseline)
    chosen = {**(known.options if known else {}), **(options or {})}
    recipe = known.baseline if known else ""
    build_baseline(recipe or baseline, chosen)  # a typo is found before the data are loaded
    steps = known.steps if steps is None and known else steps
    batch = known.batch if batch is None and known else batch
    if steps is None or batch is None:
        raise UsageError(
            f"train: {benchmark.id} has no budget for {baseline!r} (it has them for "
            f"{', '.join(benchmark.baselines) or 'none'}); pass --steps and --batch."
        )
    budget = Budget(steps=steps, batch=batch, options=chosen, baseline=recipe)
    cell = restrict(replace(benchmark, baselines={baseline: budget}), seeds=(seed,))
    runs = run_benchmark(cell, out=out, controls=False, **how)
    folder, name = out / benchmark.id, cell_name(baseline)
    return Trained(
        folder / "checkpoints" / name / f"seed{seed}.pt",
        folder / "losses" / f"{name}-seed{seed}.csv",
        [run for run in runs if run.sampler == name and run.train_seed == seed],
    )


def add_score(run: Run, benchmark: Benchmark, *, out: Place) -> list[Run]:
    """Put the record of samples from outside into a results folder and derive its tables anew.

    Returns
    -------
    list of Run
        Every record of the benchmark in ``out``.

    Raises
    ------
    ProtocolError
        If ``out`` holds records of another protocol.
    UsageError
        If the name belongs to a baseline or a control, or cannot be a folder's name.
    SetupError
        If ``out`` cannot be written to.
    """
    for kind, names in (("baseline", {*BASELINES.entries(), *benchmark.baselines}), ("control", CONTROLS)):
        if run.sampler in names:
            raise UsageError(f"{run.sampler!r} is the name of a {kind}; choose another with --name.")
    store = Store(out, benchmark.id)
    store.check_protocol(run.protocol)
    store.write(run)
    runs = store.runs()
    write_tables(store, benchmark, runs)
    write_page(store, benchmark, runs)
    return runs
