"""Samplers that call code of the user's: a function, an object, a network. What comes back is converted and checked."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genbench.errors import GenbenchError, SampleError
from genbench.isolation import kept_generators, seed_generators
from genbench.sampling.files import FileSampler
from genbench.sampling.latents import Latent

Finish = Callable[[Any], Tensor]
"""Makes samples of what user code returned, or refuses it."""


class CalledSampler:
    """A sampler that calls a function for every block.

    Parameters
    ----------
    name : str
        For tables and messages.
    call : callable
        Called as ``call(n, seed=seed)``.
    finish : callable
        Makes samples of what it returns.
    device : torch.device
        Where the function computes; torch's global generators there and of the CPU are seeded for the call, and as
        before after it.
    """

    def __init__(self, name: str, call: Callable[..., Any], *, finish: Finish, device: torch.device) -> None:
        self.name = name
        self._call = call
        self._finish = finish
        self._device = device

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draw n samples.

        Raises
        ------
        SampleError
            If the function fails, or returns something else.
        """
        return self._drawn(n, seed=seed)

    def _drawn(self, n: int, *, seed: int, **labels: Tensor) -> Tensor:
        with user_code(self.name), kept_generators(self._device), torch.no_grad():
            seed_generators(self._device, seed)
            found = self._call(n, seed=seed, **labels)
        return self._finish(found)


class ConditionalSampler(CalledSampler):
    """The same for a function that is told the class of every sample.

    Attributes
    ----------
    classes : int
        How many there are.
    """

    def __init__(
        self, name: str, call: Callable[..., Any], *, classes: int, finish: Finish, device: torch.device
    ) -> None:
        super().__init__(name, call, finish=finish, device=device)
        self.classes = classes

    def sample(self, n: int, *, seed: int, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Draw n samples of the classes in ``labels``, an (n,) int64 tensor."""
        return self._drawn(n, seed=seed, labels=labels)


class RowsSampler(FileSampler):
    """A finite set that the user's own object holds.

    Parameters
    ----------
    name : str
        For tables and messages.
    held : object
        With a length and ``rows(indices)``.
    finish : callable
        Makes samples of what it returns.
    """

    def __init__(self, name: str, held: Any, *, finish: Finish) -> None:
        self.name = name
        self._held = held
        self._finish = finish

    def __len__(self) -> int:
        return len(self._held)

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """Return these samples in this order."""
        with user_code(self.name):
            found = self._held.rows(indices)
        return self._finish(found)


class LatentCall:
    """Latents through a network, in the form that `CalledSampler` calls.

    Parameters
    ----------
    forward : callable
        (b, *latent) tensor on the device -> samples.
    latent : Latent
    device : torch.device
    batch : int or None
        The only batch that the network takes, where it takes only one.
    """

    def __init__(
        self, forward: Callable[[Tensor], Any], latent: Latent, *, device: torch.device, batch: int | None = None
    ) -> None:
        self._forward = forward
        self._latent = latent
        self._device = device
        self._batch = batch

    def __call__(self, n: int, *, seed: int) -> Any:
        """Draw latents and map them."""
        latents = self._latent.draw(n, seed=seed).to(self._device)
        if self._batch is None:
            return self._forward(latents)
        # Filled up with copies and cut again, so that the batch changes no sample.
        spare = -n % self._batch
        latents = torch.cat([latents, latents[-1:].expand(spare, *latents.shape[1:])])
        parts = [self._forward(part) for part in torch.split(latents, self._batch)]
        return torch.cat([torch.as_tensor(part) for part in parts])[:n]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put every part of a module in eval mode, and each back into its own mode on leaving."""
    training = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in training:
            part.training = mode


@contextmanager
def user_code(who: str) -> Iterator[None]:
    """Turn an exception of the user's code into one sentence that says where it was raised.

    Raises
    ------
    SampleError
        In place of any exception that is not genbench's own, which it has as its cause.
    """
    try:
        yield
    except GenbenchError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = " ".join(str(error).split())[:400]
        raise SampleError(
            f"{who}: raised {type(error).__name__} in {where.filename}, line {where.lineno} ({reason}); correct it."
        ) from error
