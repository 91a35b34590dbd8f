"""Rows of distances in ascending order, and what is found in them."""

from __future__ import annotations

import torch
from torch import Tensor


def ascending(distances: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Sort rows of distances, and their indices with them; most of a tree's are sorted already."""
    wrong = torch.nonzero((distances[:, 1:] < distances[:, :-1]).any(dim=1)).squeeze(1)
    if len(wrong):
        distances, indices = distances.clone(), indices.clone()
        distances[wrong], order = distances[wrong].sort(dim=1, stable=True)
        indices[wrong] = indices[wrong].gather(1, order)
    return distances, indices


def kth_listed(
    distances: Tensor, indices: Tensor, k: int, alive: Tensor | None, positive: bool
) -> tuple[Tensor, Tensor]:
    """Find the distance to the k-th neighbour that is alive; infinite where a row ends too early.

    As `genbench.metrics.neighbour_lists.NeighbourLists.kth`, from rows (n, width) in ascending order.
    """
    usable = torch.ones_like(indices, dtype=torch.bool) if alive is None else alive[indices]
    order = usable.cumsum(dim=1, dtype=torch.int32)
    wanted = torch.full((len(distances),), k, dtype=torch.int64, device=distances.device)
    if positive:
        wanted = torch.maximum(wanted, (usable & (distances == 0)).sum(dim=1) + 1)
    hits = usable & (order == wanted[:, None])
    position = hits.to(torch.uint8).argmax(dim=1, keepdim=True)
    radius = distances.gather(1, position).squeeze(1)
    return torch.where(hits.any(dim=1), radius, torch.inf), wanted
