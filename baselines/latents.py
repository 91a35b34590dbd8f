"""The noise that generators start from, and samplers of trained ones."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from baselines.labels import sample_labels


def draw_latents(
    n: int, width: int, noise: str, *, device: torch.device | None = None, rng: torch.Generator | None = None
) -> Tensor:
    """Draw z of shape (n, width): "normal" is N(0, I), "uniform" is on [-1, 1] (as in DCGAN)."""
    if noise == "uniform":
        return 2 * torch.rand(n, width, device=device, generator=rng) - 1
    return torch.randn(n, width, device=device, generator=rng)


class LatentSampler:
    """Samples of a network that maps z to events, in model units.

    Holds a copy of the network in eval mode, so that further training does not change it, nor it the training.
    Latents are drawn on the CPU, so that a seed means the same z on every device.

    Parameters
    ----------
    name : str
        Of the baseline.
    network : nn.Module
        Maps (n, latent), and of a conditional one (n,) labels too, to (n, *event).
    latent : int
        Width of z.
    device : torch.device
        Where the network is.
    noise : str
        As in `draw_latents`.
    classes : int or None
        How many labels a conditional network knows.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        latent: int,
        device: torch.device,
        *,
        noise: str = "normal",
        classes: int | None = None,
    ) -> None:
        self.name = name
        self.latent = latent
        self.device = device
        self.noise = noise
        self.classes = classes
        self._network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, labels: Tensor | None = None) -> Tensor:
        """Draw n events: float32 of shape (n, *event), on the sampler's device.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Of the latents.
        labels : (n,) tensor, int64
            What to draw, for a conditional network and no other.

        Raises
        ------
        UsageError
            If labels are missing, wrong, or not asked for.
        """
        labels = sample_labels(self.name, labels, n=n, classes=self.classes, device=self.device)
        z = draw_latents(n, self.latent, self.noise, rng=torch.Generator().manual_seed(seed)).to(self.device)
        samples: Tensor = self._network(z) if labels is None else self._network(z, labels)
        return samples
