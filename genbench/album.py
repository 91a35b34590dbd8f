"""The pictures that a run leaves: samples, the training images nearest to them, and those that move the score most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from genbench.atomic import write_atomic
from genbench.grids import sample_grid
from genbench.metrics.features import Features
from genbench.pictures import influence_picture, nearest_picture
from genbench.spaces import Keep, Seen, Space
from genbench.storage import Place

if TYPE_CHECKING:
    from genbench.evaluate import Evaluator


def picture_real(folder: Place, evaluator: Evaluator) -> None:
    """Write the grid of held-out samples."""
    held_out = torch.from_numpy(evaluator.dataset.test[: evaluator.benchmark.n])
    _write(folder, "real", sample_grid(held_out, evaluator.dataset.train))


def picture_samples(
    folder: Place, name: str, evaluator: Evaluator, samples: Tensor, seen: Mapping[Space, Seen]
) -> None:
    """Write ``NAME.png``, and of images ``NAME-nearest.png`` and ``NAME-influence.png`` in the primary metric's space.

    Nearest among the training samples that scores compare with; influence on the distance to held-out ones.
    """
    _write(folder, name, sample_grid(samples, evaluator.dataset.train))
    spec = next(spec for spec in evaluator.benchmark.metrics if spec.key == evaluator.benchmark.primary)
    space = (spec.extractor, spec.layer)
    found, n, images = seen[space], spec.n or evaluator.benchmark.n, evaluator.dataset.train
    if not isinstance(found, Features):
        return  # only sums were kept
    features, drawn = found.head(n), samples[:n]
    train = evaluator.spaces.real(space, "train", Keep(min(n, len(images))))
    test = evaluator.spaces.real(space, "test", Keep(n))
    assert isinstance(train, Features)
    assert isinstance(test, Features)
    rows = evaluator.spaces.real_rows("train", train.n)
    _write(folder, f"{name}-nearest", nearest_picture(drawn, features, np.asarray(images[rows]), train))
    _write(folder, f"{name}-influence", influence_picture(drawn, features, test))


def _write(folder: Place, name: str, picture: bytes | None) -> None:
    if picture is not None:
        write_atomic(folder / f"{name}.png", picture)
