"""Classes of conditional baselines: whether there are any, and how a network is shown one."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.errors import UsageError


def class_count(owner: str, *, conditional: bool, classes: int | None) -> int:
    """Return how many classes a model is to know: all of the data's if it is conditional, else 0.

    Raises
    ------
    UsageError
        If it is to be conditional on data without classes.
    """
    if not conditional:
        return 0
    if not classes:
        raise UsageError(f"{owner}: option conditional needs data with labels, got none; turn it off or choose others.")
    return classes


def sample_labels(
    owner: str, labels: Tensor | None, *, n: int, classes: int | None, device: torch.device
) -> Tensor | None:
    """Return the labels (n,) of a conditional model's samples on its device; None for a model without classes.

    Raises
    ------
    UsageError
        If a conditional model gets none, or others than n class numbers, or another model gets any.
    """
    if classes is None:
        if labels is not None:
            raise UsageError(f"{owner}: is not conditional and takes no labels; leave them out.")
        return None
    if labels is None or labels.shape != (n,) or bool(((labels < 0) | (labels >= classes)).any()):
        got = "none" if labels is None else f"a tensor {tuple(labels.shape)} from {labels.min()} to {labels.max()}"
        raise UsageError(f"{owner}: is conditional; {n} labels in [0, {classes}) expected, got {got}; pass them.")
    return labels.to(device)


def one_hot(labels: Tensor | None, classes: int, *, like: Tensor) -> Tensor:
    """Show labels (b,) as rows of zeros with a one, (b, classes); (b, 0) without classes.

    `torch.nn.functional.one_hot` looks at the values, for which a GPU has to be waited for.
    """
    if labels is None:
        return like.new_zeros(len(like), classes)
    return (labels[:, None] == torch.arange(classes, device=labels.device)).to(like.dtype)
