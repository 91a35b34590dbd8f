"""The harness: trains any baseline to a list of stops, and can be killed at any moment without changing a bit.

Step t is a pure function of (state before it, training seed, t): the rows of its batch come from a generator seeded by
("batch", t), everything random inside the step from generators seeded by ("step", t). No generator state is carried
from one step to the next, so none has to be saved, and a training resumed from any saved state takes the same path.
On the CPU that holds to the last bit, because everything runs in one thread; on other devices up to the order in which
their kernels add.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.definitions import Dataset
from genbench.errors import UsageError
from genbench.isolation import isolated, seed_generators
from genbench.protocols import Baseline, Sampler, Trainer
from genbench.randomness import derive_seed
from genbench.storage import Place
from genbench.training.checkpoint import identity, load_state, model_record, save_state
from genbench.training.health import LossLog, check_state, gradient_norms
from genbench.training.scaling import Scaling, scaled_sampler
from genbench.training.speed import Speed

WINDOW = 50
"""Steps over which losses are averaged, and after which they are checked."""

_STRIDE = 10
"""Steps between two calls of ``progress``; their batches are drawn together."""

Progress = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A training at one of its stops.

    Attributes
    ----------
    step : int
        Updates made.
    sampler : Sampler
        Of the weights at this stop, in the units of the data.
    losses : mapping of str to float
        Recent means.
    history : list of dict
        Means over every `WINDOW` steps: ``step``, then the losses by name, then norms of gradients at its end.
    seconds : float
        Spent on updates so far, those before an interruption too.
    """

    step: int
    sampler: Sampler
    losses: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    seconds: float


def train(
    baseline: Baseline,
    data: Dataset,
    *,
    seed: int,
    steps: int,
    batch: int,
    device: torch.device,
    stops: Sequence[int],
    checkpoint: Place,
    progress: Progress | None = None,
    save_every: float = 30.0,
    speed: Speed | None = None,
) -> Iterator[Stop]:
    """Train a baseline on the training split, or continue, yielding at every stop that lies ahead.

    The state is on disk before a stop is yielded. A later call with the same arguments continues from it: a stop at
    which the saved state stands is yielded (again), those before it are not. Torch's global generators and thread
    count are never changed as seen by the caller.

    Parameters
    ----------
    baseline : Baseline
        The recipe.
    data : Dataset
        Only ``train`` is shown to the model; and its labels, if the recipe has ``conditional = True``: then ``build``
        is given ``classes``, ``step`` is given ``labels`` (b,) int64, and so is the sampler.
    seed : int
        Decides the first weights, the batches and everything random in the steps.
    steps : int
        The budget in updates.
    batch : int
        Rows a step, drawn with replacement.
    device : torch.device
        Where to train; the training split is kept there, as it is.
    stops : sequence of int
        Increasing, in [1, steps].
    checkpoint : Path or Remote
        File of the training state.
    progress : callable or None
        Called with the updates made and the losses of the last window.
    save_every : float
        Seconds between two savings of the state, beside those at the stops. Changes no result.
    speed : Speed or None
        How updates are computed; by default in float32, one operation after the other.

    Yields
    ------
    Stop
        In the order of ``stops``.

    Raises
    ------
    TrainingError
        If a loss, or at a stop the state, is not finite. Trained again, it fails after the same update.
    ProtocolError
        If the checkpoint is that of another training.
    UsageError
        If stops, steps or batch cannot work, or a conditional recipe meets data without labels.
    SetupError
        If the checkpoint cannot be read or written.
    """
    if steps < 1 or batch < 1:
        raise UsageError(f"training: steps and batch must be at least 1, got {steps} and {batch}.")
    if not stops or list(stops) != sorted(set(stops)) or stops[0] < 1 or stops[-1] > steps:
        raise UsageError(f"training: stops must be increasing and in [1, {steps}], got {list(stops)}.")
    training = _Training(
        baseline,
        data,
        seed=seed,
        steps=steps,
        batch=batch,
        device=device,
        checkpoint=checkpoint,
        speed=speed or Speed(),
    )
    for stop in stops:
        if stop >= training.step:
            training.advance(stop, progress or _silent, save_every)
            yield training.stop()


class _Training:
    """A trainer, its data, and how far it has come."""

    def __init__(
        self,
        baseline: Baseline,
        data: Dataset,
        *,
        seed: int,
        steps: int,
        batch: int,
        device: torch.device,
        checkpoint: Place,
        speed: Speed,
    ) -> None:
        self.seed, self.batch, self.device, self.checkpoint, self.speed = seed, batch, device, checkpoint, speed
        self.identity = {
            **identity(baseline, seed=seed, steps=steps, batch=batch, data=data.fingerprint, device=device),
            **speed.identity(),
        }
        self.scaling = Scaling(data.train)
        labels = _labels(baseline, data)
        classes = None if labels is None else int(labels.max()) + 1
        self.model = model_record(
            baseline,
            event_shape=data.event_shape,
            image=self.scaling.image,
            scale=self.scaling.scale,
            classes=classes,
        )
        saved = load_state(checkpoint, self.identity, device)
        self.samples = torch.tensor(data.train, device=device)
        self.labels = None if labels is None else torch.tensor(labels, device=device)
        with isolated(device):
            seed_generators(device, derive_seed(seed, "init"))
            self.trainer = build_trainer(baseline, data.event_shape, device=device, steps=steps, classes=classes)
            speed.prepare(self.trainer, device)
            self.log = LossLog(self.trainer.sampler().name)
            self.step, self.seconds = 0, 0.0
            if saved is not None:
                self.trainer.load_state_dict(saved["trainer"])
                self.log.load_state_dict(saved["log"])
                self.step, self.seconds = saved["step"], saved["seconds"]
        self.update = speed.wrap(self._update, self.trainer, device)
        self._saved_step, self._saved_time = self.step if saved is not None else -1, time.monotonic()

    def advance(self, stop: int, progress: Progress, save_every: float) -> None:
        """Train up to a stop and save there."""
        while self.step < stop:
            clock = time.perf_counter()
            # Isolated in strides, so that neither progress nor the consumer of the stops runs inside.
            with isolated(self.device), self.speed.settings(self.device):
                for rows in self._batches(min(stop, self.step - self.step % _STRIDE + _STRIDE)):
                    seed_generators(self.device, derive_seed(self.seed, "step", self.step))
                    losses = self.update(rows)
                    self.step += 1
                    self.log.add(self.step, losses)
            if self.step % WINDOW == 0:
                self.log.check()
                with isolated(self.device):
                    norms = gradient_norms(self.trainer)
                self.log.close_window(self.step, norms)
            self.seconds += time.perf_counter() - clock
            if self.step % WINDOW == 0 and self.step < stop and time.monotonic() - self._saved_time >= save_every:
                self._save(self.trainer.state_dict())
            progress(self.step, self.log.recent)
        self.log.check()
        state = self.trainer.state_dict()
        check_state(self.log.owner, self.step, state)
        if self._saved_step != self.step:
            self._save(state)

    def _update(self, rows: Tensor) -> Mapping[str, Tensor]:
        """Make one update on these rows of the training split."""
        batch = self.scaling.to_model(self.samples[rows])
        if self.labels is None:
            return self.trainer.step(batch)
        return self.trainer.step(batch, labels=self.labels[rows])  # type: ignore[call-arg]

    def _batches(self, end: int) -> Tensor:
        """Rows of every batch up to a step, moved to the device at once and without waiting for it: (steps, batch)."""
        n = len(self.samples)
        rows = [
            torch.randint(n, (self.batch,), generator=torch.Generator().manual_seed(derive_seed(self.seed, "batch", t)))
            for t in range(self.step, end)
        ]
        together = torch.stack(rows)
        if self.device.type == "cuda":
            return together.pin_memory().to(self.device, non_blocking=True)
        return together.to(self.device)

    def _save(self, state: dict[str, Any]) -> None:
        state = {
            "trainer": state,
            "log": self.log.state_dict(),
            "step": self.step,
            "model": self.model,
            "seconds": self.seconds,
        }
        save_state(self.checkpoint, self.identity, state)
        self._saved_step, self._saved_time = self.step, time.monotonic()

    def stop(self) -> Stop:
        """Return the training as it stands."""
        with isolated(self.device):
            sampler = scaled_sampler(self.trainer.sampler(), self.scaling, self.device)
        history = [*self.log.history]
        return Stop(step=self.step, sampler=sampler, losses=self.log.means(), history=history, seconds=self.seconds)


def build_trainer(
    baseline: Baseline, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None
) -> Trainer:
    """Make a recipe's trainer; only a conditional one is told of ``classes``."""
    told: dict[str, Any] = {} if classes is None else {"classes": classes}
    return baseline.build(event_shape, device=device, steps=steps, **told)


def _labels(baseline: Baseline, data: Dataset) -> NDArray[np.int64] | None:
    """Return the labels of the training split if the recipe is conditional."""
    if not getattr(baseline, "conditional", False):
        return None
    if data.train_labels is None:
        raise UsageError(
            f"{type(baseline).__name__}: conditional = true needs data with labels, and {data.name} has none; "
            "turn it off, or choose other data."
        )
    return data.train_labels


def _silent(step: int, losses: Mapping[str, float]) -> None:
    """Report nothing."""
