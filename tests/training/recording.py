"""A recorder that does on the CPU what a CUDA graph does on a GPU: it keeps operations, and repeats them as they were.

Numbers of Python's are frozen in a recording, tensors are found again where they were, random numbers are drawn anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

HOST = {
    "aten::_local_scalar_dense": "reads a number",
    "aten::equal": "reads a truth",
    "aten::nonzero": "reads a number of rows",
    "aten::masked_select": "reads a number of rows",
    "aten::_unique2": "reads a number of rows",
    "aten::lift_fresh": "copies numbers of Python's to the device",
}
"""Operations for which host and device wait for each other, so that no recording can hold them."""


class Waited(Exception):
    """The update makes host and device wait for each other."""


class _Keep(TorchDispatchMode):
    """Keeps every operation with its arguments and results, and performs it."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__()
        self.refused = {name: why for name, why in HOST.items() if name not in allowed}
        self.kept: list[tuple[Any, Any, Any, list[Tensor | None]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.name in self.refused:
            raise Waited(self.refused[func._schema.name])
        results = func(*args, **kwargs)
        given = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        # A view of what was given needs no copy: repeating the operation that made that renews the view.
        own = [
            t if isinstance(t, Tensor) and t.untyped_storage().data_ptr() not in given else None
            for t in tree_leaves(results)
        ]
        self.kept.append((func, args, kwargs, own))
        return results


class Recording:
    """A `genbench.training.speed.Recorder` of the operations of an update, of `HOST` only of the allowed ones."""

    def __init__(self, allowed: frozenset[str] = frozenset()) -> None:
        self.allowed = allowed
        self.warmed = self.replays = 0

    def warm(self, update: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        self.warmed += 1
        return update()

    def record(self, update: Callable[[], Mapping[str, Tensor]]) -> tuple[Mapping[str, Tensor], Callable[[], None]]:
        """Keep an update. It is made, too, so that the first replay, of the same inputs, has nothing to do."""
        keep = _Keep(self.allowed)
        with keep:
            losses = update()

        def replay() -> None:
            self.replays += 1
            if self.replays > 1:
                _repeat(keep.kept)

        return losses, replay


@torch.no_grad()
def _repeat(kept: list[tuple[Any, Any, Any, list[Tensor | None]]]) -> None:
    for func, args, kwargs, own in kept:
        for old, new in zip(own, tree_leaves(func(*args, **kwargs)), strict=True):
            if old is not None:
                old.copy_(new)


@contextmanager
def optimizing_as_on_cuda(monkeypatch: Any) -> Iterator[None]:
    """Let optimizers and averages keep on the CPU what they keep on a GPU: rates, counts, decays."""
    rmsprop = sys.modules[torch.optim.RMSprop.__module__]
    with monkeypatch.context() as patch:
        patch.setattr("baselines.optimization.RECORDED", ("cpu",))
        patch.setattr("baselines.ema.RECORDED", ("cpu",))
        patch.setattr(rmsprop, "_get_capturable_supported_devices", lambda *args, **kwargs: ["cpu"])
        patch.setattr(rmsprop, "_default_to_fused_or_foreach", lambda *args, **kwargs: (False, True))
        yield
