"""PixelCNN: pixel recurrent neural networks (van den Oord et al. 2016, arXiv:1601.06759; conditional: 1606.05328).

An image is a sequence, row by row, and in a pixel channel by channel; each value is one of L levels, with
probabilities that depend on all values before it (eq. 1 and 2):

    p(x) = Π_i p(x_i | x_1, ..., x_{i-1}),        p(x_i = level | ...) = softmax of L logits

All factors of one image come from one pass through convolutions whose kernels are masked to see only what is before:
the first layer (mask A) not the value itself, later ones (mask B) features of the same place too (section 3.4). In
one pixel, the features of a channel see those of the channels before it. The loss is -log p(x) in nats, exact. Drawing
is one pass a value; masked kernels leave a blind spot to the right of the column above, which costs a little.

To 5x5 and 3x3 kernels, residual blocks after figure 5 and dropout a learned map of the positions is added, and for
conditional models a learned vector a class (1606.05328, section 2.3).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy

from baselines.ema import EMA
from baselines.labels import class_count, sample_labels
from baselines.likelihoods import from_levels, to_levels
from baselines.networks import is_image
from baselines.optimization import Optimizer, OptimizerOptions
from baselines.options import check_count, check_flag, check_fraction, check_positive
from baselines.parts import Parts
from genbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PixelCNN(OptimizerOptions):
    """The recipe: residual masked convolutions, Adam with a cosine schedule, averaged weights."""

    levels: int = 256  # how many values a pixel can have
    lr: float = 2e-3  # Adam
    ema: float = 0.998  # of all weights; 0: none
    width: int = 48  # channels, rounded up to a multiple of the image's; half of them inside a block
    depth: int = 5  # residual blocks
    dropout: float = 0.2  # in them: without it, it learns small data by heart
    conditional: bool = False
    schedule: str = "cosine"
    warmup: float = 0.03

    def __post_init__(self) -> None:
        self.check_optimization("pixelcnn")
        check_count("pixelcnn", least=2, levels=self.levels)
        check_count("pixelcnn", width=self.width, depth=self.depth)
        check_positive("pixelcnn", lr=self.lr)
        check_fraction("pixelcnn", ema=self.ema, dropout=self.dropout)
        check_flag("pixelcnn", conditional=self.conditional)

    def build(
        self, event_shape: tuple[int, ...], *, device: torch.device, steps: int, classes: int | None = None
    ) -> PixelCNNTrainer:
        """Make the network and its optimizer; ``steps`` sets the pace of the schedule.

        Raises
        ------
        UsageError
            If events are not images, or a conditional recipe is not told of classes.
        """
        if not is_image(event_shape):
            raise UsageError(f"pixelcnn: images (C, H, W) expected, got events {event_shape}; use realnvp for vectors.")
        known = class_count("pixelcnn", conditional=self.conditional, classes=classes)
        return PixelCNNTrainer(self, event_shape, device, steps, known)


class MaskedConv(nn.Module):
    """A convolution that sees the rows above, the places to the left, and of its own place the groups before.

    Channels are in ``groups`` equal parts, one a colour. Mask "A" hides the own group of the own place, "B" shows it.
    """

    def __init__(self, wide_in: int, wide_out: int, size: int, *, mask: str, groups: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(wide_in, wide_out, size)
        self.weight, self.bias, self.padding = convolution.weight, convolution.bias, size // 2
        seen = torch.zeros(wide_out, wide_in, size, size)
        seen[:, :, : size // 2] = 1
        seen[:, :, size // 2, : size // 2] = 1
        out_group, in_group = (torch.arange(wide) * groups // wide for wide in (wide_out, wide_in))
        before = in_group < out_group[:, None] if mask == "A" else in_group <= out_group[:, None]
        seen[:, :, size // 2, size // 2] = before.float()
        self.mask = nn.Buffer(seen)

    def forward(self, x: Tensor) -> Tensor:
        """(b, wide_in, H, W) -> (b, wide_out, H, W)."""
        return conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PixelNetwork(nn.Module):
    """Logits of all levels of all values: images (b, C, H, W) in [-1, 1] -> (b, L, C, H, W)."""

    def __init__(
        self, event_shape: tuple[int, ...], levels: int, width: int, depth: int, *, dropout: float, classes: int
    ) -> None:
        super().__init__()
        channels, height, width_px = event_shape
        self.channels, self.levels = channels, levels
        inner = -(-max(1, width // 2) // channels) * channels
        width = 2 * inner
        self.reach = 2 + depth  # how many rows and columns away a value can still matter
        self.first = MaskedConv(channels, width, 5, mask="A", groups=channels)
        self.places = nn.Parameter(0.02 * torch.randn(1, width, height, width_px))
        self.label = nn.Embedding(classes, width) if classes else None
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                MaskedConv(width, inner, 1, mask="B", groups=channels),
                nn.ReLU(),
                MaskedConv(inner, inner, 3, mask="B", groups=channels),
                nn.ReLU(),
                nn.Dropout(dropout),
                MaskedConv(inner, width, 1, mask="B", groups=channels),
            )
            for _ in range(depth)
        )
        self.last = nn.Sequential(nn.ReLU(), MaskedConv(width, channels * levels, 1, mask="B", groups=channels))

    def forward(self, x: Tensor, labels: Tensor | None = None, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """Compute the logits; ``x`` may be a window of the image, whose upper left place is ``corner``."""
        (top, left), (height, width) = corner, x.shape[2:]
        hidden = self.first(x) + self.places[:, :, top : top + height, left : left + width]
        if self.label is not None and labels is not None:
            hidden = hidden + self.label(labels)[:, :, None, None]
        for block in self.blocks:
            hidden = hidden + block(hidden)
        logits: Tensor = self.last(hidden)
        return logits.reshape(len(x), self.channels, self.levels, height, width).transpose(1, 2)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Log mass in nats of images, whose values are moved to the nearest levels: (b, C, H, W) -> (b,)."""
        numbers = to_levels(x, self.levels)
        logits = self(from_levels(numbers, self.levels).to(x.dtype), labels)
        losses: Tensor = cross_entropy(logits, numbers, reduction="none")
        return -losses.flatten(1).sum(dim=1)


class PixelCNNTrainer(Parts):
    """One gradient step on the negative log-likelihood a step."""

    recordable: ClassVar[bool] = True  # an update runs wholly on the device, so it may be recorded and replayed

    def __init__(
        self, recipe: PixelCNN, event_shape: tuple[int, ...], device: torch.device, steps: int, classes: int
    ) -> None:
        self.recipe, self.event_shape, self.device, self.classes = recipe, event_shape, device, classes
        self.network = PixelNetwork(
            event_shape, recipe.levels, recipe.width, recipe.depth, dropout=recipe.dropout, classes=classes
        ).to(device)
        self.ema = EMA(self.network, recipe.ema)
        self.optimizer = Optimizer(self.network, recipe.lr, recipe=recipe, steps=steps)

    def step(self, batch: Tensor, labels: Tensor | None = None) -> Mapping[str, Tensor]:
        """Update on a batch (b, C, H, W), with the labels (b,) of a conditional one.

        Returns ``loss``, in nats an image, and ``bits``, the same in bits a value.
        """
        loss = -self.network.log_prob(batch, labels).mean()
        self.optimizer.descend(loss)
        self.ema.update(self.network)
        bits = loss.detach() / (math.log(2) * math.prod(self.event_shape))
        return {"loss": loss.detach(), "bits": bits}

    def sampler(self) -> PixelCNNSampler:
        """Return a sampler of the averaged weights as they are now."""
        return PixelCNNSampler(self)


class PixelCNNSampler:
    """Images drawn value by value, and the exact probability of any image."""

    name = "pixelcnn"

    def __init__(self, trainer: PixelCNNTrainer) -> None:
        self.classes = trainer.classes or None
        self._event_shape, self._device = trainer.event_shape, trainer.device
        self._network = copy.deepcopy(trainer.ema.network)
        self.levels = self._network.levels

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, labels: Tensor | None = None) -> Tensor:
        """Draw n images, of the classes in ``labels`` (n,) if conditional: float32 (n, C, H, W), on its device.

        One pass a value, over the window of the image that it can depend on.
        """
        labels = sample_labels(self.name, labels, n=n, classes=self.classes, device=self._device)
        channels, height, width = self._event_shape
        rng = torch.Generator().manual_seed(seed)
        uniform = torch.rand(n, channels, height, width, generator=rng).to(self._device)
        x = torch.zeros(n, channels, height, width, device=self._device)
        reach, levels = self._network.reach, self._network.levels
        for row in range(height):
            for column in range(width):
                top, left = max(0, row - reach), max(0, column - reach)
                for channel in range(channels):
                    window = x[:, :, top : row + 1, left : column + reach + 1]
                    logits = self._network(window, labels, (top, left))[:, :, channel, row - top, column - left]
                    below = logits.softmax(dim=1).cumsum(dim=1)[:, :-1]
                    number = (uniform[:, channel, row, column, None] >= below).sum(dim=1)
                    x[:, channel, row, column] = from_levels(number, levels)
        return x

    @torch.no_grad()
    def log_prob(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """Log probability in nats of images, whose values are moved to the nearest levels: (b, C, H, W) -> (b,)."""
        labels = sample_labels(self.name, labels, n=len(x), classes=self.classes, device=self._device)
        return self._network.log_prob(x, labels)
