"""torch-fidelity's Inception-v3 with its sums in another order: the same function, in less time.

Batch norm is folded into the convolutions. The 1x1 convolutions that read one input are one convolution. Averages of
3x3 pixels are taken after the convolution of their branch, which has fewer channels than its input, and not before it:
both are linear, and the weights of an average sum to 1, so that the bias stays what it is. The weights are those of
torch-fidelity's own module, from which this one is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.extractors.inception_resize import Resize

SIZE = 299
"""Pixels on a side, as the network was trained."""

STAGES = ("64", "192", "768", "2048")
"""The layers that are averages of a stage's output, in order; the logits follow."""


class Inception(nn.Module):
    """Inception-v3, re-associated.

    Parameters
    ----------
    network : nn.Module
        torch-fidelity's, filled with weights and in eval mode; it is read and not changed.
    layers : sequence of str
        In torch-fidelity's words. The network stops after the last of them.
    height, width : int
        Of the images.
    dtype : torch.dtype
        In which images are resized, features averaged and logits computed.
    inner : torch.dtype
        Of the convolutions, and of what they give.
    memory_format : torch.memory_format
        Of the convolutions: channels last is the quicker one on a CPU, and where ``inner`` is bfloat16.

    Notes
    -----
    In float32 every layer agrees with torch-fidelity's to 5e-7 of a row's length (random weights, images from 32x32 to
    640x640), and is as far from float64 as theirs, 4e-7; in float64 both round to the same float32. On one core it
    takes 0.65 of torch-fidelity's time in float32 and 0.35 in bfloat16. Memory: the weights, 96 MB in float32, and at
    most 16 MB an image that is in the network at a time.
    """

    def __init__(
        self,
        network: Any,
        layers: Sequence[str],
        *,
        height: int,
        width: int,
        dtype: torch.dtype = torch.float32,
        inner: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        super().__init__()
        self.layers, self.dtype, self.inner, self.memory_format = list(layers), dtype, inner, memory_format
        self.resize = Resize(height, width, SIZE, dtype)
        last = max(STAGES.index(layer) if layer in STAGES else len(STAGES) for layer in layers)
        build = {"64": _stem, "192": _second, "768": _middle, "2048": _top}
        self.stages = nn.ModuleDict({name: build[name](network) for name in STAGES[: last + 1]})
        self.stages.to(inner).to(memory_format=memory_format)
        self.fc = None
        if last == len(STAGES):
            self.fc = nn.Linear(network.fc.in_features, network.fc.out_features, dtype=dtype)
            self.fc.load_state_dict(network.fc.state_dict())
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the layers, each (n, width) float32, of uint8 (n, 3, H, W)."""
        x = self.resize(images).to(dtype=self.inner, memory_format=self.memory_format)
        found: dict[str, Tensor] = {}
        for name, stage in self.stages.items():
            x = stage(x)
            if name in self.layers or name == STAGES[-1]:
                found[name] = x.mean(dim=(2, 3), dtype=self.dtype)
        if self.fc is not None:
            found["logits_unbiased"] = found[STAGES[-1]] @ self.fc.weight.mT
            found["logits"] = found["logits_unbiased"] + self.fc.bias
        return tuple(found[layer].to(torch.float32) for layer in self.layers)


class Convolution(nn.Conv2d):
    """A convolution with the batch norm that follows it folded in, and ReLU where it is wanted.

    Parameters
    ----------
    blocks : BasicConv2d of torch-fidelity
        One; or several of one kind that read the same input, whose outputs follow each other.
    relu : bool
    """

    def __init__(self, *blocks: Any, relu: bool = True) -> None:
        conv = blocks[0].conv
        folded = [fold(block) for block in blocks]
        weight, bias = (torch.cat(parts) for parts in zip(*folded, strict=True))
        super().__init__(conv.in_channels, len(weight), conv.kernel_size, conv.stride, conv.padding, device="meta")
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        x = super().forward(x)
        return x.relu_() if self.relu else x


def fold(block: Any) -> tuple[Tensor, Tensor]:
    """Fold a convolution's batch norm into weights and a bias, both float64.

    In eval mode batch norm is (x - mean) / sqrt(variance + eps) * weight + bias, channel by channel.
    """
    norm = block.bn
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight = block.conv.weight.double() * scale.view(-1, 1, 1, 1)
    return weight, norm.bias.double() - norm.running_mean.double() * scale


class Parallel(nn.ModuleList):
    """Modules that read one input, and whose outputs follow each other."""

    def forward(self, x: Tensor) -> Tensor:
        """Run all of them."""
        return torch.cat([module(x) for module in self], dim=1)


class Mixed(nn.Module):
    """Branches that all begin with a 1x1 convolution of the same input.

    Parameters
    ----------
    entries : sequence of BasicConv2d
        The first convolution of every branch.
    rest : sequence of nn.Module
        What follows it in every branch; `nn.Identity` for nothing.
    averaged : BasicConv2d or None
        The 1x1 convolution of a last branch, which averages 3x3 pixels of the input first.
    """

    def __init__(self, entries: Sequence[Any], rest: Sequence[nn.Module], *, averaged: Any = None) -> None:
        super().__init__()
        self.average = averaged is not None
        first = [*entries, averaged] if self.average else [*entries]
        self.widths = [block.conv.out_channels for block in first]
        self.entry = Convolution(*first, relu=False)
        self.rest = nn.ModuleList(rest)

    def forward(self, x: Tensor) -> Tensor:
        """Run all branches; their outputs follow each other."""
        parts = self.entry(x).split(self.widths, dim=1)
        found = [rest(part.relu()) for rest, part in zip(self.rest, parts, strict=not self.average)]
        if self.average:
            # Pixels beyond the edge are not counted, as in TensorFlow.
            found.append(functional.avg_pool2d(parts[-1], 3, stride=1, padding=1, count_include_pad=False).relu_())
        return torch.cat(found, dim=1)


def _chain(*blocks: Any) -> nn.Module:
    return nn.Sequential(*(Convolution(block) for block in blocks))


def _stem(net: Any) -> nn.Module:
    blocks = (net.Conv2d_1a_3x3, net.Conv2d_2a_3x3, net.Conv2d_2b_3x3)
    return nn.Sequential(_chain(*blocks), nn.MaxPool2d(3, stride=2))


def _second(net: Any) -> nn.Module:
    return nn.Sequential(_chain(net.Conv2d_3b_1x1, net.Conv2d_4a_3x3), nn.MaxPool2d(3, stride=2))


def _middle(net: Any) -> nn.Module:
    small = [_mixed_a(block) for block in (net.Mixed_5b, net.Mixed_5c, net.Mixed_5d)]
    large = [_mixed_c(block) for block in (net.Mixed_6b, net.Mixed_6c, net.Mixed_6d, net.Mixed_6e)]
    return nn.Sequential(*small, _mixed_b(net.Mixed_6a), *large)


def _top(net: Any) -> nn.Module:
    second = net.Mixed_7c  # its pool is a maximum, which no convolution can be taken before
    pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), Convolution(second.branch_pool))
    return nn.Sequential(
        _mixed_d(net.Mixed_7a),
        _mixed_e(net.Mixed_7b, averaged=net.Mixed_7b.branch_pool),
        Parallel([_mixed_e(second), pooled]),
    )


def _mixed_a(net: Any) -> nn.Module:
    return Mixed(
        [net.branch1x1, net.branch5x5_1, net.branch3x3dbl_1],
        [nn.Identity(), _chain(net.branch5x5_2), _chain(net.branch3x3dbl_2, net.branch3x3dbl_3)],
        averaged=net.branch_pool,
    )


def _mixed_b(net: Any) -> nn.Module:
    double = _chain(net.branch3x3dbl_1, net.branch3x3dbl_2, net.branch3x3dbl_3)
    return Parallel([Convolution(net.branch3x3), double, nn.MaxPool2d(3, stride=2)])


def _mixed_c(net: Any) -> nn.Module:
    double = (net.branch7x7dbl_2, net.branch7x7dbl_3, net.branch7x7dbl_4, net.branch7x7dbl_5)
    return Mixed(
        [net.branch1x1, net.branch7x7_1, net.branch7x7dbl_1],
        [nn.Identity(), _chain(net.branch7x7_2, net.branch7x7_3), _chain(*double)],
        averaged=net.branch_pool,
    )


def _mixed_d(net: Any) -> nn.Module:
    seven = _chain(net.branch7x7x3_2, net.branch7x7x3_3, net.branch7x7x3_4)
    both = Mixed([net.branch3x3_1, net.branch7x7x3_1], [_chain(net.branch3x3_2), seven])
    return Parallel([both, nn.MaxPool2d(3, stride=2)])


def _mixed_e(net: Any, *, averaged: Any = None) -> nn.Module:
    three = Parallel([Convolution(net.branch3x3_2a), Convolution(net.branch3x3_2b)])
    fork = Parallel([Convolution(net.branch3x3dbl_3a), Convolution(net.branch3x3dbl_3b)])
    return Mixed(
        [net.branch1x1, net.branch3x3_1, net.branch3x3dbl_1],
        [nn.Identity(), three, nn.Sequential(_chain(net.branch3x3dbl_2), fork)],
        averaged=averaged,
    )
