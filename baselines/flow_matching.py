"""Flow matching with straight paths (Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2022, arXiv:2209.03003).

A field v carries noise x₀ ~ N(0, I) at t = 0 to data x₁ at t = 1 along dx/dt = v(x, t). It is fitted to the straight
path between a noise and a datum (eq. 22 and 23 at σ_min = 0), whose mean over all pairs is the field wanted (eq. 9):

    x_t = (1 - t) x₀ + t x₁,    min_v  E_{t ~ U[0, 1], x₀, x₁} ‖v(x_t, t) - (x₁ - x₀)‖² / d

The best field does not bring the loss to 0, as it predicts x₁ - x₀ from x_t alone: on data from N(0, s² I) it leaves
s π / 2. Samples solve the equation from t = 0 to 1 in equal steps h:

    euler      x + h v(x, t)
    midpoint   x + h v(x + h/2 v(x, t), t + h/2)                   two evaluations a step
    heun       x + h/2 (v(x, t) + v(x + h v(x, t), t + h))         two evaluations a step

With classes, a label is left out of a share of the rows, so that one network is both fields, and sampling may lean
away from the field without a class: v + (g - 1)(v - v_none), classifier-free guidance (arXiv:2207.12598; g = 1: none).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from baselines.ema import EMA
from baselines.labels import class_count, sample_labels
from baselines.networks import is_image
from baselines.optimization import Optimizer, OptimizerOptions
from baselines.options import check_choice, check_count, check_flag, check_fraction, check_positive
from baselines.parts import Parts
from baselines.unet import TimeEmbedding, UNet, zero_init
from genbench.errors import UsageError

BETAS = (0.9, 0.99)
SOLVERS = ("heun", "midpoint", "euler")


@dataclass(frozen=True, kw_only=True)
class FlowMatching(OptimizerOptions):
    """The recipe: a U-Net for images and a residual perceptron for vectors, Adam with a cosine schedule."""

    network: str | None = None  # "unet" or "mlp"; absent: "unet" for images, "mlp" for vectors
    lr: float = 1e-3  # Adam
    ema: float = 0.999  # of all weights; without it samples are far worse
    width: int | None = None  # absent: 32 channels at full resolution of the U-Net, 256 units of the perceptron
    depth: int | None = None  # residual blocks; absent: 1 a level of the U-Net, 3 of the perceptron
    dropout: float = 0.0  # in the residual blocks
    solver: str = "heun"  # or "midpoint" or "euler"
    solver_steps: int = 20
    conditional: bool = False
    guidance: float = 1.0  # g, of conditional sampling; 1: none, more: samples surer of their class and less varied
    label_drop: float = 0.1  # share of rows that are shown without their label (arXiv:2207.12598, section 4)
    schedule: str = "cosine"
    warmup: float = 0.04

    def __post_init__(self) -> None:
        owner = "flow-matching"
        self.check_optimization(owner)
        if self.network is not None:
            check_choice(owner, "network", self.network, ("unet", "mlp"))
        check_choice(owner, "solver", self.solver, SOLVERS)
        check_positive(owner, lr=self.lr, guidance=self.guidance)
        check_fraction(owner, ema=self.ema, dropout=self.dropout, label_drop=self.label_drop)
        check_count(owner, solver_steps=self.solver_steps)
        check_flag(owner, conditional=self.conditional)
        for option in ("width", "depth"):
            if getattr(self, option) is not None:
                check_count(owner, **{option: getattr(self, option)})

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> FlowMatchingTrainer:
        """Make the network and its optimizer; ``steps`` sets the pace of the schedule.

        Raises
        ------
        UsageError
            If vectors are to go through a U-Net, or a conditional recipe is not told of classes.
        """
        known = class_count("flow-matching", conditional=self.conditional, classes=classes)
        return FlowMatchingTrainer(self, event_shape, device, steps, known)


class VelocityMLP(nn.Module):
    """A field over events taken as vectors: residual blocks of layer normalization and two layers. Zero at first."""

    def __init__(self, event_shape: tuple[int, ...], width: int, *, depth: int, dropout: float, classes: int) -> None:
        super().__init__()
        d = math.prod(event_shape)
        self.embed = TimeEmbedding(width, classes)
        self.first = nn.Linear(d, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout), zero_init(nn.Linear(width, width)))
            for _ in range(depth)
        )
        self.last = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), zero_init(nn.Linear(width, d)))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """(b, *event), (b,), (b,) -> (b, *event)."""
        embedded = self.embed(t, labels)
        hidden = self.first(x.flatten(1))
        for norm, branch in zip(self.norms, self.branches, strict=True):
            hidden = hidden + branch(norm(hidden) + embedded)
        return cast(Tensor, self.last(hidden)).reshape(x.shape)


class FlowMatchingTrainer(Parts):
    """One gradient step on the loss a step."""

    recordable: ClassVar[bool] = True  # an update runs wholly on the device, so it may be recorded and replayed

    def __init__(
        self, recipe: FlowMatching, event_shape: tuple[int, ...], device: torch.device, steps: int, classes: int
    ) -> None:
        image = is_image(event_shape)
        kind = recipe.network or ("unet" if image else "mlp")
        if kind == "unet" and not image:
            raise UsageError("flow-matching: network 'unet' is for images, got vectors; use 'mlp'.")
        self.recipe, self.event_shape, self.device, self.classes = recipe, event_shape, device, classes
        make: Callable[..., nn.Module] = UNet if kind == "unet" else VelocityMLP
        width = recipe.width or (32 if kind == "unet" else 256)
        depth = recipe.depth or (1 if kind == "unet" else 3)
        self.network = make(event_shape, width, depth=depth, dropout=recipe.dropout, classes=classes).to(device)
        self.ema = EMA(self.network, recipe.ema)
        self.optimizer = Optimizer(self.network, recipe.lr, BETAS, recipe=recipe, steps=steps)

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (b, *event), with the labels (b,) of a conditional one; return ``loss``."""
        n = len(batch)
        noise = torch.randn_like(batch)
        t = torch.rand(n, device=batch.device)
        if labels is not None:
            dropped = torch.rand(n, device=batch.device) < self.recipe.label_drop
            labels = labels.masked_fill(dropped, self.classes)
        between = torch.lerp(noise, batch, t.reshape(-1, *[1] * (batch.dim() - 1)))
        loss = (self.network(between, t, labels) - (batch - noise)).square().mean()
        self.optimizer.descend(loss)
        self.ema.update(self.network)
        return {"loss": loss.detach()}

    def sampler(self) -> FlowMatchingSampler:
        """Return a sampler of the averaged weights as they are now."""
        return FlowMatchingSampler(self)


class FlowMatchingSampler:
    """Noise carried along the field; images are kept in [-1, 1]. Noise is drawn on the CPU, the same on every device.

    ``classes`` is their number where the model is conditional, else None.
    """

    name = "flow-matching"

    def __init__(self, trainer: FlowMatchingTrainer) -> None:
        self.classes = trainer.classes or None
        self._unknown = trainer.classes  # the number of "no class told"
        self._recipe, self._event_shape, self._device = trainer.recipe, trainer.event_shape, trainer.device
        self._network = copy.deepcopy(trainer.ema.network)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, labels: Tensor | None = None) -> Tensor:
        """Draw n events, of the classes in ``labels`` (n,) if conditional: float32 (n, *event), on its device.

        Raises
        ------
        UsageError
            If a conditional model does not get n labels.
        """
        labels = sample_labels(self.name, labels, n=n, classes=self.classes, device=self._device)
        rng = torch.Generator().manual_seed(seed)
        noise = torch.randn(n, *self._event_shape, generator=rng).to(self._device)
        field = self._field(labels)
        samples = solve(field, noise, self._recipe.solver_steps, self._recipe.solver)
        return samples.clamp(-1, 1) if is_image(self._event_shape) else samples

    def _field(self, labels: Tensor | None) -> Callable[[Tensor, float], Tensor]:
        guidance = self._recipe.guidance

        def field(x: Tensor, t: float) -> Tensor:
            times = torch.full((len(x),), t, device=x.device)
            velocity: Tensor = self._network(x, times, labels)
            if labels is None or guidance == 1:
                return velocity
            return torch.lerp(self._network(x, times, torch.full_like(labels, self._unknown)), velocity, guidance)

        return field


def solve(field: Callable[[Tensor, float], Tensor], x: Tensor, steps: int, solver: str) -> Tensor:
    """Carry x along dx/dt = field(x, t) from t = 0 to 1 in equal steps; error O(steps⁻²), of "euler" O(steps⁻¹)."""
    h = 1 / steps
    for i in range(steps):
        t = i * h
        slope = field(x, t)
        if solver == "midpoint":
            slope = field(x + h / 2 * slope, t + h / 2)
        elif solver == "heun":
            slope = (slope + field(x + h * slope, t + h)) / 2
        x = x + h * slope
    return x
