"""What the callbacks of training frameworks share: which generator a model is, and the names of its scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from genbench.callbacks.evaluator import Evaluator
from genbench.callbacks.generators import Sample, generator_of
from genbench.exports.trainings import values_of


class ModelEvents:
    """Scores a model with an evaluator; the frameworks' own events come with each child.

    Parameters
    ----------
    evaluator : genbench.callbacks.Evaluator
    sample : callable, optional
        ``sample(model, n, *, seed)``; by default the model's own ``sample(n, *, seed)``, or the model with the
        evaluator's ``latent``.
    ema : callable, optional
        Returns the averaged weights of the model to sample with, as of `Evaluator`.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        sample: Sample | None = None,
        ema: Callable[[nn.Module], Mapping[str, Tensor] | nn.Module] | None = None,
    ) -> None:
        self.evaluator = evaluator
        self._sample, self._ema = sample, ema

    def scored(self, step: int, model: nn.Module, *, final: bool) -> dict[str, float] | None:
        """Return the scores by name, ``genbench/test/fd/...``, where the turn has come; else None."""
        ema = None if self._ema is None else self._ema(model)
        run = self.evaluator(step, generator_of(model, self._sample), final=final, modules=[model], ema=ema)
        return None if run is None else {f"genbench/{name}": value for name, value in values_of(run).items()}
