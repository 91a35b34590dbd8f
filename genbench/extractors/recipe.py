"""The training that the project's small classifiers share: AdamW, one-cycle rate, label smoothing, augmentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from genbench.devices import one_thread

BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4
LABEL_SMOOTHING = 0.05
DROPOUT = 0.3
ROTATION = math.radians(12)
SCALE = 0.1
SHIFT = 1 / 4  # one of 8 pixels, where the image spans [-1, 1]
NOISE = 0.05


def descend(
    weights: Mapping[str, Tensor],
    logits: Callable[[Tensor], Tensor],
    classes: Tensor,
    *,
    steps: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Fit weights to classes, in passes over all rows in random order; an incomplete last batch is left out.

    Parameters
    ----------
    weights : mapping of str to Tensor
        Leaves that require gradients; changed in place.
    logits : callable
        From row numbers, an int64 tensor of at most 64, to logits (rows, classes).
    classes : (n,) tensor, int64
        n >= 1.
    steps : int
        Updates.
    generator : torch.Generator
        Of the order.

    Returns
    -------
    dict of str to Tensor
        The weights, detached.

    Notes
    -----
    Runs in one thread on the CPU: more threads add in another order and end in other weights.
    """
    optimizer = torch.optim.AdamW(weights.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batch = min(BATCH, len(classes))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=steps, pct_start=0.15)
    done = 0
    with one_thread():
        while done < steps:
            order = torch.randperm(len(classes), generator=generator)[: len(classes) // batch * batch]
            for rows in torch.split(order, batch)[: steps - done]:
                found = logits(rows)
                target = classes[rows.to(classes.device)]
                loss = functional.cross_entropy(found, target, label_smoothing=LABEL_SMOOTHING)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                done += 1
    return {name: tensor.detach() for name, tensor in weights.items()}


def drop(feature: Tensor, generator: torch.Generator) -> Tensor:
    """Dropout that draws from a generator: each entry is zero with probability 0.3, the others grow to make up."""
    kept = torch.rand(feature.shape, generator=generator) >= DROPOUT
    return feature * kept.to(feature.device) / (1 - DROPOUT)


def initial_weights(shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator) -> dict[str, Tensor]:
    """Draw weights and biases from +-1 / sqrt(inputs), PyTorch's default for these layers."""
    weights = {}
    for name, shape in shapes.items():
        bound = math.prod(shapes[f"{name.partition('.')[0]}.weight"][1:]) ** -0.5
        weights[name] = ((torch.rand(shape, generator=generator) * 2 - 1) * bound).requires_grad_()
    return weights


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate by up to 12 degrees, scale by up to 10 %, shift by up to an eighth, and add noise of deviation 0.05.

    Parameters
    ----------
    pixels : (n, C, H, W) tensor, float32
        In [0, 1]; the noise can leave that range.
    generator : torch.Generator
        The only source of randomness.
    """
    uniform = torch.rand(4, len(pixels), generator=generator) * 2 - 1
    angle, scale = uniform[0] * ROTATION, 1 + uniform[1] * SCALE
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    first = torch.stack([cosine, -sine, uniform[2] * SHIFT], dim=1)
    second = torch.stack([sine, cosine, uniform[3] * SHIFT], dim=1)
    grid = functional.affine_grid(torch.stack([first, second], dim=1), list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels, grid, align_corners=False)
    return moved + NOISE * torch.randn(moved.shape, generator=generator)
