"""The DINOv2 vision transformer, built from a weights file alone: no code of others is fetched or run."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_WIDTH = 64
"""Of every published DINOv2 network."""

OFFSET = 0.1
"""The authors add it to the target grid before they interpolate positions; the published features depend on it."""


class DinoV2(nn.Module):
    """A vision transformer with layer scale; gives the normalized class token.

    Its sizes are read off the tensors, so that the four published networks need no table.

    Parameters
    ----------
    state : mapping of str to Tensor
        As in the published files: ``pos_embed`` (1, 1 + g^2, d), ``blocks.0.attn.qkv.weight`` ...

    Raises
    ------
    KeyError, RuntimeError
        If tensors are missing or do not fit each other.

    References
    ----------
    Oquab et al. 2023, arXiv:2304.07193; the sizes and names are those of the authors' code (Apache-2.0).
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        width = state["pos_embed"].shape[-1]
        patch = state["patch_embed.proj.weight"].shape[-1]
        depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros_like(state["pos_embed"], dtype=torch.float32))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # of the training; part of the file
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, stride=patch)})
        gated = "blocks.0.mlp.w12.weight" in state
        hidden = state["blocks.0.mlp.w3.weight" if gated else "blocks.0.mlp.fc2.weight"].shape[1]
        self.blocks = nn.ModuleList(_Block(width, hidden, gated=gated) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.load_state_dict(dict(state))

    def forward(self, images: Tensor) -> Tensor:
        """Map normalized images (n, 3, H, W), with H and W multiples of the patch, to (n, width)."""
        patches = self.patch_embed["proj"](images)
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        x = x + self.positions(patches.shape[2], patches.shape[3])
        for block in self.blocks:
            x = block(x)
        tokens: Tensor = self.norm(x)
        return tokens[:, 0]

    def positions(self, rows: int, columns: int) -> Tensor:
        """Return the positions (1, 1 + rows * columns, width), interpolated from the grid of the file."""
        grid = math.isqrt(self.pos_embed.shape[1] - 1)
        if rows == columns == grid:
            return self.pos_embed
        places = self.pos_embed[:, 1:].reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
        scale = ((rows + OFFSET) / grid, (columns + OFFSET) / grid)
        places = functional.interpolate(places, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], places.flatten(2).transpose(1, 2)], dim=1)


class _Block(nn.Module):
    def __init__(self, width: int, hidden: int, *, gated: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width)
        self.ls1 = _Scale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Gated(width, hidden) if gated else _Mlp(width, hidden)
        self.ls2 = _Scale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + torch.as_tensor(self.ls2(self.mlp(self.norm2(x))))


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return torch.as_tensor(self.proj(mixed.transpose(1, 2).reshape(n, tokens, width)))


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.fc2(functional.gelu(self.fc1(x))))


class _Gated(nn.Module):
    """SwiGLU, in the giant network."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        return torch.as_tensor(self.w3(functional.silu(gate) * value))
