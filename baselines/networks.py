"""What the baselines share: networks chosen by the shape of an event, with and without labels.

Images are tensors (n, C, H, W) in [-1, 1]; vectors are (n, d). Networks are those of the digits and ring experiments
in the literature at this scale: multilayer perceptrons, and convolutions after DCGAN (arXiv:1511.06434).
"""

from __future__ import annotations

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


def mlp(
    widths: Iterable[int], activation: Callable[[], nn.Module], *, batch_norm: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Linear layers of the given widths with an activation between them, none after the last."""
    widths = list(widths)
    layers: list[nn.Module] = []
    for i, (wide_in, wide_out) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(wide_in, wide_out))
        if i < len(widths) - 2:
            layers += [nn.BatchNorm1d(wide_out), activation()] if batch_norm else [activation()]
            layers += _dropout(dropout)
    return nn.Sequential(*layers)


def mlp_generator(event_shape: tuple[int, ...], latent: int, width: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Map z to an event: z-w-2w-d with batch normalization and tanh for images, z-w-w-w-d for vectors."""
    d = math.prod(event_shape)
    if is_image(event_shape):
        body = mlp([latent, width, 2 * width, d], _leaky, batch_norm=True, dropout=dropout)
        return nn.Sequential(*body, nn.Tanh(), nn.Unflatten(1, event_shape))
    return mlp([latent, width, width, width, d], nn.ReLU, dropout=dropout)


def mlp_critic(event_shape: tuple[int, ...], width: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Map an event to one number: d-2w-w-1 for images, d-w-w-w-1 for vectors. No batch normalization."""
    d = math.prod(event_shape)
    hidden = [2 * width, width] if is_image(event_shape) else [width, width, width]
    return nn.Sequential(nn.Flatten(), *mlp([d, *hidden, 1], _leaky, dropout=dropout), nn.Flatten(0))


def conv_generator(event_shape: tuple[int, ...], latent: int, width: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Map z to an image by transposed convolutions that double the size, with batch normalization and tanh."""
    channels, *_ = event_shape
    doublings, start = _lowest(event_shape)
    widths = [width * 2**i for i in reversed(range(doublings))]
    seed = (widths[0], *start)
    layers: list[nn.Module] = [nn.Linear(latent, math.prod(seed)), nn.Unflatten(1, seed)]
    for wide_in, wide_out in zip(widths, [*widths[1:], channels], strict=True):
        layers += [nn.BatchNorm2d(wide_in), nn.ReLU(), *_dropout(dropout)]
        layers += [nn.ConvTranspose2d(wide_in, wide_out, 4, stride=2, padding=1)]
    return dcgan_init(nn.Sequential(*layers, nn.Tanh()))


def conv_critic(
    event_shape: tuple[int, ...], width: int, *, batch_norm: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Map an image to one number by convolutions that halve the size.

    Batch normalization, if any, is in all layers but the first, as in DCGAN.
    """
    channels, *_ = event_shape
    count, lowest = _lowest(event_shape)
    widths = [channels, *(width * 2**i for i in range(count))]
    layers: list[nn.Module] = []
    for wide_in, wide_out in pairwise(widths):
        layers.append(nn.Conv2d(wide_in, wide_out, 4, stride=2, padding=1))
        if batch_norm and len(layers) > 1:
            layers.append(nn.BatchNorm2d(wide_out))
        layers += [_leaky(), *_dropout(dropout)]
    return dcgan_init(nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * math.prod(lowest), 1), nn.Flatten(0)))


def deep_critic(event_shape: tuple[int, ...], width: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Map an image to one number by 3x3 convolutions and, between them, those that halve the size.

    At 32x32 the seven convolutions of SN-GAN's standard CNN (arXiv:1802.05957) with the channels of its public
    implementations: at a width of 64, they are 64, 128, 128, 256, 256, 512, 512. No batch normalization.
    """
    channels, *_ = event_shape
    count, lowest = _lowest(event_shape)
    widths = [width * 2**i for i in range(count + 1)]
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.1), *_dropout(dropout)]
    for wide_in, wide_out in pairwise(widths):
        layers += [nn.Conv2d(wide_in, wide_out, 4, stride=2, padding=1), nn.LeakyReLU(0.1), *_dropout(dropout)]
        layers += [nn.Conv2d(wide_out, wide_out, 3, padding=1), nn.LeakyReLU(0.1), *_dropout(dropout)]
    return dcgan_init(nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * math.prod(lowest), 1), nn.Flatten(0)))


def halvings(height: int, width: int, *, least: int, stop: int) -> int:
    """How often an image is halved: ``least`` times, then while both sides are above ``stop``, and while both are even.

    With least = 2, stop = 4 a side of 8 → 2, 28 → 7, 32 → 4; with least = 1, stop = 8: 8 → 4, 28 → 7, 64 → 8.
    """
    smaller, common = min(height, width), math.gcd(height, width)
    count = 0
    while common % 2 ** (count + 1) == 0 and (count < least or smaller >> count > stop):
        count += 1
    return count


def _lowest(event_shape: tuple[int, ...]) -> tuple[int, tuple[int, int]]:
    """How often convolutions after DCGAN halve an image, and the size that is left: 8 = 2·2², 28 = 7·2², 32 = 4·2³."""
    _, height, width = event_shape
    count = halvings(height, width, least=2, stop=4)
    if count < 2:
        raise UsageError(
            f"convolutions need images whose sides are multiples of 4, got {height}x{width}; pad or resize them."
        )
    return count, (height >> count, width >> count)


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


def _dropout(rate: float) -> list[nn.Module]:
    return [nn.Dropout(rate)] if rate else []


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network but not into its weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


class LabelledGenerator(nn.Module):
    """G(z, y), after Mirza & Osindero 2014 (arXiv:1411.1784): a learned embedding of the label stands beside z.

    Parameters
    ----------
    body : nn.Module
        Maps (n, latent + embedded) to events.
    classes : int
        How many labels there are.
    embedded : int
        Width of the embedding.
    """

    def __init__(self, body: nn.Module, classes: int, embedded: int) -> None:
        super().__init__()
        self.body = body
        self.labels = nn.Embedding(classes, embedded)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map (n, latent) and (n,) labels to events."""
        events: Tensor = self.body(torch.cat([z, self.labels(labels)], dim=1))
        return events


class LabelledCritic(nn.Module):
    """D(x, y), after the same: a learned picture of the label is one more channel; beside vectors stand numbers.

    Another way is the projection of Miyato & Koyama (arXiv:1802.05637): a product of an embedding with features of x.

    Parameters
    ----------
    body : nn.Module
        Maps events of the shape `labelled_shape` to values.
    classes : int
        How many labels there are.
    event_shape : tuple of int
        Without the label.
    """

    def __init__(self, body: nn.Module, classes: int, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.body = body
        self._shape = (1, *event_shape[1:]) if is_image(event_shape) else (classes,)
        self.labels = nn.Embedding(classes, math.prod(self._shape))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map events and (n,) labels to (n,) values."""
        values: Tensor = self.body(torch.cat([x, self.labels(labels).unflatten(1, self._shape)], dim=1))
        return values


def labelled_shape(event_shape: tuple[int, ...], classes: int) -> tuple[int, ...]:
    """Shape of what the body of a `LabelledCritic` sees; without classes, of the event."""
    if not classes:
        return event_shape
    first, *rest = event_shape
    return (first + (1 if is_image(event_shape) else classes), *rest)
