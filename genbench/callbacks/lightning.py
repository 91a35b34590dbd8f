"""The callback for a Lightning ``Trainer``, ``EvaluatorCallback``; needs the extra ``lightning``.

It is `Events` in the form of Lightning's own callbacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import nn

from genbench.callbacks.framework import ModelEvents
from genbench.files.extras import import_extra


class Events(ModelEvents):
    """Scores a LightningModule along its training.

    Scores go to the trainer's loggers as ``genbench/test/fd/...``, and to ``callback_metrics``, for a
    ``ModelCheckpoint`` to watch; the history is part of Lightning's checkpoints.

    Parameters
    ----------
    evaluator : genbench.callbacks.Evaluator
        ``every`` counts the trainer's ``global_step``, which every optimizer of a step advances.
    sample : callable, optional
        ``sample(module, n, *, seed)``; by default the module's own ``sample(n, *, seed)``, or the module with the
        evaluator's ``latent``.
    ema : callable, optional
        Returns the averaged weights of the module to sample with, as of `Evaluator`.

    Notes
    -----
    In a distributed training the first process scores, and the others wait for it at their next exchange.
    """

    def on_train_batch_end(self, trainer: Any, pl_module: nn.Module, *_: Any) -> None:
        """Score where the turn has come."""
        scores = self._evaluated(trainer, pl_module, final=False)
        if scores is not None:
            log_dict: Any = pl_module.log_dict
            log_dict(scores, logger=False, rank_zero_only=True)

    def on_train_end(self, trainer: Any, pl_module: nn.Module) -> None:
        """Score the end with every metric."""
        self._evaluated(trainer, pl_module, final=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the history."""
        return self.evaluator.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take a history up."""
        self.evaluator.load_state_dict(state_dict)

    def _evaluated(self, trainer: Any, module: nn.Module, *, final: bool) -> dict[str, float] | None:
        scores = self.scored(trainer.global_step, module, final=final) if trainer.is_global_zero else None
        if scores is not None:
            for logger in trainer.loggers:
                logger.log_metrics(scores, step=trainer.global_step)
        return scores


@cache
def _callback() -> type:
    base = import_extra("lightning.pytorch.callbacks", extra="lightning", who="callback").Callback
    return type("EvaluatorCallback", (Events, base), {"__doc__": Events.__doc__, "__module__": __name__})


def __getattr__(name: str) -> Any:
    """Make ``EvaluatorCallback`` when it is asked for: this module can be imported without the extra."""
    if name == "EvaluatorCallback":
        return _callback()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
