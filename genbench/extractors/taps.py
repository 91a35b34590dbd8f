"""Reading a network's layers while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genbench.errors import DeclarationError

PROBES = 3
"""Samples of the trial run."""


class Tap(NamedTuple):
    """Where a layer is read: the output of a submodule, or its input. The submodule ``""`` is the network itself."""

    submodule: str
    before: bool = False


class TappedNetwork:
    """A frozen network that gives named layers.

    Parameters
    ----------
    name : str
        Of the extractor, for messages.
    module : nn.Module
        Put in eval mode, without gradients.
    taps : mapping of str to Tap
        The layers.
    prepare : callable
        From raw samples (n, *event) to the network's input.

    Raises
    ------
    DeclarationError
        If a submodule does not exist.
    """

    def __init__(
        self, name: str, module: nn.Module, taps: Mapping[str, Tap], prepare: Callable[[Tensor], Tensor]
    ) -> None:
        self.name = name
        self.module = module.eval().requires_grad_(False)
        self.prepare = prepare
        self._places = {layer: (self._submodule(tap.submodule), tap.before) for layer, tap in taps.items()}

    def __call__(self, samples: Tensor) -> dict[str, Tensor]:
        """Compute the layers, {layer: (n, width) float}, of raw samples."""
        caught: dict[str, Any] = {}
        with ExitStack() as stack:
            for layer, (submodule, before) in self._places.items():
                stack.callback(_listen(submodule, layer, caught, before=before).remove)
            self.module(self.prepare(samples))
        missing = [layer for layer in self._places if layer not in caught]
        if missing:
            raise DeclarationError(
                f"{self.name}: the submodule of layer {missing[0]!r} takes no part in the forward pass; name another."
            )
        return {layer: self._table(layer, caught[layer], len(samples)) for layer in self._places}

    def probe(self, event_shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> dict[str, int]:
        """Run a few samples, alone and together, and return the layers' widths.

        Raises
        ------
        DeclarationError
            If the network cannot read such samples, or a row depends on the other rows.
        """
        pixels = torch.linspace(0, 255, PROBES * max(1, int(torch.Size(event_shape).numel())), device=device)
        samples = pixels.reshape(PROBES, *event_shape).to(dtype)
        with torch.no_grad():
            try:
                together, alone = self(samples), self(samples[:1])
            except DeclarationError:
                raise
            except Exception as error:  # the network is the user's: anything can go wrong in it
                raise DeclarationError(
                    f"{self.name}: the network fails on samples of shape {tuple(samples.shape)} "
                    f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}); "
                    "declare the size and the channels that it expects."
                ) from error
        for layer, row in alone.items():
            if not torch.allclose(row, together[layer][:1], rtol=1e-2, atol=1e-4 * float(row.abs().max())):
                raise DeclarationError(
                    f"{self.name}: layer {layer!r} of a sample depends on the other samples of its batch; name a layer "
                    "before the one that mixes them."
                )
        return {layer: int(values.shape[1]) for layer, values in alone.items()}

    def _submodule(self, path: str) -> nn.Module:
        try:
            return self.module.get_submodule(path)
        except AttributeError as error:
            names = [name for name, _ in self.module.named_modules() if name]
            raise DeclarationError(
                f"{self.name}: the network has no submodule {path!r}; it has {', '.join(names[:12]) or 'none'}"
                f"{', ...' if len(names) > 12 else ''}."
            ) from error

    def _table(self, layer: str, value: Any, n: int) -> Tensor:
        """Make (n, width) of what a layer gave: maps (n, c, h, w) are averaged over places."""
        if isinstance(value, Tensor) and value.dim() == 4 and len(value) == n:
            value = value.mean(dim=(2, 3))
        if not isinstance(value, Tensor) or value.dim() != 2 or len(value) != n or not value.dtype.is_floating_point:
            got = f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise DeclarationError(
                f"{self.name}: layer {layer!r} should give floats of shape (n, width) or (n, channels, H, W), got "
                f"{got} for n = {n}; name another submodule in layers."
            )
        return value


def _listen(
    submodule: nn.Module, layer: str, caught: dict[str, Any], *, before: bool
) -> torch.utils.hooks.RemovableHandle:
    if before:
        return submodule.register_forward_pre_hook(lambda _, inputs: caught.__setitem__(layer, inputs[0]))
    return submodule.register_forward_hook(lambda _, inputs, output: caught.__setitem__(layer, output))
