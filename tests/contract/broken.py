"""Parts with one flaw each, for the contract tests to find; what is sound about them is in the first of each kind."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from genbench.definitions import Dataset, Mixture
from genbench.errors import SampleError, UsageError
from genbench.metrics.metric import Metric

_unseeded = itertools.count()
"""What is another number each time, as what comes from a generator that nobody seeded."""


def declared(compute: Callable[..., Any], **changes: Any) -> Metric:
    """Declare a metric."""
    fields: dict[str, Any] = {
        "name": compute.__name__,
        "compute": compute,
        "space": "pool",
        "unit": "feature units",
        "better": "lower",
        "ideal": 0.0,
        "uncertainty": "none",
        "source": "a test",
    }
    return Metric(**{**fields, **changes})


def gap(generated: Any, reference: Any) -> float:
    return float((generated.values.mean(0) - reference.values.mean(0)).norm())


def sound(*, generated, reference):
    """Distance between means.

    Parameters
    ----------
    generated, reference : Features

    Returns
    -------
    float

    Raises
    ------
    SampleError
    """
    if generated.n < 2:
        raise SampleError("sound: at least 2 samples expected; score more.")
    return gap(generated, reference)


def undocumented(*, generated, reference):
    return gap(generated, reference)


def unseeded(*, generated, reference):
    return gap(generated, reference) + 1e-6 * next(_unseeded)


def ordered(*, generated, reference):
    half = generated.values[: max(1, generated.n // 2)]
    return float((half.mean(0) - reference.values.mean(0)).norm())


def writing(*, generated, reference):
    generated.values.mul_(2)
    return gap(generated, reference)


def nan_at_one(*, generated, reference):
    return gap(generated, reference) if generated.n > 1 else math.nan


def crashing(*, generated, reference):
    if generated.n < 3:
        raise ValueError("singular matrix")
    return gap(generated, reference)


def swapped(*, generated, reference):
    return float(reference.values.mean(0).norm())


SOUND = declared(sound)
UNDOCUMENTED = declared(undocumented)
UNSEEDED = declared(unseeded)
ORDERED = declared(ordered)
WRITING = declared(writing)
NAN_AT_ONE = declared(nan_at_one)
CRASHING = declared(crashing)
SWAPPED = declared(swapped)
BACKWARDS = declared(sound, better="higher")


@dataclass(frozen=True, kw_only=True)
class Bell:
    """One normal distribution for all data; a flaw is what a subclass changes."""

    lr: float = 0.05

    trainer = property(lambda self: BellTrainer)

    def build(self, event_shape, *, device, steps):
        return self.trainer(self.lr, event_shape)


class BellTrainer:
    kept = ("network", "optimizer")

    def __init__(self, lr, event_shape):
        self.network = nn.ParameterList([torch.randn(event_shape), torch.zeros(event_shape)])
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr)

    def step(self, batch):
        mean, log_std = self.network
        loss = (0.5 * ((batch - mean) / log_std.exp()) ** 2 + log_std).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def sampler(self):
        return BellSampler(copy.deepcopy(self.network))

    def state_dict(self):
        return {name: getattr(self, name).state_dict() for name in self.kept}

    def load_state_dict(self, state):
        for name in self.kept:
            getattr(self, name).load_state_dict(state[name])


class BellSampler:
    name = "bell"
    top = 1.0
    seeded = True

    def __init__(self, network):
        self.network = network

    @torch.no_grad()
    def sample(self, n, *, seed):
        rng = torch.Generator().manual_seed(seed if self.seeded else 0)
        mean, log_std = self.network
        x = mean + log_std.exp() * torch.randn(n, *mean.shape, generator=rng)
        return x.clamp(-self.top, self.top) if x.dim() == 4 else x


def baseline(name: str, **changes: Any) -> type[Bell]:
    """Make a recipe whose trainer, or sampler, has something changed."""
    trainer = type("Trainer", (BellTrainer,), changes)
    made = type(name, (Bell,), {"trainer": property(lambda self: trainer), "__module__": __name__})
    return dataclass(frozen=True, kw_only=True)(made)


def _with_gradient(self, batch):
    BellTrainer.step(self, batch)
    return {"loss": (batch - self.network[0]).square().mean()}


def _from_outside(self, batch):
    return BellTrainer.step(self, batch + 0.01 * (next(_unseeded) % 97))


def _disturbed(self):
    self.network[0].data.mul_(0.9)
    return BellTrainer.sampler(self)


GRADIENT = baseline("GRADIENT", step=_with_gradient)
OUTSIDE = baseline("OUTSIDE", step=_from_outside)
FORGETFUL = baseline("FORGETFUL", kept=("network",))
SHARING = baseline("SHARING", sampler=lambda self: BellSampler(self.network))
DISTURBED = baseline("DISTURBED", sampler=_disturbed)
BRIGHT = baseline("BRIGHT", sampler=lambda self: type("S", (BellSampler,), {"top": 9.0})(copy.deepcopy(self.network)))
DEAF = baseline("DEAF", sampler=lambda self: type("S", (BellSampler,), {"seeded": False})(copy.deepcopy(self.network)))


@dataclass
class Mutable:
    """Options that anybody can change after they were recorded."""

    lr: float = 0.05

    def build(self, event_shape, *, device, steps):
        return BellTrainer(self.lr, event_shape)


@dataclass(frozen=True, kw_only=True)
class Choosy(Bell):
    """No shape is good enough."""

    def build(self, event_shape, *, device, steps):
        raise UsageError("choosy: events of another shape expected.")


CENTRES = np.array([[1.0, 0.0], [-1.0, 0.0]])


def points(*, name: str = "points", seed: int = 0, **changes: Any) -> Dataset:
    """Two Gaussians, with something changed."""
    mixture = Mixture(centres=CENTRES, std=0.1)
    rng = np.random.default_rng(seed)
    made = {split: mixture.sample(500, rng).astype(np.float32) for split in ("train", "test")}
    return Dataset(name=name, **{**made, "density": mixture, **changes})


def double() -> Dataset:
    return points(train=CENTRES.repeat(2, axis=0), test=-CENTRES.astype(np.float32), density=None)


def unequal() -> Dataset:
    return points(seed=next(_unseeded))


def leaking() -> Dataset:
    return points(test=points().train[:7])


def misnumbered() -> Dataset:
    return points(train_labels=np.ones(500, dtype=np.int32), test_labels=np.ones(500, dtype=np.int64))


def mistaken() -> Dataset:
    return points(test=points().test + np.float32(0.2))


def swallowing(**options: Any) -> Dataset:
    return points(name=str(options))


class Normal:
    """A sound sampler of vectors."""

    name = "normal"

    def sample(self, n, *, seed):
        return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


class Global(Normal):
    def sample(self, n, *, seed):
        return torch.randn(n, 2)


class Reseeding(Normal):
    def sample(self, n, *, seed):
        torch.manual_seed(seed)
        return torch.randn(n, 2)


class Fixed(Normal):
    def sample(self, n, *, seed):
        return super().sample(n, seed=0)


class Same(Normal):
    def sample(self, n, *, seed):
        return super().sample(1, seed=seed).expand(n, -1)


class Grey(Normal):
    def sample(self, n, *, seed):
        return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


class Pixels:
    """A sound extractor; ``event_shape`` is what it was made for."""

    name = "pixels"
    fingerprint = "ab" * 32

    def __init__(self, *, event_shape, device):
        self.event_shape = tuple(event_shape)
        self.layers = {"pool": math.prod(event_shape)}

    def extract(self, samples):
        if tuple(samples.shape[1:]) != self.event_shape:
            raise SampleError("pixels: events of another shape expected.")
        return {"pool": samples.double().flatten(1)}


class Normalizing(Pixels):
    def extract(self, samples):
        pool = super().extract(samples)["pool"]
        return {"pool": pool - pool.mean(0)}


class Careless(Pixels):
    def extract(self, samples):
        return {"pool": samples.double().flatten(1)}


class Renamed(Pixels):
    fingerprint = property(lambda self: f"{next(_unseeded):064x}")


class Narrow(Pixels):
    def extract(self, samples):
        return {"pool": super().extract(samples)["pool"][:, 1:]}
