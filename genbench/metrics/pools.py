"""Two real sets and their neighbours without favour: distinct rows, and ties that no label decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError
from genbench.metrics.distances import check_widths, row_blocks
from genbench.metrics.features import Features
from genbench.metrics.nearest import neighbours_among, neighbours_within
from genbench.metrics.neighbour_lists import NeighbourLists
from genbench.randomness import derive_seed


def apart(points: Features, *others: Features) -> Features:
    """Return the points as a set of their own: played against itself, a row is a copy of itself, not itself."""
    return Features(points.values) if any(points is other for other in others) else points


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RealSets:
    """The real sets of a memorization test, without exact duplicates.

    Attributes
    ----------
    train, test : Features
        Distinct rows; the given object itself where there was nothing to remove.
    held_out : Features
        The rows of ``test`` that are in no sense training rows.
    in_both_train, in_both_test : (n,) bool arrays
        Which rows of ``train`` and of ``test`` occur in both.
    counts : mapping of str to float
        ``train_duplicates`` and ``test_duplicates``, rows removed within a set; ``in_both``, rows that both hold.
    """

    train: Features
    test: Features
    held_out: Features
    in_both_train: NDArray[np.bool_]
    in_both_test: NDArray[np.bool_]
    counts: Mapping[str, float]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the split."""
        shared = int(self.counts["in_both"])
        return (f"{shared} held-out rows equal a training row and were left out",) if shared else ()


def real_sets(metric: str, generated: Features, train: Features, test: Features) -> RealSets:
    """Remove exact duplicates within and across the real sets; remembered with ``train``.

    Raises
    ------
    SampleError
        If the widths differ, or no held-out row is left.
    """
    check_widths(metric, generated, train)
    check_widths(metric, test, train)
    sets = train.remember(("real sets", test), lambda: _real_sets(train, test))
    if not sets.in_both_test.size > sets.in_both_test.sum():
        raise SampleError(
            f"{metric}: a held-out set that is not the training set expected, but each of its {test.n} rows is a "
            "training row; hold real samples out of training."
        )
    return sets


def _real_sets(train: Features, test: Features) -> RealSets:
    _, ids = torch.unique(torch.cat([train.values, test.values]), dim=0, return_inverse=True)
    train_ids, first_train = np.unique(ids[: train.n].cpu().numpy(), return_index=True)
    test_ids, first_test = np.unique(ids[train.n :].cpu().numpy(), return_index=True)
    in_both_train, in_both_test = np.isin(train_ids, test_ids), np.isin(test_ids, train_ids)
    if len(train_ids) == train.n:
        # Nothing was removed: keep the given order, in which other metrics have listed the neighbours.
        in_both_train = np.isin(ids[: train.n].cpu().numpy(), test_ids)
    if len(test_ids) == test.n:
        in_both_test = np.isin(ids[train.n :].cpu().numpy(), train_ids)
    distinct_train = train if len(train_ids) == train.n else _rows(train, first_train)
    distinct_test = test if len(test_ids) == test.n else _rows(test, first_test)
    left = ~in_both_test
    return RealSets(
        train=distinct_train,
        test=distinct_test,
        held_out=distinct_test if left.all() or not left.any() else distinct_test.select(left),
        in_both_train=in_both_train,
        in_both_test=in_both_test,
        counts={
            "train_duplicates": float(train.n - len(train_ids)),
            "test_duplicates": float(test.n - len(test_ids)),
            "in_both": float(in_both_train.sum()),
        },
    )


def _rows(features: Features, rows: NDArray[np.int64]) -> Features:
    return Features(features.values[torch.from_numpy(rows).to(features.values.device)])


def canonical_order(values: Tensor) -> NDArray[np.int64]:
    """Return the rows' order by content, so that what is drawn or fitted does not depend on how they came."""
    _, ids = torch.unique(values, dim=0, return_inverse=True)
    return np.argsort(ids.cpu().numpy(), kind="stable")


def subsample(features: Features, n: int, *, seed: int) -> Features:
    """Draw n rows at random, the same ones in whatever order they came; all of them if there are no more."""
    if n >= features.n:
        return features
    return features.remember(("subsample", n, seed), lambda: _subsample(features, n, seed))


def _subsample(features: Features, n: int, seed: int) -> Features:
    drawn = np.random.default_rng(derive_seed(seed, "subsample")).choice(features.n, n, replace=False)
    return _rows(features, canonical_order(features.values)[np.sort(drawn)])


def distances_to(points: Features, others: Features) -> NDArray[np.float64]:
    """Return the distance of every point to the nearest of the others, (n,)."""
    found: NDArray[np.float64] = neighbours_among(points, others, 1).nearest(1)[0][:, 0].cpu().numpy()
    return found


def distances_within(features: Features) -> NDArray[np.float64]:
    """Return the distance of every row to the nearest other row of its set, (n,); infinite for a single row."""
    found: NDArray[np.float64] = neighbours_within(features, 1).nearest(1)[0][:, 0].cpu().numpy()
    return found


def blind_priority(values: Tensor) -> Tensor:
    """Give every row of a pool (n, d) a place in a random order, which decides ties.

    The order neither knows which set a row is of, nor changes with the order in which the rows of either set came.
    """
    order = np.random.default_rng(derive_seed(0, "ties")).permutation(len(values))
    places = np.empty_like(order)
    places[canonical_order(values)] = order
    return torch.from_numpy(places).to(values.device)


def blind_neighbours(lists: Sequence[NeighbourLists], k: int, priority: Tensor) -> tuple[Tensor, Tensor]:
    """Find the k nearest neighbours of points in a pool; of those at equal distance, the first by priority.

    Parameters
    ----------
    lists : sequence of NeighbourLists
        The same points' neighbours in each part of the pool, more than k of them where the part has as many.
    k : int
        At least 1 and at most the size of the pool without the point itself.
    priority : (N,) int64 tensor
        Of the pool's rows, the parts one after the other. Distinct.

    Returns
    -------
    distances : (n, k) float64 tensor
    indices : (n, k) int64 tensor
        Rows of the pool, nearest first.

    Notes
    -----
    Only points whose list ends inside a tie are compared with the whole pool again: O(N d) each.
    """
    starts = np.cumsum([0] + [len(part.others) for part in lists])
    # One more than are wanted shows whether there is a tie at the end.
    listed = [part.nearest(k + 1) for part in lists]
    distances = torch.cat([distances for distances, _ in listed], dim=1)
    indices = torch.cat([found + int(start) for (_, found), start in zip(listed, starts, strict=False)], dim=1)
    near, chosen = _choose(distances, indices, k, priority)
    cut = torch.zeros(len(near), dtype=torch.bool, device=near.device)
    for part, (far, _) in zip(lists, listed, strict=True):
        if far.shape[1] < len(part.others):
            cut |= far[:, -1] <= near[:, -1]
    torn = torch.nonzero(cut).squeeze(1)
    for rows in row_blocks(len(torn), int(starts[-1])):
        everything = torch.cat([part.to_others(torn[rows]) for part in lists], dim=1)
        columns = torch.arange(int(starts[-1]), device=near.device).expand_as(everything)
        near[torn[rows]], chosen[torn[rows]] = _choose(everything, columns, k, priority)
    return near, chosen


def _choose(distances: Tensor, indices: Tensor, k: int, priority: Tensor) -> tuple[Tensor, Tensor]:
    """Take the k smallest of each row, and of equals those with the smallest priority."""
    by_priority = priority[indices].argsort(dim=1)
    distances, indices = distances.gather(1, by_priority), indices.gather(1, by_priority)
    radius = distances.kthvalue(k, dim=1, keepdim=True).values
    closer, tied = distances < radius, distances == radius
    room = k - closer.sum(dim=1, keepdim=True)
    taken = closer | (tied & (tied.cumsum(dim=1, dtype=torch.int32) <= room))
    positions = torch.nonzero(taken)[:, 1].view(len(distances), k)
    near, chosen = distances.gather(1, positions), indices.gather(1, positions)
    order = near.argsort(dim=1, stable=True)
    return near.gather(1, order), chosen.gather(1, order)
