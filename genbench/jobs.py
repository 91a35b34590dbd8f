"""The cells of a benchmark: one baseline trained from one seed and scored at its stops, or one control, scored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from genbench.atomic import write_atomic
from genbench.definitions import Benchmark, Split
from genbench.errors import ProtocolError, SampleError, TrainingError
from genbench.progress import Progress
from genbench.recipes import build_baseline, cell_name, options_of, recipe_of
from genbench.records import Run, Score
from genbench.storage import Place
from genbench.store import Store
from genbench.timing import measure, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genbench.controls import Control
    from genbench.evaluate import Evaluator
    from genbench.protocols import Baseline, Sampler
    from genbench.training import Speed, Stop


def is_done(store: Store, benchmark: Benchmark, baseline: str, seed: int) -> bool:
    """Whether every record of a training exists."""
    steps = benchmark.evaluation_steps(baseline)
    name = cell_name(baseline)
    final = store.find(name, seed, steps[-1])
    if final is None:
        return False
    return final.failure is not None or all(store.find(name, seed, step) for step in steps)


def check_recipes(store: Store, runs: Sequence[Run], benchmark: Benchmark, speed: Speed | None) -> None:
    """Refuse records of the benchmark's baselines that were made by other recipes: tables would average the two.

    Raises
    ------
    ProtocolError
        Naming the record.
    """
    wanted = {cell_name(name): recipe_of(benchmark, name, speed) for name in benchmark.baselines}
    for run in runs:
        if run.sampler in wanted and run.train_seed is not None:
            found = {key: value for key, value in run.recipe.items() if key != "options"}
            if found != wanted[run.sampler]:
                raise ProtocolError(
                    f"{store.path(run.sampler, run.train_seed, run.step)}: trained by another recipe than "
                    f"{benchmark.id} asks for now; choose another --out or remove the record."
                )


class Job:
    """What the cells of one benchmark share.

    Parameters
    ----------
    benchmark : Benchmark
    store : Store
    device : str
        ``auto``, or a torch device.
    cache_folder : Path, Remote or None
        Where the real data's features are kept.
    progress : Progress
    batch_size : int or None
        Samples that an extractor is given at a time.
    speed : Speed or None
        How updates are computed.
    profile : bool
        Record where the time of scoring went.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        store: Store,
        *,
        device: str,
        cache_folder: Place | None,
        progress: Progress,
        batch_size: int | None,
        speed: Speed | None = None,
        profile: bool = False,
    ) -> None:
        from genbench.cache import FeatureCache
        from genbench.evaluate import Evaluator

        progress.say(f"{benchmark.id}: loading data, extractors and metrics")
        self.benchmark, self.store, self.progress, self.speed = benchmark, store, progress, speed
        self.profile = profile
        self.evaluator: Evaluator = Evaluator(
            benchmark, device=device, cache=FeatureCache(cache_folder), batch_size=batch_size
        )
        store.check_protocol(self.evaluator.protocol)
        from genbench.album import picture_real

        self.pictures = store.folder / "grids"
        picture_real(self.pictures, self.evaluator)

    def score_controls(self) -> None:
        """Score the controls that have no record yet, once each: nothing is trained, so that seeds mean nothing.

        Raises
        ------
        ProtocolError
            If other samples lie under a control's name.
        """
        from genbench.controls import make_controls

        def order(split: Split) -> NDArray[np.int64]:
            return self.evaluator.spaces.real_rows(split, len(self.evaluator.dataset.split(split)))

        controls = make_controls(self.evaluator.dataset, n=self.benchmark.n, order=order)
        for name, control in controls.items():
            found = self.store.find(name, None, None)
            if found is None:
                self._score_control(name, control)
            elif found.recipe.get("control") != control.about:
                raise ProtocolError(
                    f"{self.store.path(name, None, None)}: a record of the control {name!r} expected, got one of other "
                    "samples; remove it, choose another --out, or leave the controls out with --no-controls."
                )

    def _score_control(self, name: str, control: Control) -> None:
        clock = time.perf_counter()
        picture = name if name != "real" else None  # that picture is of the held-out samples
        found = self._scores(control.sampler, seed=0, only=None, picture=picture)
        found["cost"] = {}  # it is no model
        run = self.evaluator.record(
            name, seconds=time.perf_counter() - clock, recipe={"control": control.about}, **found
        )
        self._keep(run, f"control {name}")

    def train_and_score(self, baseline: str, seed: int, *, label: str) -> None:
        """Train one baseline from one seed, scoring it at every stop that has no record yet."""
        state = self.store.folder / "checkpoints" / cell_name(baseline) / f"seed{seed}.pt"
        self._train(baseline, seed, state, label)
        if not is_done(self.store, self.benchmark, baseline, seed):
            # The record of a stop was removed that the training state has passed: only a new training gets there again.
            state.unlink(missing_ok=True)
            self._train(baseline, seed, state, label)

    def _train(self, baseline: str, seed: int, state: Place, label: str) -> None:
        from genbench.training import train

        budget, stops = self.benchmark.baselines[baseline], self.benchmark.evaluation_steps(baseline)
        made, name = self._build(baseline), cell_name(baseline)
        recipe, clock = self._recipe(baseline, made), time.perf_counter()
        try:
            with self.progress.bar(label, total=budget.steps) as bar:
                for stop in train(
                    made,
                    self.evaluator.dataset,
                    seed=seed,
                    steps=budget.steps,
                    batch=budget.batch,
                    device=self.evaluator.device,
                    stops=stops,
                    checkpoint=state,
                    progress=bar,
                    speed=self.speed,
                ):
                    if self.store.find(name, seed, stop.step) is None:
                        final = stop.step == stops[-1]
                        run = self._score_stop(name, stop, seed, final=final, recipe=recipe, since=clock)
                        self._log(name, seed, stop.history)
                        self._keep(run, label)
                    clock = time.perf_counter()
        except TrainingError as error:
            self.record_failure(baseline, seed, str(error), label=label, seconds=time.perf_counter() - clock)

    def record_failure(self, baseline: str, seed: int, failure: str, *, label: str, seconds: float = 0.0) -> None:
        """Keep a record of a training that did not come to its end, and why."""
        failed = self.evaluator.record(
            cell_name(baseline),
            (),
            seconds=seconds,
            train_seed=seed,
            step=self.benchmark.evaluation_steps(baseline)[-1],
            failure=failure,
            recipe=self._recipe(baseline, self._build(baseline)),
        )
        self._keep(failed, label)

    def _build(self, baseline: str) -> Baseline:
        budget = self.benchmark.baselines[baseline]
        return build_baseline(budget.baseline or baseline, budget.options)

    def _recipe(self, baseline: str, made: Baseline) -> dict[str, Any]:
        """What a record says of a training: what the benchmark asks for, and every option with its value."""
        return {**recipe_of(self.benchmark, baseline, self.speed), "options": options_of(made)}

    def _keep(self, run: Run, label: str) -> None:
        self.store.write(run)
        if run.final:
            key = self.benchmark.primary
            score = next((s for s in run.scores if s.key == key and s.split != "train" and s.estimate), None)
            said = f"{key} = {score.estimate.value:.4g}" if score and score.estimate else f"failed: {run.failure}"
            self.progress.say(f"{label}: {said} ({run.cost.get('train_seconds', run.seconds):.0f} s)")

    def _score_stop(
        self, name: str, stop: Stop, seed: int, *, final: bool, recipe: Mapping[str, Any], since: float
    ) -> Run:
        found = self._scores(
            stop.sampler,
            seed=seed,
            only=None if final else self.benchmark.curve,
            picture=f"{name}-seed{seed}" if final else None,
        )
        from genbench.training.health import count_parameters

        parameters = count_parameters(stop.sampler)
        cost = {"train_seconds": round(stop.seconds, 2), **({"parameters": parameters} if parameters else {})}
        return self.evaluator.record(
            name,
            seconds=time.perf_counter() - since,
            train_seed=seed,
            step=stop.step,
            final=final,
            recipe=recipe,
            health={key: value for key, value in (stop.history[-1] if stop.history else {}).items() if key != "step"},
            cost={**cost, **found.pop("cost")},
            **found,
        )

    def _scores(
        self, sampler: Sampler, *, seed: int, only: Sequence[str] | None, picture: str | None
    ) -> dict[str, Any]:
        """Draw, picture and score, and say where the time went if that is wanted."""
        with self.evaluator.profile(wanted=self.profile) as seconds:
            found = self._found(sampler, seed=seed, only=only, picture=picture)
        return {**found, "profile": rounded(seconds)}

    def _found(self, sampler: Sampler, *, seed: int, only: Sequence[str] | None, picture: str | None) -> dict[str, Any]:
        """Draw, picture and score: the fields of a record that say what was found, or why nothing was."""
        import torch

        from genbench.album import picture_samples
        from genbench.classes import class_scores
        from genbench.likelihoods import likelihood_scores

        clock = time.perf_counter()
        try:
            with measure("sampling"):
                blocks = list(self.evaluator.draw(sampler, seed=seed))
            cost = {"samples_per_second": round(self.benchmark.n / (time.perf_counter() - clock), 1)}
            seen = self.evaluator.see(blocks, only=only)
            wanted = [spec for spec in self.benchmark.metrics if only is None or spec.key in only]
            scores = self.evaluator.score_seen(seen, wanted, seed=seed)
            if picture is not None:
                with measure("pictures"):
                    picture_samples(self.pictures, picture, self.evaluator, torch.cat(blocks), seen)
        except SampleError as error:
            return {"scores": (), "failure": str(error), "cost": {}}
        if only is not None:  # along training no test is made of differences, which is what replicates are kept for
            return {"scores": tuple(map(_without_replicates, scores)), "cost": cost}
        return {
            "scores": scores,
            "by_class": class_scores(self.evaluator, sampler, seen, seed=seed),
            "likelihood": likelihood_scores(self.evaluator, sampler, seed=seed),
            "cost": cost,
        }

    def _log(self, name: str, seed: int, history: Sequence[Mapping[str, float]]) -> None:
        """Write losses and norms of gradients along training as CSV, one row for every 50 updates."""
        text = pd.DataFrame(list(history)).to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_atomic(self.store.folder / "losses" / f"{name}-seed{seed}.csv", text.encode())


def _without_replicates(score: Score) -> Score:
    return score if score.estimate is None else replace(score, estimate=replace(score.estimate, replicates=()))
