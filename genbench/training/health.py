"""Health along training: losses and gradients, kept for the record, and watched for values that are not finite.

What a trainer returns from a step is averaged under the name that it gives it. Names that mean one thing in all models:

- ``d_accuracy``: share of data and samples that a discriminator tells right, half of each; 1/2 where it cannot.
- ``critic_gap``: mean of a critic on data minus that on samples; positive while it tells them apart.

The harness itself adds ``<network>_grad_norm``, the norm of each network's gradient in the last update of a window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genbench.errors import DeclarationError, TrainingError

_NEVER = 2**62


class LossLog:
    """Sums of named losses, and the first step at which each was not finite; all of it stays on the device.

    Reading a number from a GPU waits for all work queued there, so it is done once a window and not once a step.

    Attributes
    ----------
    history : list of dict
        One row a window: ``step``, then the mean of each loss over the window's steps, then norms of gradients.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.history: list[dict[str, float]] = []
        self._names: list[str] = []
        self._count = 0
        self._sums: Tensor | None = None
        self._first_bad: Tensor | None = None

    def add(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Take in the losses of a step.

        Raises
        ------
        DeclarationError
            If there are none, or others than at the steps before.
        """
        if not losses or (self._names and list(losses) != self._names):
            raise DeclarationError(
                f"{self.owner}: every step must return the same named losses, at least one; "
                f"got {list(losses)} after {self._names}."
            )
        values = torch.stack([value.detach().to(torch.float32) for value in losses.values()])
        if self._sums is None or self._first_bad is None:
            self._names = list(losses)
            self._sums = torch.zeros_like(values)
            self._first_bad = torch.full_like(values, _NEVER, dtype=torch.int64)
        self._sums += values
        self._count += 1
        self._first_bad.clamp_(max=torch.where(torch.isfinite(values), _NEVER, step))

    def check(self) -> None:
        """Raise if any loss so far was not finite.

        Raises
        ------
        TrainingError
            Naming the first one and the step after which it was so.
        """
        if self._first_bad is None:
            return
        steps = self._first_bad.tolist()
        first = min(steps)
        if first < _NEVER:
            name = self._names[steps.index(first)]
            raise TrainingError(f"{self.owner}: diverged, {name} is not finite after update {first}.")

    @property
    def recent(self) -> dict[str, float]:
        """Mean of each loss over the last closed window; empty before the first."""
        return {name: self.history[-1][name] for name in self._names} if self.history else {}

    def means(self) -> dict[str, float]:
        """Mean of each loss over the window so far, or over the last one where it has just been closed."""
        if self._sums is None or self._count == 0:
            return self.recent
        return dict(zip(self._names, (self._sums / self._count).tolist(), strict=True))

    def close_window(self, step: int, norms: Mapping[str, float] | None = None) -> None:
        """Add a row to the history, with norms of gradients, and begin a new window.

        Raises
        ------
        TrainingError
            If a norm is not finite.
        """
        for name, norm in (norms or {}).items():
            if not math.isfinite(norm):
                raise TrainingError(f"{self.owner}: diverged, {name} is not finite after update {step}.")
        self.history.append({"step": step, **self.means(), **(norms or {})})
        if self._sums is not None:
            self._sums.zero_()
        self._count = 0

    def state_dict(self) -> dict[str, Any]:
        """Return everything, so that an interrupted window ends with the same mean."""
        return {"history": self.history, "names": self._names, "count": self._count, "sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned; a state is saved only after `check` has passed."""
        self.history, self._names, self._count = state["history"], state["names"], state["count"]
        self._sums = state["sums"]
        if self._sums is not None:
            self._first_bad = torch.full_like(self._sums, _NEVER, dtype=torch.int64)


def networks_of(trainer: Any, *, averages: bool = False) -> dict[str, nn.Module]:
    """Find the networks that a trainer holds as attributes, by the attributes' names.

    Parameters
    ----------
    trainer : Trainer
    averages : bool
        Those too that lie one object deeper, as a network of averaged weights does.
    """
    found: dict[str, nn.Module] = {}
    held = dict(trainer.named_children()) if isinstance(trainer, nn.Module) else getattr(trainer, "__dict__", {})
    for name, value in held.items():
        if isinstance(value, nn.Module):
            found[name] = value
        elif averages and hasattr(value, "__dict__"):
            found |= {f"{name}.{part}": deep for part, deep in vars(value).items() if isinstance(deep, nn.Module)}
    return found


def count_parameters(sampler: Any) -> int | None:
    """Count the parameters of the networks that a sampler holds, one object deep; None where it shows none."""
    networks = networks_of(sampler, averages=True).values()
    parameters = {id(p): p.numel() for network in networks for p in network.parameters()}
    return sum(parameters.values()) or None


def gradient_norms(trainer: Any) -> dict[str, float]:
    """Return the norm of the gradient that each network of a trainer was last updated by: ``<network>_grad_norm``.

    A network without gradients has none. Waits once for the device.
    """
    norms = {}
    for name, network in networks_of(trainer).items():
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        if gradients:
            norms[f"{name}_grad_norm"] = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    values = torch.stack([norm.float() for norm in norms.values()]).tolist() if norms else []
    return dict(zip(norms, values, strict=True))


def check_state(owner: str, step: int, state: Mapping[str, Any]) -> None:
    """Refuse a training state that holds a number that is not finite.

    Raises
    ------
    TrainingError
        Naming the first such tensor.
    """
    for name, value in leaves(state):
        if isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise TrainingError(f"{owner}: diverged, {name} is not finite after update {step}.")


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested mappings and sequences, with the path that leads to it."""
    items: Any
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        yield name, value
        return
    for key, part in items:
        yield from leaves(part, f"{name}.{key}" if name else str(key))
