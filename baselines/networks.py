"""What the baselines share: networks chosen by the shape of an event, optimizers, and samplers of trained networks.

Images are tensors (n, C, H, W) in [-1, 1]; vectors are (n, d). Networks are those of the digits and ring experiments
in the literature at this scale: multilayer perceptrons, and convolutions after DCGAN (arXiv:1511.06434).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from genbench.errors import UsageError


def is_image(event_shape: tuple[int, ...]) -> bool:
    """Tell (C, H, W) from (d,)."""
    return len(event_shape) == 3


def latent_width(event_shape: tuple[int, ...], chosen: int | None) -> int:
    """Width of z: the one chosen, else 64 for images, and for vectors their own width, at most 64."""
    if chosen is not None:
        return chosen
    return 64 if is_image(event_shape) else min(math.prod(event_shape), 64)


def mlp(widths: Iterable[int], activation: Callable[[], nn.Module], *, batch_norm: bool = False) -> nn.Sequential:
    """Linear layers of the given widths with an activation between them, none after the last."""
    widths = list(widths)
    layers: list[nn.Module] = []
    for i, (wide_in, wide_out) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(wide_in, wide_out))
        if i < len(widths) - 2:
            layers += [nn.BatchNorm1d(wide_out), activation()] if batch_norm else [activation()]
    return nn.Sequential(*layers)


def mlp_generator(event_shape: tuple[int, ...], latent: int, width: int) -> nn.Sequential:
    """Map z to an event: z-w-2w-d with batch normalization and tanh for images, z-w-w-w-d for vectors."""
    d = math.prod(event_shape)
    if is_image(event_shape):
        body = mlp([latent, width, 2 * width, d], _leaky, batch_norm=True)
        return nn.Sequential(*body, nn.Tanh(), nn.Unflatten(1, event_shape))
    return mlp([latent, width, width, width, d], nn.ReLU)


def mlp_critic(event_shape: tuple[int, ...], width: int) -> nn.Sequential:
    """Map an event to one number: d-2w-w-1 for images, d-w-w-w-1 for vectors. No batch normalization."""
    d = math.prod(event_shape)
    hidden = [2 * width, width] if is_image(event_shape) else [width, width, width]
    return nn.Sequential(nn.Flatten(), *mlp([d, *hidden, 1], _leaky), nn.Flatten(0))


def conv_generator(event_shape: tuple[int, ...], latent: int, width: int) -> nn.Sequential:
    """Map z to an image by transposed convolutions that double the size, with batch normalization and tanh."""
    channels, *_ = event_shape
    doublings, start = _doublings(event_shape)
    widths = [width * 2**i for i in reversed(range(doublings))]
    seed = (widths[0], *start)
    layers: list[nn.Module] = [nn.Linear(latent, math.prod(seed)), nn.Unflatten(1, seed)]
    for wide_in, wide_out in zip(widths, [*widths[1:], channels], strict=True):
        layers += [nn.BatchNorm2d(wide_in), nn.ReLU(), nn.ConvTranspose2d(wide_in, wide_out, 4, stride=2, padding=1)]
    return dcgan_init(nn.Sequential(*layers, nn.Tanh()))


def conv_critic(event_shape: tuple[int, ...], width: int) -> nn.Sequential:
    """Map an image to one number by convolutions that halve the size. No batch normalization."""
    channels, *_ = event_shape
    doublings, start = _doublings(event_shape)
    widths = [channels, *(width * 2**i for i in range(doublings))]
    layers: list[nn.Module] = []
    for wide_in, wide_out in pairwise(widths):
        layers += [nn.Conv2d(wide_in, wide_out, 4, stride=2, padding=1), _leaky()]
    return dcgan_init(nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * math.prod(start), 1), nn.Flatten(0)))


def _doublings(event_shape: tuple[int, ...]) -> tuple[int, tuple[int, int]]:
    """How often a size doubles on the way to the image, and the size it starts from: 8 = 2·2², 28 = 7·2², 32 = 4·2³."""
    _, height, width = event_shape
    if height % 4 or width % 4:
        raise UsageError(
            f"convolutions need images whose sides are multiples of 4, got {height}x{width}; pad or resize them."
        )
    doublings = 2
    while all(size % 2 ** (doublings + 1) == 0 and size >> doublings > 4 for size in (height, width)):
        doublings += 1
    return doublings, (height >> doublings, width >> doublings)


def dcgan_init(network: nn.Sequential) -> nn.Sequential:
    """Draw weights from N(0, 0.02²) and normalization gains from N(1, 0.02²), after DCGAN."""
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return network


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


def adam(network: nn.Module, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam for all weights of a network, in one fused pass over them."""
    return torch.optim.Adam(network.parameters(), lr=lr, betas=betas, fused=True)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Make one step down the gradient of a loss."""
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network but not into its weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


class LatentSampler:
    """Samples of a network that maps z ~ N(0, I) to events, in model units.

    Holds a copy of the network in eval mode, so that further training does not change it, nor it the training.
    Latents are drawn on the CPU, so that a seed means the same z on every device.

    Parameters
    ----------
    name : str
        Of the baseline.
    network : nn.Module
        Maps (n, latent) to (n, *event).
    latent : int
        Width of z.
    device : torch.device
        Where the network is.
    """

    def __init__(self, name: str, network: nn.Module, latent: int, device: torch.device) -> None:
        self.name = name
        self.latent = latent
        self.device = device
        self._network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draw n events: float32 of shape (n, *event), on the sampler's device."""
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.latent, generator=rng).to(self.device)
        samples: Tensor = self._network(z)
        return samples
