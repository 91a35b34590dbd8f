"""The samples themselves as features: no network, no opinion."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from genbench.devices import metric_device
from genbench.errors import SampleError

PREPROCESSING = "identity, version 1: vectors unchanged; uint8 images divided by 255, flattened in (C, H, W) order"


class Identity:
    """Vectors as they are, images as flattened pixels in [0, 1], both in float64.

    Parameters
    ----------
    event_shape : tuple of int
        (d,) for vectors, (C, H, W) for images; its product is the width of ``pool``.
    device : torch.device
        As every extractor takes it. Nothing is computed that would be worth a transfer, so the features stay
        where the samples are (in the CPU's memory if that is MPS, which has no float64).
    """

    name = "identity"
    fingerprint = hashlib.sha256(PREPROCESSING.encode()).hexdigest()

    def __init__(self, *, event_shape: tuple[int, ...], device: torch.device) -> None:
        self.event_shape = tuple(event_shape)
        self.layers: Mapping[str, int] = {"pool": math.prod(self.event_shape)}

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Return ``{"pool": (n, d) float64}``; O(n d) in time and memory.

        Parameters
        ----------
        samples : (n, *event_shape) tensor
            uint8 images in [0, 255] or floating-point vectors.

        Raises
        ------
        SampleError
            If the samples are of another shape.
        """
        if samples.shape[1:] != self.event_shape:
            raise SampleError(
                f"identity: samples of shape (n, {', '.join(map(str, self.event_shape))}) expected, "
                f"got {tuple(samples.shape)}; generate events of that shape."
            )
        values = samples.detach().to(metric_device(samples.device)).to(torch.float64)
        if samples.dtype == torch.uint8:
            values = values / 255
        return {"pool": values.flatten(start_dim=1)}
