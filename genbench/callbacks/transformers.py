"""The callback for a Hugging Face ``Trainer``, ``EvaluatorCallback``; needs the extra ``transformers``.

It is `Events` in the form of transformers's own callbacks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import nn

from genbench.callbacks.framework import ModelEvents
from genbench.files.extras import import_extra


class Events(ModelEvents):
    """Scores the model of a Hugging Face Trainer along its training.

    Scores stand in the trainer's ``state.log_history`` as ``genbench/test/fd/...``, and so in its checkpoints.

    Parameters
    ----------
    evaluator : genbench.callbacks.Evaluator
        ``every`` counts the trainer's ``global_step``.
    sample : callable, optional
        ``sample(model, n, *, seed)``; by default the model's own ``sample(n, *, seed)``, or the model with the
        evaluator's ``latent``.
    ema : callable, optional
        Returns the averaged weights of the model to sample with, as of `Evaluator`.

    Notes
    -----
    In a distributed training the first process scores, and the others wait for it at their next exchange.
    """

    def on_step_end(self, args: Any, state: Any, control: Any, *, model: nn.Module, **_: Any) -> None:
        """Score where the turn has come."""
        self._evaluate(state, model, final=False)

    def on_train_end(self, args: Any, state: Any, control: Any, *, model: nn.Module, **_: Any) -> None:
        """Score the end with every metric."""
        self._evaluate(state, model, final=True)

    def _evaluate(self, state: Any, model: nn.Module, *, final: bool) -> None:
        scores = self.scored(state.global_step, model, final=final) if state.is_world_process_zero else None
        if scores is not None:
            state.log_history.append({**scores, "step": state.global_step})


@cache
def _callback() -> type:
    base = import_extra("transformers", extra="transformers", who="callback").TrainerCallback
    return type("EvaluatorCallback", (Events, base), {"__doc__": Events.__doc__, "__module__": __name__})


def __getattr__(name: str) -> Any:
    """Make ``EvaluatorCallback`` when it is asked for: this module can be imported without the extra."""
    if name == "EvaluatorCallback":
        return _callback()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
