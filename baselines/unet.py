"""A small U-Net over images and time (Ronneberger et al. 2015, arXiv:1505.04597; blocks after Dhariwal & Nichol 2021).

    conv → [blocks, halve] per level → block, attention, block → [double, concatenate, blocks] per level → conv

A block is two 3x3 convolutions, each after group normalization and SiLU, on a residual branch whose last layer starts
at zero. Time and class come in between them as a scale and a shift of the normalized channels (arXiv:2105.05233,
section 3). Attention over all places of the lowest level is there for images larger than 8x8 alone.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from baselines.networks import halvings

FREQUENCIES = 16  # of time, geometric from 1 to 100: t runs over [0, 1]


class TimeEmbedding(nn.Module):
    """Time in [0, 1], and a class where there are any, to a vector: sines and cosines, then two layers.

    Class number ``classes`` stands for "no class told".
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.frequencies = nn.Buffer(torch.logspace(0, 2, FREQUENCIES))
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(classes + 1, width) if classes else None

    def forward(self, t: Tensor, labels: Tensor | None) -> Tensor:
        """(b,), (b,) -> (b, width)."""
        angles = t[:, None] * self.frequencies
        embedded: Tensor = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        if self.label is not None and labels is not None:
            embedded = embedded + self.label(labels)
        return embedded


class Block(nn.Module):
    """Residual block: x + conv(SiLU((1 + scale) norm(conv(SiLU(norm x))) + shift))."""

    def __init__(self, wide_in: int, wide_out: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.Sequential(_norm(wide_in), nn.SiLU(), nn.Conv2d(wide_in, wide_out, 3, padding=1))
        self.scale_shift = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * wide_out))
        self.norm = _norm(wide_out)
        self.after = nn.Sequential(
            nn.SiLU(), nn.Dropout(dropout), zero_init(nn.Conv2d(wide_out, wide_out, 3, padding=1))
        )
        self.skip = nn.Identity() if wide_in == wide_out else nn.Conv2d(wide_in, wide_out, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """(b, wide_in, H, W) -> (b, wide_out, H, W)."""
        scale, shift = self.scale_shift(embedded)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm(self.before(x)) * (1 + scale) + shift
        return cast(Tensor, self.skip(x) + self.after(hidden))


class Attention(nn.Module):
    """Every place looks at every other, one head; residual, starting at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Sequential(_norm(width), nn.Conv2d(width, 3 * width, 1))
        self.out = zero_init(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, H, W) -> the same."""
        q, k, v = self.qkv(x).flatten(2).transpose(1, 2).chunk(3, dim=2)
        seen = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return cast(Tensor, x + self.out(seen))


class UNet(nn.Module):
    """A field over images: (b, C, H, W), times (b,) and classes (b,) or None -> (b, C, H, W). Zero at first.

    Parameters
    ----------
    event_shape : (C, H, W)
        Both sides are halved while they are even and above 8, and once in any case if they can be.
    width : int
        Channels at full resolution; twice as many below.
    depth : int
        Blocks a level, on the way down and on the way up.
    dropout : float
        In the blocks.
    classes : int
        0: none.
    """

    def __init__(self, event_shape: tuple[int, ...], width: int, *, depth: int, dropout: float, classes: int) -> None:
        super().__init__()
        channels, *size = event_shape
        widths = [width] + [2 * width] * halvings(*size, least=1, stop=8)
        embedding = 4 * width
        self.embed = TimeEmbedding(embedding, classes)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.shrink, self.grow, self.up = (nn.ModuleList() for _ in range(4))
        for i, wide in enumerate(widths):
            self.down.append(nn.ModuleList(Block(wide, wide, embedding, dropout) for _ in range(depth)))
            if i + 1 < len(widths):
                below = widths[i + 1]
                self.shrink.append(nn.Conv2d(wide, below, 3, stride=2, padding=1))
                self.grow.append(nn.Conv2d(below, wide, 3, padding=1))
                entries = [2 * wide] + [wide] * (depth - 1)
                self.up.append(nn.ModuleList(Block(entry, wide, embedding, dropout) for entry in entries))
        lowest = widths[-1]
        self.middle = Block(lowest, lowest, embedding, dropout)
        self.attention = Attention(lowest) if min(size) > 8 else nn.Identity()
        self.last = nn.Sequential(_norm(width), nn.SiLU(), zero_init(nn.Conv2d(width, channels, 3, padding=1)))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Evaluate the field."""
        embedded = self.embed(t, labels)
        hidden, skips = self.first(x), []
        for i, blocks in enumerate(self.down):
            for block in cast(nn.ModuleList, blocks):
                hidden = block(hidden, embedded)
            if i < len(self.shrink):
                skips.append(hidden)
                hidden = self.shrink[i](hidden)
        hidden = self.middle(self.attention(hidden), embedded)
        for i in reversed(range(len(self.up))):
            hidden = torch.cat([self.grow[i](interpolate(hidden, scale_factor=2.0)), skips[i]], dim=1)
            for block in cast(nn.ModuleList, self.up[i]):
                hidden = block(hidden, embedded)
        return cast(Tensor, self.last(hidden))


def zero_init(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Let a layer start as the map to zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _norm(width: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(8, width), width)
