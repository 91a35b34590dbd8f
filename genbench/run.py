"""The main job: a benchmark in, records and tables out; trains, scores, resumes.

What exists is not made again. Each record is written once and atomically, each training state before it is
scored; so a run that is killed at any moment, and started again, ends in the same tables, byte for byte.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from genbench import markdown, tables
from genbench.atomic import check_writable, write_atomic
from genbench.definitions import Benchmark, Budget
from genbench.errors import DeclarationError, ProtocolError, SampleError, TrainingError, UsageError
from genbench.progress import Progress
from genbench.records import Run, Score
from genbench.registry import BASELINES
from genbench.store import Store

if TYPE_CHECKING:
    from genbench.evaluate import Evaluator
    from genbench.protocols import Baseline, Sampler


def run_benchmark(
    benchmark: Benchmark,
    *,
    out: Path,
    device: str = "auto",
    cache_folder: Path | None = None,
    progress: Progress | None = None,
    batch_size: int | None = None,
) -> list[Run]:
    """Train the benchmark's baselines over its seeds, score them, and write records and tables.

    Parameters
    ----------
    benchmark : Benchmark
        As `genbench.load_benchmark` gives it.
    out : Path
        Results folder; the benchmark gets ``<out>/<id>/`` in it.
    device : str
        ``auto``, or a torch device.
    cache_folder : Path or None
        Where the real data's features are kept between runs; None keeps them nowhere.
    progress : Progress or None
        None is silent.
    batch_size : int or None
        Samples that an extractor is given at a time; changes no score.

    Returns
    -------
    list of Run
        Every record of the benchmark in ``out``, those of earlier runs and of other samplers too.

    Raises
    ------
    ProtocolError
        If ``out`` holds records of another protocol or recipe.
    SetupError
        If ``out`` cannot be written to.
    """
    store = Store(out, benchmark.id)
    check_writable(store.folder)
    progress = progress or Progress(enabled=False)
    store.runs()  # unlike records are refused before any work, not after it
    pending = [(b, s) for b in benchmark.baselines for s in benchmark.seeds if not _done(store, benchmark, b, s)]
    if pending:
        job = _Job(benchmark, store, device=device, cache_folder=cache_folder, progress=progress, batch_size=batch_size)
        for index, (baseline, seed) in enumerate(pending, 1):
            job.train_and_score(baseline, seed, label=f"[{index}/{len(pending)}] {baseline} seed {seed}")
    runs = store.runs()
    write_tables(store, benchmark, runs)
    return runs


def _done(store: Store, benchmark: Benchmark, baseline: str, seed: int) -> bool:
    """Whether every record of a training exists, made by the recipe that the benchmark asks for now."""
    steps = benchmark.evaluation_steps(baseline)
    final = store.find(baseline, seed, steps[-1])
    if final is None:
        return False
    wanted = _budget(benchmark.baselines[baseline])
    if {key: final.recipe.get(key) for key in wanted} != wanted:
        raise ProtocolError(
            f"{store.path(baseline, seed, steps[-1])}: trained by another recipe than {benchmark.id} asks for now; "
            "choose another --out or remove the record."
        )
    return final.failure is not None or all(store.find(baseline, seed, step) for step in steps)


def _budget(budget: Budget) -> dict[str, Any]:
    return {"steps": budget.steps, "batch": budget.batch, "overrides": dict(budget.options)}


class _Job:
    """What the trainings of one benchmark share."""

    def __init__(
        self,
        benchmark: Benchmark,
        store: Store,
        *,
        device: str,
        cache_folder: Path | None,
        progress: Progress,
        batch_size: int | None,
    ) -> None:
        from genbench.cache import FeatureCache
        from genbench.evaluate import Evaluator

        progress.say(f"{benchmark.id}: loading data, extractors and metrics")
        self.benchmark = benchmark
        self.store = store
        self.progress = progress
        self.evaluator: Evaluator = Evaluator(
            benchmark, device=device, cache=FeatureCache(cache_folder), batch_size=batch_size
        )
        store.check_protocol(self.evaluator.protocol)
        self._picture("real", self._real_samples())

    def _real_samples(self) -> Any:
        import torch

        return torch.from_numpy(self.evaluator.dataset.test[: self.benchmark.n])

    def train_and_score(self, name: str, seed: int, *, label: str) -> None:
        """Train one baseline from one seed, scoring it at every stop that has no record yet."""
        state = self.store.folder / "checkpoints" / name / f"seed{seed}.pt"
        self._train(name, seed, state, label)
        if not _done(self.store, self.benchmark, name, seed):
            # The record of a stop was removed that the training state has passed: only a new training gets there again.
            state.unlink(missing_ok=True)
            self._train(name, seed, state, label)
        write_tables(self.store, self.benchmark, self.store.runs())

    def _train(self, name: str, seed: int, state: Path, label: str) -> None:
        from genbench.training import train

        budget, stops = self.benchmark.baselines[name], self.benchmark.evaluation_steps(name)
        baseline = _build(name, budget.options)
        recipe = {**_budget(budget), "options": _options(baseline)}
        clock = time.perf_counter()
        try:
            with self.progress.bar(label, total=budget.steps) as bar:
                for stop in train(
                    baseline,
                    self.evaluator.dataset,
                    seed=seed,
                    steps=budget.steps,
                    batch=budget.batch,
                    device=self.evaluator.device,
                    stops=stops,
                    checkpoint=state,
                    progress=bar,
                ):
                    if self.store.find(name, seed, stop.step) is None:
                        final = stop.step == stops[-1]
                        run = self._score(name, stop.sampler, seed, stop.step, final=final, recipe=recipe, since=clock)
                        self._log(name, seed, stop.history)
                        self._keep(run, label)
                    clock = time.perf_counter()
        except TrainingError as error:
            failed = self.evaluator.record(
                name,
                (),
                seconds=time.perf_counter() - clock,
                train_seed=seed,
                step=stops[-1],
                failure=str(error),
                recipe=recipe,
            )
            self._keep(failed, label)

    def _keep(self, run: Run, label: str) -> None:
        self.store.write(run)
        if run.final:
            key = self.benchmark.primary
            score = next((s for s in run.scores if s.key == key and s.split != "train" and s.estimate), None)
            said = f"{key} = {score.estimate.value:.4g}" if score and score.estimate else f"failed: {run.failure}"
            self.progress.say(f"{label}: {said} ({run.seconds:.0f} s)")

    def _score(
        self, name: str, sampler: Sampler, seed: int, step: int, *, final: bool, recipe: Mapping[str, Any], since: float
    ) -> Run:
        import torch

        scores: tuple[Score, ...] = ()
        failure = None
        try:
            blocks = list(self.evaluator.draw(sampler, seed=seed))
            scores = self.evaluator.score(blocks, seed=seed, only=None if final else self.benchmark.curve)
            if final:
                self._picture(f"{name}-seed{seed}", torch.cat(blocks))
        except SampleError as error:
            failure = str(error)
        return self.evaluator.record(
            name,
            scores,
            seconds=time.perf_counter() - since,
            train_seed=seed,
            step=step,
            final=final,
            failure=failure,
            recipe=recipe,
        )

    def _picture(self, name: str, samples: Any) -> None:
        from genbench.grids import sample_grid

        picture = sample_grid(samples, self.evaluator.dataset.train)
        if picture is not None:
            write_atomic(self.store.folder / "grids" / f"{name}.png", picture)

    def _log(self, name: str, seed: int, history: Sequence[Mapping[str, float]]) -> None:
        """Write the losses along training as CSV, one row for every 50 updates."""
        text = pd.DataFrame(list(history)).to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_atomic(self.store.folder / "losses" / f"{name}-seed{seed}.csv", text.encode())


def _build(name: str, options: Mapping[str, Any]) -> Baseline:
    factory = BASELINES.load(name)
    try:
        baseline: Baseline = factory(**options)
    except TypeError as error:
        raise DeclarationError(f"baseline {name!r}: {error}; its options are its dataclass fields.") from error
    return baseline


def _options(baseline: Any) -> dict[str, Any]:
    """Every option with its value: the recipe's identity. Tuples become lists, as JSON has it."""
    if not dataclasses.is_dataclass(baseline) or isinstance(baseline, type):
        raise DeclarationError(
            f"baseline {type(baseline).__name__}: a dataclass expected, whose fields are its options."
        )
    options = dataclasses.asdict(baseline)
    plain: dict[str, Any] = json.loads(json.dumps(options))
    return plain


def add_score(run: Run, benchmark: Benchmark, *, out: Path) -> list[Run]:
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
        If the name belongs to a baseline or cannot be a folder's name.
    SetupError
        If ``out`` cannot be written to.
    """
    if run.sampler in BASELINES.entries():
        raise UsageError(f"{run.sampler!r} is the name of a baseline; choose another with --name.")
    store = Store(out, benchmark.id)
    store.check_protocol(run.protocol)
    store.write(run)
    runs = store.runs()
    write_tables(store, benchmark, runs)
    return runs


def write_tables(store: Store, benchmark: Benchmark, runs: Sequence[Run]) -> None:
    """Derive the three tables from the records, as CSV for machines and Markdown for people."""
    if not any(run.final for run in runs):
        return
    for name, frame in (
        ("leaderboard", tables.leaderboard(runs)),
        ("stability", tables.stability(runs)),
        ("generalization", tables.generalization(runs)),
    ):
        # Eight digits: more than any score is worth, fewer than what differs between two BLAS builds.
        content = frame.to_csv(index=False, float_format="%.8g", lineterminator="\n")
        write_atomic(store.folder / f"{name}.csv", content.encode())
    for name, text in markdown_tables(benchmark, runs):
        write_atomic(store.folder / f"{name}.md", text.encode())


def markdown_tables(benchmark: Benchmark, runs: Sequence[Run]) -> Iterable[tuple[str, str]]:
    """Return the three tables for reading, by name."""
    return [
        ("leaderboard", markdown.leaderboard_markdown(runs, benchmark)),
        ("stability", markdown.stability_markdown(runs, benchmark)),
        ("generalization", markdown.generalization_markdown(runs, benchmark)),
    ]
