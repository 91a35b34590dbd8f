"""Nearest neighbours in few dimensions, where a k-d tree looks at few pairs."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from genbench.metrics.distances import pairwise_distances, row_blocks

NARROW = 5
"""Up to so many dimensions the tree is quicker than all pairs: in 8 it is as quick at 50,000 points, slower below."""


def is_narrow(points: Tensor) -> bool:
    """Return whether the neighbours of points (n, d) should be searched in a tree."""
    return points.shape[1] <= NARROW and points.device.type == "cpu"


def tree_proposals(points: Tensor, others: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the nearest others of each point by a k-d tree.

    Parameters
    ----------
    points : (n, d) float64 tensor
    others : (m, d) float64 tensor
        The same tensor within one set.
    width : int

    Returns
    -------
    distances : (n, min(width, m)) float64 tensor
        Exact, that is, of differences; infinite of a point to itself. In no strict order.
    indices : (n, min(width, m)) int64 tensor
    errors : (n,) float64 tensor
        By how much the square of one not found may be below that of the last one found.

    Notes
    -----
    The tree's sum of d squares and the exact one, each of d + 1 roundings, and two roots, differ by less than
    2 (d + 4) 2^-53 of their size; a row's ``errors`` are four times that of its largest.
    """
    same = points is others
    width = min(width + same, len(others))
    tree = _tree(others)
    # Asked in the order of a tree's leaves, one point after the other needs the same nodes, which takes a third less.
    order = torch.from_numpy((tree if same else _tree(points)).indices.astype(np.int64, copy=False))
    asked = points[order]
    indices = torch.from_numpy(tree.query(asked.numpy(), k=[*range(1, width + 1)])[1].astype(np.int64, copy=False))
    parts = row_blocks(len(points), width * points.shape[1])
    distances = torch.cat([pairwise_distances(asked[p, None], others[indices[p]]).squeeze(1) for p in parts])
    errors = 8 * (points.shape[1] + 4) * 2.0**-53 * distances[:, -1].square()
    if same:
        itself = indices == order[:, None]
        distances[itself] = torch.inf
        if width < len(others):
            # Of more equal points than are asked for the point itself may be missing: the last one goes instead.
            itself[:, -1] |= ~itself.any(dim=1)
            distances, indices = (each[~itself].view(len(points), width - 1) for each in (distances, indices))
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    return distances[back], indices[back], errors[back]


def _tree(points: Tensor) -> cKDTree:
    return cKDTree(points.numpy(), balanced_tree=False, compact_nodes=False)
