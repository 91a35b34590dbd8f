"""The options of optimization that every recipe has, and the one optimizer that obeys them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from baselines.options import check_choice, check_fraction, check_not_negative

RECORDED = ("cuda",)
"""Kinds of device that can record a step and replay it: there, what changes with the step must be on the device."""


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """What a recipe lets its user choose about optimization; recipes inherit the fields. All is off by default."""

    optimizer: str = "adam"  # or "rmsprop" (without momentum), or "sgd" (its momentum is Adam's first beta)
    weight_decay: float = 0.0  # decoupled for Adam (arXiv:1711.05101), else added to the gradient; not of biases
    l1: float = 0.0  # added to the gradient: l1 · sign(w); not of biases
    schedule: str = "constant"  # or "linear" or "cosine": the rate falls to 0 over the budget
    warmup: float = 0.0  # share of the budget over which the rate rises from 0
    clip: float = 0.0  # largest norm of the gradient of one network; 0: as it is

    def check_optimization(self, owner: str) -> None:
        """Refuse wrong options by name, for the recipe called ``owner``.

        Raises
        ------
        UsageError
            Naming the first option that is wrong.
        """
        check_choice(owner, "optimizer", self.optimizer, ("adam", "rmsprop", "sgd"))
        check_choice(owner, "schedule", self.schedule, ("constant", "linear", "cosine"))
        check_not_negative(owner, weight_decay=self.weight_decay, l1=self.l1, clip=self.clip)
        check_fraction(owner, warmup=self.warmup)


class Optimizer:
    """Descends a loss by the options of a recipe.

    With u updates made of a budget of ``steps``, the rate is

        lr · min(1, (u + 1) / (warmup · steps)) · s(u / steps)      s(t) = 1,  1 - t,  or  (1 + cos π t) / 2

    and 0 beyond the budget, unless it is constant. No number of it is read from the device, and on those in
    `RECORDED` the rate is computed there, so that a recorded update follows the schedule too.

    Parameters
    ----------
    weights : nn.Module or iterable of Tensor
        A network, or the parameters themselves.
    lr : float
        The rate at its highest.
    betas : (float, float)
        Of Adam; the first is the momentum of "sgd".
    recipe : OptimizerOptions
        The options.
    steps : int
        The budget in updates of this optimizer.

    Attributes
    ----------
    inner : torch.optim.Optimizer
        Torch's own.
    """

    def __init__(
        self,
        weights: nn.Module | Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        recipe: OptimizerOptions,
        steps: int,
    ) -> None:
        self.recipe, self.lr, self.steps = recipe, lr, steps
        self._parameters = list(weights.parameters() if isinstance(weights, nn.Module) else weights)
        self._scheduled = recipe.schedule != "constant" or recipe.warmup > 0
        self._updates = 0
        device = self._parameters[0].device
        recorded = device.type in RECORDED
        self._table: _RateTable | None = None
        if recorded and self._scheduled:
            self._table = _RateTable([self._rate(u) for u in range(steps + 1)], device)
        self.inner = self._make(lr if self._table is None else self._table.rate, betas, recorded)

    def _make(self, rate: float | Tensor, betas: tuple[float, float], recorded: bool) -> torch.optim.Optimizer:
        recipe = self.recipe
        parameters: list[Any] = self._parameters
        if recipe.weight_decay:
            parameters = [
                {"params": [p for p in self._parameters if _is_weight(p)], "weight_decay": recipe.weight_decay},
                {"params": [p for p in self._parameters if not _is_weight(p)], "weight_decay": 0.0},
            ]
        if recipe.optimizer == "sgd":
            return torch.optim.SGD(parameters, lr=rate, momentum=betas[0], fused=True)
        if recipe.optimizer == "rmsprop":
            made: torch.optim.Optimizer = torch.optim.RMSprop(parameters, lr=rate, capturable=recorded)
        else:
            kind = torch.optim.AdamW if recipe.weight_decay else torch.optim.Adam
            made = kind(parameters, lr=rate, betas=betas, fused=True, capturable=recorded)
        # A step that can be recorded may also run as it is; torch would warn of that.
        vars(made)["_warned_capturable_if_run_uncaptured"] = True
        return made

    def _rate(self, updates: int) -> float:
        done = min(1.0, updates / self.steps)
        if self.recipe.schedule == "cosine":
            rate = self.lr * 0.5 * (1 + math.cos(math.pi * done))
        else:
            rate = self.lr * (1 - done) if self.recipe.schedule == "linear" else self.lr
        rising = self.recipe.warmup * self.steps
        return rate * min(1.0, (updates + 1) / rising) if rising else rate

    def descend(self, loss: Tensor) -> None:
        """Make one update down the gradient of a loss."""
        self._set_rate()
        self.inner.zero_grad()
        torch.autograd.backward(loss)
        if self.recipe.l1:
            self._add_l1()
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self._parameters, self.recipe.clip)
        self.inner.step()

    @torch.no_grad()
    def _add_l1(self) -> None:
        weights: list[Tensor] = [p for p in self._parameters if p.grad is not None and _is_weight(p)]
        gradients = [p.grad for p in weights if p.grad is not None]
        torch._foreach_add_(gradients, torch._foreach_sign(weights), alpha=self.recipe.l1)

    def _set_rate(self) -> None:
        if self._table is not None:
            self._table.advance()
        elif self._scheduled:
            for group in self.inner.param_groups:
                group["lr"] = self._rate(self._updates)
            self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next update depends on, beside the weights."""
        updates = self._updates if self._table is None else int(self._table.updates)
        return {"updates": updates, "inner": self.inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly from what `state_dict` returned."""
        self._updates = state["updates"]
        self.inner.load_state_dict(state["inner"])
        if self._table is not None:
            self._table.updates.fill_(state["updates"])
            for group in self.inner.param_groups:
                group["lr"] = self._table.rate  # loading has put a copy there


class _RateTable:
    """The rates of a budget, and how many updates were made of it, on the device."""

    def __init__(self, rates: list[float], device: torch.device) -> None:
        self._rates = torch.tensor(rates, device=device)
        self.rate = torch.tensor(rates[0], device=device)
        self.updates = torch.zeros(1, dtype=torch.int64, device=device)

    def advance(self) -> None:
        """Set the rate of the next update; past the budget it is the last one's."""
        self.rate.copy_(self._rates.index_select(0, self.updates.clamp(max=len(self._rates) - 1)).view(()))
        self.updates.add_(1)


def _is_weight(parameter: Tensor) -> bool:
    """Tell weights from biases and gains: they have two axes or more."""
    return parameter.dim() > 1
