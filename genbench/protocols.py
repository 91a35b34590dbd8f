"""What the parts of genbench ask of each other: structural types, nothing to inherit from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Sampler(Protocol):
    """Anything that can be scored."""

    name: str

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draw samples.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            The same seed and n give the same samples; the state of global generators does not matter.

        Returns
        -------
        Tensor
            Images: uint8 of shape (n, C, H, W) in [0, 255]. Vectors: float32 of shape (n, d).
        """
        ...


@runtime_checkable
class Density(Protocol):
    """A sampler that also says how likely an event is; it is then scored for the likelihood of held-out data.

    It may have two attributes: ``levels``, over how many levels the mass of an image is spread (by default it is a
    density), and ``bound``, whether ``log_prob`` is a lower bound (by default it is exact). A conditional one is
    called with ``labels``, (n,) int64, as well.
    """

    def log_prob(self, x: Tensor, *, seed: int) -> Tensor:
        """Return log-likelihoods in nats, (n,), of events (n, *event) in the units of the data."""
        ...


@runtime_checkable
class FeatureExtractor(Protocol):
    """A map from samples to the spaces in which metrics measure.

    ``fingerprint`` is the sha256 of weights and preprocessing; it is part of every record and cache key.
    ``layers`` maps a layer's name to its width. Every extractor has ``pool``; classifiers also have ``logits``.
    """

    name: str
    fingerprint: str
    layers: Mapping[str, int]

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Compute every layer in one pass: {layer: (n, width) tensor on the samples' device}.

        A row must not depend on the other rows of the call, nor on how many there are.
        """
        ...


@runtime_checkable
class Trainer(Protocol):
    """A model in training. Works in model units: images in [-1, 1], vectors divided by their global deviation."""

    def step(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Make one update from a float32 batch of shape (b, *event); return the named losses as scalars.

        A trainer whose recipe has ``conditional = True`` is called with ``labels``, (b,) int64, as well. One that reads
        no number from its device in a step may say so by an attribute ``recordable = True``: on CUDA its updates can
        then be recorded once and replayed.

        Torch's generator is seeded by the harness before each step, so plain ``torch.randn`` and dropout are
        reproducible, and resuming is exact without saving generator states.
        """
        ...

    def sampler(self) -> Sampler:
        """Return a sampler of the current weights (the averaged ones where the recipe says so), in model units.

        A snapshot: later steps do not change it. It must leave training untouched: networks back in train mode, no
        gradient recorded.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on, as tensors and plain values: weights, averages, optimizers."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly from what `state_dict` returned."""
        ...


@runtime_checkable
class Baseline(Protocol):
    """A recipe: its options are the fields of a frozen dataclass. Knows nothing of seeds, files or metrics."""

    def build(self, event_shape: tuple[int, ...], *, device: Any, steps: int) -> Trainer:
        """Make the networks and optimizers for events of this shape.

        Parameters
        ----------
        event_shape : tuple of int
            (C, H, W) for images, (d,) for vectors.
        device : torch.device
            Where to train.
        steps : int
            The budget in updates, for learning-rate schedules and warm-ups.

        A recipe with ``conditional = True`` is given ``classes``, the number of the data's classes, as well.
        """
        ...
