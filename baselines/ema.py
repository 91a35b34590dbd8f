"""The exponential moving average of a network's weights, the cheapest stabilizer of adversarial training."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from baselines.optimization import RECORDED

Network = TypeVar("Network", bound=nn.Module)


class EMA(Generic[Network]):
    """A network whose weights trail those of another.

    After update t = 0, 1, 2, ...:  average <- d average + (1 - d) weights,  d = min(decay, (1 + t) / (10 + t)),
    so that the first weights, which know nothing, are soon forgotten. Buffers (the running statistics of
    batch normalization) are copied: they are averages already.

    Parameters
    ----------
    network : nn.Module
        The network to follow.
    decay : float
        In [0, 1); 0 keeps a plain copy of the weights.

    Attributes
    ----------
    network : nn.Module
        The averages, in eval mode.
    updates : int
        Calls of `update`; where updates are recorded and replayed, the device counts them instead.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network: Network = copy.deepcopy(network).eval().requires_grad_(False)
        device = next(network.parameters()).device
        recorded = device.type in RECORDED
        self._clock: Tensor | None = torch.zeros((), dtype=torch.float64, device=device) if recorded else None

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Move the averages towards the network's present weights."""
        averages, weights = tuple(self.network.parameters()), tuple(network.parameters())
        if self._clock is None:
            decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
            torch._foreach_lerp_(averages, weights, 1 - decay)
        else:
            share = 1 - ((1 + self._clock) / (10 + self._clock)).clamp(max=self.decay)
            steps = torch._foreach_sub(weights, averages)
            torch._foreach_mul_(steps, share.float())
            torch._foreach_add_(averages, steps)
            self._clock += 1
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the averages and how many updates they hold."""
        updates = self.updates if self._clock is None else int(self._clock)
        return {"updates": updates, "network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.updates = state["updates"]
        if self._clock is not None:
            self._clock.fill_(self.updates)
        self.network.load_state_dict(state["network"])
