"""The callback for a plain training loop: scores every so many steps, a history, and the best so far."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from genbench.atomic import check_writable
from genbench.cache import FeatureCache
from genbench.callbacks.history import History
from genbench.callbacks.prepared import on_benchmark, on_reference
from genbench.callbacks.undisturbed import modules_of, undisturbed, weighted
from genbench.definitions import Benchmark
from genbench.errors import GenbenchError, UsageError
from genbench.files.conversion import ValueRange
from genbench.load import load_sampler
from genbench.records import Run
from genbench.sampling.standardized import standardized
from genbench.storage import Remote, parse_place
from genbench.store import Store, check_name

if TYPE_CHECKING:
    from genbench.references import Samples


class Evaluator:
    """Scores a generator along its training, and leaves the training as it was.

    Call it after every step with the generator: every ``every`` steps it draws samples, scores them and returns the
    record, else None. Neither the model nor any global random generator is changed: training goes on, bit for bit, as
    if it had not been called.

    Parameters
    ----------
    reference : array, tensor, str or Path, optional
        Real samples, as of `genbench.score`.
    benchmark : Benchmark or str, optional
        In place of a reference. Along the training the metrics of the benchmark's curve are scored, all in the end.
    held_out : array, tensor, str or Path, optional
        Real samples that the model is not trained on, beside a reference that it is.
    metrics : sequence of str
        As of `genbench.score`. The first one, or the benchmark's primary metric, decides what is best.
    extractor, extractors, device, batch_size, cache
        As of `genbench.score`. Features of real data are computed once and kept.
    n : int, optional
        Generated samples; by default as many as the smallest set of real ones has, at most 10,000.
    every : int
        Steps between two evaluations; the first is at step ``every``.
    seed : int
        Of the draws: the same at every step, so that scores differ by the model alone.
    value_range, layout, latent
        Of the generated samples, as of `genbench.load_sampler`.
    name, train_seed : str, int
        Of the model and its training, in records.
    out : str, Path or Remote, optional
        A results folder or its URL: every record is written there as JSON, where ``genbench compare``, ``report`` and
        ``export`` find it.

    Attributes
    ----------
    history : History
        All records in the order of their steps; ``history.best`` is the best so far.

    Raises
    ------
    UsageError
        If neither or both of reference and benchmark are given, or an option is wrong.
    SampleError
        If the real samples cannot be read.

    Notes
    -----
    A score that fails, or samples that cannot be scored, never end a training: the record says why, and the first such
    failure of every metric is a warning. Wrong usage is an error, at the first evaluation.

    The best score of many looks is too good: choose a checkpoint by it, and report what that checkpoint scores with
    another seed, or better against other real samples.

    Where several processes train, call this in one of them.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from genbench.callbacks import Evaluator
    >>> net = torch.nn.Linear(2, 2)
    >>> evaluator = Evaluator(np.random.default_rng(0).normal(size=(500, 2)), metrics=["fd"], every=10, latent="2")
    >>> for step in range(1, 31):
    ...     run = evaluator(step, net)
    >>> [run.step for run in evaluator.history]
    [10, 20, 30]
    """

    def __init__(
        self,
        reference: Samples | None = None,
        *,
        benchmark: Benchmark | str | None = None,
        held_out: Samples | None = None,
        metrics: Sequence[str] = (),
        extractor: str | None = None,
        extractors: Mapping[str, Mapping[str, Any]] | None = None,
        every: int = 1000,
        n: int | None = None,
        seed: int = 0,
        value_range: ValueRange | None = None,
        layout: str | None = None,
        latent: str | None = None,
        name: str = "model",
        train_seed: int = 0,
        out: str | Path | Remote | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        cache: FeatureCache | None = None,
    ) -> None:
        if every < 1 or (n is not None and n < 2):
            raise UsageError(f"callback: every >= 1 and n >= 2 expected, got every = {every} and n = {n}.")
        self.every, self.seed, self.name, self.train_seed = every, seed, check_name(name), train_seed
        known: dict[str, Any] = {"value_range": value_range, "layout": layout}
        chosen: dict[str, Any] = {"metrics": metrics, "extractor": extractor, "extractors": extractors or {}}
        machine = {"device": device, "batch_size": batch_size, "cache": cache}
        with undisturbed():  # networks that extract features draw first weights, as all do
            if benchmark is not None and reference is None and held_out is None and n is None:
                prepared = on_benchmark(benchmark, **chosen, machine=machine)
            elif benchmark is None and reference is not None:
                prepared = on_reference(reference, held_out, n=n, **chosen, declared=known, machine=machine)
            else:
                raise UsageError(
                    "callback: a reference or a benchmark expected, one of the two; a benchmark has its own n and its "
                    "own held-out data."
                )
        self._evaluator, self._along = prepared.evaluator, prepared.along
        self._declared = {**known, "latent": latent, "name": name, "device": str(self._evaluator.device)}
        self.history = History(self._evaluator.benchmark.primary)
        self._store = None if out is None else Store(parse_place(out), self._evaluator.benchmark.id)
        if self._store is not None:
            check_writable(self._store.folder)
            self._store.check_protocol(self._evaluator.protocol)
        self._last, self._warned = 0, set[str]()

    def __call__(
        self,
        step: int,
        generator: Any,
        *,
        final: bool = False,
        modules: Iterable[nn.Module] | None = None,
        ema: Mapping[str, Tensor] | nn.Module | None = None,
    ) -> Run | None:
        """Score the generator if its turn has come.

        Parameters
        ----------
        step : int
            Updates made so far. It may jump: the turn comes where a multiple of ``every`` was reached or passed.
        generator : object
            Anything that `genbench.score` scores: a module with ``latent`` declared, or with ``sample(n, *, seed)``; a
            function ``f(n, *, seed)``, for which torch's global generator is seeded.
        final : bool
            Score now, with every metric: this is the end of the training, and of its records the one that tables rank.
        modules : iterable of Module, optional
            What is put in eval mode meanwhile. By default the generator, or the networks that a function refers to by
            name or an object has as attributes.
        ema : mapping or Module, optional
            Averaged weights to sample with: a state dict, or a copy of the generator (also in an ``AveragedModel``).

        Returns
        -------
        Run or None

        Raises
        ------
        UsageError
            If the generator is of no known form, or averaged weights are not its own.
        """
        due = final or step // self.every > self._last // self.every
        self._last = step
        if not due:
            return None
        parts = modules_of(generator) if modules is None else list(modules)
        clock = time.perf_counter()
        with undisturbed(parts), weighted(parts, ema):
            found = self._found(generator, final=final)
        about: dict[str, Any] = {"train_seed": self.train_seed, "step": step, "final": final}
        run = self._evaluator.record(self.name, seconds=time.perf_counter() - clock, **about, **found)
        self.history.add(run)
        self._tell(run)
        self._write(run)
        return run

    @property
    def best(self) -> Run | None:
        """The best record so far, beyond noise; see `History.best`."""
        return self.history.best

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint of the training needs, for the history to go on after it."""
        return {"last": self._last, **self.history.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._last = int(state["last"])
        self.history.load_state_dict(state)

    def __repr__(self) -> str:
        return f"<Evaluator of {self.name}, every {self.every} steps: {self.history!r}>"

    def _repr_html_(self) -> str:
        return self.history._repr_html_()

    def _found(self, generator: Any, *, final: bool) -> dict[str, Any]:
        """Draw and score: the fields of a record that say what was found, or why nothing was."""
        evaluator, only = self._evaluator, None if final else self._along
        try:
            found = load_sampler(generator, event_shape=evaluator.dataset.event_shape, **self._declared)
            sampler = standardized(found, evaluator.dataset.standardization)
            return {"scores": evaluator.score(evaluator.draw(sampler, seed=self.seed), seed=self.seed, only=only)}
        except UsageError:
            raise
        except GenbenchError as error:
            return {"scores": (), "failure": str(error)}
        except Exception as error:  # memory that ran out, a driver: a training of days must not end by being looked at
            return {"scores": (), "failure": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"}

    def _tell(self, run: Run) -> None:
        """Warn of the first failure of every metric, and of samples."""
        failed = {score.key: score.failure for score in run.scores if score.failure is not None}
        if run.failure is not None:
            failed = {"samples": run.failure}
        for key, why in failed.items():
            self._warn(key, f"{run.sampler} at step {run.step}: {key} failed: {why}")

    def _write(self, run: Run) -> None:
        if self._store is not None:
            try:
                self._store.write(run)
            except GenbenchError as error:
                self._warn("out", f"{run.sampler} at step {run.step}: {error}")

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(f"{text} Further failures of this kind are recorded only.", RuntimeWarning, stacklevel=4)
