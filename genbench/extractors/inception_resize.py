"""TensorFlow 1's bilinear resizing without antialiasing, as two products with small matrices."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def resize_weights(size: int, wanted: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Write the resizing of one axis as a matrix, over the pixels that it reads.

    Output i lies at i * size / wanted of the input, and mixes the two pixels around it. The position is rounded as
    torch-fidelity and TensorFlow 1 round it, in the dtype of the computation times a float32 scale, so that the pixels
    and their shares are theirs to the bit.

    Parameters
    ----------
    size, wanted : int
        Pixels of the input and of the output, at least 1.
    dtype : torch.dtype
        Of the computation.

    Returns
    -------
    weights : (wanted, k) tensor
        Rows sum to 1, with at most two entries that are not 0.
    read : (k,) tensor, int64
        The pixels that take part, in order: all of a small input, at most 2 ``wanted`` of a large one.
    """
    position = torch.arange(wanted, dtype=dtype) * torch.tensor(size / wanted, dtype=torch.float32)
    low = position.long()
    high = (low + 1).clamp_max(size - 1)
    share = position - low.to(dtype)
    weights = torch.zeros(wanted, size, dtype=dtype)
    rows = torch.arange(wanted)
    weights[rows, low] += 1 - share
    weights[rows, high] += share
    read = (weights != 0).any(dim=0).nonzero().squeeze(1)
    return weights[:, read], read


class Resize(nn.Module):
    """Resizing uint8 images to a square, (x - 128) / 128 on the way.

    Parameters
    ----------
    height, width : int
        Of the images.
    size : int
        Of the square.
    dtype : torch.dtype
        In which it computes.

    Notes
    -----
    The pixels are scaled before they are mixed, where that is exact. Each entry differs from torch-fidelity's by
    rounding, 2e-7 in float32. Costs size W H + size^2 H multiplications a channel, with H and W at most 2 ``size``;
    images of the wanted size are not resized at all, which is what the formula gives. Memory: two such images.
    """

    def __init__(self, height: int, width: int, size: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.shape, self.size, self.dtype = (height, width), size, dtype
        for name, pixels in (("rows", height), ("columns", width)):
            weights, read = resize_weights(pixels, size, dtype)
            self.register_buffer(name, weights)
            self.register_buffer(f"{name}_read", read)

    def forward(self, images: Tensor) -> Tensor:
        """Resize (n, C, H, W) uint8 to (n, C, size, size) in [-1, 1], stored channels last."""
        for axis, name in ((2, "rows"), (3, "columns")):
            read = self.get_buffer(f"{name}_read")
            if len(read) < images.shape[axis]:
                images = images.index_select(axis, read)  # while a pixel is one byte
        x = images.to(self.dtype).sub_(128).div_(128)
        if self.shape != (self.size, self.size):
            x = self.get_buffer("rows") @ (x @ self.get_buffer("columns").mT)
        return x.contiguous(memory_format=torch.channels_last)
